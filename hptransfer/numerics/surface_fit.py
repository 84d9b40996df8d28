"""The surface estimator: members that differ in how fast runs fade, averaged by what they lose in a backtest.

Half of the members are surfaces, half regressions of the cells' centroids: the one is right where its form
is, the other where it is not. Everything that is chosen (unit of the fades, weights of the members, noise,
the size of the cells' own terms) is chosen from the runs being fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray
from hptransfer.numerics.backtest import (
    Scores,
    excess_unit,
    hold_out_folds,
    weigh_members,
)
from hptransfer.numerics.cells import CellRuns, subset, thinned
from hptransfer.numerics.centroids import LawPrior, centroid_laws
from hptransfer.numerics.moments import moments
from hptransfer.numerics.resample import cell_then_run_counts
from hptransfer.numerics.reweighting import (
    FOLD_ROUNDS,
    Rounds,
    continue_rounds,
    fit_rounds,
)
from hptransfer.numerics.surface import N_LAW, OWN_OFFSETS, Penalty, law_optima, layout, solve

FADES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Fades of the members in units of the sweep's own scale of excess: octaves around it."""

SELECTION_ELEMENTS = 500_000
"""Folds times runs while members are weighed; more runs than this allows are thinned, in order of loss."""

ROUNDS_ON_ALL = 3
"""Rounds on all runs after a fit to thinned ones: weights have settled, the solution moves by its noise."""

CHUNK_ELEMENTS = 10_000_000
CHUNK_REFITS = 100
"""Refits times runs, and refits, held at once."""

SMALL_WEIGHT = 0.02
"""A member that weighs less keeps its full-data law in resamples."""

RESAMPLE_STEPS = 2
"""Gauss-Newton steps of a resample, from the full-data solution."""

REFIT_STEPS = 12
"""Steps when whole scales are left out, which moves a law further than a resample does."""

REFIT_TOLERANCE = 1e-3  # of the objective, in units of the noise: far below a standard error

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SurfaceFit:
    """A fitted sweep.

    Laws are (2, 3): log peak LR and log batch on (1, log params, log tokens), raw natural logs.

    Attributes:
        law:            the average of the members.
        covariance:     (6, 6) posterior of the law's coefficients, row by row, mean over surfaces.
        between:        (6, 6) spread of the members around their average.
        prior:          priors of the exponents.
        scores:         of the members, with their weights.
        folds:          (n_folds, n_cells), what was left out to score them.
        unit:           of the fades, log loss.
        surfaces:       one fit a fade, one variant each.
        surface_weights: (n_members,), sum to one: the surfaces' weights among themselves.
        own_offsets:    (n_cells, 2), departure of each cell from the surfaces' own average law.
        surface_law:    (2, 3), that average.
        offset_std:     (2,), fitted size of such departures.
        noise_std:      of log loss near the optimum, lack of fit included.
        floors:         (n_cells,), log loss at each cell's own optimum, mean over surfaces.
        bowl, amplitude (2,), shape (2, n_quadratic): mean over surfaces; see `surface`.
        run_weights:    (n_runs,), mean over surfaces, 1 at the optimum.
        selection_runs: how many runs the members were weighed on.
    """

    runs: CellRuns
    law: FloatArray
    covariance: FloatArray
    between: FloatArray
    prior: LawPrior
    scores: Scores
    folds: BoolArray
    unit: float
    surfaces: tuple[Rounds, ...]
    surface_weights: FloatArray
    own_offsets: FloatArray
    surface_law: FloatArray
    offset_std: FloatArray
    noise_std: float
    floors: FloatArray
    bowl: FloatArray
    amplitude: FloatArray
    shape: FloatArray
    run_weights: FloatArray
    selection_runs: int

    @property
    def fade(self) -> float:
        """Mean fade of the surfaces, log loss."""
        return float(self.surface_weights @ [fit.fade for fit in self.surfaces])

    @property
    def curvature(self) -> FloatArray:
        """Second derivatives of the bowl at its bottom, (2, 2); 1 along a batch that was not searched."""
        if self.runs.variables == 1:
            return np.diag([2 * self.bowl[0], 1.0])
        uu, uv, vv = self.bowl[:3]
        return np.array([[2 * uu, uv], [uv, 2 * vv]])


