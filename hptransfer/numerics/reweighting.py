"""A surface fitted in rounds: weights, noise and the size of the cells' own terms follow the fit.

Runs fade by what they lose against their cell's optimum, exp(-excess / fade), instead of being cut. Outliers
fade by their residual. The noise variance is that of the residuals, lack of fit included; the variances of
the cells' own terms come from MacKay's fixed point (Neural Computation 4, 1992): sum of squares over
well-determined count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray
from hptransfer.numerics.cells import CellRuns
from hptransfer.numerics.centroids import LawPrior, centroid_laws
from hptransfer.numerics.moments import Moments, moments
from hptransfer.numerics.polynomials import monomial_values
from hptransfer.numerics.surface import (
    N_LAW,
    OWN_OFFSETS,
    Layout,
    Penalty,
    Site,
    Solution,
    law_optima,
    layout,
    solve,
)

OFFSET_STD = 0.05
"""One pseudo-cell is off the law by 5 % (natural logs): keeps the variance positive with few cells."""

OWN_BOWL_STD = 0.1
"""One pseudo-cell's bowl terms differ from the shared ones by 10 % of `bowl_units`."""

PSEUDO_CELLS = 1.0
AMPLITUDE_STD = 0.15
"""Prior of the amplitude's slope: 15 % deeper or shallower per e-fold of params or tokens."""

SHAPE_STD = 0.2
"""Prior of a quadratic term's slope: 20 % of its unit per e-fold of params or tokens."""

WEAK_PRECISION = 1e-6
"""Of parameters without a prior: standard deviation 1000, to keep matrices regular."""

FROZEN_PRECISION = 1e12
FROZEN_VARIANCE = 1e-12
"""In the first round the shape does not move and cells have the shared bowl: there is no unit yet."""

HUBER = 3.0
"""Residual, in robust standard deviations, at which a run's weight falls by a factor sqrt 2."""

NORMAL_MAD = 1.4826  # standard deviation over median absolute deviation of a normal
ROUNDS = 12
FOLD_ROUNDS = 8
START_NOISE = 0.1  # noise over fade, before there are residuals
START_CORRELATIONS = (0.0, 0.7, -0.5)
"""Tilts of the valley to start from, uphill and downhill; folds start from the middle one."""

FOLD_CORRELATION = 0.3
LEAST_FREEDOM = 0.15  # degrees of freedom over runs: below it noise would be guesswork
LEAST_STD, LEAST_VARIANCE = 1e-6, 1e-12  # of log loss: below the digits of any log
LEAST_CURVATURE = 1e-6
FAR = 700.0  # exp(-700) is still positive
CLEARLY_ABOVE = 2.0  # robust standard deviations


@dataclass(frozen=True)
class Rounds:
    """A surface after its last round, for n_variants rows of counts.

    Attributes:
        fade:       log loss, one for all variants.
        site:       cells and reference points.
        penalty, noise_variance (n_variants,): what the last solve used, the latter updated after it.
        own_variance: (n_variants, n_own).
        near, robust: (n_variants, n_runs), the two factors of a run's weight.
        optimum:    (n_variants, n_cells), fitted excess at each cell's own optimum; 0 where left out.
    """

    fade: float
    site: Site
    solution: Solution
    penalty: Penalty
    noise_variance: FloatArray
    own_variance: FloatArray
    near: FloatArray
    robust: FloatArray
    optimum: FloatArray


def fit_rounds(
    runs: CellRuns, prior: LawPrior, counts: FloatArray, *, fade: float, rounds: int = ROUNDS
) -> Rounds:
    """Fit a surface from scratch; counts (n_variants, n_runs), zero where left out; fade in log loss.

    A single variant starts from several tilts of the valley and keeps the one with the least objective.
    """
    where = layout(runs.variables)
    n_variants = len(counts)
    law = centroid_laws(runs, counts, fade, prior)
    reference = runs.design @ law.mean(axis=0).T
    site = Site(runs.scale, reference)
    near, robust = np.broadcast_to(np.exp(-runs.excess / fade), counts.shape), np.ones_like(counts)
    tilts = START_CORRELATIONS if n_variants == 1 else (FOLD_CORRELATION,)
    starts = [
        _start(where, runs, reference, law, weights=counts * near, fade=fade, correlation=tilt)
        for tilt in tilts
    ]
    own_variance = np.full((n_variants, where.n_own), FROZEN_VARIANCE)
    own_variance[:, :OWN_OFFSETS] = OFFSET_STD**2
    penalty = prior_penalty(where, prior, n_variants, own_variance)
    data = moments(where.form, runs, counts * near, reference=reference)
    noise_variance = np.full(n_variants, (START_NOISE * fade) ** 2)
    solution = _best_start(where, site, data, noise_variance=noise_variance, penalty=penalty, starts=starts)
    first = Rounds(fade, site, solution, penalty, noise_variance, own_variance, near, robust, np.empty(0))
    return continue_rounds(runs, _reweighted(runs, first, counts), counts, rounds=rounds - 1)


