"""The bowl: closed forms on a quadratic, brute force on a cubic, floats and arrays alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hptransfer.law import Bowl
from hptransfer.plans.arithmetic import PLAIN
from hptransfer.plans.bowl import amplitude, excess, plateau, valley, valley_slope

QUADRATIC = Bowl(
    powers=((2, 0), (1, 1), (0, 2)),
    terms=(0.02, -0.016, 0.012),
    log_amplitude={"params": 0.1},
    centre={"params": 18.0},
    trusted_u=(-3.0, 2.0),
    trusted_v=(-2.5, 2.5),
)
CUBIC = QUADRATIC.model_copy(
    update={"powers": (*QUADRATIC.powers, (3, 0), (2, 1)), "terms": (*QUADRATIC.terms, 0.003, -0.001)}
)


def test_the_quadratic_valley_is_a_line() -> None:
    """u = -uv / (2 uu) * v, and the cost along it is (vv - uv^2 / (4 uu)) v^2."""
    assert valley_slope(QUADRATIC) == pytest.approx(0.4)
    assert valley(QUADRATIC, 1.5, PLAIN) == pytest.approx(0.6)
    assert excess(QUADRATIC, 0.6, 1.5, PLAIN) == pytest.approx((0.012 - 0.016**2 / 0.08) * 1.5**2)


def test_beyond_the_trusted_batches_the_valley_goes_straight_on() -> None:
    edge = valley(QUADRATIC, 2.5, PLAIN)
    assert valley(QUADRATIC, 4.0, PLAIN) == pytest.approx(edge + 0.4 * 1.5)


@given(st.floats(-2.0, 2.0))
def test_the_cubic_valley_against_brute_force(v: float) -> None:
    grid = np.linspace(-1.5, 1.5, 30_001)
    best = grid[np.argmin(excess(CUBIC, grid, v, np))]
    assert valley(CUBIC, v, PLAIN) == pytest.approx(best, abs=1e-4)


def test_the_plateau_of_a_quadratic() -> None:
    """Half width sqrt(threshold / uu); an end that is cheap enough is returned itself."""

    def cost(u: float) -> float:
        return float(excess(QUADRATIC, u, 0.0, PLAIN))

    assert plateau(cost, 0.0, 2.0, 0.0025, PLAIN) == pytest.approx((0.0025 / 0.02) ** 0.5)
    assert plateau(cost, 0.0, -3.0, 0.0025, PLAIN) == pytest.approx(-((0.0025 / 0.02) ** 0.5))
    assert plateau(cost, 0.0, 0.1, 0.0025, PLAIN) == 0.1


def test_arrays_and_floats_agree() -> None:
    v = np.array([-2.0, -0.3, 0.0, 1.1, 3.0])
    assert valley(CUBIC, v, np).tolist() == pytest.approx([valley(CUBIC, float(x), PLAIN) for x in v])
    logs = {"params": 20.0}
    assert amplitude(QUADRATIC, logs, PLAIN) == pytest.approx(np.exp(0.2))


@pytest.mark.parametrize(
    "change",
    [
        {"terms": (0.02, -0.1, 0.012)},  # a saddle
        {"terms": (0.02, -0.016)},
        {"trusted_u": (0.5, 2.0)},
        {"powers": ((1, 0), (1, 1), (0, 2))},
        {"centre": {}},
    ],
)
def test_what_is_no_bowl_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Bowl.model_validate({**QUADRATIC.model_dump(), **change})
