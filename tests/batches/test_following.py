"""How a plan's LR follows a pinned batch: the law's own, else a named or the default rule."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hptransfer.config import LawReference, config_from_plan
from hptransfer.errors import RefusalError, UsageError
from hptransfer.fitting import fit
from hptransfer.law import Law, PowerLaw
from hptransfer.planning import Plan, Target, plan, plan_targets
from hptransfer.plans.cost import cost_of_being_wrong
from hptransfer.plans.prediction import NORMAL_95, predicted_excess
from hptransfer.published import published_law
from tests.sweeps import noisy_sweep
from tests.test_planning import BIG, codes, fitted_law

AT = Target(params=2e8, tokens=8e9)


def of(law: Law, factor: float, rule: str | None, *, target: Target = BIG) -> Plan:
    """A plan at `factor` times the law's own batch, whatever rule."""
    best = plan(law, target).batch_tokens
    assert best is not None
    return plan(law, replace(target, batch_tokens=factor * best, batch_rule=rule))


def lr_ratio(law: Law, factor: float, rule: str | None) -> float:
    """LR to run over that at the law's own batch."""
    pinned, free = of(law, factor, rule), plan(law, BIG, rounding="none")
    assert pinned.peak_lr is not None
    assert free.peak_lr is not None
    return pinned.peak_lr / free.peak_lr


def test_the_law_s_own_comes_first() -> None:
    own = of(fitted_law(), 4.0, None)
    assert own.lr_follows is not None
    assert (own.lr_follows.rule, own.lr_follows.certainty) == ("law", "fitted")
    assert own.lr_follows.factor == pytest.approx(4**0.4)
    assert not [code for code in codes(own) if code.startswith("batch-rule")]
    assert of(fitted_law(), 4.0, "law").lr_follows == replace(own.lr_follows, why="you asked for it")


def test_without_it_the_default_of_the_optimizer_is_used_and_said() -> None:
    law = fitted_law(lr_batch_exponent=None)
    by_default = of(law, 4.0, None)
    assert by_default.lr_follows is not None
    assert by_default.lr_follows.rule == "sqrt"
    assert "batch-rule-default" in codes(by_default)
    assert lr_ratio(law, 4.0, None) == pytest.approx(2.0)
    sgd = fitted_law(lr_batch_exponent=None, setting={"optimizer": "SGD"})
    assert lr_ratio(sgd, 4.0, None) == pytest.approx(4.0)


def test_a_law_in_the_batch_needs_no_rule() -> None:
    law = published_law("power-scheduler")
    planned = plan(law, replace(BIG, batch_tokens=2.0**22))
    assert planned.lr_follows is None
    with pytest.raises(RefusalError, match="the batch is an input of law power-scheduler"):
        plan(law, replace(BIG, batch_tokens=2.0**22, batch_rule="sqrt"))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("linear", 4.0),
        ("sqrt", 2.0),
        ("sde:beta1=0.9,beta2=0.95", 2.0),
        ("surge:noise_batch=OWN", 0.8),  # 4 B_noise: 1 / (0.5 (0.5 + 2))
        ("saturating:noise_batch=OWN,exponent=1", 1.6),  # (1 / (1 + 1/4)) / (1/2)
        ("saturating:noise_batch=OWN", 1.6**0.5),
    ],
)
def test_a_named_rule_moves_the_lr_by_its_closed_form(rule: str, expected: float) -> None:
    law = fitted_law()
    own = plan(law, BIG).batch_tokens
    spec = rule.replace("OWN", f"{own!r}")
    assert lr_ratio(law, 4.0, spec) == pytest.approx(expected)
    assert "batch-rule-over-data" in codes(of(law, 4.0, spec))


def test_many_targets_and_one_agree() -> None:
    law = fitted_law(critical_batch=PowerLaw(log_coefficient=math.log(30.0), exponents={"tokens": 0.5}))
    targets = [
        replace(BIG, batch_tokens=batch, batch_rule=rule)
        for batch in (2.0**20, 2.0**24, None)
        for rule in ("surge", "sqrt", None)
    ]
    for one, many in zip((plan(law, t) for t in targets), plan_targets(law, targets), strict=True):
        assert one.rounded == many.rounded
        assert one.lr_follows == many.lr_follows


def test_the_sde_rule_moves_betas_and_epsilon() -> None:
    law = fitted_law(setting={"beta1": 0.9, "beta2": 0.95, "eps": 1e-8})
    recipe = of(law, 4.0, "sde").recipe
    assert [recipe[name].value for name in ("beta1", "beta2", "eps")] == pytest.approx([0.6, 0.8, 5e-9])
    assert "moved" in recipe["beta1"].origin.formula
    assert "batch-rule-range" in codes(of(law, 4.0, "sde"))  # an average over 2.5 steps
    assert of(law, 4.0, "sqrt").recipe["beta1"].value == 0.9


