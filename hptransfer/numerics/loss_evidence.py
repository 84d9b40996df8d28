"""How far a loss law may be believed: which form, and how wide its predictions are.

Everything here fits on the smaller compute and looks at the larger: that is what the law will be asked to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hptransfer.numerics.loss_law import Floats, Form, Points, best_fits, minimize

N_BLOCKS = 6
FIRST_BLOCK = 0.4
"""Share of the points, by compute, that the first block is predicted from."""

MIN_BLOCKS = 3
SPARE_POINTS = 3
"""Points beyond one a coefficient that a fit needs before its predictions are judged."""

SIGNIFICANCE = 0.05
NORMAL_QUANTILE = 1.6448536269514722  # two-sided 90 %
SAME_COMPUTE = 0.02  # natural log: points this close belong to one budget

RESAMPLE_STEPS = 60

REACH = (0.0, 2.3, 4.6)
"""How far beyond the data, natural logs along params and tokens, draws are compared: 1x, 10x, 100x."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions of points beyond the compute fitted on; all arrays have one entry a predicted point.

    Attributes:
        error:    log loss minus predicted log loss.
        distance: natural logs beyond what was fitted on, see `distance_beyond`.
        block:    which block of compute was predicted.
    """

    error: Floats
    distance: Floats
    block: NDArray[np.int64]


def compute_blocks(points: Points, *, needed: int) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Split by compute: for each block the points below it, and those in it; both (n_points,).

    Args:    needed: fewest points to fit on; both params and tokens must vary among them.
    """
    compute = points.log_params + points.log_tokens
    cuts = np.unique(np.quantile(compute, np.linspace(FIRST_BLOCK, 1.0, N_BLOCKS + 1)))
    blocks = []
    for low, high in pairwise(cuts):
        below, inside = compute <= low + SAME_COMPUTE, compute <= high + SAME_COMPUTE
        inside &= ~below
        varied = all(
            np.ptp(values[below]) > SAME_COMPUTE for values in (points.log_params, points.log_tokens)
        )
        if below.sum() >= needed and varied and inside.any():
            blocks.append((below, inside))
    return blocks


def distance_beyond(points: Points, fitted: NDArray[np.bool_]) -> Floats:
    """How far points lie beyond the fitted ones, (n_points,), natural logs.

    The larger of the distance to the box of their params and tokens, and of that to the line of their
    largest or smallest compute: the corner of a box is far from an isoFLOP design.
    """

    def outside(values: Floats) -> Floats:
        low, high = values[fitted].min(), values[fitted].max()
        return np.asarray(np.maximum(np.maximum(low - values, values - high), 0.0))

    box = np.hypot(outside(points.log_params), outside(points.log_tokens))
    across = outside(points.log_params + points.log_tokens) / 2.0**0.5
    return np.asarray(np.maximum(box, across))


