"""Loss as a function of the learning rates seen so far: two laws, their features and their fits.

An LR path is an array of shape (last_step + 1,): the learning rate of every step, index 0 included.
LR annealing (Tissue et al. 2024, arXiv:2408.11029) takes the path with its warm-up flattened to the peak;
the Multi-Power Law (Luo et al. 2025, arXiv:2503.12811) takes it as it was. Swapping that costs up to
0.14 nats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.signal import lfilter

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Predict = Callable[[FloatArray], tuple[FloatArray, FloatArray]]  # parameters -> loss (n,), gradient (n, k)

HUBER_DELTA = 1e-3  # in log loss, both papers
DROP_GROUPS = 128
_SMALLEST_RATIO = 1e-6  # an LR below this part of the peak counts as this part: 0 has no power -gamma
_CHUNK = 1 << 14
_LONG_CURVE = 100_000


# The LR path


def lr_path(
    steps: IntArray, lr: FloatArray, *, warmup_steps: int, last_step: int | None = None
) -> FloatArray:
    """The LR of every step from logged points.

    Straight lines between logged points, except where the LR jumps (it changes by over 5x more than in both
    neighbouring intervals): there the earlier value holds until the later point. Before the first point:
    where the first two rise, their line, not below 0; else a straight warm-up from 0 over warmup_steps, then
    the first point's LR. After the last: its LR.

    Args:    steps: (n,), rising, >= 0; lr: (n,), >= 0; last_step: where the path ends, by default steps[-1].
    Returns: (last_step + 1,).
    """
    change = np.abs(np.diff(lr))
    beside = np.maximum(np.append(change[1:], 0.0), np.insert(change[:-1], 0, 0.0))
    jump = np.flatnonzero((change > 5 * beside) & (change > 1e-9 * lr.max(initial=0.0)))
    known_steps = np.concatenate([steps, steps[jump + 1] - 1])
    known_lr = np.concatenate([lr, lr[jump]])
    order = np.argsort(known_steps, kind="stable")
    t = np.arange((int(steps[-1]) if last_step is None else last_step) + 1, dtype=np.float64)
    path = np.interp(t, known_steps[order], known_lr[order])
    early = t < steps[0]
    path[early] = _before_the_log(t[early], steps, lr, warmup_steps=warmup_steps)
    return np.asarray(path)


def _before_the_log(t: FloatArray, steps: IntArray, lr: FloatArray, *, warmup_steps: int) -> FloatArray:
    """LRs at steps t before the first logged one."""
    if len(lr) > 1 and lr[1] > lr[0]:
        slope = (lr[1] - lr[0]) / (steps[1] - steps[0])
        return np.asarray(np.maximum(lr[0] - slope * (steps[0] - t), 0.0))
    rise = min(warmup_steps, int(steps[0]))
    return np.asarray(lr[0] * (np.minimum(t / rise, 1.0) if rise else np.ones_like(t)))


def flatten_warmup(path: FloatArray) -> FloatArray:
    """The path with its rise to the peak, if it begins with one, replaced by the peak."""
    top = warmup_end(path)
    return np.concatenate([np.full(top, path[top]), path[top:]])


def warmup_end(path: FloatArray) -> int:
    """First step at the peak of a path that only rises until there; 0 when it does not begin with a rise."""
    top = int(np.argmax(path))
    return top if bool((np.diff(path[: top + 1]) >= 0).all()) else 0


# The LR-annealing law: loss = L0 + A * S1^-alpha - C * S2


def annealing_areas(path: FloatArray, *, memory: float = 0.999) -> tuple[FloatArray, FloatArray]:
    """Forward area S1 (sum of LRs) and annealing area S2 at every step, each (n_steps,).

    S2 sums the momentum m_i = memory * m_{i-1} + (lr_{i-1} - lr_i).

    >>> lr = np.array([1, 1, 0.8, 0.6, 0.4, 0.2]) * 1e-3
    >>> annealing_areas(lr, memory=0.5)[1] * 1e3
    array([0.   , 0.   , 0.2  , 0.5  , 0.85 , 1.225])
    """
    drop = np.concatenate([[0.0], path[:-1] - path[1:]])
    return np.cumsum(path), np.cumsum(lfilter([1.0], [1.0, -memory], drop))


def annealing_loss(
    parameters: FloatArray, forward: FloatArray, annealed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Loss (n,) and its gradient (n, 4) in (L0, A, C, alpha)."""
    floor, coefficient, gain, alpha = parameters
    power = forward**-alpha
    loss = floor + coefficient * power - gain * annealed
    gradient = np.column_stack(
        [np.ones_like(power), power, -annealed, -coefficient * power * np.log(forward)]
    )
    return loss, gradient


