"""A cell's own optimum, loss and noise from its own runs."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.own_points import own_points


def grid() -> tuple[np.ndarray, np.ndarray]:
    u, v = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-1.5, 1.5, 7))
    return u.ravel(), v.ravel()


def test_a_cubic_bowl_is_recovered_with_its_noise() -> None:
    u, v = grid()
    rng = np.random.default_rng(0)
    bowl = 0.02 * (u - 0.3) ** 2 + 0.015 * (v + 0.2) ** 2 + 0.002 * (u - 0.3) ** 3
    log_loss = 1.0 + bowl + 1e-3 * rng.standard_normal(len(u))
    found = own_points(log_lr=u, log_batch=v, log_loss=log_loss, cell=np.zeros(len(u), dtype=np.int64))
    assert (found.log_lr[0], found.log_batch[0]) == pytest.approx((0.3, -0.2), abs=0.1)
    assert found.log_loss[0] == pytest.approx(1.0, abs=1e-3)
    assert np.exp(found.log_variance[0] / 2) == pytest.approx(1e-3, rel=0.3)


def test_a_cell_knows_nothing_of_the_others() -> None:
    u, v = grid()
    one = 0.02 * u**2 + 0.015 * v**2
    cell = np.repeat([0, 1], len(u))
    alone = own_points(log_lr=u, log_batch=v, log_loss=one, cell=cell[: len(u)])
    both = own_points(
        log_lr=np.concatenate([u, u - 9]),
        log_batch=np.concatenate([v, v + 7]),
        log_loss=np.concatenate([one, one + 3]),
        cell=cell,
    )
    assert both.log_lr.tolist() == pytest.approx([alone.log_lr[0], alone.log_lr[0] - 9])
    assert both.log_batch.tolist() == pytest.approx([alone.log_batch[0], alone.log_batch[0] + 7])


def test_with_three_runs_the_near_optimal_ones_are_averaged_and_the_noise_is_unknown() -> None:
    found = own_points(
        log_lr=np.array([-1.0, 0.0, 1.0]),
        log_batch=np.zeros(3),
        log_loss=np.array([0.0, 0.002, 0.05]),
        cell=np.zeros(3, dtype=np.int64),
    )
    assert found.log_lr[0] == pytest.approx(-0.5)
    assert np.isnan(found.log_batch[0])
    assert np.isnan(found.log_variance[0])
