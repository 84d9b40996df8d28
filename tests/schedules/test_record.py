"""Schedules by name: reference values, what holds for every kind, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.errors import UsageError
from hptransfer.schedules import DECAYS, KINDS, Schedule, schedule, schedule_from_spec

AT = (50, 100, 300, 550, 800, 900, 950, 1000)
WSD_EXP = "wsd:decay=exponential,final_ratio=0.1"
# 1000 steps, 100 of warm-up (REX: none), worked out from the formulas of the sources; last: the mean.
REFERENCE = {
    "cosine": (0.5, 1, 0.8830, 0.5, 0.1170, 0.0302, 0.0076, 0, 0.4995),
    "cosine:final_ratio=0.1": (0.5, 1, 0.8947, 0.55, 0.2053, 0.1271, 0.1068, 0.1, 0.5445),
    "d2z": (0.5, 1, 0.7778, 0.5, 0.2222, 0.1111, 0.0556, 0, 0.4995),
    "linear:final_ratio=0.1": (0.5, 1, 0.8, 0.55, 0.3, 0.2, 0.15, 0.1, 0.5445),
    "polynomial:power=1": (0.5, 1, 0.7778, 0.5, 0.2222, 0.1111, 0.0556, 0, 0.4995),
    "wsd": (0.5, 1, 1, 1, 1, 0.5, 0.25, 0, 0.8492),
    "trapezoid": (0.5, 1, 1, 1, 1, 0.5, 0.25, 0, 0.8492),
    "wsd:decay=1-sqrt": (0.5, 1, 1, 1, 1, 0.2929, 0.1340, 0, 0.8159),
    "wsd:decay=cosine": (0.5, 1, 1, 1, 1, 0.5, 0.1464, 0, 0.8492),
    WSD_EXP: (0.5, 1, 1, 1, 1, 0.3162, 0.1778, 0.1, 0.8274),
    "wsd:decay=harmonic,final_ratio=0.1": (0.5, 1, 1, 1, 1, 0.1818, 0.1290, 0.1, 0.8004),
    "inverse-sqrt": (0.5, 1, 0.5774, 0.4264, 0.3536, 0.3333, 0.3244, 0.3162, 0.4821),
    "rex:warmup_steps=0": (0.9744, 0.9474, 0.8235, 0.6207, 0.3333, 0.1818, 0.0952, 0, 0.6136),
    "rex:warmup_steps=0,gamma=0.45": (0.9719, 0.9424, 0.8092, 0.5980, 0.3125, 0.1681, 0.0873, 0, 0.5984),
    "uba:phi=0.5": (0.5, 1, 0.9679, 0.8, 0.3464, 0.1106, 0.0297, 0, 0.6494),
    "uba:phi=1": (0.5, 1, 0.9379, 0.6667, 0.2095, 0.0585, 0.0151, 0, 0.5766),
    "uba:phi=2": (0.5, 1, 0.8830, 0.5, 0.1170, 0.0302, 0.0076, 0, 0.4995),
    "uba:phi=5": (0.5, 1, 0.7512, 0.2857, 0.0503, 0.0123, 0.0031, 0, 0.3983),
    "infinite:cooldown_end=0.4,constant_ratio=0.3": (0.5, 1, 0.4750, 0.3, 0.3, 0.1732, 0.1316, 0.1, 0.4011),
    "multi-step": (0.5, 1, 1, 1, 0.316, 0.1, 0.1, 0.1, 0.7904),
}


@pytest.mark.parametrize("spec", REFERENCE)
def test_reference_values(spec: str) -> None:
    made = schedule_from_spec(spec, steps=1000, warmup_steps=100)
    found = [*made.multiplier(AT), made.curve().mean()]
    np.testing.assert_allclose(found, REFERENCE[spec], atol=5.01e-5)


def example(name: str, **changes: Any) -> Schedule:
    """A schedule of every kind."""
    warmup = 100 if KINDS[name].warms_up else 0
    return schedule(name, **{"steps": 1000, "warmup_steps": warmup, **KINDS[name].example, **changes})


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_a_multiplier_that_reaches_1(name: str) -> None:
    curve = example(name).curve()
    assert curve.shape == (1001,)
    assert np.isfinite(curve).all()
    assert (curve >= -1e-15).all()
    assert curve.max() == pytest.approx(1.0, abs=1e-12)
    assert curve[0] == (0.0 if KINDS[name].warms_up and name != "rewarmed" else curve[0])


@pytest.mark.parametrize("name", KINDS)
def test_one_update_at_a_time_equals_all_at_once(name: str) -> None:
    made = example(name, peak_lr=3e-4)
    one_by_one = [made.lr_at(update) for update in range(made.steps)]
    np.testing.assert_array_equal(one_by_one, made.peak_lr * made.multipliers())


@pytest.mark.parametrize("name", KINDS)
def test_counting_from_1_uses_the_next_value(name: str) -> None:
    zero, one = example(name), example(name, count_from=1)
    np.testing.assert_array_equal(zero.curve()[:-1], zero.multipliers())
    np.testing.assert_array_equal(one.curve()[1:], one.multipliers())


@pytest.mark.parametrize("decay", DECAYS)
def test_every_decay_falls_from_the_peak(decay: str) -> None:
    needs: dict[str, dict[str, Any]] = {
        "power": {"decay_power": 2.0},
        "half-life": {"half_life_steps": 50.0},
        "lowered-linear": {"decay_start_ratio": 0.7},
        "exponential": {"final_ratio": 0.1},
        "harmonic": {"final_ratio": 0.1},
    }
    made = schedule("wsd", steps=1000, decay=decay, decay_fraction=0.2, **needs.get(decay, {}))
    falling = made.curve()[800:]
    assert (np.diff(falling) <= 1e-15).all()
    assert falling[0] == (0.7 if decay == "lowered-linear" else 1.0)
    half_lives = 200 / 50
    last = {"half-life": 0.5**half_lives, "exponential": 0.1, "harmonic": 0.1}.get(decay, 0.0)
    assert falling[-1] == pytest.approx(last, abs=1e-12)


def test_minicpm_half_life() -> None:
    """A half-life of 5000 steps reaches 10 % of the peak after 16,610 steps (log2(10) half-lives)."""
    made = schedule("wsd", steps=40_000, decay="half-life", decay_steps=20_000, half_life_steps=5_000)
    assert made.multiplier(20_000 + 16_610) == pytest.approx(0.1, rel=1e-4)


def test_wsd_s_jumps_back_after_each_checkpoint() -> None:
    made = schedule("wsd-s", steps=1000, checkpoints=(500,), decay_fraction=0.1)
    values = made.multiplier([450, 500, 501, 900, 1000])
    np.testing.assert_allclose(values, [1, 0.1, 1, 1, 0.1])


def test_rewarming_starts_where_the_last_run_ended() -> None:
    made = schedule("rewarmed", steps=1000, warmup_steps=100, final_ratio=0.1)
    np.testing.assert_allclose(made.multiplier([0, 50, 100, 1000]), [0.1, 0.55, 1, 0.1])


def test_power_scheduler_depends_on_tokens_not_on_the_horizon() -> None:
    """At 1e10 tokens and 128 sequences: 0.00468 (arXiv:2408.13359's coefficients)."""
    tokens_per_step = 128 * 4096
    update = round(1e10 / tokens_per_step)
    for steps in (50_000, 100_000):
        made = schedule("power", steps=steps, batch_seqs=128, seq_len=4096)
        assert made.lr_at(update) == pytest.approx(0.00468, abs=5e-6)


def test_after_the_horizon_the_last_value_holds() -> None:
    made = schedule("linear", steps=10, final_ratio=0.3)
    assert made.multiplier_at(500) == pytest.approx(0.3)


@given(
    steps=st.integers(2, 500),
    fraction=st.floats(0, 0.5),
    spread=st.integers(1, 7),
    update=st.integers(0, 499),
)
def test_stretching_time_stretches_the_curve(steps: int, fraction: float, spread: int, update: int) -> None:
    decay_steps = round(fraction * steps)
    short = schedule("wsd", steps=steps, decay_steps=decay_steps)
    long = schedule("wsd", steps=spread * steps, decay_steps=spread * decay_steps)
    t = min(update, steps)
    np.testing.assert_allclose(short.multiplier(t), long.multiplier(spread * t), atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        (
            "wsd:decay_steps=950",
            "decay of 950 steps is longer than what is left after the warm-up: 900 of 1000",
        ),
        ("wsd:decay_fraction=0.95", "longer than what is left"),
        ("wsd:decay_fraction=1.5", "fraction from 0 to 1"),
        ("wsd:decay=exponential", "never reaches 0: give final_ratio > 0"),
        ("wsd:decay=1sqrt", "Did you mean '1-sqrt'"),
        ("wsd:decay=power", "needs decay_power"),
        ("wsd:decay_frac=0.2", "Did you mean 'decay_fraction'"),
        ("wsd:phi=1", "schedule wsd: has no option 'phi'"),
        ("wsd:decay_fraction", "need OPTION=VALUE"),
        ("wsd:decay_fraction=abc", "need a number"),
        ("cosine:warmup_steps=1000", "does not end before the run of 1000"),
        ("cosine:warmup_steps=5000", "does not end before the run of 1000"),
        ("cosine:steps=0.5", "need a whole number"),
        ("cosine:peak_lr=-1", "need a positive number"),
        ("cosine:final_ratio=2", "fraction from 0 to 1"),
        ("cosin", "Did you mean 'cosine'"),
        ("power", "needs batch_seqs"),
        ("power:batch_seqs=128", "needs seq_len"),
        ("wsd-s:checkpoints=105", "does not fit"),
        ("wsd-s:checkpoints=900+500", "does not fit"),
        ("wsdc", "needs decay_start, which has no published default"),
        ("wsdc:decay_start=0.9,decay_end=0.7", "must lie between"),
        ("uba", "needs phi"),
        ("infinite:cooldown_end=0.9", "cooldown_end <= annealing_start"),
        ("multi-step:milestones=0.5", "one factor a milestone"),
        ("refined:grad_norms=1+1", "makes its own warm-up"),
        ("rex:gamma=1", "need 0 to below 1"),
    ],
)
def test_what_cannot_be_meant_is_an_error(spec: str, match: str) -> None:
    with pytest.raises(UsageError) as caught:
        schedule_from_spec(spec, steps=1000, warmup_steps=100)
    assert match in str(caught.value)


def test_without_steps_nothing_can_be_made() -> None:
    with pytest.raises(UsageError, match="--steps N"):
        schedule_from_spec("cosine")


def test_a_negative_update_is_an_error() -> None:
    with pytest.raises(UsageError, match="need 0 or more"):
        schedule("cosine", steps=10).lr_at(-1)