# The Multi-Power Law: loss = L0 + A * S^-alpha - B * sum_k (lr_{k-1} - lr_k) * G(C * lr_k^-gamma * S_k)


@dataclass(frozen=True)
class DropGroups:
    """LR drops in groups of neighbouring steps, seen from n points of a path.

    Attributes:
        area:    (n,) sum of LRs up to each point.
        amount:  (n, n_groups) by how much the LR has fallen inside the group so far (negative where it rose).
        since:   (2, n, n_groups) least and largest area since one of the group's drops so far.
        log_lr:  (2, n, n_groups) largest and least log LR after one of them: no drop saturates less than the
                 first pair (area, LR) says, or more than the second.
    """

    area: FloatArray
    amount: FloatArray
    since: FloatArray
    log_lr: FloatArray


def group_bounds(path: FloatArray, *, n_groups: int = DROP_GROUPS) -> IntArray:
    """First and last step of each group of LR drops, (2, n): equal shares of all changes, one sign each."""
    drop = path[:-1] - path[1:]
    steps = np.flatnonzero(drop) + 1
    change = drop[steps - 1]
    share = np.abs(change) / max(np.abs(change).sum(), 1e-300)
    label = np.floor((np.cumsum(share) - share / 2) * n_groups)
    begins = np.ones(len(steps), dtype=np.bool_)
    begins[1:] = (np.diff(label) > 0) | (np.diff(np.sign(change)) != 0)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(steps)) - 1
    return np.stack([steps[first], steps[last[: len(first)]]])


def drop_groups(path: FloatArray, steps: IntArray, *, bounds: IntArray) -> DropGroups:
    """What the Multi-Power Law needs at these steps (n,); memory grows as n times the number of groups."""
    area = np.cumsum(path)
    before = np.concatenate([[0.0], area[:-1]])
    log_lr = np.log(np.maximum(path, _SMALLEST_RATIO * path.max()))
    first, last = bounds[:, bounds[0] <= steps.max(initial=0)]
    seen = steps[:, None] >= first  # (n, n_groups)
    latest = np.where(seen, np.minimum(steps[:, None], last), first)
    amount = np.where(seen, path[first - 1] - path[latest], 0.0)
    since_latest = np.where(seen, area[steps][:, None] - before[latest], 0.0)
    since_first = np.where(seen, area[steps][:, None] - before[first], 0.0)
    log_first, log_latest = np.broadcast_to(log_lr[first], latest.shape), log_lr[latest]
    return DropGroups(
        area=area[steps],
        amount=amount,
        since=np.stack([since_latest, since_first]),
        log_lr=np.stack([np.maximum(log_first, log_latest), np.minimum(log_first, log_latest)]),
    )


def stack_groups(parts: Sequence[DropGroups]) -> DropGroups:
    """Points of several paths as one; paths with fewer groups get empty ones."""
    width = max(part.amount.shape[1] for part in parts)

    def padded(array: FloatArray) -> FloatArray:
        missing = width - array.shape[-1]
        return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])

    return DropGroups(
        area=np.concatenate([part.area for part in parts]),
        amount=np.concatenate([padded(part.amount) for part in parts]),
        since=np.concatenate([padded(part.since) for part in parts], axis=1),
        log_lr=np.concatenate([padded(part.log_lr) for part in parts], axis=1),
    )


def multi_power_loss(parameters: FloatArray, groups: DropGroups) -> tuple[FloatArray, FloatArray]:
    """Loss (n,) and its gradient (n, 7) in (L0, A, alpha, B, log C, beta, gamma).

    Inside a group the saturation is the mean of its two extremes; groups of one drop are exact.
    """
    floor, coefficient, alpha, gain, log_c, beta, gamma = parameters
    scaled = np.exp(log_c - gamma * groups.log_lr) * groups.since  # (2, n, n_groups)
    log_rest = np.log1p(scaled)
    rest = np.exp(-beta * log_rest)
    slope = beta * rest * scaled / (1 + scaled)  # d saturation / d log scaled

    def total(saturation: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("ng,eng->n", groups.amount, saturation) / 2)

    power = groups.area**-alpha
    gained = total(1 - rest)
    gradient = np.column_stack(
        [
            np.ones_like(power),
            power,
            -coefficient * power * np.log(groups.area),
            -gained,
            -gain * total(slope),
            -gain * total(rest * log_rest),
            gain * total(slope * groups.log_lr),
        ]
    )
    return floor + coefficient * power - gain * gained, gradient


