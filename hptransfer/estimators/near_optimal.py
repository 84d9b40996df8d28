"""Estimator `near-optimal`: the recipe of the Step Law paper, with an honest bootstrap.

Per cell the runs within `threshold` of the cell's best are kept, all with weight one; least squares in
natural logs gives LR on (params, tokens) and batch on tokens. Uses no prior. Cells whose optimum lies on an
edge of their grid stay in the fit, as in the paper, and are named in a warning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hptransfer.errors import RefusalError
from hptransfer.estimators.common import (
    Estimate,
    FitOptions,
    Runs,
    cells_that_searched_batch,
    edge_notes,
    split_by_cell,
    summarize_cells,
    usable_runs,
    varied_inputs,
    without_lone_batches,
)
from hptransfer.law import Note, PowerLaw, Uncertainty
from hptransfer.numerics.conditional import slice_optima
from hptransfer.numerics.least_squares import fit_lines
from hptransfer.numerics.near_optimal import (
    MIN_DRAW_SPREAD,
    Bootstrap,
    Regression,
    bootstrap,
    fit_near_optimal,
    near_optimal_weights,
)
from hptransfer.sweep import BoolArray, FloatArray, Sweep

MIN_DRAWS = 20
"""Fewer bootstrap draws than this give no covariance worth the name."""

SOURCE = "near-optimal set and least squares in natural logs, after arXiv:2503.04715"


def fit_sweep(sweep: Sweep, options: FitOptions) -> Estimate:
    """Fit the laws of peak LR and batch. See the module docstring.

    Raises:  RefusalError where the sweep cannot determine the exponents, with the numbers and a way out.
    """
    runs, notes = usable_runs(sweep)
    runs, batch_design_notes = without_lone_batches(sweep, runs)
    varied, design_notes = varied_inputs(sweep, runs)
    batch_cells, batch_notes = cells_that_searched_batch(
        sweep, runs, needed=max(2, 1 + len(options.batch_on))
    )
    notes += design_notes + batch_design_notes + batch_notes
    laws = {"peak_lr": varied}
    regressions = [_regression(runs, varied, runs.log_lr, np.ones(len(runs.cells), dtype=np.bool_))]
    if batch_cells.any():
        laws["batch_tokens"] = tuple(name for name in varied if name in options.batch_on)
        regressions.append(_regression(runs, laws["batch_tokens"], runs.log_batch, batch_cells))

    fitted = fit_near_optimal(regressions, loss=runs.loss, cell=runs.cell, threshold=options.threshold)
    points = [coefficients[0] for coefficients in fitted]
    if not all(np.isfinite(p).all() for p in points):
        msg = "too-few-cells: the near-optimal runs of this sweep do not determine the law. Add cells."
        raise RefusalError(msg)
    kept = near_optimal_weights(runs.loss, runs.cell, threshold=options.threshold)[0] > 0
    spare = [_spare_cells(runs, r) for r in regressions]
    draws = _draw(runs, regressions, options, spare)
    notes += _interval_notes(draws, options, spare)
    power_laws = {
        name: _power_law(inputs, point, _uncertainty(runs, regression, kept, point, draw))
        for (name, inputs), point, regression, draw in zip(
            laws.items(), points, regressions, draws.draws, strict=True
        )
    }
    sets = split_by_cell(runs.row[kept], runs.cell[kept], n_cells=len(runs.cells))
    cells = summarize_cells(sweep, dict(zip(runs.cells.tolist(), sets, strict=True)))
    return Estimate(
        peak_lr=power_laws["peak_lr"],
        batch_tokens=power_laws.get("batch_tokens"),
        lr_batch_exponent=_lr_batch_exponent(runs, varied, options.threshold) if batch_cells.any() else None,
        cells=cells,
        runs_used=len(runs.row),
        prior_used=False,
        warnings=(*notes, *edge_notes(cells)),
        draw_columns=tuple(f"{n}.{c}" for n, inputs in laws.items() for c in ("log_coefficient", *inputs)),
        draws=np.concatenate(draws.draws, axis=1),
    )


def _regression(runs: Runs, inputs: Sequence[str], target: FloatArray, cells: BoolArray) -> Regression:
    """The line of `target` on `inputs` through the runs of `cells`, (n_cells,) of bool."""
    columns = [runs.log_cell(name)[runs.cell] for name in inputs]
    design = np.column_stack(columns) if columns else np.empty((len(target), 0))
    return Regression(inputs=design, target=target, use=cells[runs.cell])


def _spare_cells(runs: Runs, regression: Regression) -> int:
    """Cells beyond the number of coefficients: the degrees of freedom of the scatter around the law."""
    return len(np.unique(runs.cell[regression.use])) - 1 - int(regression.inputs.shape[1])


def _draw(
    runs: Runs, regressions: Sequence[Regression], options: FitOptions, spare: Sequence[int]
) -> Bootstrap:
    """Bootstrap draws; none when none are wanted or no cell is to spare."""
    if options.resamples == 0 or min(spare) < 1:
        return Bootstrap(tuple(np.empty((0, 1 + r.inputs.shape[1])) for r in regressions), redrawn=0)
    return bootstrap(
        regressions,
        loss=runs.loss,
        cell=runs.cell,
        threshold=options.threshold,
        n_draws=options.resamples,
        rng=np.random.default_rng(options.seed),
    )


def _interval_notes(draws: Bootstrap, options: FitOptions, spare: Sequence[int]) -> list[Note]:
    """Say when there are no intervals, and when draws had to be redrawn."""
    n_draws = len(draws.draws[0])
    if n_draws < MIN_DRAWS:
        if options.resamples == 0:
            why = "no resamples were asked for."
        elif min(spare) < 1:
            why = "there are only as many cells as coefficients, so nothing shows the scatter. Add a cell."
        else:
            why = f"only {n_draws} of {options.resamples} resamples could determine the law. Add cells."
        return [Note(code="no-interval", message=f"the law carries no intervals: {why}")]
    if not draws.redrawn:
        return []
    message = (
        f"{draws.redrawn} of {draws.redrawn + n_draws} resamples held too few distinct cells to determine "
        "the law and were redrawn: more cells would make the intervals firmer."
    )
    return [Note(code="resamples-redrawn", message=message)]


def _uncertainty(
    runs: Runs, regression: Regression, kept: BoolArray, point: FloatArray, draws: FloatArray
) -> Uncertainty | None:
    """Covariance of the draws, and the scatter of the cells' own optima around the law.

    The quantile is Student's t with (cells - coefficients) degrees of freedom, because the scatter is
    estimated from that many residuals.
    """
    if len(draws) < MIN_DRAWS:
        return None
    from scipy.special import stdtrit

    spare = _spare_cells(runs, regression)
    use = kept & regression.use
    residual = regression.target - point[0] - regression.inputs @ point[1:]
    count = np.bincount(runs.cell[use], minlength=len(runs.cells))
    cell_residual = np.bincount(runs.cell[use], residual[use], minlength=len(runs.cells)) / np.maximum(
        count, 1
    )
    return Uncertainty(
        covariance=tuple(tuple(row) for row in np.atleast_2d(np.cov(draws, rowvar=False)).tolist()),
        quantile=float(stdtrit(spare, 0.95)),
        cell_std=float(np.sqrt((cell_residual**2).sum() / spare)),
    )


def _power_law(inputs: Sequence[str], point: FloatArray, uncertainty: Uncertainty | None) -> PowerLaw:
    """Coefficients as the record that a law keeps; `point` is (1 + n_inputs,), the intercept first."""
    log_coefficient, *exponents = point.tolist()
    return PowerLaw.model_validate(
        {
            "log_coefficient": log_coefficient,
            "exponents": dict(zip(inputs, exponents, strict=True)),
            "uncertainty": uncertainty,
            "source": SOURCE,
        }
    )


def _lr_batch_exponent(runs: Runs, varied: Sequence[str], threshold: float) -> float | None:
    """Slope of log LR on log batch with params and tokens fixed; None where the sweep does not show it.

    Least squares of the LR optima of (cell, batch) slices on params, tokens and batch, from cells with at
    least three such optima.
    """
    slices = slice_optima(runs.log_lr, runs.log_batch, loss=runs.loss, cell=runs.cell, threshold=threshold)
    inputs = np.column_stack([*(runs.log_cell(name)[slices.cell] for name in varied), slices.log_batch])
    n_slices, n_inputs = inputs.shape
    if n_slices <= 1 + n_inputs:
        return None
    lines = fit_lines(inputs, slices.log_lr, weights=np.ones((1, n_slices)), min_spread=MIN_DRAW_SPREAD)
    return float(lines.coefficients[0, -1]) if lines.determined[0] else None
