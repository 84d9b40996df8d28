"""Equal losses of different runs: chance, because losses are rounded, or one run labelled twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MAX_DECIMALS = 8
NEAR = 10
"""Neighbours within this many units of rounding tell how densely losses lie where an equal one is found."""


def loss_units(loss: FloatArray) -> FloatArray:
    """Return the unit of rounding of each loss, shape (n_runs,): how far the next different loss is.

    It is 10^-k for a loss written with k decimals, never finer than single precision; where all losses are
    half-precision or bfloat16 numbers, the spacing of those.
    """
    single = np.abs(loss) * float(np.finfo(np.float32).eps)
    for mantissa in (8, 11):  # bits of bfloat16 and half precision, the leading one included
        if len(loss) > 1 and _is_rounded(loss, mantissa).all():
            return np.asarray(np.exp2(np.floor(np.log2(np.abs(loss))) - mantissa + 1))
    units = single.copy()
    for decimals in range(MAX_DECIMALS, -1, -1):
        units = np.where(np.round(loss, decimals) == loss, 10.0**-decimals, units)
    return np.maximum(units, single)


def equal_losses(
    loss: FloatArray, lr: FloatArray, batch_tokens: FloatArray, cell: IntArray
) -> tuple[BoolArray, FloatArray]:
    """Find runs whose loss equals that of a run of their cell with another LR or batch, and chance's share.

    How many equal losses chance makes is judged by the neighbours within `NEAR` units of rounding, or, where
    there are none, by the spread of the cell.

    Args:    loss: finite and positive, shape (n_runs,). batch_tokens: NaN where unknown.
    Returns: mask of the runs, shape (n_runs,); and by how many such equals each run is expected to have by
             chance, shape (n_runs,).
    """
    is_equal = _has_equal_with_another_recipe(loss, lr, np.nan_to_num(batch_tokens), cell)
    units = loss_units(loss)
    expected = np.zeros(len(loss))
    for rows in np.split(np.argsort(cell, kind="stable"), np.cumsum(np.bincount(cell))[:-1]):
        if len(rows) < 2:
            continue
        ordered = np.sort(loss[rows])
        reach = NEAR * units[rows] * (1 + 1e-9)
        near = np.searchsorted(ordered, loss[rows] + reach, "right")
        near = near - np.searchsorted(ordered, loss[rows] - reach, "left")
        equal = np.searchsorted(ordered, loss[rows], "right") - np.searchsorted(ordered, loss[rows], "left")
        spread = max(float(ordered[-1] - ordered[0]), float(units[rows].max()))
        floor = len(rows) * units[rows] / spread
        expected[rows] = np.maximum((near - equal) / (2 * NEAR), np.minimum(floor, 1.0))
    return is_equal, expected


def chance_of(count: int, expected: float) -> float:
    """Probability that chance makes `count` or more of a rare thing that happens `expected` times on average.

    >>> chance_of(1, 0.01), chance_of(0, 5.0)
    (0.00995, 1.0)
    """
    if count == 0:
        return 1.0
    from scipy.special import gammainc

    return float(gammainc(count, max(expected, 1e-300)))


def _is_rounded(loss: FloatArray, mantissa: int) -> BoolArray:
    """Whether each number has at most `mantissa` significant bits."""
    fraction, _ = np.frexp(loss)
    scaled = fraction * 2.0**mantissa
    return np.asarray(scaled == np.round(scaled))


def _has_equal_with_another_recipe(
    loss: FloatArray, lr: FloatArray, batch: FloatArray, cell: IntArray
) -> BoolArray:
    """Whether a run's loss is also that of a run of its cell whose LR or batch differs; shape (n_runs,)."""
    order = np.lexsort((batch, lr, loss, cell))
    new_loss = np.ones(len(order), dtype=np.bool_)
    new_loss[1:] = (np.diff(loss[order]) != 0) | (np.diff(cell[order]) != 0)
    new_recipe = new_loss.copy()
    new_recipe[1:] |= (np.diff(lr[order]) != 0) | (np.diff(batch[order]) != 0)
    group = np.cumsum(new_loss) - 1
    n_recipes = np.bincount(group, weights=new_recipe)
    found = np.empty(len(order), dtype=np.bool_)
    found[order] = n_recipes[group] > 1
    return found
