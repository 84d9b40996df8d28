"""Shapes of a loss around its optimum, for simulations and tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def linex(x: NDArray[np.float64], *, skew: float) -> NDArray[np.float64]:
    """Skewed bowl: x**2 near zero, steeper where skew * x > 0 (linear-exponential loss).

    2 / skew**2 * (exp(skew * x) - skew * x - 1), which tends to x**2 as skew goes to 0.

    Args:    x: any shape; skew: not zero.
    Returns: the shape of x, >= 0, zero at 0 only.
    Source:  Varian 1975; Zellner 1986, doi:10.1080/01621459.1986.10478289.

    >>> linex(np.array([-1.0, 0.0, 1.0]), skew=1.0)
    array([0.735759, 0.      , 1.436564])
    """
    return np.asarray(2 / skew**2 * (np.expm1(skew * x) - skew * x))


def tilted_valley(
    log_lr: NDArray[np.float64],
    log_batch: NDArray[np.float64],
    *,
    lr_depth: float,
    batch_depth: float,
    tilt: float,
    lr_skew: float,
    batch_skew: float,
) -> NDArray[np.float64]:
    """Excess loss around an optimum whose best LR rises with the batch.

    lr_depth * linex(log_lr - tilt * log_batch) + batch_depth * linex(log_batch).

    Args:    log_lr, log_batch: natural logs relative to the optimum, broadcast together; depths in the unit
             of the loss per squared log; tilt: d log LR* / d log batch.
    Returns: the broadcast shape, >= 0, zero at the optimum only.
    """
    across = linex(log_lr - tilt * log_batch, skew=lr_skew)
    return np.asarray(lr_depth * across + batch_depth * linex(log_batch, skew=batch_skew))
