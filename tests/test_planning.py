"""Plans: published numbers, conditional LR, rounding, refusals, and one target against many."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.errors import RefusalError, UsageError
from hptransfer.law import Law, Note, PowerLaw, Uncertainty
from hptransfer.planning import Plan, Target, plan, plan_targets
from hptransfer.plans.prediction import round_batch
from hptransfer.published import published_law

BIG = Target(params=7e9, tokens=1e12)


def fitted_law(**changes: object) -> Law:
    """A fitted law with every part, by hand."""
    covariance = ((4e-2, 0.0, 0.0), (0.0, 1e-4, 0.0), (0.0, 0.0, 4e-4))
    law = Law(
        id="fitted-test",
        title="by hand",
        peak_lr=PowerLaw(
            log_coefficient=math.log(1.5),
            exponents={"params": -0.6, "tokens": 0.2},
            uncertainty=Uncertainty(covariance=covariance, quantile=2.0, cell_std=0.1),
        ),
        batch_tokens=PowerLaw(log_coefficient=0.0, exponents={"tokens": 0.55}),
        lr_batch_exponent=0.4,
        params_kind="non-embedding",
        seq_len=1024,
        setting={"weight_decay": 0.05, "schedule": "wsd", "warmup_fraction": 0.02},
        fitted_on={"params": (1e8, 1e9), "tokens": (2e9, 1e11)},
    )
    return law.model_copy(update=changes)


def test_step_law_at_seven_billion() -> None:
    """laws.md 16: Step Law at N = 7e9, D = 1e12 gives 8.27e-4, 4.13e6 tokens and 242,422 steps unrounded."""
    unrounded = plan(published_law("step-law"), BIG, rounding="none")
    assert unrounded.peak_lr == pytest.approx(8.27e-4, rel=1e-3)
    assert unrounded.batch_tokens == pytest.approx(4.13e6, rel=2e-3)
    assert unrounded.rounded.steps == 242_422
    assert unrounded.weight_decay == pytest.approx(0.0629, rel=2e-3)  # Power Lines' timescale, same table
    rounded = plan(published_law("step-law"), BIG).rounded
    assert rounded.batch_tokens == 2048 * 2048
    assert rounded.steps == math.ceil(1e12 / 2048**2)


def test_deepseek_needs_a_shape_and_gives_the_deployed_values() -> None:
    """Their 7B: C = 8.456e22 gives 4.25e-4 and 9.22e6 tokens; they trained with 4.2e-4 and 2304 x 4096."""
    law = published_law("deepseek-llm")
    target = Target(params=7e9, tokens=2e12, width=4096, depth=30)
    result = plan(law, target, rounding="none")
    assert result.peak_lr == pytest.approx(4.246023e-4, rel=1e-6)
    assert result.batch_tokens == pytest.approx(9.222608e6, rel=1e-6)
    with pytest.raises(UsageError, match="--width and --depth"):
        plan(law, BIG)


def test_power_scheduler_takes_the_batch() -> None:
    """1024 sequences of 4096 tokens at 1e12 tokens: 3.107134e-3; the cap of 0.02 holds below 1e11."""
    law = published_law("power-scheduler")
    assert plan(law, dataclasses.replace(BIG, batch_tokens=2**22)).peak_lr == pytest.approx(
        3.107134e-3, rel=1e-6
    )
    short = plan(law, Target(params=1e9, tokens=2e10, batch_tokens=2**22))
    assert short.peak_lr == 0.02
    with pytest.raises(UsageError, match="--batch-tokens"):
        plan(law, BIG)


def test_a_law_without_lr_gives_null_and_says_so() -> None:
    result = plan(published_law("power-lines"), BIG)
    assert result.peak_lr is None
    assert result.rounded.peak_lr is None
    assert result.weight_decay is None
    assert "no-lr-law" in codes(result)


def test_the_lr_follows_a_pinned_batch_by_the_laws_own_slope() -> None:
    law = fitted_law()
    free = plan(law, BIG)
    assert free.batch_tokens is not None
    assert free.peak_lr is not None
    pinned = plan(law, dataclasses.replace(BIG, batch_tokens=4 * free.batch_tokens))
    assert pinned.peak_lr == pytest.approx(free.peak_lr * 4**0.4)
    assert pinned.batch_tokens_interval is None
    by_sqrt = plan(
        fitted_law(lr_batch_exponent=None), dataclasses.replace(BIG, batch_tokens=4 * free.batch_tokens)
    )
    assert by_sqrt.peak_lr == pytest.approx(free.peak_lr * 2)
    assert "sqrt rule" in by_sqrt.origins["rounded.peak_lr"].source


def test_the_interval_is_the_closed_form() -> None:
    """Half width = quantile * sqrt(x' covariance x + cell_std^2), in natural logs."""
    low, high = plan(fitted_law(), BIG).peak_lr_interval or (0.0, 0.0)
    variance = 4e-2 + 1e-4 * math.log(7e9) ** 2 + 4e-4 * math.log(1e12) ** 2 + 0.01
    assert math.log(high / low) / 2 == pytest.approx(2.0 * math.sqrt(variance))


def test_own_settings_win_over_defaults() -> None:
    result = plan(fitted_law(), BIG)
    assert result.weight_decay == 0.05
    assert result.recipe["schedule"].value == "wsd"
    assert result.rounded.warmup_tokens == pytest.approx(0.02 * 1e12)
    assert result.recipe["beta2"].origin.source == "default"
    assert result.seq_len == 1024


def test_the_epsilon_of_a_sweep_is_that_of_the_plan() -> None:
    """Its column is `epsilon`, a config says `eps`."""
    law = fitted_law().model_copy(update={"setting": {"epsilon": 1e-15}})
    settled = plan(law, BIG).recipe["eps"]
    assert (settled.value, settled.origin.source) == (1e-15, f"as in the runs behind law {law.id}")


def test_reach_says_how_far_outside() -> None:
    reach = plan(fitted_law(), BIG).reach
    assert reach["params"].factor == pytest.approx(7.0)
    assert reach["tokens"].decades == pytest.approx(1.0)
    inside = plan(fitted_law(), Target(params=5e8, tokens=1e10))
    assert inside.reach["params"].factor == 1.0
    assert "outside-fitted-range" not in codes(inside)


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        (Target(params=0.0, tokens=1e12), UsageError, "params: got 0"),
        (Target(params=1e9, tokens=math.inf), UsageError, "tokens: got inf"),
        (Target(params=1e9, tokens=math.nan), UsageError, "tokens: got nan"),
        (Target(params=1e-320, tokens=1e12), UsageError, "params: got 9.99989e-321"),
        (Target(params=1e9, tokens=1e12, batch_tokens=1e308), UsageError, "batch_tokens: got 1e.308"),
        (Target(params=1e9, tokens=1e12, width=10**200), UsageError, "width: got 1e.200"),
        (Target(params=1e9, tokens=1e12, params_kind="total"), RefusalError, "counts non-embedding"),
    ],
)
def test_refusals(target: Target, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        plan(fitted_law(), target)


def test_a_law_of_one_model_size_does_not_extrapolate_in_size() -> None:
    law = fitted_law(
        fitted_on={"params": (1e8, 1e8), "tokens": (2e9, 1e11)},
        warnings=(Note(code="single-params", message="one size"),),
    )
    assert plan(law, Target(params=1.01e8, tokens=1e12)).peak_lr
    with pytest.raises(RefusalError, match="only one value of params"):
        plan(law, BIG)


positive = st.floats(1e6, 1e13)


@given(st.lists(st.tuples(positive, positive, st.none() | st.floats(1e3, 1e8)), min_size=1, max_size=6))
def test_many_targets_equal_single_ones(rows: list[tuple[float, float, float | None]]) -> None:
    """One implementation: arrays and floats agree to the last digits."""
    targets = [Target(params=n, tokens=d, batch_tokens=b) for n, d, b in rows]
    for law in (fitted_law(), published_law("step-law")):
        for one, many in zip((plan(law, t) for t in targets), plan_targets(law, targets), strict=True):
            assert many.target == one.target
            assert many.peak_lr == pytest.approx(one.peak_lr, rel=1e-12)
            assert (many.peak_lr_interval or ()) == pytest.approx(one.peak_lr_interval or (), rel=1e-12)
            assert many.batch_tokens == pytest.approx(one.batch_tokens, rel=1e-12)
            assert many.rounded.batch_tokens == pytest.approx(one.rounded.batch_tokens, rel=1e-12)
            assert many.warnings == one.warnings


@given(st.floats(1.0, 1e10), st.sampled_from([1, 512, 2048, 4096]))
def test_rounding_picks_the_nearest_candidate(batch: float, seq_len: int) -> None:
    """Against brute force over all 2^k and 3*2^k sequences."""
    candidates = sorted({2**k for k in range(40)} | {3 * 2**k for k in range(40)})
    gap = [abs(math.log(batch / seq_len / c)) for c in candidates]
    rounded = round_batch(batch, seq_len, "pow2")
    assert rounded / seq_len in candidates
    assert abs(math.log(batch / rounded)) == pytest.approx(min(gap), abs=1e-9)


def codes(result: Plan) -> set[str]:
    return {note.code for note in result.warnings}


def test_a_fitted_law_tells_how_far_it_is_stretched_in_compute_and_tokens_per_param() -> None:
    from hptransfer.fitting import fit
    from tests.sweeps import noisy_sweep

    law = fit(noisy_sweep(), resamples=0)
    reach = plan(law, Target(params=2.4e9, tokens=3.2e11)).reach
    assert reach["params"].decades == pytest.approx(1.0)
    assert reach["tokens"].decades == pytest.approx(1.0)
    assert reach["flops"].decades == pytest.approx(2.0)
    assert reach["tokens_per_param"].factor == 1.0
