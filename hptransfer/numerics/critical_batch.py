"""McCandlish's hyperbola fitted to runs at several batches: how many more tokens a larger batch needs.

(S / S_min - 1)(E / E_min - 1) = 1 at one loss, S steps and E tokens, is E = E_min (1 + B / B_crit) with
B_crit = E_min / S_min (Eqs. 2.6 to 2.12 of arXiv:1812.06162). Runs end at all sorts of losses, so one curve
of loss against E_min is fitted per group (a model size) together with B_crit, which may move with E_min as a
power (the form of Power Lines, arXiv:2505.13738).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray, IntArray

NEWTON_STEPS = 40  # far more than convex one-dimensional problems of this kind take
EXPONENT_BOX = (
    -0.5,
    0.95,
)  # of E_min in B_crit: from 1 on, tokens would no longer rise with the batch's cost
LOG_RANGE = 12.0  # natural logs beyond the batches tried that B_crit is looked for
STARTS = (-1.0, 1.0, 3.0)  # natural logs from the middle of the batches
FLOOR_BOX = (0.0, 0.995)  # the loss that remains, as a share of the lowest
SAME_LOSS = 1e-6  # natural logs: losses this close are one
CURVED_LEVELS = 3  # values of tokens from which a floor is fitted; with fewer, loss is a power of tokens
AT_BOUND = 1e-3


@dataclass(frozen=True)
class HyperbolaFit:
    """log B_crit = log_batch + exponent * (log E_min - centre), natural logs of tokens.

    Attributes:
        covariance: (2, 2), of (log_batch, exponent): jackknife over clusters; None where there are too few.
        degrees:    of freedom behind it: clusters less one.
        log_tokens_min: (n_points,), log E_min of the loss of every point.
        residual:   (n_points,), log loss, or log tokens where all points have one loss, minus the fit.
        at_bound:   B_crit (or its exponent) ended at an end of its box: the points do not show it.
    """

    log_batch: float
    exponent: float
    centre: float
    covariance: FloatArray | None
    degrees: int
    log_tokens_min: FloatArray
    residual: FloatArray
    at_bound: bool


def log_tokens_min(
    log_tokens: FloatArray,
    log_batch: FloatArray,
    *,
    log_critical: float,
    exponent: float,
    centre: float,
) -> FloatArray:
    """Solve E = E_min (1 + B / B_crit(E_min)) for log E_min by Newton's method; all (n_points,)."""
    x = np.array(log_tokens, dtype=np.float64)
    for _ in range(NEWTON_STEPS):
        ratio = np.exp(np.clip(log_batch - log_critical - exponent * (x - centre), -50.0, 50.0))
        step = (x + np.log1p(ratio) - log_tokens) / (1.0 - exponent * ratio / (1.0 + ratio))
        x = x - step
        if np.abs(step).max(initial=0.0) < 1e-12:
            break
    return x


def fit_hyperbola(
    *,
    log_tokens: FloatArray,
    log_batch: FloatArray,
    log_loss: FloatArray,
    group: IntArray,
    cluster: IntArray,
    free_exponent: bool,
) -> HyperbolaFit:
    """Least squares of B_crit and of one loss curve a group.

    A curve is loss = floor + (E_min / scale)^-power; without floor where a group has fewer than three values
    of tokens. Where all losses are one, E_min is one number a group, the residuals are those of log tokens.

    Args:    (n_points,) each; group: of points that share a curve; cluster: of those that may share an error;
             free_exponent: else B_crit is one number.
    """
    _, group = np.unique(group, return_inverse=True)
    one_loss = bool(np.ptp(log_loss) <= SAME_LOSS)
    centre = float(log_tokens.mean())
    problem = _Problem(log_tokens, log_batch, log_loss, group, centre, free_exponent=free_exponent)
    of = problem.of_tokens if one_loss else problem.of_loss
    low, high = problem.box(one_loss=one_loss)
    best = _solved(of, problem.starts(one_loss=one_loss), low, high)
    free = ~((best.x - low < AT_BOUND) | (high - best.x < AT_BOUND))
    covariance, degrees = _jackknife(best.jac, best.fun, cluster, free)
    kept = 2 if free_exponent else 1
    whole = None
    if covariance is not None:
        whole = np.zeros((2, 2))
        whole[:kept, :kept] = covariance[:kept, :kept]
    exponent = float(best.x[1]) if free_exponent else 0.0
    return HyperbolaFit(
        log_batch=float(best.x[0]),
        exponent=exponent,
        centre=centre,
        covariance=whole,
        degrees=degrees,
        log_tokens_min=problem.log_tokens_min(best.x),
        residual=np.asarray(best.fun),
        at_bound=not bool(free[:kept].all()),
    )


