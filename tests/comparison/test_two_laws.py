"""Two laws: z by hand, crossings by algebra, refusals where the question has no meaning."""

from __future__ import annotations

import math

import pytest

from hptransfer.comparison.two_laws import CLEAR, compare_laws
from hptransfer.errors import RefusalError
from hptransfer.fitting import fit
from hptransfer.law import Law, PowerLaw, Uncertainty
from hptransfer.planning import Target
from hptransfer.published import published_law
from tests.sweeps import noisy_sweep, rebuilt

STD = 0.05


def law(name: str, exponent: float, *, level: float = 0.0, batch: bool = True) -> Law:
    """LR = exp(level) * params ** exponent, the exponent known to STD, the level exact at one parameter."""
    spread = Uncertainty(covariance=((0.0, 0.0), (0.0, STD**2)))
    power = PowerLaw(log_coefficient=level, exponents={"params": exponent}, uncertainty=spread)
    batch_law = PowerLaw(log_coefficient=13.0, exponents={"tokens": 0.5}) if batch else None
    return Law(
        id=name,
        title=name,
        peak_lr=power,
        batch_tokens=batch_law,
        fitted_on={"params": (1e8, 1e10), "tokens": (1e9, 1e11)},
    )


def test_z_is_the_difference_over_both_deviations() -> None:
    found = compare_laws(law("a", -0.5), law("b", -0.3))
    exponent = next(d for d in found.differences if (d.quantity, d.term) == ("peak_lr", "params"))
    assert exponent.std == pytest.approx(STD * math.sqrt(2))
    assert exponent.z == pytest.approx(0.2 / (STD * math.sqrt(2)))
    assert exponent.is_clear
    assert "exponent of the best LR in params, +0.200 (z +2.8)" in found.verdict


def test_two_lines_cross_where_algebra_says() -> None:
    """exp(level) N^-0.5 = N^-0.4 at N = exp(level / 0.1)."""
    level = 0.1 * math.log(5e8)
    found = compare_laws(law("a", -0.5, level=level), law("b", -0.4))
    (crossing,) = (c for c in found.crossings if c.quantity == "peak_lr")
    assert crossing.along == "params"
    assert crossing.at == pytest.approx(5e8)


def test_what_each_plans_for_the_target() -> None:
    found = compare_laws(law("a", -0.5), law("b", -0.4), Target(params=1e9, tokens=1e10))
    assert found.planned[0].ratio == pytest.approx(1e9**0.1)
    assert found.planned[1].ratio == pytest.approx(1.0)


def test_laws_of_the_same_training_do_not_differ_and_of_another_level_do() -> None:
    first = fit(noisy_sweep(seed=0), resamples=20)
    again = fit(noisy_sweep(seed=1), resamples=20)
    sweep = noisy_sweep(seed=2)
    tripled = fit(rebuilt(sweep, lr=3 * sweep.lr), resamples=20)
    assert "do not differ beyond their noise" in compare_laws(first, again).verdict
    found = compare_laws(first, tripled)
    level = next(d for d in found.differences if (d.quantity, d.term) == ("peak_lr", "level"))
    assert level.b - level.a == pytest.approx(math.log(3), abs=0.3)
    assert level.z is not None
    assert level.z > CLEAR


def test_without_uncertainty_nothing_is_said_about_noise() -> None:
    found = compare_laws(published_law("porian"), law("b", -0.4))
    assert all(d.z is None for d in found.differences if d.quantity == "peak_lr")
    assert any("porian carries no uncertainty" in caveat for caveat in found.caveats)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"params_kind": "total"}, "counts non-embedding params"),
        ({"loss_unit": "bits"}, "loss in nats"),
        ({"batch_tokens": None}, "fixed batch"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, object], what: str) -> None:
    a = law("a", -0.5).model_copy(update={"params_kind": "non-embedding", "loss_unit": "nats"})
    b = a.model_copy(update={"id": "b", **change})
    with pytest.raises(RefusalError, match=what):
        compare_laws(a, b)
