"""Many weighted least-squares lines at once: one design, one target, a row of weights per line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lines:
    """Fitted lines target = intercept + inputs @ slopes, one a row of weights.

    Attributes:
        coefficients: (n_lines, 1 + n_inputs), the intercept first; NaN where not determined.
        determined:   (n_lines,), False where the weighted rows do not vary in every direction.
    """

    coefficients: NDArray[np.float64]
    determined: NDArray[np.bool_]


def fit_lines(
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
    min_spread: float = 1e-6,
) -> Lines:
    """Least squares for every row of weights in one batched computation.

    Each line is solved from normal equations of columns centred by its own weighted means, followed by one
    step of iterative refinement on its residuals. That is as accurate as QR for designs whose spreads are
    comparable (logs are), and needs matrix products only.

    Args:
        inputs:     (n_runs, n_inputs), natural logs, finite. Without inputs the line is a weighted mean.
        target:     (n_runs,), finite.
        weights:    (n_lines, n_runs), >= 0: counts, or anything proportional to 1 / variance.
        min_spread: a line is determined when its inputs have at least this weighted standard deviation
                    in every direction, in the unit of the inputs.

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> fit_lines(x, np.array([1.0, 3.0, 5.0]), weights=np.ones((1, 3))).coefficients
    array([[1., 2.]])
    """
    rows = weights.any(axis=0)
    inputs, target, weights = inputs[rows], target[rows], weights[:, rows]
    total = weights.sum(axis=1)
    # A common origin first: products of raw logs (about 20 each) would cost four digits.
    origin_x, origin_y = (a.mean(axis=0) if len(a) else 0.0 for a in (inputs, target))
    x, y = inputs - origin_x, target - origin_y
    share = weights / np.where(total > 0, total, 1.0)[:, None]  # (n_lines, n_runs), rows sum to 1
    mean_x, mean_y = share @ x, share @ y
    spread = _covariances(x, share=share, mean=mean_x)
    determined = (total > 0) & (_weakest(spread) >= min_spread**2)
    solvable = np.where(determined[:, None, None], spread, np.eye(x.shape[1]))

    slopes = np.zeros((len(weights), x.shape[1]))
    for _ in range(2):  # the second round is the refinement
        residual = y - slopes @ x.T  # (n_lines, n_runs)
        mean_residual = np.einsum("lr,lr->l", share, residual)
        moment = (share * residual) @ x - mean_residual[:, None] * mean_x
        slopes = slopes + np.linalg.solve(solvable, moment[..., None])[..., 0]
    intercept = origin_y + mean_y - ((mean_x + origin_x) * slopes).sum(axis=1)
    coefficients = np.column_stack([intercept, slopes])
    coefficients[~determined] = np.nan
    return Lines(coefficients, determined)


def _covariances(
    x: NDArray[np.float64], *, share: NDArray[np.float64], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted covariance matrices of the columns of x, (n_lines, n_inputs, n_inputs)."""
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    second = (share @ products).reshape(len(share), x.shape[1], x.shape[1])
    return np.asarray(second - mean[:, :, None] * mean[:, None, :])


def _weakest(covariances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest eigenvalue of each matrix, (n_lines,): the variance in the weakest direction."""
    if covariances.shape[1] == 0:
        return np.full(len(covariances), np.inf)
    return np.asarray(np.linalg.eigvalsh(covariances)[:, 0])
