"""Loss against scale: a floor and terms that fall with params and tokens, fitted to log loss.

Three forms, written in the logs of floor and terms (log-sum-exp), so that nothing overflows and every
coefficient may take any value in its box. Logs of params n and of tokens d are centred by the caller.

    additive          E + A / N^alpha + B / D^beta                    Hoffmann et al., arXiv:2203.15556
    outer-exponent    E + (A / N^alpha + B / D^beta)^k                "Skaling", arXiv:2608.07222
    varying-exponent  E + A / N^alpha + B / (N^c D^(beta N^gamma))    in the spirit of Farseer,
                                                                      arXiv:2506.10972: exponents of tokens
                                                                      that move with params

Many fits (starts, resamples, folds) are one batched Levenberg-Marquardt minimization: no loop over fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Model: TypeAlias = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]

HUBER_DELTA = 1e-3
"""Log loss beyond which a residual counts linearly: Hoffmann et al. (appendix D.2) and Besiroglu et al."""

START_EXPONENTS = (0.1, 0.2, 0.35, 0.6, 1.0)
START_FLOORS = (0.02, 0.3, 0.6, 0.85, 0.97)
"""Floors tried as starts, as fractions of the lowest loss."""

SCREENING_STEPS = 40
SCREENING_POINTS = 1_000
KEPT_STARTS = 6
MAX_STEPS = 400
MAX_ELEMENTS = 2_000_000
"""Most numbers in one batch's Jacobian (16 MB): larger batches are minimized in parts."""

_TOLERANCE = 1e-13  # relative decrease of the objective at which a fit stops
_MIN_TERM = 1e-3  # smallest term a start may have, as a fraction of the loss


@dataclass(frozen=True)
class Form:
    """A form of the law: `model(coefficients, n, d)` gives log loss and its gradient.

    Attributes:
        coefficients: names, in the order of the last axis everywhere.
        low, high:    box of the coefficients, (n_coefficients,); the floor's and terms' are logs.
        model:        ((n_fits, n_coefficients), (n_points,), (n_points,)) ->
                      (n_fits, n_points), (n_fits, n_points, n_coefficients).
    """

    name: str
    coefficients: tuple[str, ...]
    low: Floats
    high: Floats
    model: Model


@dataclass(frozen=True)
class Points:
    """Losses to fit: centred natural logs of params and tokens, natural log of loss; each (n_points,)."""

    log_params: Floats
    log_tokens: Floats
    log_loss: Floats

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Points:
        """Return the marked points only."""
        return Points(self.log_params[rows], self.log_tokens[rows], self.log_loss[rows])

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.log_loss)


@dataclass(frozen=True)
class Fits:
    """Minimized fits: coefficients (n_fits, n_coefficients), objective (n_fits,), steps taken (n_fits,)."""

    coefficients: Floats
    objective: Floats
    steps: NDArray[np.int64]


def additive(coefficients: Floats, n: Floats, d: Floats) -> tuple[Floats, Floats]:
    """log(E + A / N^alpha + B / D^beta); coefficients log E, log A, alpha, log B, beta."""
    floor, a, alpha, b, beta = np.moveaxis(coefficients[..., None], -2, 0)
    value, (of_floor, of_params, of_tokens) = _log_sum(floor, a - alpha * n, b - beta * d)
    return value, np.stack([of_floor, of_params, -n * of_params, of_tokens, -d * of_tokens], axis=-1)


def outer_exponent(coefficients: Floats, n: Floats, d: Floats) -> tuple[Floats, Floats]:
    """log(E + (A / N^alpha + B / D^beta)^k); coefficients as in `additive`, then log k."""
    floor, a, alpha, b, beta, log_k = np.moveaxis(coefficients[..., None], -2, 0)
    k = np.exp(log_k)
    inner, (of_params, of_tokens) = _log_sum(a - alpha * n, b - beta * d)
    value, (of_floor, of_outer) = _log_sum(floor, k * inner)
    p, t = k * of_outer * of_params, k * of_outer * of_tokens
    return value, np.stack([of_floor, p, -n * p, t, -d * t, k * of_outer * inner], axis=-1)


def varying_exponent(coefficients: Floats, n: Floats, d: Floats) -> tuple[Floats, Floats]:
    """log(E + A / N^alpha + B / (N^c D^(beta N^gamma))); as in `additive`, then c, gamma."""
    floor, a, alpha, b, beta, c, gamma = np.moveaxis(coefficients[..., None], -2, 0)
    growth = np.exp(gamma * n)
    terms = (floor, a - alpha * n, b - c * n - beta * growth * d)
    value, (of_floor, of_params, of_tokens) = _log_sum(*terms)
    of_beta = -growth * d * of_tokens
    columns = [of_floor, of_params, -n * of_params, of_tokens, of_beta, -n * of_tokens, beta * n * of_beta]
    return value, np.stack(columns, axis=-1)


