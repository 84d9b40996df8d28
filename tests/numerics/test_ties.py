"""Equal losses are told from losses that are merely rounded."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.ties import chance_of, equal_losses, loss_units


@pytest.mark.parametrize(
    ("loss", "unit"),
    [([3.262, 3.1], 1e-3), ([3.5, 3.26], 1e-2), ([2.0, 3.123456], 1e-6), ([3.1234567890123], 3.7e-7)],
)
def test_the_unit_of_rounding_is_the_last_decimal_but_never_finer_than_single_precision(
    loss: list[float], unit: float
) -> None:
    assert loss_units(np.array(loss)).min() == pytest.approx(unit, rel=0.02)


@pytest.mark.parametrize(("bits", "unit"), [(8, 2.0**-6), (11, 2.0**-9)])
def test_half_precision_losses_are_recognized(bits: int, unit: float) -> None:
    loss = np.round(np.random.default_rng(0).uniform(2.1, 3.9, 50) / unit) * unit
    assert loss_units(loss).tolist() == [unit] * 50


def test_the_same_loss_counts_under_another_recipe_only() -> None:
    loss = np.array([3.1, 3.1, 3.2, 3.2, 3.3, 3.1])
    lr = np.array([1e-3, 2e-3, 1e-3, 1e-3, 1e-3, 1e-3])
    batch = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    cell = np.array([0, 0, 0, 0, 0, 1])
    assert equal_losses(loss, lr, batch, cell)[0].tolist() == [True, True, False, False, False, False]
    other_batch = equal_losses(loss, lr, np.array([1.0, 1, 1, 2, 1, 1]), cell)[0]
    assert other_batch.tolist() == [True, True, True, True, False, False]
    assert equal_losses(loss, lr, np.full(6, np.nan), cell)[0].sum() == 2


def test_expected_equals_of_rounded_losses_match_their_frequency() -> None:
    """Losses drawn at random and rounded to two decimals: half the sum of the expected is the pairs found."""
    rng = np.random.default_rng(1)
    found, expected = [], []
    for _ in range(200):
        loss = np.round(rng.uniform(3.0, 3.5, 30), 2)
        _, chance = equal_losses(
            loss, np.arange(30, dtype=np.float64), np.ones(30), np.zeros(30, dtype=np.int64)
        )
        found.append(sum(loss[i] == loss[j] for i in range(30) for j in range(i)))
        expected.append(chance.sum() / 2)
    assert np.mean(expected) == pytest.approx(np.mean(found), rel=0.25)


def test_chance_is_poissons() -> None:
    """1 - exp(-x) for one, 1 - exp(-x) (1 + x) for two."""
    assert chance_of(1, 0.3) == pytest.approx(1 - np.exp(-0.3))
    assert chance_of(2, 0.3) == pytest.approx(1 - np.exp(-0.3) * 1.3)
