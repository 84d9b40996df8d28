"""What being off the optimum costs: the bowl of a fitted surface, its valley and its plateaus.

Coordinates are u = log(lr / best lr) and v = log(batch / best batch), natural logs, at one target.
Costs are in log loss (0.0025 is 0.25 % of the loss). As in `prediction`, everything is written once for plain
floats and for numpy arrays; `xp` is the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hptransfer.law import Bowl
from hptransfer.plans.arithmetic import Numbers

BISECTIONS = 40  # halvings of a span of a few e-folds: far below any digit that is shown


def amplitude(bowl: Bowl, logs: Mapping[str, Numbers], xp: Any) -> Numbers:
    """How much deeper the bowl is at a target than at the centre of the sweep; logs of params and tokens."""
    return xp.exp(sum(slope * (logs[name] - bowl.centre[name]) for name, slope in bowl.log_amplitude.items()))


def excess(bowl: Bowl, u: Numbers, v: Numbers, xp: Any) -> Numbers:
    """Cost of (u, v) in log loss at amplitude 1; zero at the optimum.

    The polynomial holds where there were runs. Outside that box the cost at the nearest point of the box is
    returned: there it is a lower bound.
    """
    u, v = _clamp(u, bowl.trusted_u, xp), _clamp(v, bowl.trusted_v, xp)
    return sum(term * u**i * v**j for (i, j), term in zip(bowl.powers, bowl.terms, strict=True))


def valley(bowl: Bowl, v: Numbers, xp: Any) -> Numbers:
    """The best u for a given v: the bottom of the valley, continued straight beyond the trusted batches.

    At fixed v the cost is a cubic in u, so its minimum solves a quadratic; the root that continues u = 0.
    """
    inside = _clamp(v, bowl.trusted_v, xp)
    slope = [0.0, 0.0, 0.0]  # of the cost along u: coefficients of 1, u, u^2
    for (i, j), term in zip(bowl.powers, bowl.terms, strict=True):
        if i > 0:
            slope[i - 1] = slope[i - 1] + i * term * inside**j
    constant, linear, square = slope
    root = xp.maximum(linear * linear - 4.0 * square * constant, 0.0) ** 0.5
    bottom = -2.0 * constant / (linear + root)
    return _clamp(bottom, bowl.trusted_u, xp) + valley_slope(bowl) * (v - inside)


def valley_slope(bowl: Bowl) -> float:
    """d log LR* / d log batch at the optimum, params and tokens fixed."""
    terms = dict(zip(bowl.powers, bowl.terms, strict=True))
    return -terms[1, 1] / (2.0 * terms[2, 0])


def plateau(
    cost: Callable[[Numbers], Numbers], start: Numbers, end: Numbers, threshold: Numbers, xp: Any
) -> Numbers:
    """The last x from `start` towards `end` whose cost stays below a threshold; `end` if all do.

    Bisection, so the cost should rise from start to end. Shapes broadcast together.
    """
    reached = cost(end) <= threshold
    low, high = start, end
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        below = cost(middle) <= threshold
        low, high = xp.where(below, middle, low), xp.where(below, high, middle)
    return xp.where(reached, end, low)


def _clamp(value: Numbers, span: tuple[float, float], xp: Any) -> Numbers:
    return xp.minimum(xp.maximum(value, span[0]), span[1])
