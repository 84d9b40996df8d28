"""Where losses at a few settings of one quantity have their minimum, if they lie on both sides of it."""

from __future__ import annotations

import numpy as np

from hptransfer.numerics.arrays import FloatArray

NEAR = 0.01  # log loss above the lowest over which a setting's weight in the parabola falls by e
LEAST_WEIGHT = 1e-6


def bracketed_minimum(x: FloatArray, log_loss: FloatArray, *, near: float = NEAR) -> float | None:
    """Vertex of the parabola through the settings near the lowest loss; None where that lies on an edge.

    Least squares through the lowest, its two neighbours and whatever else is within `near` of it, with
    weights that fall with the excess. A vertex beyond all of them would be an extrapolation; the parabola of
    the three then decides, whose vertex is none.

    Args:    x, log_loss: shape (n,), finite; losses at one x are averaged.

    >>> bracketed_minimum(np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    1.0
    """
    levels, index = np.unique(x, return_inverse=True)
    mean = np.bincount(index.ravel(), log_loss) / np.bincount(index.ravel())
    best = int(mean.argmin())
    if not 0 < best < len(levels) - 1:
        return None
    use = mean - mean[best] <= near
    use[best - 1 : best + 2] = True
    if use.sum() == 3:
        return _vertex_of_three(levels[use], mean[use])
    weight = np.exp((mean[best] - mean[use]) / near) + LEAST_WEIGHT
    bend, slope, _ = np.polyfit(levels[use] - levels[best], mean[use], 2, w=np.sqrt(weight))
    if bend > 0:
        vertex = levels[best] - slope / (2 * bend)
        if levels[use].min() < vertex < levels[use].max():
            return float(vertex)
    return _vertex_of_three(levels[best - 1 : best + 2], mean[best - 1 : best + 2])


def _vertex_of_three(x: FloatArray, loss: FloatArray) -> float:
    """Vertex of the parabola through three points of which the middle one is lowest.

    It lies between the midpoints of the middle point with its neighbours.
    """
    left, right = x[1] - x[0], x[2] - x[1]
    rise_left, rise_right = loss[0] - loss[1], loss[2] - loss[1]
    curvature = rise_left * right + rise_right * left
    if curvature <= 0:  # three equal losses: the middle is as good as any
        return float(x[1])
    return float(x[1] + (rise_left * right**2 - rise_right * left**2) / (2 * curvature))
