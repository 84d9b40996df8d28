"""The surface's refits: cost against runs and resamples, and against a loop of scipy's least squares.

Run from the root of the repository: python benchmarks/numerics/bench_surface.py
Read the ratios, not the seconds. The loop is warm-started, has the analytic Jacobian and the same
penalties, solves one member, and stops at the tolerance of the batched refit; it is timed on LOOPED
resamples.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.backtest import excess_unit
from hptransfer.numerics.cells import CellRuns, cell_runs
from hptransfer.numerics.centroids import LawPrior
from hptransfer.numerics.polynomials import monomial_values
from hptransfer.numerics.resample import cell_then_run_counts
from hptransfer.numerics.reweighting import Rounds, fit_rounds
from hptransfer.numerics.surface import (
    N_LAW,
    OWN_OFFSETS,
    Normal,
    cell_bowls,
    layout,
    local_gradients,
    local_projection,
    ridge_residual,
)
from hptransfer.numerics.surface_fit import (
    FADES,
    RESAMPLE_STEPS,
    _refit_surface,
    bootstrap_laws,
    fit_surface,
)

PRIOR = LawPrior(Normal(-0.4, 0.3), Normal(0.0, 0.3), Normal(0.0, 0.15), Normal(0.5, 0.15), Normal(0.5, 0.25))
N_CELLS = 15
LOOPED = 5
SMALL = 10_000  # runs up to which the fit is also timed without selection
CASES = ((1_000, 1000), (1_746, 1000), (10_000, 100), (100_000, 100), (1_000_000, 100))


def sweep(n_runs: int) -> CellRuns:
    """A simulated sweep of 15 cells with LRs and batches drawn around each optimum."""
    rng = np.random.default_rng(0)
    scale = np.log([(n, d) for n in (2e8, 2.7e8, 4.3e8) for d in (5e9, 1e10, 2e10, 4e10, 8e10)])
    cell = np.sort(np.arange(n_runs) % N_CELLS)
    u, v = rng.uniform(-2, 2, (2, n_runs))
    optimum = np.column_stack([scale @ [-0.6, 0.2] + 5.0, scale @ [-0.1, 0.55] + 1.0])
    excess = 0.012 * u**2 - 0.01 * u * v + 0.011 * v**2 + 0.001 * u**3
    return cell_runs(
        *scale.T,
        cell=cell,
        log_lr=optimum[cell, 0] + u,
        log_batch=optimum[cell, 1] + v,
        log_loss=1.0 + excess + 0.002 * rng.standard_normal(n_runs),
    )


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock time."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def looped_refit(runs: CellRuns, surface: Rounds, counts: FloatArray) -> FloatArray:
    """One resample of one member by scipy: residuals of every run, floors eliminated, analytic Jacobian."""
    where, site, penalty = layout(2), surface.site, surface.penalty
    weight = counts * surface.near[0] * surface.robust[0]
    root = np.sqrt(weight / surface.noise_variance[0])
    share = weight / np.maximum(runs.sum_cells(weight), 1e-300)[runs.cell]
    values = monomial_values(where.form.powers, *(
        v - site.reference[runs.cell, q] for q, v in enumerate((runs.log_lr, runs.log_batch))
    )).T  # fmt: skip
    frozen = surface.solution.own[:, :, OWN_OFFSETS:]
    shape = (1, runs.n_cells, OWN_OFFSETS)
    project = local_projection(where, site.factors)

    def split(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        offsets = x[where.n_parameters :].reshape(shape)
        return x[None, : where.n_parameters], np.concatenate([offsets, frozen], axis=-1)

    def centred(fit: FloatArray) -> FloatArray:
        mean = np.stack([runs.sum_cells(share * column) for column in fit.T], axis=-1)
        return np.asarray(fit - mean[runs.cell])

    def residuals(x: FloatArray) -> FloatArray:
        p, own = split(x)
        beta = cell_bowls(where, site, p, own).coefficients[0]
        fit = (values * beta[runs.cell]).sum(axis=1) - runs.excess
        assert penalty.ridge is not None
        return np.concatenate([
            root * centred(fit[:, None])[:, 0],
            np.sqrt(penalty.precision[0]) * (p[0] - penalty.mean[0]),
            (np.sqrt(penalty.own_precision[0, :OWN_OFFSETS]) * own[0, :, :OWN_OFFSETS]).ravel(),
            ridge_residual(p, penalty.ridge)[0],
        ])  # fmt: skip

    def jacobian(x: FloatArray) -> FloatArray:
        p, own = split(x)
        local = local_gradients(where, cell_bowls(where, site, p, own))[0].swapaxes(1, 2)
        shared = np.einsum("nk,nkp->np", values, (local @ project)[runs.cell])
        offsets = np.einsum("nk,nkp->np", values, local[..., :OWN_OFFSETS][runs.cell])
        spread = np.zeros((runs.n_runs, runs.n_cells, OWN_OFFSETS))
        spread[np.arange(runs.n_runs), runs.cell] = centred(offsets)
        top = root[:, None] * np.concatenate([centred(shared), spread.reshape(runs.n_runs, -1)], axis=1)
        n_own = runs.n_cells * OWN_OFFSETS
        own_root = np.tile(np.sqrt(penalty.own_precision[0, :OWN_OFFSETS]), runs.n_cells)
        assert penalty.ridge is not None
        slope = np.concatenate([ridge_residual(p, penalty.ridge)[1][0], np.zeros(n_own)])
        lower = np.diag(np.concatenate([np.sqrt(penalty.precision[0]), own_root]))
        return np.concatenate([top, lower, slope[None]])

    start = np.concatenate([surface.solution.parameters[0], surface.solution.own[0, :, :OWN_OFFSETS].ravel()])
    scale = 1 / np.sqrt((jacobian(start) ** 2).sum(axis=0))
    found = least_squares(residuals, start, jac=jacobian, x_scale=scale, ftol=1e-3, method="trf")
    return np.asarray(found.x[:N_LAW].reshape(2, 3))


def compare_with_loop(n_runs: int, resamples: int) -> None:
    """Batched refits of one member against the loop, in one process."""
    runs = sweep(n_runs)
    member = fit_rounds(runs, PRIOR, np.ones((1, n_runs)), fade=excess_unit(runs) * 2)
    counts = cell_then_run_counts(runs.cell, n_draws=resamples, rng=np.random.default_rng(0)).astype(float)
    found: list[FloatArray] = []

    def batched() -> None:
        for first in range(0, resamples, 100):
            here = counts[first : first + 100]
            found.append(_refit_surface(runs, member, here, steps=RESAMPLE_STEPS, free_own=OWN_OFFSETS))

    fast = seconds(batched)
    laws = np.concatenate(found)
    loop: list[FloatArray] = []
    slow = seconds(lambda: loop.extend(looped_refit(runs, member, row) for row in counts[:LOOPED]))
    slow *= resamples / LOOPED
    gap = np.abs(np.stack(loop) - laws[:LOOPED])[..., 1:] / laws.std(axis=0)[:, 1:]
    print(
        f"one member, {n_runs} runs, {resamples} resamples: batched {fast:.2f} s, loop {slow:.1f} s, "
        f"{slow / fast:.0f}x; exponents differ by at most {gap.max():.3f} of their bootstrap deviation"
    )


def time_case(n_runs: int, resamples: int) -> None:
    """Print the seconds of selection with fit, of the fit alone (small sweeps), and of the resamples."""
    runs, fits = sweep(n_runs), []

    def select_and_fit() -> None:
        fits.append(fit_surface(runs, PRIOR))

    def fit_only() -> None:
        for fade in FADES:
            fit_rounds(runs, PRIOR, np.ones((1, n_runs)), fade=fade * excess_unit(runs))

    def resample() -> None:
        bootstrap_laws(fits[0], n_draws=resamples, rng=np.random.default_rng(0))

    whole = seconds(select_and_fit)
    point = seconds(fit_only) if n_runs <= SMALL else np.nan
    drawn = seconds(resample)
    each = 1e6 * drawn / n_runs / resamples
    print(f"{n_runs:8d} {resamples:9d} {whole:12.2f} {point:7.2f} {drawn:10.2f} {each:8.3f}", flush=True)


def main() -> None:
    """Print one line a case, then the comparison with the loop."""
    print(f"{'runs':>8} {'resamples':>9} {'select+fit s':>12} {'fit s':>7} {'resample s':>10} {'us each':>8}")
    for n_runs, resamples in CASES:
        time_case(n_runs, resamples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.2f} GB")
    compare_with_loop(1_746, 200)


if __name__ == "__main__":
    main()
