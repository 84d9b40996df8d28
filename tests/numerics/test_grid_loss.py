"""Reading a cell's grid: exact on planes, clamped at edges, robust to degenerate grids."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.grid_loss import excess_at, smoothed_optimum


def grid(n_lr: int = 7, n_batch: int = 6) -> tuple[np.ndarray, np.ndarray]:
    lr, batch = np.meshgrid(np.linspace(-9, -6, n_lr), np.linspace(11, 14, n_batch), indexing="ij")
    return lr.ravel(), batch.ravel()


def test_a_plane_is_read_exactly() -> None:
    lr, batch = grid()
    loss = 3.0 + 0.1 * (lr + 9) + 0.05 * (batch - 11)  # best 3 in the corner
    reading = excess_at(np.array([-7.3, 12.1]), lr, batch, loss)
    assert reading.excess == pytest.approx((0.1 * 1.7 + 0.05 * 1.1) / 3.0)
    assert not reading.clamped


def test_beyond_the_grid_the_edge_is_read_and_said() -> None:
    lr, batch = grid()
    loss = 3.0 + 0.1 * (lr + 9)
    reading = excess_at(np.array([-5.0, 12.0]), lr, batch, loss)
    assert reading.excess == pytest.approx(0.3 / 3.0)
    assert reading.clamped


@pytest.mark.parametrize("n_lr", [2, 5])
def test_a_sweep_of_the_lr_alone_ignores_the_batch(n_lr: int) -> None:
    lr = np.linspace(-9, -6, n_lr)
    reading = excess_at(np.array([-7.5, 40.0]), lr, np.zeros(n_lr), 3.0 + 0.1 * (lr + 9))
    assert reading.excess == pytest.approx(0.05)
    assert not reading.clamped


def test_runs_on_one_line_fall_back_to_the_nearest() -> None:
    t = np.linspace(0, 1, 5)
    reading = excess_at(np.array([0.26, 0.26]), t, t, 3.0 + t)
    assert reading.excess == pytest.approx(0.25 / 3.0)


def test_the_smoothed_optimum_of_a_quadratic_bowl() -> None:
    lr, batch = grid(13, 11)
    loss = 3.0 * np.exp(
        0.02 * (lr + 7.4) ** 2 - 0.01 * (lr + 7.4) * (batch - 12.6) + 0.02 * (batch - 12.6) ** 2
    )
    own = smoothed_optimum(lr, batch, loss)
    assert own is not None
    assert own.tolist() == pytest.approx([-7.4, 12.6], abs=0.02)


def test_few_runs_have_no_smoothed_optimum() -> None:
    lr, batch = grid(3, 3)
    assert smoothed_optimum(lr, batch, 3.0 + lr**2) is None
    assert smoothed_optimum(np.linspace(-9, -6, 20), np.zeros(20), np.linspace(3.0, 3.1, 20)) is None