def continue_rounds(runs: CellRuns, start: Rounds, counts: FloatArray, *, rounds: int) -> Rounds:
    """Solve and reweight a few times more."""
    where, current = layout(runs.variables), start
    for _ in range(rounds):
        parameters = current.solution.parameters
        precision = current.penalty.precision.copy()
        units = bowl_units(where, parameters, current.fade)[:, : where.form.quadratic]
        precision[:, where.shape] = np.tile((units * SHAPE_STD) ** -2.0, 2)
        penalty = replace(current.penalty, precision=precision, own_precision=1 / current.own_variance)
        weights = counts * current.near * current.robust
        data = moments(where.form, runs, weights, reference=current.site.reference)
        solution = solve(
            where,
            current.site,
            data,
            noise_variance=current.noise_variance,
            penalty=penalty,
            start=(parameters, current.solution.own),
        )
        current = _reweighted(runs, replace(current, solution=solution, penalty=penalty), counts, data)
    return current


def _start(
    where: Layout,
    runs: CellRuns,
    reference: FloatArray,
    law: FloatArray,
    *,
    weights: FloatArray,
    fade: float,
    correlation: float,
) -> FloatArray:
    """The centroids' law and curvature from the spread of the near runs, (n_variants, n_parameters)."""
    parameters = np.zeros((len(law), where.n_parameters))
    parameters[:, :N_LAW] = law.reshape(len(law), N_LAW)
    curvature = []
    for q, values in enumerate((runs.log_lr, runs.log_batch)[: runs.variables]):
        away = values - reference[runs.cell, q]
        spread = np.maximum((weights * away**2).sum(axis=1) / weights.sum(axis=1), LEAST_CURVATURE)
        curvature.append(fade / (2 * spread))
    squares = [k for k, power in enumerate(where.form.free_powers) if power in ((2, 0), (0, 2))]
    for k, values in zip(squares, curvature, strict=True):
        parameters[:, N_LAW + k] = values
    if runs.variables == 2:
        parameters[:, N_LAW + 1] = -2 * correlation * np.sqrt(curvature[0] * curvature[1])
    return parameters


def _best_start(
    where: Layout,
    site: Site,
    data: Moments,
    *,
    noise_variance: FloatArray,
    penalty: Penalty,
    starts: list[FloatArray],
) -> Solution:
    """Solve from every start, side by side, and keep each variant's best by the objective."""
    n_variants, times = len(noise_variance), len(starts)
    own = np.zeros((n_variants * times, len(site.scale), where.n_own))
    tried = solve(
        where,
        site,
        data.repeated(times),
        noise_variance=np.tile(noise_variance, times),
        penalty=penalty.repeated(times),
        start=(np.concatenate(starts), own),
    )
    best = tried.objective.reshape(times, n_variants).argmin(axis=0) * n_variants + np.arange(n_variants)
    return solve(
        where,
        site,
        data,
        noise_variance=noise_variance,
        penalty=penalty,
        start=(tried.parameters[best], tried.own[best]),
    )


def prior_penalty(where: Layout, prior: LawPrior, n_variants: int, own_variance: FloatArray) -> Penalty:
    """Priors of the first round: exponents, amplitude; the shape does not move."""
    precision = np.full((n_variants, where.n_parameters), WEAK_PRECISION)
    mean = np.zeros_like(precision)
    law_precision, law_mean = prior.precision_and_mean()
    precision[:, :N_LAW] = np.where(law_precision > 0, law_precision, WEAK_PRECISION)
    mean[:, :N_LAW] = law_mean
    precision[:, where.amplitude] = AMPLITUDE_STD**-2
    precision[:, where.shape] = FROZEN_PRECISION
    ridge = prior.ridge if where.form.quadratic > 1 else None
    return Penalty(precision, mean, 1 / own_variance, ridge)


