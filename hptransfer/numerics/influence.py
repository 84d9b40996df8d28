"""Which rows of a regression disagree with all the others, and how much each row moves the line.

Closed forms of leaving one row out (Belsley, Kuh and Welsch 1980, chapter 2): one decomposition of the design
stands for as many refits as there are rows, for all quantities at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray

LEAST_SPARE = 1e-9  # leverage closer to one than this: nothing but the row itself determines the line there
RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Deleted:
    """Rows against the line through the others; (n_rows, n_quantities) unless said otherwise.

    NaN where the other rows do not determine the line there.

    Attributes:
        residual:  value minus the prediction of the others.
        t:         that over its standard error: Student's t with `degrees` if the row is like the others.
        degrees:   of freedom.
        change:    (n_rows, n_quantities), how far leaving the row out moves the prediction at `at`.
    """

    residual: FloatArray
    t: FloatArray
    degrees: int
    change: FloatArray


def leave_one_out(design: FloatArray, values: FloatArray, *, at: FloatArray) -> Deleted:
    """Leave every row out of least squares, once.

    Args:    design (n_rows, n_columns), of any rank; values (n_rows, n_quantities); at (n_columns,).
    """
    u, singular, vt = np.linalg.svd(design, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[0]
    u, inverse = u[:, kept], vt[kept].T / singular[kept]  # (n_rows, rank), (n_columns, rank)
    n_rows, rank = u.shape
    degrees = n_rows - rank - 1
    spare = 1.0 - (u**2).sum(axis=1)  # one minus leverage
    known = (spare > LEAST_SPARE) & (degrees > 0)
    error = values - u @ (u.T @ values)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = error / spare[:, None]
        rest = np.maximum((error**2).sum(axis=0) - error * residual, 0.0) / max(degrees, 1)
        t = error / np.sqrt(rest * spare[:, None])
    change = -residual * (u @ (inverse.T @ at))[:, None]
    blank = ~known[:, None]
    return Deleted(
        np.where(blank, np.nan, residual),
        np.where(blank, np.nan, t),
        degrees,
        np.where(blank, np.nan, change),
    )


def outlier_limit(degrees: int, n_tests: int, *, false_alarm: float) -> float:
    """|t| that the largest of `n_tests` exceeds with a probability of at most `false_alarm` (Bonferroni)."""
    from scipy.special import stdtrit

    return float(stdtrit(max(degrees, 1), 1.0 - false_alarm / (2 * n_tests)))