def _log_sum(*logs: Floats) -> tuple[Floats, list[Floats]]:
    """Log of a sum of exponentials, and the share of each of them in it."""
    parts = np.broadcast_arrays(*logs)
    top = np.maximum.reduce(parts)
    shares = [np.exp(part - top) for part in parts]
    total = np.add.reduce(shares)
    return top + np.log(total), [share / total for share in shares]


def _form(name: str, model: Model, **box: tuple[float, float]) -> Form:
    low, high = (np.array(ends) for ends in zip(*box.values(), strict=True))
    return Form(name, tuple(box), low, high, model)


_LEVEL, _EXPONENT = (-25.0, 25.0), (0.005, 3.0)
_BOX = {
    "log_floor": (-7.0, 25.0),
    "log_params_term": _LEVEL,
    "params_exponent": _EXPONENT,
    "log_tokens_term": _LEVEL,
    "tokens_exponent": _EXPONENT,
}
FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        _form("additive", additive, **_BOX),
        _form("outer-exponent", outer_exponent, **_BOX, log_outer_exponent=(-3.0, 1.5)),
        _form("varying-exponent", varying_exponent, **_BOX, level_exponent=(-0.5, 0.5), growth=(-0.3, 0.3)),
    )
}
"""All forms by name, the simplest first. Boxes are wide: an exponent at its end is reported, not trusted."""


def at_bounds(form: Form, coefficients: Floats) -> tuple[str, ...]:
    """Names of the coefficients that a fit, (n_coefficients,), left at an end of their box."""
    width = 1e-6 * (form.high - form.low)
    stuck = (coefficients <= form.low + width) | (coefficients >= form.high - width)
    return tuple(name for name, is_stuck in zip(form.coefficients, stuck, strict=True) if is_stuck)


def huber(residual: Floats, delta: Floats | float) -> Floats:
    """Half the square inside delta, linear outside (Huber 1964); any shape.

    >>> huber(np.array([0.5, 2.0]), 1.0)
    array([0.125, 1.5  ])
    """
    size = np.abs(residual)
    inside: Floats = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)


def starts(form: Form, points: Points) -> Floats:
    """Starts on a grid of exponents and floors, levels by least squares; (n_starts, n_coefficients)."""
    grid = np.array(np.meshgrid(START_FLOORS, START_EXPONENTS, START_EXPONENTS)).reshape(3, -1)
    floor, alpha, beta = grid[:, :, None]
    loss = np.exp(points.log_loss)
    floor = floor * loss.min()
    # Relative errors: target 1 - E / L, columns N^-alpha / L and D^-beta / L.
    p, t = np.exp(-alpha * points.log_params) / loss, np.exp(-beta * points.log_tokens) / loss
    y = 1.0 - floor / loss
    pp, tt, pt, py, ty = ((u * v).sum(axis=1) for u, v in ((p, p), (t, t), (p, t), (p, y), (t, y)))
    determinant = np.maximum(pp * tt - pt**2, 1e-12 * pp * tt)
    a, b = (py * tt - ty * pt) / determinant, (ty * pp - py * pt) / determinant
    levels = [
        np.log(np.maximum(level, _MIN_TERM / column.mean(axis=1))) for level, column in ((a, p), (b, t))
    ]
    base = np.column_stack([np.log(floor), levels[0], alpha, levels[1], beta])
    rest = len(form.coefficients) - base.shape[1]
    whole = np.column_stack([base, np.zeros((len(base), rest))])
    return np.asarray(np.clip(whole, form.low, form.high))