def _reweighted(runs: CellRuns, current: Rounds, counts: FloatArray, data: Moments | None = None) -> Rounds:
    """Weights, noise and the cells' own variances from a solution."""
    where, solution, site = layout(runs.variables), current.solution, current.site
    if data is None:
        data = moments(where.form, runs, counts * current.near * current.robust, reference=site.reference)
    held = runs.sum_cells(counts) > 0  # (n_variants, n_cells)
    floor = data.floors(solution.coefficients)
    predicted = _predictions(where, runs, site, solution.coefficients) + floor[:, runs.cell]
    optimum = np.where(held, floor + _bottoms(where, site, solution), 0.0)
    residual = runs.excess - predicted
    near = counts * current.near
    scatter = np.maximum(NORMAL_MAD * weighted_median(np.abs(residual), near), LEAST_STD)[:, None]
    robust = 1 / np.sqrt(1 + (residual / (HUBER * scatter)) ** 2)
    weights = near * robust
    freedom = 1 - (held.sum(axis=1) + N_LAW + where.n_bowl) / counts.sum(axis=1)
    variance = (weights * residual**2).sum(axis=1) / weights.sum(axis=1)
    noise_variance = np.maximum(variance / np.maximum(freedom, LEAST_FREEDOM), LEAST_VARIANCE)
    # A run's excess is what the surface says, unless the run itself is above it by more than noise.
    level = np.maximum(predicted, runs.excess - CLEARLY_ABOVE * scatter)
    above = np.maximum(level - optimum[:, runs.cell], 0.0)
    return replace(
        current,
        noise_variance=noise_variance,
        own_variance=own_variances(where, current, held),
        near=np.exp(-np.minimum(above / current.fade, FAR)),
        robust=robust,
        optimum=optimum,
    )


def _predictions(where: Layout, runs: CellRuns, site: Site, coefficients: FloatArray) -> FloatArray:
    """Each run's polynomial without the floor, (n_variants, n_runs)."""
    x = runs.log_lr - site.reference[runs.cell, 0]
    y = runs.log_batch - site.reference[runs.cell, 1]
    out = np.zeros((len(coefficients), runs.n_runs))
    for k, values in enumerate(monomial_values(where.form.powers, x, y)):
        out += coefficients[:, runs.cell, k] * values
    return out


def _bottoms(where: Layout, site: Site, solution: Solution) -> FloatArray:
    """Each cell's polynomial at its own optimum, (n_variants, n_cells)."""
    at = law_optima(solution.parameters, site.scale) + solution.own[..., :OWN_OFFSETS] - site.reference
    values = monomial_values(where.form.powers, at[..., 0], at[..., 1])
    return np.asarray(np.einsum("kvc,vck->vc", values, solution.coefficients))


def bowl_units(where: Layout, parameters: FloatArray, fade: float) -> FloatArray:
    """Size of each bowl term that is worth one fade where the bowl reaches it, (n_variants, n_bowl)."""
    free = where.form.free_powers
    scale = {}
    for variable, power in enumerate(((2, 0), (0, 2))):
        if power in free:
            curvature = np.maximum(parameters[:, N_LAW + free.index(power)], LEAST_CURVATURE)
            scale[variable] = np.sqrt(curvature / fade)
    one = np.ones(len(parameters))
    return np.stack([fade * scale[0] ** i * scale.get(1, one) ** j for i, j in free], axis=-1)


def own_variances(where: Layout, current: Rounds, held: BoolArray) -> FloatArray:
    """MacKay's fixed point for the variances of the cells' own terms, (n_variants, n_own).

    The two offsets have a variance each, the bowl's terms share one in `bowl_units`; each starts from a
    pseudo-cell.
    """
    own, covariance = current.solution.own, current.solution.own_covariance
    unit = np.concatenate(
        [np.ones((len(own), OWN_OFFSETS)), bowl_units(where, current.solution.parameters, current.fade)],
        axis=1,
    )
    posterior = np.diagonal(covariance, axis1=-2, axis2=-1)
    determined = np.clip(1 - posterior / current.own_variance[:, None], 1e-6, 1) * held[..., None]
    square = (own / unit[:, None]) ** 2 * held[..., None]
    size = np.where(np.arange(where.n_own) < OWN_OFFSETS, OFFSET_STD, OWN_BOWL_STD)
    return np.asarray(
        unit**2 * (_pooled(square) + PSEUDO_CELLS * size**2) / (_pooled(determined) + PSEUDO_CELLS)
    )


def _pooled(values: FloatArray) -> FloatArray:
    """Sum over cells, the bowl's terms also over each other; (n_variants, n_cells, n_own) -> (.., n_own)."""
    total = values.sum(axis=1)
    bowl = total[:, OWN_OFFSETS:]
    return np.concatenate([total[:, :OWN_OFFSETS], 0 * bowl + bowl.sum(axis=1, keepdims=True)], axis=1)


def weighted_median(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Lower weighted median of each row, (n_rows,); values and weights (n_rows, n).

    >>> weighted_median(np.array([[3.0, 1.0, 2.0]]), np.array([[1.0, 1.0, 1.0]]))
    array([2.])
    """
    order = np.argsort(values, axis=-1)
    reached = np.cumsum(np.take_along_axis(weights, order, -1), axis=-1)
    middle = (reached < reached[:, -1:] / 2).sum(axis=-1)
    which = np.take_along_axis(order, np.minimum(middle, values.shape[-1] - 1)[:, None], -1)
    return np.take_along_axis(values, which, -1)[:, 0]