def multi_power_curve(
    parameters: FloatArray, path: FloatArray, steps: IntArray, *, n_groups: int | None = None
) -> tuple[FloatArray, float]:
    """Loss at these steps (n,) in bounded memory, and the largest possible effect of grouping the drops.

    n_groups: by default DROP_GROUPS, and half of them for curves of over 100,000 points.
    """
    if n_groups is None:
        n_groups = DROP_GROUPS if len(steps) <= _LONG_CURVE else DROP_GROUPS // 2
    floor, coefficient, alpha, gain, log_c, beta, gamma = parameters
    bounds = group_bounds(path, n_groups=n_groups)
    loss, error = np.empty(len(steps)), 0.0
    for start in range(0, len(steps), _CHUNK):
        part = slice(start, start + _CHUNK)
        groups = drop_groups(path, steps[part], bounds=bounds)
        least, most = 1 - np.exp(
            -beta * np.log1p(np.exp(log_c - gamma * groups.log_lr) * groups.since)
        )  # saturation
        gained = (groups.amount * (least + most)).sum(axis=1) / 2
        half_width = (np.abs(groups.amount) * (most - least)).sum(axis=1) / 2
        loss[part] = floor + coefficient * groups.area**-alpha - gain * gained
        error = max(error, float(gain * half_width.max()))
    return loss, error


# Fitting


@dataclass(frozen=True)
class HuberFit:
    """Parameters that minimize the Huber loss of log residuals, and the value reached."""

    parameters: FloatArray  # (k,)
    objective: float  # without the pull
    residuals: FloatArray  # (n,), log observed minus log predicted


@dataclass(frozen=True)
class Pull:
    """A weak preference for values of some parameters: one more point each, HUBER_DELTA off at one spread."""

    positions: tuple[int, ...]
    centre: float
    spread: float

    def residuals(self, parameters: FloatArray) -> FloatArray:
        """What the extra points add to the residuals."""
        off = (parameters[list(self.positions)] - self.centre) / self.spread
        return np.asarray(HUBER_DELTA * off)

    def jacobian(self, n_parameters: int) -> FloatArray:
        """Derivative of `residuals`."""
        return np.eye(n_parameters)[list(self.positions)] * (HUBER_DELTA / self.spread)


NO_PULL = Pull((), 0.0, 1.0)
# Curves often leave a valley open along which the exponents trade off; in it prefer exponents near 1/2.
EXPONENTS_NEAR_HALF = Pull((2, 5, 6), 0.5, 0.25)
_FEW_POINTS = 4_000  # enough to choose among starts


def fit_huber(
    predict: Predict,
    loss: FloatArray,
    *,
    start: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    pull: Pull = NO_PULL,
) -> HuberFit:
    """Minimize sum of Huber(log loss - log predicted) from one start, inside bounds."""

    def residuals(parameters: FloatArray) -> FloatArray:
        return np.concatenate([log_residuals(predict(parameters)[0], loss), pull.residuals(parameters)])

    def jacobian(parameters: FloatArray) -> FloatArray:
        value, gradient = predict(parameters)
        return np.concatenate(
            [-gradient / np.maximum(value, _SMALLEST_LOSS)[:, None], pull.jacobian(len(parameters))]
        )

    margin = 1e-9 * (upper - lower)
    done = least_squares(
        residuals,
        np.clip(start, lower + margin, upper - margin),
        jac=jacobian,
        bounds=(lower, upper),
        loss="huber",
        f_scale=HUBER_DELTA,
        x_scale="jac",
        ftol=1e-8,
        xtol=1e-8,
        gtol=1e-14,
        max_nfev=100,
    )
    found = log_residuals(predict(done.x)[0], loss)
    return HuberFit(np.asarray(done.x), huber(found), found)


_SMALLEST_LOSS = 1e-9  # trial parameters may predict less than nothing


def log_residuals(predicted: FloatArray, loss: FloatArray) -> FloatArray:
    """log loss - log predicted, (n,)."""
    return np.asarray(np.log(loss) - np.log(np.maximum(predicted, _SMALLEST_LOSS)))


def huber(residuals: FloatArray) -> float:
    """Sum of the Huber losses: quadratic up to HUBER_DELTA, then straight."""
    size = np.abs(residuals)
    inside = size <= HUBER_DELTA
    return float(np.where(inside, 0.5 * size**2, HUBER_DELTA * (size - 0.5 * HUBER_DELTA)).sum())