def minimize(
    form: Form,
    points: Points,
    *,
    start: Floats,
    weights: Floats | None = None,
    delta: float = HUBER_DELTA,
    max_steps: int = MAX_STEPS,
) -> Fits:
    """Minimize the weighted sum of Huber(log loss - model) from every start, inside the box of the form.

    Args:    start: (n_fits, n_coefficients); weights: (n_fits, n_points), >= 0, counts or 1 / variance up to
             a factor, by default one each; delta: natural log of loss.
    """
    counts = np.ones((1, len(points))) if weights is None else weights
    counts = np.broadcast_to(counts, (len(start), len(points)))
    size = max(1, MAX_ELEMENTS // (len(points) * len(form.coefficients)))
    parts = [
        _minimize_part(
            form, points, start[i : i + size], weights=counts[i : i + size], delta=delta, max_steps=max_steps
        )
        for i in range(0, len(start), size)
    ]
    joined = zip(*((part.coefficients, part.objective, part.steps) for part in parts), strict=True)
    return Fits(*(np.concatenate(arrays) for arrays in joined))


def _minimize_part(
    form: Form, points: Points, start: Floats, *, weights: Floats, delta: float, max_steps: int
) -> Fits:
    """Levenberg-Marquardt on all fits at once; those that stopped leave the batch."""
    result = Fits(start.copy(), np.full(len(start), np.inf), np.zeros(len(start), dtype=np.int64))
    active = np.arange(len(start))
    state = _State.at(form, points, start, weights, delta)
    damping, stalled = np.full(len(start), 1e-2), np.zeros(len(start), dtype=np.int64)
    for _ in range(max_steps):
        trial = _State.at(form, points, state.step(form, damping), weights[active], delta)
        better = trial.objective < state.objective
        small = state.objective - trial.objective <= _TOLERANCE * state.objective
        stalled = np.where(small & (better | (damping > 1e8)), stalled + 1, np.where(better, 0, stalled))
        damping = np.clip(np.where(better, damping / 4.0, damping * 6.0), 1e-12, 1e12)
        state = state.where(better, trial)
        result.coefficients[active], result.objective[active] = state.coefficients, state.objective
        result.steps[active] += 1
        go_on = (stalled < 2) & (damping < 1e12) & (state.objective > 0)
        if not go_on.all():
            active, damping, stalled = active[go_on], damping[go_on], stalled[go_on]
            state = state.take(go_on)
            if not len(active):
                break
    return result


@dataclass(frozen=True)
class _State:
    """Fits at their present coefficients: objective, and gradient and curvature that a step needs."""

    coefficients: Floats  # (n_fits, n_coefficients)
    objective: Floats  # (n_fits,)
    descent: Floats  # minus the gradient, (n_fits, n_coefficients)
    curvature: Floats  # (n_fits, n_coefficients, n_coefficients)

    @classmethod
    def at(cls, form: Form, points: Points, coefficients: Floats, weights: Floats, delta: float) -> _State:
        value, jacobian = form.model(coefficients, points.log_params, points.log_tokens)
        residual = points.log_loss - value
        pull = weights * np.minimum(1.0, delta / np.maximum(np.abs(residual), 1e-300))
        weighted = (jacobian * pull[..., None]).swapaxes(-1, -2)
        return cls(
            coefficients=coefficients,
            objective=(weights * huber(residual, delta)).sum(axis=-1),
            descent=(weighted @ residual[..., None])[..., 0],
            curvature=weighted @ jacobian,
        )

    def step(self, form: Form, damping: Floats) -> Floats:
        """Damped Gauss-Newton step that stays in the box; coefficients held at an end do not move."""
        held = (self.coefficients <= form.low) & (self.descent < 0)
        held |= (self.coefficients >= form.high) & (self.descent > 0)
        free = ~held
        matrix = self.curvature * (free[:, :, None] & free[:, None, :])
        diagonal = np.einsum("fii->fi", matrix)
        scale = diagonal.max(axis=1, keepdims=True)
        added = damping[:, None] * np.maximum(diagonal, 1e-9 * scale) + 1e-300
        index = np.arange(matrix.shape[1])
        matrix[:, index, index] += np.where(free, added, 1.0)
        move = np.linalg.solve(matrix, (self.descent * free)[..., None])[..., 0]
        return np.clip(self.coefficients + move, form.low, form.high)

    def where(self, better: NDArray[np.bool_], other: _State) -> _State:
        """Take `other` for the fits that got better."""
        return _State(
            np.where(better[:, None], other.coefficients, self.coefficients),
            np.where(better, other.objective, self.objective),
            np.where(better[:, None], other.descent, self.descent),
            np.where(better[:, None, None], other.curvature, self.curvature),
        )

    def take(self, rows: NDArray[np.bool_]) -> _State:
        return _State(self.coefficients[rows], self.objective[rows], self.descent[rows], self.curvature[rows])


def best_fits(
    form: Form, points: Points, *, weights: Floats | None = None, delta: float = HUBER_DELTA
) -> Fits:
    """Minimize from a grid of starts and keep the best by the very objective that was minimized.

    All starts are screened with a few steps, with many points on some of them only; the best are minimized
    to the end. Every row of weights is its own fit, all in one batch.

    Args:    weights: (n_fits, n_points), >= 0; by default one fit with all points.
    Returns: fits of n_fits rows.
    """
    rows = np.ones((1, len(points))) if weights is None else weights
    grid = starts(form, points)
    some = np.unique(np.linspace(0, len(points) - 1, SCREENING_POINTS).astype(np.int64))
    screened = minimize(
        form,
        points.take(some),
        start=np.tile(grid, (len(rows), 1)),
        weights=np.repeat(rows[:, some], len(grid), axis=0),
        delta=delta,
        max_steps=SCREENING_STEPS,
    )
    order = np.argsort(screened.objective.reshape(len(rows), -1), axis=1, kind="stable")[:, :KEPT_STARTS]
    kept = (order + len(grid) * np.arange(len(rows))[:, None]).ravel()
    repeated = np.repeat(rows, order.shape[1], axis=0)
    final = minimize(form, points, start=screened.coefficients[kept], weights=repeated, delta=delta)
    best = np.argmin(final.objective.reshape(order.shape), axis=1) + order.shape[1] * np.arange(len(rows))
    return Fits(final.coefficients[best], final.objective[best], final.steps[best])