def held_out(form: Form, points: Points, *, delta: float) -> HeldOut:
    """Predict each block of compute from the points below it, all blocks in one batch of fits."""
    blocks = compute_blocks(points, needed=len(form.coefficients) + SPARE_POINTS)
    if not blocks:
        return HeldOut(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    weights = np.array([below for below, _ in blocks], dtype=np.float64)
    fits = best_fits(form, points, weights=weights, delta=delta)
    log_loss, _ = form.model(fits.coefficients, points.log_params, points.log_tokens)
    distance = np.array([distance_beyond(points, below) for below, _ in blocks])
    block, point = np.nonzero([inside for _, inside in blocks])
    return HeldOut(points.log_loss[point] - log_loss[block, point], distance[block, point], block)


def choose_form(forms: Mapping[str, HeldOut], *, order: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Choose a form by its errors at held-out compute: the simplest unless another is clearly better.

    Going through `order`, a form replaces the one chosen so far when its mean absolute error over the blocks
    of compute is smaller by a one-sided paired t-test over blocks.

    Returns: the chosen name, and for every form after the first the p-value of its test.
    """
    chosen, p_values = order[0], {}
    for name in order[1:]:
        p_values[name] = _paired_p_value(forms[name], forms[chosen])
        if p_values[name] < SIGNIFICANCE:
            chosen = name
    return chosen, p_values


def _paired_p_value(candidate: HeldOut, incumbent: HeldOut) -> float:
    """One-sided p-value for the candidate's smaller error, over the blocks both predicted."""
    errors = [_block_errors(part) for part in (candidate, incumbent)]
    n_blocks = min(map(len, errors))
    if n_blocks < MIN_BLOCKS:
        return 1.0
    gain = errors[1][-n_blocks:] - errors[0][-n_blocks:]
    spread = gain.std(ddof=1)
    if spread == 0:
        return 1.0
    return float(stats.t.sf(gain.mean() / (spread / n_blocks**0.5), n_blocks - 1))


def _block_errors(part: HeldOut) -> Floats:
    """Mean absolute error of each block, (n_blocks,)."""
    if not len(part.block):
        return np.zeros(0)
    return np.bincount(part.block, np.abs(part.error)) / np.bincount(part.block)


def lack_of_fit(residual: Floats, *, n_coefficients: int) -> float:
    """Spread of single losses about the fit: 90 % of them lie within 1.645 times it.

    Noise and what the form cannot bend to, both; a quantile, so that one wild run does not decide it.
    """
    spare = max(len(residual) - n_coefficients, 1)
    inside = float(np.quantile(np.abs(residual), 0.9)) / NORMAL_QUANTILE
    return inside * float((len(residual) / spare) ** 0.5)


def growth_beyond(part: HeldOut, *, inside: float) -> float | None:
    """How the spread grows per natural log beyond the data, such that 90 % of held-out errors are covered.

    Errors at distance x are taken to spread by sqrt(inside^2 + (slope x)^2); points count by their distance.
    None without any point beyond the data.

    >>> growth_beyond(HeldOut(np.array([0.0329]), np.array([2.0]), np.array([0])), inside=0.0)
    0.01000
    """
    beyond = part.distance > SAME_COMPUTE
    if not beyond.any():
        return None
    error, distance = part.error[beyond], part.distance[beyond]
    slope = np.sqrt(np.maximum((error / NORMAL_QUANTILE) ** 2 - inside**2, 0.0)) / distance
    order = np.argsort(slope)
    share = np.cumsum(distance[order]) / distance.sum()
    return float(slope[order][np.searchsorted(share, 0.9 - 1e-12)])


def resample(form: Form, points: Points, *, start: Floats, counts: NDArray[np.int64], delta: float) -> Floats:
    """Refit resampled points from the fit to all of them; coefficients (n_draws, n_coefficients).

    Args:    start: (n_coefficients,); counts: how often each point was drawn, (n_draws, n_points).
    """
    enough = (counts > 0).sum(axis=1) >= len(form.coefficients)
    drawn = counts[enough].astype(np.float64)
    begin = np.broadcast_to(start, (len(drawn), len(start)))
    return minimize(
        form, points, start=begin, weights=drawn, delta=delta, max_steps=RESAMPLE_STEPS
    ).coefficients


def predictive_covariance(form: Form, points: Points, *, fit: Floats, draws: Floats) -> Floats:
    """Covariance of the coefficients that reproduces how the draws' predictions spread.

    A law is used through predictions g(x)' coefficients, g the gradient of log loss. Draws whose floor ran
    off to nothing have huge changes of log E and ordinary predictions; their plain covariance would be
    nonsense. So each draw is replaced by the change of coefficients whose linear prediction is nearest to
    what the draw predicts, at the data and 10 and 100 times beyond it along params, tokens and both.

    Args:    fit: (n_coefficients,); draws: (n_draws, n_coefficients).
    Returns: (n_coefficients, n_coefficients).
    """
    top_n, top_d = points.log_params.max(), points.log_tokens.max()
    ahead = np.array([(top_n + i, top_d + j) for i in REACH for j in REACH])
    n = np.concatenate([points.log_params, ahead[:, 0]])
    d = np.concatenate([points.log_tokens, ahead[:, 1]])
    weight = np.concatenate([np.full(len(points), len(ahead) / len(points)), np.ones(len(ahead))]) ** 0.5
    value, gradient = form.model(fit[None], n, d)
    change = form.model(draws, n, d)[0] - value  # (n_draws, n_places)
    linear = (change * weight) @ np.linalg.pinv(gradient[0] * weight[:, None], rcond=1e-8).T
    return np.asarray(linear.T @ linear / max(len(draws), 1))
