"""Shapes of the simulated valley."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.numerics.bowls import linex, tilted_valley


@given(x=st.floats(-3, 3), skew=st.floats(0.05, 2))
def test_linex_is_a_bowl_that_is_steeper_on_the_right(x: float, skew: float) -> None:
    left, right = linex(np.array([-abs(x), abs(x)]), skew=skew)
    assert 0 <= left <= right * (1 + 1e-9) + 1e-15


@given(x=st.floats(-0.01, 0.01))
def test_linex_is_a_square_near_its_bottom(x: float) -> None:
    assert abs(linex(np.array([x]), skew=1.3)[0] - x**2) <= abs(x) ** 3 + 1e-16


def test_the_best_lr_at_a_batch_follows_the_tilt() -> None:
    log_lr = np.linspace(-2, 2, 4001)
    for log_batch in (-1.0, 0.0, 1.0):
        excess = tilted_valley(
            log_lr,
            np.array(log_batch),
            lr_depth=0.02,
            batch_depth=0.016,
            tilt=0.4,
            lr_skew=1.3,
            batch_skew=0.5,
        )
        assert abs(log_lr[excess.argmin()] - 0.4 * log_batch) < 1e-3