def fit_annealing(forward: FloatArray, annealed: FloatArray, loss: FloatArray) -> HuberFit:
    """Fit (L0, A, C, alpha) of the LR-annealing law to all points; every array (n,).

    Starts are chosen on at most _FEW_POINTS of them. Without any drop of the LR, C is not determined: 0.
    """
    scale, can_gain = float(forward.max()), bool(np.abs(annealed).max() > 0)
    drop_scale = float(np.abs(annealed).max()) if can_gain else 1.0
    low, high = float(loss.min()), float(loss.max())
    lower = np.zeros(4)
    upper = np.array([low, 100 * high, high if can_gain else 1e-12, 3.0])

    def fit(rows: slice, start: FloatArray) -> HuberFit:
        x, z = forward[rows] / scale, annealed[rows] / drop_scale
        return fit_huber(lambda p: annealing_loss(p, x, z), loss[rows], start=start, lower=lower, upper=upper)

    few = slice(None, None, -(-len(loss) // _FEW_POINTS))
    starts = [
        np.array([floor * low, (1 - floor) * low, 0.05 * low if can_gain else 0.0, alpha])
        for floor in (0.5, 0.8, 0.95)
        for alpha in (0.2, 0.5, 1.0)
    ]
    best = min((fit(few, start) for start in starts), key=lambda found: found.objective)
    best = fit(slice(None), best.parameters)
    floor, coefficient, gain, alpha = best.parameters
    gain = gain / drop_scale if can_gain else 0.0
    return replace(best, parameters=np.array([floor, coefficient * scale**alpha, gain, alpha]))


def fit_multi_power(
    groups: DropGroups, loss: FloatArray, *, peak_lr: float, near: FloatArray | None = None
) -> HuberFit:
    """Fit (L0, A, alpha, B, log C, beta, gamma) of the Multi-Power Law, exponents weakly pulled to 1/2.

    Starts are a grid of the non-linear parameters with (L0, A, B) by least squares, of which the best are
    polished; or only `near`, the parameters of a fit to similar data.
    """
    scale = float(groups.area.max())
    unit = DropGroups(  # areas in parts of the largest, LRs in parts of the peak
        groups.area / scale, groups.amount / peak_lr, groups.since / scale, groups.log_lr - np.log(peak_lr)
    )
    low, high = float(loss.min()), float(loss.max())
    lower = np.array([0.0, 0.0, 0.01, 0.0, -5.0, 0.01, 0.0])
    upper = np.array([low, 100 * high, 3.0, 100 * high, 20.0, 3.0, 2.0])

    def predict(parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        return multi_power_loss(parameters, unit)

    if near is None:
        starts = _best_starts(predict, loss)
    else:
        starts = [_rescaled(near, area=1 / scale, lr=1 / peak_lr)]
    fits = [
        fit_huber(predict, loss, start=start, lower=lower, upper=upper, pull=EXPONENTS_NEAR_HALF)
        for start in starts
    ]
    best = min(
        fits,
        key=lambda fit: fit.objective + huber(EXPONENTS_NEAR_HALF.residuals(fit.parameters)),
    )
    return replace(best, parameters=_rescaled(best.parameters, area=scale, lr=peak_lr))


def _best_starts(predict: Predict, loss: FloatArray) -> list[FloatArray]:
    starts = [
        _linear_start(predict, loss, np.array([0, 0, alpha, 0, log_c, beta, 0.5], dtype=np.float64))
        for alpha in (0.3, 0.6)
        for log_c in (3.0, 6.0, 9.0)
        for beta in (0.3, 0.8)
    ]
    starts.sort(key=lambda start: huber(log_residuals(predict(start)[0], loss)))
    return starts[:2]


def _rescaled(parameters: FloatArray, *, area: float, lr: float) -> FloatArray:
    """Multi-power parameters for areas and LRs that are these factors larger, the loss the same."""
    floor, coefficient, alpha, gain, log_c, beta, gamma = parameters
    log_c = log_c - np.log(area) + gamma * np.log(lr)
    return np.array([floor, coefficient * area**alpha, alpha, gain / lr, log_c, beta, gamma])


def _linear_start(predict: Predict, loss: FloatArray, parameters: FloatArray) -> FloatArray:
    """Set L0, A and B (positions 0, 1, 3) to their least-squares values, kept non-negative."""
    design = predict(parameters)[1][:, [0, 1, 3]]  # does not depend on them: the law is linear in them
    start = parameters.copy()
    start[[0, 1, 3]] = np.maximum(np.linalg.lstsq(design, loss, rcond=None)[0], 1e-3)
    return start


def block_means(steps: IntArray, loss: FloatArray, *, max_points: int) -> tuple[IntArray, FloatArray]:
    """At most max_points points of a curve: middle steps and geometric means of neighbouring points."""
    if len(steps) <= max_points:
        return steps, loss
    edges = np.linspace(0, len(steps), max_points + 1).astype(np.int64)
    sizes = np.diff(edges)
    means = np.add.reduceat(np.log(loss), edges[:-1]) / sizes
    return steps[edges[:-1] + (sizes - 1) // 2], np.exp(means)
