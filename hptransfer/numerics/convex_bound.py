"""The last-iterate bound of convex SGD as a function of the schedule's shape.

Source:  Schaipp et al. 2025, "The Surprising Agreement Between Convex Optimization Theory and
         Learning-Rate Scheduling", arXiv:2501.18965, and its repository fabian-sp/lr-scheduling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq


@dataclass(frozen=True)
class BoundTerms:
    """Terms of the bound for steps gamma * shape: distance / gamma + gamma * (noise + last_iterate)."""

    distance: float
    noise: float
    last_iterate: float

    @property
    def best_scale(self) -> float:
        """The gamma that minimizes the bound, in units of D / G."""
        return float(np.sqrt(self.distance / (self.noise + self.last_iterate)))

    @property
    def best_bound(self) -> float:
        """The bound at the best gamma, in units of D * G."""
        return self.at(self.best_scale)

    def at(self, scale: float) -> float:
        """The bound at any gamma > 0."""
        return self.distance / scale + scale * (self.noise + self.last_iterate)


def bound_terms(
    shape: NDArray[np.float64], *, gradient_norms: ArrayLike = 1.0, distance: float = 1.0
) -> BoundTerms:
    """Terms of the bound for a shape, one multiplier an update.

    Args:    shape: (n_steps,), >= 0, the last one positive (leave out trailing zeros: 0 / 0);
             gradient_norms: expected gradient norm G, one for all or (n_steps,); distance: D to a minimizer.
    Raises:  ValueError when the last multiplier is not positive.

    >>> terms = bound_terms(np.array([1.0, 1.0, 0.5]))
    >>> terms.distance, terms.noise, terms.last_iterate, terms.best_scale, terms.best_bound
    (0.2, 0.45, 1.133333, 0.355409, 1.125463)
    """
    if not shape[-1] > 0:
        msg = f"shape: the last multiplier is {shape[-1]:g}, need it positive: leave out trailing zeros."
        raise ValueError(msg)
    squares = shape**2 * np.broadcast_to(np.asarray(gradient_norms, dtype=np.float64), shape.shape) ** 2
    tail = np.cumsum(shape[::-1])[::-1]  # sum from k on: k included
    tail_squares = np.cumsum(squares[::-1])[::-1]
    last = 0.5 * np.sum(shape[:-1] / tail[1:] * tail_squares[:-1] / tail[:-1])
    total = float(tail[0])
    return BoundTerms(distance**2 / (2 * total), float(tail_squares[0]) / (2 * total), float(last))


def trapezoid(n_steps: int, *, cooldown: float) -> NDArray[np.float64]:
    """1, then straight to 0 over the last fraction `cooldown` (0 < cooldown <= 1); shape (n_steps,)."""
    return np.minimum(1.0, (1 - np.arange(n_steps) / n_steps) / cooldown)


def two_stage(n_steps: int, *, switch: float, factor: float, cooldown: float) -> NDArray[np.float64]:
    """A trapezoid whose multipliers from step `switch` on are lowered by `factor`; shape (n_steps,)."""
    return np.where(np.arange(n_steps) < switch, 1.0, factor) * trapezoid(n_steps, cooldown=cooldown)


def two_stage_factor(n_steps: int, *, longer: int, cooldown: float) -> float:
    """By what to lower the LR where the cooldown would have begun, to go on to `longer` steps instead.

    The factor, the largest such, makes the peak that is best for n_steps best for the extended schedule too.

    Raises:  ValueError when none does, as for runs some hundred times longer.
    """
    wanted = bound_terms(trapezoid(n_steps, cooldown=cooldown)).best_scale
    switch = n_steps * (1 - cooldown)

    def excess(factor: float) -> float:
        extended = two_stage(longer, switch=switch, factor=factor, cooldown=cooldown)
        return bound_terms(extended).best_scale - wanted

    # Far below the answer the bound blows up again (a large step before a tiny tail), so walk down to it.
    for lower in 0.9 ** np.arange(1, 60):
        if excess(lower) > 0:
            return float(brentq(excess, lower, lower / 0.9, xtol=1e-6))
    msg = f"longer: no factor fits {longer:,} after {n_steps:,} steps."
    raise ValueError(msg)


def longer_cooldown(n_steps: int, *, longer: int, cooldown: float) -> float | None:
    """Cooldown fraction that keeps the peak best when the run goes on to `longer` steps; None: none does."""
    wanted = bound_terms(trapezoid(n_steps, cooldown=cooldown)).best_scale

    def excess(fraction: float) -> float:
        return bound_terms(trapezoid(longer, cooldown=fraction)).best_scale - wanted

    if excess(1.0) < 0:
        return None
    return float(brentq(excess, cooldown, 1.0, xtol=1e-6))
