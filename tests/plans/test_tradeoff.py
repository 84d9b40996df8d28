"""Three batches of a plan, and steps against tokens: closed forms, what is dominated, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hptransfer.errors import RefusalError
from hptransfer.fitting import fit
from hptransfer.law import Input, Law, LossLaw, LossTerm, PowerLaw, Uncertainty
from hptransfer.planning import Plan, Target, plan, plan_targets
from hptransfer.plans.tradeoff import time_vs_compute
from hptransfer.published import published_law
from tests.sweeps import noisy_sweep
from tests.test_planning import BIG, codes, fitted_law

CRITICAL = 2.0**25
LOSS = LossLaw(floor=1.8, terms=(LossTerm(input="tokens", coefficient=2085.43, exponent=0.3658),))


def law(*, exponent: float = 0.0, **changes: object) -> Law:
    """A law whose critical batch at `BIG` is CRITICAL (of E_min where it has an exponent)."""
    level = math.log(CRITICAL) - exponent * math.log(BIG.tokens)
    inputs: dict[Input, float] = {"tokens": exponent} if exponent else {}
    spread = Uncertainty(covariance=((0.01, 0.0), (0.0, 0.0)) if exponent else ((0.01,),))
    critical = PowerLaw(log_coefficient=level, exponents=inputs, uncertainty=spread)
    return fitted_law(critical_batch=critical, loss=LOSS, **changes)


def at(fraction: float, *, exponent: float = 0.0, **changes: object) -> Plan:
    """A plan at a fraction of the critical batch."""
    return plan(law(exponent=exponent, **changes), replace(BIG, batch_tokens=fraction * CRITICAL))


def test_three_numbers_are_kept_apart() -> None:
    batches = plan(law(), BIG).batches
    assert batches is not None
    assert batches.optimal_tokens == pytest.approx(1e12**0.55)
    assert batches.acceptable_tokens is None  # this law has no bowl
    assert batches.critical_tokens == pytest.approx(CRITICAL)
    low, high = batches.critical_interval or (0.0, 0.0)
    assert math.log(high / low) / 2 == pytest.approx(1.6448536 * 0.1)


def test_the_acceptable_batches_cost_a_quarter_of_a_percent_at_their_ends() -> None:
    fitted = fit(noisy_sweep(noise=0.001), resamples=0, prior="none")
    target = Target(params=2e8, tokens=8e9)
    free = plan(fitted, target)
    assert free.batches is not None
    assert free.batches.acceptable_tokens is not None
    assert free.batches.acceptable_open == (False, False)
    for end in free.batches.acceptable_tokens:
        pinned = plan(fitted, replace(target, batch_tokens=end), rounding="none")
        assert pinned.excess == pytest.approx(0.0025, rel=1e-3)
        assert pinned.batches is not None
        assert pinned.batches.optimal_tokens == free.batches.optimal_tokens


def test_the_critical_batch_is_that_of_the_fewest_tokens() -> None:
    """E = E_min (1 + B / B_crit(E_min)): the plan's own batch decides E_min, and with it B_crit."""
    batches = at(1.0, exponent=0.46).batches
    assert batches is not None
    assert batches.tokens_min is not None
    assert batches.critical_tokens is not None
    assert batches.critical_tokens == pytest.approx(CRITICAL * (batches.tokens_min / BIG.tokens) ** 0.46)
    assert batches.tokens_min * (1 + CRITICAL / batches.critical_tokens) == pytest.approx(BIG.tokens)


def test_the_front_is_mccandlish_s() -> None:
    """(S / S_min - 1)(E / E_min - 1) = 1 in every row, Eq. 2.11 of arXiv:1812.06162."""
    found = time_vs_compute(at(0.25))
    assert found.loss == pytest.approx(1.8 + 2085.43 / 1e12**0.3658)
    for one in found.front:
        steps = one.tokens / one.batch_tokens / found.steps_min
        assert (steps - 1) * (one.tokens / found.tokens_min - 1) == pytest.approx(1.0)
    relative = {one.batch_tokens / CRITICAL: one.tokens / found.tokens_min for one in found.front}
    assert [relative[b] for b in (0.25, 1.0, 4.0)] == pytest.approx([1.25, 2.0, 5.0])