def fit_surface(runs: CellRuns, prior: LawPrior, *, progress: Progress | None = None) -> SurfaceFit:
    """Fit all members with nothing, each cell and each upper scale left out, and average them.

    Args:    progress: called with (members done, members) after each.
    """
    unit, folds = excess_unit(runs), hold_out_folds(runs.scale)
    sample = _selection_sample(runs, len(folds) + 1)
    everything = np.ones((1, sample.n_runs))
    counts = np.concatenate([everything, (~folds[:, sample.cell]).astype(np.float64)])
    fades = [fade * unit for fade in FADES]
    surfaces, folded, centroids = [], [], []
    for done, fade in enumerate(fades, start=1):
        on_sample = fit_rounds(sample, prior, everything, fade=fade)
        surfaces.append(on_sample if sample is runs else _on_all(runs, on_sample))
        folded.append(fit_rounds(sample, prior, counts, fade=fade, rounds=FOLD_ROUNDS))
        centroids.append(centroid_laws(sample, counts, fade, prior))
        if progress is not None:
            progress(done, len(fades))
    scores = weigh_members(sample, folds, folded, centroids)
    full_centroids = [_full_centroid(runs, prior, fade) for fade in fades]
    return _averaged(
        runs,
        prior,
        scores=scores,
        folds=folds,
        unit=unit,
        surfaces=surfaces,
        centroids=full_centroids,
        selection_runs=sample.n_runs,
    )