@dataclass(frozen=True)
class _Problem:
    """Residuals of a parameter vector: log B_crit, its exponent where free, then every group's curve."""

    log_tokens: FloatArray
    log_batch: FloatArray
    log_loss: FloatArray
    group: IntArray
    centre: float
    free_exponent: bool

    @property
    def n_groups(self) -> int:
        return int(self.group.max()) + 1

    @property
    def n_shared(self) -> int:
        return 2 if self.free_exponent else 1

    def log_tokens_min(self, x: FloatArray) -> FloatArray:
        return log_tokens_min(
            self.log_tokens,
            self.log_batch,
            log_critical=float(x[0]),
            exponent=float(x[1]) if self.free_exponent else 0.0,
            centre=self.centre,
        )

    def of_loss(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Residuals of log loss (n_points,) and their Jacobian (n_points, n_parameters)."""
        level, power, floor = x[self.n_shared :].reshape(3, self.n_groups)[:, self.group]
        lowest, power = self.lowest[self.group], np.exp(power)
        away = self.log_tokens_min(x) - self.centre
        falling = np.exp(level - power * away)
        loss = floor * lowest + falling
        share = falling / loss
        of_shared = (-share * power)[:, None] * self._slopes(x, away)
        own = [self._by_group(column) for column in (share, -share * power * away, lowest / loss)]
        return np.log(loss) - self.log_loss, np.hstack([of_shared, *own])

    def of_tokens(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Residuals of log tokens and their Jacobian."""
        log_min = self.log_tokens_min(x)
        own = self._by_group(-np.ones(len(self.group)))
        jacobian = np.hstack([self._slopes(x, log_min - self.centre), own])
        return log_min - x[self.n_shared :][self.group], jacobian

    def _slopes(self, x: FloatArray, away: FloatArray) -> FloatArray:
        """Gradient of log E_min by the shared parameters, (n_points, n_shared)."""
        exponent = float(x[1]) if self.free_exponent else 0.0
        ratio = np.exp(np.clip(self.log_batch - x[0] - exponent * away, -50.0, 50.0))
        share = ratio / (1.0 + ratio)
        by_level = share / (1.0 - exponent * share)
        return np.stack([by_level, by_level * away][: self.n_shared], axis=1)

    def _by_group(self, column: FloatArray) -> FloatArray:
        """A column of the Jacobian spread over the groups, (n_points, n_groups)."""
        spread = np.zeros((len(column), self.n_groups))
        spread[np.arange(len(column)), self.group] = column
        return spread

    @property
    def lowest(self) -> FloatArray:
        """Lowest loss of each group, (n_groups,)."""
        low = np.full(self.n_groups, np.inf)
        np.minimum.at(low, self.group, np.exp(self.log_loss))
        return low

    def curved(self) -> BoolArray:
        """Whether a group has the tokens to show a floor, (n_groups,)."""
        pairs = np.unique(np.column_stack([self.group, np.round(self.log_tokens, 2)]), axis=0)
        return np.bincount(pairs[:, 0].astype(np.int64), minlength=self.n_groups) >= CURVED_LEVELS

    def box(self, *, one_loss: bool) -> tuple[FloatArray, FloatArray]:
        low_batch, high_batch = self.log_batch.min() - LOG_RANGE, self.log_batch.max() + LOG_RANGE
        shared = [(low_batch, high_batch), EXPONENT_BOX][: self.n_shared]
        if one_loss:
            spans = [*shared, *[(self.centre - 50.0, self.centre + 50.0)] * self.n_groups]
        else:
            floors = [FLOOR_BOX if curved else (0.0, 1e-9) for curved in self.curved()]
            spans = [*shared, *[(-50.0, 50.0)] * self.n_groups, *[(-7.0, 1.5)] * self.n_groups, *floors]
        low, high = np.array(spans).T
        return low, high

    def starts(self, *, one_loss: bool) -> list[FloatArray]:
        shared = [[float(self.log_batch.mean()) + away, 0.3][: self.n_shared] for away in STARTS]
        if one_loss:
            level = np.bincount(self.group, self.log_tokens) / np.bincount(self.group)
            return [np.array([*first, *level]) for first in shared]
        floor = np.where(self.curved(), 0.7, 5e-10)
        level = np.log((1.0 - floor) * self.lowest)
        power = np.full(self.n_groups, np.log(0.3))
        return [np.array([*first, *level, *power, *floor]) for first in shared]


@dataclass(frozen=True)
class _Solved:
    x: FloatArray
    fun: FloatArray
    jac: FloatArray


def _solved(
    of: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    starts: list[FloatArray],
    low: FloatArray,
    high: FloatArray,
) -> _Solved:
    """The best of several starts, ranked by the objective that is minimized."""
    from scipy.optimize import least_squares

    found = [
        least_squares(
            lambda x: of(x)[0], start, jac=lambda x: of(x)[1], bounds=(low, high), x_scale="jac", max_nfev=200
        )
        for start in starts
    ]
    best = min(found, key=lambda one: float(one.cost))
    return _Solved(np.asarray(best.x), np.asarray(best.fun), np.asarray(best.jac))


def _jackknife(
    jacobian: FloatArray, residual: FloatArray, cluster: IntArray, free: BoolArray
) -> tuple[FloatArray | None, int]:
    """Covariance of the parameters by leaving out one cluster at a time, one Gauss-Newton step each (CV3).

    Parameters at a bound are taken as known. Source: MacKinnon, Nielsen and Webb 2023, cluster jackknife.
    """
    names = np.unique(cluster)
    if len(names) < 3:
        return None, max(len(names) - 1, 0)
    columns = jacobian[:, free]
    moved = np.zeros((len(names), len(free)))
    for k, name in enumerate(names):
        kept = cluster != name
        moved[k, free] = -np.linalg.lstsq(columns[kept], residual[kept], rcond=None)[0]
    share = (len(names) - 1) / len(names)
    return np.asarray(share * moved.T @ moved), len(names) - 1
