"""Moving a peak LR: the bound's published ratios, and the choice of the horizon's exponent."""

from __future__ import annotations

import pytest

from hptransfer.errors import UsageError
from hptransfer.plans.conversion import branch_plan, convert_peak_lr, extend, stretched
from hptransfer.schedules import schedule, schedule_from_spec


@pytest.mark.parametrize(
    ("source", "target", "low", "high"),
    [
        ("wsd", "cosine", 1.89, 1.91),
        ("wsd", "linear", 1.944, 1.944),
        ("cosine", "linear", 1.02, 1.03),
        ("wsd", "wsd:decay_fraction=0.4", 1.18, 1.18),
        ("wsd", "wsd:decay_fraction=0.1", 0.90, 0.90),
        ("wsd", "wsd:decay=1-sqrt", 1.055, 1.055),
    ],
)
def test_published_ratios_between_schedules(source: str, target: str, low: float, high: float) -> None:
    """Schaipp et al., arXiv:2501.18965, at 4000 and 50,000 steps."""
    for steps in (4000, 50_000):
        made = [schedule_from_spec(spec, steps=steps) for spec in (source, target)]
        factor = convert_peak_lr(1.0, source=made[0], target=made[1]).peak_lr
        assert low - 0.0055 <= factor <= high + 0.0055


@pytest.mark.parametrize(("ratio", "factor"), [(1.5, 0.817), (2, 0.708), (4, 0.501), (8, 0.354)])
def test_theory_across_horizons(ratio: float, factor: float) -> None:
    source = schedule("wsd", steps=4000)
    target = stretched(source, round(4000 * ratio))
    converted = convert_peak_lr(1.0, source=source, target=target)
    assert converted.theory_peak_lr == pytest.approx(factor, abs=5.1e-4)
    assert converted.peak_lr == pytest.approx(ratio**-0.27)
    own = convert_peak_lr(1.0, source=source, target=target, horizon_exponent=-0.1)
    assert own.peak_lr == pytest.approx(ratio**-0.1)


def test_there_and_back_again() -> None:
    a, b = schedule("wsd", steps=4000, warmup_steps=40), schedule("cosine", steps=8000, warmup_steps=80)
    there = convert_peak_lr(1e-3, source=a, target=b).peak_lr
    assert convert_peak_lr(there, source=b, target=a).peak_lr == pytest.approx(1e-3, rel=2e-3)


def test_what_makes_a_conversion_doubtful_is_said() -> None:
    constant, long = schedule("constant", steps=1000), schedule("wsd", steps=50_000)
    notes = convert_peak_lr(1e-3, source=constant, target=long).warnings
    assert [note.code for note in notes] == ["constant-schedule", "far-horizon"]


def test_extending_a_run() -> None:
    """Twice as long: LR x 0.533 at 80 %, or a cooldown of 0.633; bounds .02563, .02310, .02417."""
    found = extend(steps=50_000, longer=100_000, cooldown=0.2)
    assert found.switch_step == 40_000
    assert found.factor == pytest.approx(0.533, abs=5.1e-4)
    assert found.longer_cooldown == pytest.approx(0.633, abs=5.1e-4)
    assert found.bound_unchanged == pytest.approx(0.02563 / 0.02310, abs=5e-4)
    assert found.bound_retuned == pytest.approx(0.02417 / 0.02310, abs=5e-4)


@pytest.mark.parametrize(("longer", "cooldown"), [(50_000, 0.2), (100_000, 0.0), (10**8, 0.2)])
def test_an_extension_must_extend(longer: int, cooldown: float) -> None:
    with pytest.raises(UsageError, match="extend:"):
        extend(steps=50_000, longer=longer, cooldown=cooldown)


def test_branches_share_a_trunk() -> None:
    branches, total, separate = branch_plan([20_000, 10_000], decay_fraction=0.2)
    assert [(b.start, b.end) for b in branches] == [(8_000, 10_000), (16_000, 20_000)]
    assert (total, separate) == (16_000 + 2_000 + 4_000, 30_000)