def _selection_sample(runs: CellRuns, n_variants: int) -> CellRuns:
    """All runs, or as many as the folds can hold at once."""
    limit = max(SELECTION_ELEMENTS // n_variants, runs.n_cells)
    return runs if runs.n_runs <= limit else subset(runs, thinned(runs, n_runs=limit))


def _on_all(runs: CellRuns, start: Rounds) -> Rounds:
    """Carry a fit to thinned runs over to all of them."""
    counts = np.ones((1, runs.n_runs))
    near = np.exp(-runs.excess / start.fade)[None]
    return continue_rounds(
        runs, replace(start, near=near, robust=np.ones_like(counts)), counts, rounds=ROUNDS_ON_ALL
    )


def _full_centroid(runs: CellRuns, prior: LawPrior, fade: float) -> FloatArray:
    return np.asarray(centroid_laws(runs, np.ones((1, runs.n_runs)), fade, prior)[0])


def _averaged(
    runs: CellRuns,
    prior: LawPrior,
    *,
    scores: Scores,
    folds: BoolArray,
    unit: float,
    surfaces: Sequence[Rounds],
    centroids: Sequence[FloatArray],
    selection_runs: int,
) -> SurfaceFit:
    """Average laws over all members, and what only surfaces have over surfaces."""
    where = layout(runs.variables)
    laws = [fit.solution.parameters[0, :N_LAW].reshape(2, 3) for fit in surfaces]
    every = np.stack([*laws, *centroids])
    weights = np.concatenate([scores.surface_weights, scores.centroid_weights])
    share = scores.surface_weights.sum()
    among = scores.surface_weights / share if share > 0 else np.full(len(surfaces), 1 / len(surfaces))
    law = _mean(weights, every)
    away = (every - law).reshape(len(every), N_LAW)
    to_raw = _to_raw_logs(runs.centre)
    posterior = _mean(among, [fit.solution.covariance[0, :N_LAW, :N_LAW] for fit in surfaces])
    parameters = [fit.solution.parameters[0] for fit in surfaces]
    own = [fit.solution.own[0, :, :OWN_OFFSETS] for fit in surfaces]
    return SurfaceFit(
        runs=runs,
        law=raw_law(law, runs.centre),
        covariance=to_raw @ posterior @ to_raw.T,
        between=to_raw @ (away.T * weights @ away) @ to_raw.T,
        prior=prior,
        scores=scores,
        folds=folds,
        unit=unit,
        surfaces=tuple(surfaces),
        surface_weights=among,
        own_offsets=_mean(among, own),
        surface_law=raw_law(_mean(among, laws), runs.centre),
        offset_std=np.sqrt(_mean(among, [fit.own_variance[0, :OWN_OFFSETS] for fit in surfaces])),
        noise_std=float(np.sqrt(_mean(among, [fit.noise_variance for fit in surfaces])[0])),
        floors=runs.best + _mean(among, [fit.optimum[0] for fit in surfaces]),
        bowl=_mean(among, [p[where.bowl] for p in parameters]),
        amplitude=_mean(among, [p[where.amplitude] for p in parameters]),
        shape=_mean(among, [p[where.shape].reshape(2, -1) for p in parameters]),
        run_weights=_mean(among, [fit.near[0] * fit.robust[0] for fit in surfaces]),
        selection_runs=selection_runs,
    )


def _mean(weights: FloatArray, parts: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Weighted sum over the first axis."""
    return np.asarray(np.einsum("k,k...->...", weights, np.stack(list(parts))))


def raw_law(law: FloatArray, centre: FloatArray) -> FloatArray:
    """Laws (..., 2, 3) on centred logs, as laws on raw logs."""
    out = law.copy()
    out[..., 0] -= law[..., 1:] @ centre
    return out


def _to_raw_logs(centre: FloatArray) -> FloatArray:
    """Matrix (6, 6) that does the same to the coefficients row by row."""
    return np.kron(np.eye(2), np.array([[1.0, *-centre], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))


def bootstrap_laws(
    fit: SurfaceFit, *, n_draws: int, rng: np.random.Generator, progress: Progress | None = None
) -> FloatArray:
    """Laws of resampled cells and runs, (n_draws, 2, 3); weights, noise and the members' weights held.

    Args:    progress: called with (draws done, draws).
    """
    runs, chunks = fit.runs, []
    size = max(1, min(CHUNK_REFITS, CHUNK_ELEMENTS // runs.n_runs))
    for first in range(0, n_draws, size):
        counts = cell_then_run_counts(runs.cell, n_draws=min(size, n_draws - first), rng=rng)
        chunks.append(_refit(fit, counts.astype(np.float64), steps=RESAMPLE_STEPS, free_own=OWN_OFFSETS))
        if progress is not None:
            progress(first + len(counts), n_draws)
    return np.concatenate(chunks)


def laws_without(fit: SurfaceFit, left_out: BoolArray) -> FloatArray:
    """Laws refitted without some cells, (n, 2, 3) for left_out (n, n_cells); weights and noise held."""
    runs, chunks = fit.runs, [np.empty((0, 2, 3))]
    size = max(1, CHUNK_ELEMENTS // runs.n_runs)
    for first in range(0, len(left_out), size):
        counts = (~left_out[first : first + size][:, runs.cell]).astype(np.float64)
        chunks.append(_refit(fit, counts, steps=REFIT_STEPS, free_own=None))
    return np.concatenate(chunks)


def _refit(fit: SurfaceFit, counts: FloatArray, *, steps: int, free_own: int | None) -> FloatArray:
    """Refit every member under counts (n_refits, n_runs); `free_own` as in `solve`."""
    runs, n_refits = fit.runs, len(counts)
    law = np.zeros((n_refits, 2, 3))
    for surface, weight in zip(fit.surfaces, fit.scores.surface_weights, strict=True):
        if weight >= SMALL_WEIGHT:
            law += weight * _refit_surface(runs, surface, counts, steps=steps, free_own=free_own)
        else:
            law += weight * surface.solution.parameters[0, :N_LAW].reshape(2, 3)
    for fade, weight in zip(FADES, fit.scores.centroid_weights, strict=True):
        if weight > 0:
            law += weight * centroid_laws(runs, counts, fade * fit.unit, fit.prior)
    return raw_law(law, runs.centre)


def _refit_surface(
    runs: CellRuns, surface: Rounds, counts: FloatArray, *, steps: int, free_own: int | None
) -> FloatArray:
    """Laws (n_refits, 2, 3), centred, of one member."""
    where, n_refits = layout(runs.variables), len(counts)
    weights = counts * (surface.near[0] * surface.robust[0])
    data = moments(where.form, runs, weights, reference=surface.site.reference)
    penalty = Penalty(
        np.repeat(surface.penalty.precision, n_refits, axis=0),
        np.repeat(surface.penalty.mean, n_refits, axis=0),
        np.repeat(surface.penalty.own_precision, n_refits, axis=0),
        surface.penalty.ridge,
    )
    start = (
        np.repeat(surface.solution.parameters, n_refits, axis=0),
        np.repeat(surface.solution.own, n_refits, axis=0),
    )
    solution = solve(
        where,
        surface.site,
        data,
        noise_variance=np.repeat(surface.noise_variance, n_refits),
        penalty=penalty,
        start=start,
        max_steps=steps,
        tolerance=REFIT_TOLERANCE,
        covariance=False,
        free_own=free_own,
    )
    return solution.parameters[:, :N_LAW].reshape(-1, 2, 3)


def surface_optima(fit: SurfaceFit) -> FloatArray:
    """Each cell's own optimum on the surface, (n_cells, 2): log peak LR and log batch."""
    law = fit.surface_law.copy()
    law[:, 0] += law[:, 1:] @ fit.runs.centre
    return np.asarray(law_optima(law.reshape(1, N_LAW), fit.runs.scale)[0] + fit.own_offsets)
