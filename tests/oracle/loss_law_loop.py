"""The loop that the batched fit of the loss law must equal: scipy, one start at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hptransfer.numerics.loss_law import Form, Points


def loop_fit(
    form: Form, points: Points, *, starts: NDArray[np.float64], weights: NDArray[np.float64], delta: float
) -> tuple[NDArray[np.float64], float]:
    """The best of all starts by weighted Huber loss: coefficients (n_coefficients,) and objective."""
    best, lowest = starts[0], np.inf

    def objective(coefficients: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = form.model(coefficients[None], points.log_params, points.log_tokens)
        residual = points.log_loss - value[0]
        size = np.abs(residual)
        cost = np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta))
        slope = -weights * np.clip(residual, -delta, delta)
        # In units of delta^2: scipy's stopping rules are absolute.
        return float((weights * cost).sum() / delta**2), slope @ gradient[0] / delta**2

    bounds = list(zip(form.low, form.high, strict=True))
    options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
    for start in starts:
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        if found.fun < lowest:
            best, lowest = found.x, float(found.fun)
    return best, lowest * delta**2
