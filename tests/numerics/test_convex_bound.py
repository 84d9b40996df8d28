"""The convex bound against its published ratios, closed forms and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.numerics.convex_bound import (
    bound_terms,
    longer_cooldown,
    trapezoid,
    two_stage,
    two_stage_factor,
)
from hptransfer.plans.conversion import best_scale
from hptransfer.schedules import schedule_from_spec


def slow_terms(shape: list[float]) -> tuple[float, float, float]:
    """The bound as arXiv:2501.18965 writes it, a sum at a time."""
    n, total = len(shape), sum(shape)
    third = 0.0
    for k in range(n - 1):
        third += shape[k] / sum(shape[k + 1 :]) * sum(s * s for s in shape[k:]) / sum(shape[k:])
    return 1 / (2 * total), sum(s * s for s in shape) / (2 * total), third / 2


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=12))
def test_batched_sums_equal_the_loop(shape: list[float]) -> None:
    terms = bound_terms(np.array(shape))
    np.testing.assert_allclose(
        (terms.distance, terms.noise, terms.last_iterate), slow_terms(shape), rtol=1e-9
    )


def test_constant_shape_is_a_harmonic_number() -> None:
    n = 50
    terms = bound_terms(np.ones(n))
    assert terms.distance == pytest.approx(1 / (2 * n))
    assert terms.noise == pytest.approx(0.5)
    assert terms.last_iterate == pytest.approx(0.5 * sum(1 / k for k in range(1, n)))


@pytest.mark.parametrize(
    ("spec", "scale", "bound"),
    [
        ("constant", 0.00503, 0.04968),
        ("wsd:decay_fraction=0.1", 0.00727, 0.03618),
        ("wsd:decay_fraction=0.2", 0.00812, 0.03421),
        ("wsd:decay=1-sqrt", 0.00857, 0.03366),
        ("wsd:decay_fraction=0.4", 0.00959, 0.03257),
        ("cosine", 0.01534, 0.03259),
        ("linear", 0.01579, 0.03165),
    ],
)
def test_scales_and_bounds_at_4000_steps(spec: str, scale: float, bound: float) -> None:
    """As the package of fabian-sp/lr-scheduling gives them."""
    made = schedule_from_spec(spec, steps=4000)
    assert best_scale(made) == pytest.approx(scale, abs=5.1e-6)
    assert bound_terms(made.curve()[:4000]).best_bound == pytest.approx(bound, abs=5.1e-6)


def test_linear_decay_reaches_the_optimal_rate() -> None:
    terms = bound_terms(trapezoid(50_000, cooldown=1.0))
    assert terms.best_scale * np.sqrt(50_000) == pytest.approx(0.9999, abs=5e-5)
    assert terms.best_bound * np.sqrt(50_000) == pytest.approx(2.0002, abs=5e-5)


@pytest.mark.parametrize(
    ("fraction", "at_400", "at_6400"),
    [(0.1, 0.784, 0.775), (0.2, 0.670, 0.665), (0.3, 0.580, 0.578), (0.5, 0.422, 0.422), (0.8, 0.183, 0.184)],
)
def test_cooldown_shift_hardly_depends_on_the_horizon(fraction: float, at_400: float, at_6400: float) -> None:
    for steps, expected in ((400, at_400), (6400, at_6400)):
        linear, short = (bound_terms(trapezoid(steps, cooldown=c)).best_scale for c in (1.0, fraction))
        assert np.log(linear / short) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(
    ("ratio", "factor", "cooldown", "bounds"),
    [
        (1.5, 0.637, 0.446, (0.02849, 0.02677, 0.02792)),
        (2, 0.533, 0.633, (0.02563, 0.02310, 0.02417)),
        (2.5, 0.473, 0.771, (0.02391, 0.02073, 0.02161)),
        (3, 0.431, 0.876, (0.02277, 0.01902, 0.01973)),
        (3.5, 0.400, 0.959, (0.02195, 0.01770, 0.01826)),
        (4, 0.375, None, (0.02133, 0.01664, 0.01708)),
        (8, 0.273, None, (0.01919, 0.01210, 0.01208)),
    ],
)
def test_extensions(
    ratio: float, factor: float, cooldown: float | None, bounds: tuple[float, float, float]
) -> None:
    """Horizon transfer as in arXiv:2501.18965: lower the LR where the cooldown began, or lengthen it.

    The bounds: nothing changed, LR lowered, tuned from scratch.
    """
    n, longer = 4000, round(4000 * ratio)
    tuned = bound_terms(trapezoid(n, cooldown=0.2)).best_scale
    found = two_stage_factor(n, longer=longer, cooldown=0.2)
    assert found == pytest.approx(factor, abs=5.1e-4)
    fraction = longer_cooldown(n, longer=longer, cooldown=0.2)
    assert fraction == (None if cooldown is None else pytest.approx(cooldown, abs=5.1e-4))
    fresh = bound_terms(trapezoid(longer, cooldown=0.2))
    extended = bound_terms(two_stage(longer, switch=3200, factor=found, cooldown=0.2))
    np.testing.assert_allclose([fresh.at(tuned), extended.at(tuned), fresh.best_bound], bounds, atol=5.1e-6)


def test_a_trailing_zero_is_named() -> None:
    with pytest.raises(ValueError, match="leave out trailing zeros"):
        bound_terms(np.array([1.0, 0.0]))