@pytest.mark.parametrize(
    ("rule", "changes", "error", "message"),
    [
        ("sde", {"setting": {}}, UsageError, r"needs beta1 and beta2.*sde:beta1=0.9,beta2=0.95"),
        ("surge", {}, UsageError, r"needs noise_batch.*hptransfer batch SWEEP"),
        ("surge", {"setting": {"optimizer": "sgd"}}, UsageError, r"derived for Adam.*used sgd.*linear"),
        ("law", {"lr_batch_exponent": None}, RefusalError, r"does not say how its LR moves"),
        ("sqrt", {"batch_tokens": None}, RefusalError, r"does not say at which batch its LR holds"),
        ("sde:beta1=0.5,beta2=0.5", {}, RefusalError, r"The rule ends below 2 times"),
        ("sqrtt", {}, UsageError, r"Did you mean 'sqrt'"),
    ],
)
def test_what_a_rule_cannot_do_is_refused(
    rule: str, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    target = replace(BIG, batch_tokens=2.0**24, batch_rule=rule)
    with pytest.raises(error, match=message):
        plan(fitted_law(**changes), target)


def test_a_rule_for_another_optimizer_is_used_with_a_warning() -> None:
    assert "batch-rule-optimizer" in codes(of(fitted_law(), 4.0, "linear"))
    assert "batch-rule-optimizer" not in codes(of(fitted_law(setting={"optimizer": "muon"}), 4.0, "linear"))


def test_the_noise_batch_is_the_critical_one_unless_given() -> None:
    law = fitted_law(critical_batch=PowerLaw(log_coefficient=math.log(1e6), exponents={}))
    planned = of(law, 4.0, "surge")
    assert "noise-batch-assumed" in codes(planned)
    assert planned.lr_follows is not None
    assert planned.lr_follows.settings["noise_batch"] == pytest.approx(1e6)


def test_a_noise_batch_that_is_not_the_critical_one_of_the_run_is_not_called_that() -> None:
    """A large batch reaches a loss that needs fewer tokens, where the critical batch is smaller."""
    law = fitted_law(critical_batch=PowerLaw(log_coefficient=math.log(30.0), exponents={"tokens": 0.5}))
    planned = of(law, 16.0, "surge")
    assert planned.lr_follows is not None
    assert planned.lr_follows.settings["noise_batch"] == pytest.approx(30.0 * BIG.tokens**0.5)
    assert planned.batches is not None
    assert planned.batches.critical_tokens is not None
    assert planned.batches.critical_tokens < 0.9 * planned.lr_follows.settings["noise_batch"]
    said = next(note.message for note in planned.warnings if note.code == "noise-batch-assumed")
    assert "critical batch of a small-batch run on these tokens, 30M tokens" in said


def test_a_rule_that_no_sweep_confirmed_widens_the_interval() -> None:
    """By a standard deviation of 0.15 in the exponent: variances add in natural logs."""
    own, ruled = of(fitted_law(), 16.0, "law"), of(fitted_law(), 16.0, "sqrt")
    assert own.peak_lr_interval is not None
    assert ruled.peak_lr_interval is not None
    half, wider = (math.log(high / low) / 2 for low, high in (own.peak_lr_interval, ruled.peak_lr_interval))
    assert wider**2 - half**2 == pytest.approx((NORMAL_95 * 0.15 * math.log(16)) ** 2)


def test_a_rule_off_the_valley_is_priced() -> None:
    """The plan's excess, and the cost table at factor 1, are those of the LR that is run."""
    law = fit(noisy_sweep(noise=0.001), resamples=0, prior="none")
    ruled = of(law, 4.0, "linear", target=AT)
    run = ruled.rounded
    assert run.peak_lr is not None
    assert run.batch_tokens is not None
    expected = predicted_excess(
        law, params=AT.params, tokens=AT.tokens, peak_lr=run.peak_lr, batch_tokens=run.batch_tokens
    )
    assert ruled.excess == pytest.approx(expected, rel=1e-3)
    own = of(law, 4.0, "law", target=AT)
    assert own.excess is not None
    assert ruled.excess is not None
    cost = cost_of_being_wrong(ruled)
    assert cost is not None
    at_run = next(point for point in cost.peak_lr if point.factor == 1.0)
    assert at_run.excess == pytest.approx((1 + ruled.excess) / (1 + own.excess) - 1, rel=1e-2)


def test_a_config_keeps_the_rule() -> None:
    law = fitted_law()
    config = config_from_plan(of(law, 4.0, "linear"), LawReference(id="x", digest=law.digest()))
    assert config.plan.batch_rule == "linear"
    assert "linear rule" in config.origin["peak_lr"]
