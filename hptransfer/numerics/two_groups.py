"""Whether numbers come from one group or from two: runs of two settings that nobody told apart.

Both tests compare the best split into two groups with the best split that one group offers by chance, so that
having looked for the best split is paid for.
"""

from __future__ import annotations

import numpy as np

from hptransfer.numerics.arrays import FloatArray

DRAWS = 1000
SEED = 0  # of the null distribution: the same sweep always gets the same answer
MOST_VALUES = 400  # longer samples are thinned, in order of size
TRIM = 0.05  # of the values on either side, which tails must not decide
LEAST_SHARE = 0.2  # of the values in the smaller of two humps
LEAST_VALUES = 30
LEAST_GROUP = 2  # rows in the smaller of two groups about a line
CHUNK_ELEMENTS = 1 << 22


def two_humps(values: FloatArray) -> float:
    """Probability that the flattest single hump, a uniform one, splits into two groups as sharply as these.

    The figure is the spread left inside the groups over the whole spread, tails trimmed: 1/4 for a uniform
    hump and more for a normal one; two equal normal humps that lie k standard deviations apart have about
    1 / (1 + k^2 / 4), so k of about 3.6 and more is seen.

    Args:    values (n,), finite; fewer than `LEAST_VALUES` say nothing, 1.0.
    """
    if len(values) < LEAST_VALUES:
        return 1.0
    ordered = np.sort(values)
    ordered = ordered[
        np.linspace(0, len(ordered) - 1, min(len(ordered), MOST_VALUES)).round().astype(np.int64)
    ]
    rng = np.random.default_rng(SEED)
    uniform = np.sort(rng.random((DRAWS, len(ordered))), axis=1)
    observed = _spread_left(ordered[None])[0]
    return float((1 + (_spread_left(uniform) <= observed).sum()) / (1 + DRAWS))


def _spread_left(ordered: FloatArray) -> FloatArray:
    """Spread inside the two groups of the best split over the whole spread, (n_samples,); rows in order."""
    n = ordered.shape[1]
    cut = int(TRIM * n)
    x = np.clip(ordered, ordered[:, [cut]], ordered[:, [n - 1 - cut]])
    x = x - x.mean(axis=1, keepdims=True)
    total = (x**2).sum(axis=1)
    low = np.cumsum(x, axis=1)[:, :-1]  # sum of the lower group; the upper one's is its opposite
    size = np.arange(1, n)
    between = low**2 * (1 / size + 1 / (n - size))
    few = int(np.ceil(LEAST_SHARE * n)) - 1
    explained = between[:, few : n - 1 - few].max(axis=1)
    return np.asarray(1.0 - explained / np.where(total > 0, total, np.inf))


def two_lines(design: FloatArray, values: FloatArray) -> float:
    """Probability that rows about one line split into two parallel lines as sharply as these.

    The split is by the residuals, into groups of at least `LEAST_GROUP` rows; under the null hypothesis the
    residuals are those of normal noise.

    Args:    design (n_rows, n_columns) of any rank, values (n_rows,); 1.0 where no degree of freedom is left.
    """
    u, singular, _ = np.linalg.svd(design, full_matrices=False)
    u = u[:, singular > 1e-9 * singular[0]]
    n_rows, rank = u.shape
    if n_rows - rank < 2 * LEAST_GROUP or n_rows < 2 * LEAST_GROUP:
        return 1.0
    draws = np.random.default_rng(SEED).standard_normal((DRAWS, n_rows))
    observed = _explained_by_two(u, values[None])[0]
    size = max(1, CHUNK_ELEMENTS // (n_rows * rank))
    chance = np.concatenate([_explained_by_two(u, draws[k : k + size]) for k in range(0, DRAWS, size)])
    return float((1 + (chance >= observed).sum()) / (1 + DRAWS))


def _explained_by_two(u: FloatArray, values: FloatArray) -> FloatArray:
    """Share of the residual sum of squares that the best two parallel lines explain, (n_samples,).

    Args:    u (n_rows, rank), orthonormal basis of the line; values (n_samples, n_rows).
    """
    error = values - (values @ u) @ u.T
    order = np.argsort(error, axis=1)
    low = np.cumsum(np.take_along_axis(error, order, axis=1), axis=1)
    size = np.arange(1, values.shape[1] + 1)
    known = (np.cumsum(u[order], axis=1) ** 2).sum(axis=2)  # of the split's indicator, what the line explains
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = low**2 / (size - known)
    allowed = slice(LEAST_GROUP - 1, values.shape[1] - LEAST_GROUP)
    total = (error**2).sum(axis=1)
    best = np.where(size - known > 1e-9, explained, 0.0)[:, allowed].max(axis=1)
    return np.asarray(best / np.where(total > 0, total, np.inf))