def test_what_a_doubling_costs_and_saves() -> None:
    """From B_crit / 4 to B_crit / 2: 1.5 / 1.25 of the tokens in 0.6 of the steps."""
    front = time_vs_compute(at(0.25)).front
    k = next(k for k, one in enumerate(front) if one.is_plan)
    assert front[k].tokens == BIG.tokens
    assert front[k + 1].more_tokens == pytest.approx(0.2)
    assert front[k + 1].fewer_steps == pytest.approx(0.4)
    assert front[k].tokens_interval == pytest.approx((BIG.tokens, BIG.tokens))
    low, high = front[k + 1].tokens_interval or (0.0, 0.0)
    assert low < front[k + 1].tokens < high


def test_the_front_begins_at_the_optimal_batch() -> None:
    """Smaller ones take more tokens and more steps by the law's own runs: dominated."""
    found = time_vs_compute(at(1.0))
    best = 1e12**0.55
    assert best / 2**0.5 <= found.front[0].batch_tokens <= best * 2**0.5
    assert found.front[-1].batch_tokens == pytest.approx(4 * CRITICAL)
    below = time_vs_compute(at(2.0**-10))
    assert below.front[0].is_plan
    assert any("below the optimal" in text for text in below.summary)


def test_a_critical_batch_of_another_definition_is_brought_to_this_one() -> None:
    """Zhang et al. mean 20 % more tokens: a fifth of McCandlish's."""
    found = time_vs_compute(at(0.25, critical_overhead=0.2))
    assert found.critical_tokens == pytest.approx(5 * CRITICAL)
    assert published_law("zhang-fixed-params").critical_overhead == 0.2


def test_a_critical_batch_in_loss_takes_the_loss_of_the_plan() -> None:
    """Kaplan: 2e8 / L^(1 / 0.21) at the loss that the same law predicts."""
    kaplan = plan(published_law("kaplan"), Target(params=1e9, tokens=2e10, batch_tokens=2.0**19))
    assert kaplan.batches is not None
    assert kaplan.loss == pytest.approx(2.4354, abs=1e-4)
    assert kaplan.batches.critical_tokens == pytest.approx(2e8 / 2.4354 ** (1 / 0.21), rel=1e-3)


def test_a_batch_above_the_critical_one_is_said() -> None:
    assert "batch-above-critical" in codes(at(2.0))
    assert "batch-above-critical" not in codes(at(0.5))


def test_a_critical_batch_at_the_optimal_one_is_doubted() -> None:
    near = law().model_copy(
        update={"batch_tokens": PowerLaw(log_coefficient=math.log(CRITICAL / 1.5), exponents={})}
    )
    assert "critical-near-optimal" in codes(plan(near, BIG))
    assert "critical-near-optimal" not in codes(plan(law(), BIG))


def test_many_targets_and_one_agree() -> None:
    targets = [replace(BIG, tokens=d, batch_tokens=b) for d in (1e11, 1e12) for b in (2.0**22, None)]
    one_by_one = [plan(law(exponent=0.46), target).batches for target in targets]
    for one, many in zip(one_by_one, plan_targets(law(exponent=0.46), targets), strict=True):
        assert one is not None
        assert many.batches is not None
        assert many.batches.critical_tokens == pytest.approx(one.critical_tokens)
        assert many.batches.tokens_min == pytest.approx(one.tokens_min)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critical_batch": None}, "has no critical batch here.*hptransfer batch SWEEP"),
        ({"batch_tokens": None}, "says no batch to start from. Add --batch-tokens"),
    ],
)
def test_refusals_have_a_way_out(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RefusalError, match=message):
        time_vs_compute(plan(law().model_copy(update=changes), BIG))


def test_a_batch_larger_than_the_run_has_no_steps_to_trade() -> None:
    with pytest.raises(RefusalError, match="more than the whole run of 1T"):
        time_vs_compute(plan(law(), replace(BIG, batch_tokens=2e12)))


def test_without_a_loss_law_the_front_is_that_of_the_plan_s_own_loss() -> None:
    without = plan(law().model_copy(update={"loss": None}), replace(BIG, batch_tokens=CRITICAL / 4))
    assert time_vs_compute(without).loss is None
    assert "no-loss-law" in codes(without)
