"""Estimator `power-scheduler`: LR / batch = a * tokens^b, as the Power Scheduler has it (arXiv:2408.13359).

In each cell the LR is located at every batch whose grid of LRs brackets it; the mean of log LR - log batch
over the three batches of lowest loss is the cell's ratio (the paper's Fig. 4), and a line of the ratios
against log tokens is the law. Uses no prior. The form fixes what could be free, and the law records what
the runs say about that: whether the ratio moves with params, and whether its exponent does
(`Fit.power_scheduler`); whether the LR is linear in the batch at all is `Fit.lr_batch`, as for any law.
What they say against the form widens the interval with the distance from the sweep's batches and sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hptransfer.batches.exponent import LINEAR, ROUNDING, SQRT, allows, lr_batch_test
from hptransfer.errors import RefusalError
from hptransfer.estimators.common import (
    MIN_SPAN,
    Estimate,
    FitOptions,
    Runs,
    edge_notes,
    name_cells,
    split_by_cell,
    summarize_cells,
    usable_runs,
    without_lone_batches,
)
from hptransfer.estimators.priors import exponent_prior
from hptransfer.law import ExponentTest, FreedExponent, Note, PowerLaw, PowerSchedulerTests, Uncertainty
from hptransfer.numerics.bracketing import bracketed_minimum
from hptransfer.numerics.near_optimal import near_optimal_weights
from hptransfer.numerics.ordinary import Ordinary, fit_ordinary
from hptransfer.plans.prediction import NORMAL_95
from hptransfer.sweep import FloatArray, IntArray, Sweep

BEST_BATCHES = 3
"""Batches of lowest loss over which a cell's ratio is averaged (arXiv:2408.13359, Fig. 4)."""

MIN_CELLS = 3
"""Cells with a ratio that a line with a measured scatter needs."""

CHANCE = 0.05
"""p-value below which a freed exponent is said to contradict the form."""

SOURCE = "LR / batch against tokens, a line through the cells' ratios in natural logs, after arXiv:2408.13359"


@dataclass(frozen=True)
class Ratios:
    """Log of best LR over batch (1 / tokens), one entry a cell that shows it, (n,); `cell` as in `Runs`."""

    cell: IntArray
    log_ratio: FloatArray
    log_batch: FloatArray  # mean over the batches of the ratio, tokens
    log_lr: FloatArray  # the highest best LR at any batch


def fit_sweep(sweep: Sweep, options: FitOptions) -> Estimate:
    """Fit the law. See the module docstring.

    Raises:  RefusalError (no-batch, single-tokens, too-few-cells) saying what the sweep lacks.
    """
    if not sweep.has_batch:
        msg = (
            "no-batch: the Power Scheduler is a law of LR / batch, and not every run says its batch. Add a "
            "column batch_tokens, or batch_seqs and seq_len."
        )
        raise RefusalError(msg)
    runs, notes = usable_runs(sweep)
    runs, lone_notes = without_lone_batches(sweep, runs)
    ratios = cell_ratios(runs)
    log_tokens, log_params = runs.log_tokens[ratios.cell], runs.log_params[ratios.cell]
    line = _line(sweep, runs, ratios)
    batch_test, linear_note = _linearity(sweep)
    tests = PowerSchedulerTests(
        cells=len(ratios.cell),
        params_exponent=_params_exponent(ratios.log_ratio, log_tokens, log_params),
        drift=_drift(ratios.log_ratio, log_tokens, log_params),
    )
    kept = near_optimal_weights(runs.loss, runs.cell, threshold=options.threshold)[0] > 0
    sets = split_by_cell(runs.row[kept], runs.cell[kept], n_cells=len(runs.cells))
    cells = summarize_cells(sweep, dict(zip(runs.cells.tolist(), sets, strict=True)))
    return Estimate(
        peak_lr=_law(
            line,
            batch=(_miss_of_batch(batch_test), float(ratios.log_batch.mean())),
            params=(_miss_of_params(tests, sweep), float(log_params.mean())),
        ),
        batch_tokens=None,
        lr_batch_exponent=None,
        cells=cells,
        runs_used=len(runs.row),
        prior_used=False,
        warnings=(
            *notes,
            *lone_notes,
            *_left_out(sweep, runs, ratios),
            linear_note,
            *_contradictions(tests, log_params),
            *edge_notes(cells),
        ),
        draw_columns=(),
        draws=np.empty((0, 0)),
        power_scheduler=tests,
        peak_lr_cap=float(np.exp(ratios.log_lr.max())),
    )


def cell_ratios(runs: Runs) -> Ratios:
    """Each cell's log of best LR over batch, over its `BEST_BATCHES` best batches that bracket their LR."""
    log_loss = np.log(runs.loss)
    found: list[tuple[float, ...]] = []
    for cell in range(len(runs.cells)):
        here = np.flatnonzero(runs.cell == cell)
        slices = []
        for batch in np.unique(runs.log_batch[here]):
            rows = here[runs.log_batch[here] == batch]
            best = bracketed_minimum(runs.log_lr[rows], log_loss[rows])
            if best is not None:
                slices.append((float(log_loss[rows].min()), best, float(batch)))
        if slices:
            _, log_lr, log_batch = np.array(sorted(slices)[:BEST_BATCHES]).T
            highest = max(best for _, best, _ in slices)
            found.append((cell, (log_lr - log_batch).mean(), log_batch.mean(), highest))
    cells, ratio, batch, lr = np.array(found, dtype=np.float64).reshape(-1, 4).T
    return Ratios(cells.astype(np.int64), ratio, batch, lr)


def _line(sweep: Sweep, runs: Runs, ratios: Ratios) -> Ordinary:
    """The ratios against log tokens."""
    log_tokens = runs.log_tokens[ratios.cell]
    if len(log_tokens) < MIN_CELLS:
        msg = (
            f"too-few-cells: {len(log_tokens)} of {sweep.n_cells} cells bracket their best LR at some batch, "
            f"this law needs {MIN_CELLS}. Add LRs beyond the edges of the grids, or cells at other tokens."
        )
        raise RefusalError(msg)
    if np.ptp(log_tokens) < np.log(MIN_SPAN):
        msg = "single-tokens: all cells have the same tokens, so nothing shows an exponent. Add other tokens."
        raise RefusalError(msg)
    line = fit_ordinary(np.column_stack([np.ones(len(log_tokens)), log_tokens]), ratios.log_ratio)
    assert line is not None  # noqa: S101 - three cells, and their tokens vary
    return line


def _law(line: Ordinary, *, batch: tuple[float, float], params: tuple[float, float]) -> PowerLaw:
    """The line as a law of the LR.

    The exponents of batch and params are the form's own, 1 and 0. That they may not be the runs' is part of
    the covariance, as slopes about the middle of the sweep that are unknown but for their mean square.

    Args:    batch, params: that mean square, and the natural log of the middle.
    """
    inputs = ("tokens", "batch_tokens", "params")
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = line.covariance
    for name, (mean_square, middle) in {"batch_tokens": batch, "params": params}.items():
        direction = np.zeros(4)
        direction[[0, 1 + inputs.index(name)]] = -middle, 1.0
        covariance += mean_square * np.outer(direction, direction)
    level, exponent = line.coefficients.tolist()
    return PowerLaw(
        log_coefficient=level,
        exponents={"tokens": exponent, "batch_tokens": LINEAR, "params": 0.0},
        uncertainty=Uncertainty(
            covariance=tuple(tuple(row) for row in covariance.tolist()),
            quantile=line.quantile,
            cell_std=line.residual_std,
        ),
        source=SOURCE,
    )


def _miss_of_batch(test: ExponentTest | None) -> float:
    """Mean square of what the exponent of the batch is off 1: as measured, else by the weak prior."""
    if test is None:
        ridge = exponent_prior("weak", parametrization="mup", batch_searched=True).ridge
        assert ridge is not None  # noqa: S101 - the table has it
        return (ridge.mean - LINEAR) ** 2 + ridge.std**2
    return (test.value - LINEAR) ** 2 + _variance(test.interval)


def _miss_of_params(tests: PowerSchedulerTests, sweep: Sweep) -> float:
    """Mean square of the exponent of params, which the form has at 0: as measured, else by the weak prior."""
    freed = tests.params_exponent
    if freed is None:
        parametrization = str(sweep.setting.get("parametrization", "standard"))
        prior = exponent_prior("weak", parametrization=parametrization, batch_searched=True).lr_params
        assert prior is not None  # noqa: S101 - the table has it
        return prior.mean**2 + prior.std**2
    return freed.value**2 + _variance(freed.interval)


def _variance(interval: tuple[float, float]) -> float:
    """Variance that a 90 % interval of a normal stands for."""
    return ((interval[1] - interval[0]) / (2 * NORMAL_95)) ** 2


def _params_exponent(
    log_ratio: FloatArray, log_tokens: FloatArray, log_params: FloatArray
) -> FreedExponent | None:
    """Exponent of params in LR / batch at fixed tokens: zero by the form, which leaves that to µP."""
    if np.ptp(log_params) < np.log(MIN_SPAN):
        return None
    design = np.column_stack([np.ones(len(log_ratio)), log_tokens, log_params])
    return _freed(fit_ordinary(design, log_ratio), 2)


def _drift(log_ratio: FloatArray, log_tokens: FloatArray, log_params: FloatArray) -> FreedExponent | None:
    """Change of the exponent of tokens per e-fold of params; every size has a level of its own."""
    sizes = np.unique(log_params)
    levels = (log_params[:, None] == sizes).astype(np.float64)
    centred = log_tokens - log_tokens.mean()
    design = np.column_stack([levels, centred, centred * (log_params - log_params.mean())])
    return _freed(fit_ordinary(design, log_ratio), len(sizes) + 1)


def _freed(fitted: Ordinary | None, which: int) -> FreedExponent | None:
    """One term of a fit as a record; None where the cells do not determine it."""
    if fitted is None:
        return None
    return FreedExponent(
        value=float(fitted.coefficients[which]),
        interval=fitted.interval(which),
        p_value=fitted.p_value(which),
    )


def _left_out(sweep: Sweep, runs: Runs, ratios: Ratios) -> Iterator[Note]:
    left_out = np.setdiff1d(np.arange(len(runs.cells)), ratios.cell)
    if len(left_out):
        cells = name_cells(sweep, runs.cells[left_out])
        text = f"left out, because no batch of theirs brackets its best LR: {cells}."
        yield Note(code="unbracketed-cells", message=text)


def _linearity(sweep: Sweep) -> tuple[ExponentTest | None, Note]:
    """Whether the LR is linear in the batch, which the form takes for granted."""
    try:
        test = lr_batch_test(sweep)
    except RefusalError as error:
        text = f"whether the LR is linear in the batch, as the form has it, cannot be told. {error}"
        return None, Note(code="linearity-untested", message=text)
    if allows(test.interval, LINEAR):
        code = "linearity-untested" if allows(test.interval, SQRT) else "linear-in-batch"
        return test, Note(code=code, message=f"at fixed params and tokens the best LR is {test.verdict}.")
    text = (
        f"at fixed params and tokens the best LR is {test.verdict}. This form makes it linear: right at the "
        f"batches of the fit's best runs, {_missed(test.value)} at four times them."
    )
    return test, Note(code="not-linear-in-batch", message=text)


def _missed(exponent: float) -> str:
    """How far off a linear LR is at four times the batch."""
    factor = 4.0 ** (LINEAR - exponent)
    return f"{factor:.2g} times too high" if factor > 1 else f"{1 / factor:.2g} times too low"


def _contradictions(tests: PowerSchedulerTests, log_params: FloatArray) -> Iterator[Note]:
    """What the runs say against the form, and what they cannot say."""
    level, drift = tests.params_exponent, tests.drift
    if level is None or drift is None:
        what = "one size" if np.ptp(log_params) < np.log(MIN_SPAN) else "too few horizons at each size"
        text = f"the cells have {what}: nothing shows whether LR / batch moves with params."
        yield Note(code="sizes-untested", message=text)
    if level is not None and _denies(level):
        text = (
            f"LR / batch moves with params^{level.value:.2f} ({_bounds(level)}, p = {level.p_value:.1g}), "
            "and this form has no params: plan near the sizes of the sweep, or use --estimator surface. "
            "Under µP the exponent would be zero."
        )
        yield Note(code="ratio-moves-with-params", message=text)
    if drift is not None and _denies(drift):
        text = (
            f"the exponent of tokens is not the same at all sizes: it changes by {drift.value:+.2f} "
            f"({_bounds(drift)}, p = {drift.p_value:.1g}) per e-fold of params."
        )
        yield Note(code="exponent-moves-with-params", message=text)


def _denies(exponent: FreedExponent) -> bool:
    """Whether an exponent is not the form's zero; runs without noise leave rounding errors."""
    return exponent.p_value < CHANCE and abs(exponent.value) > ROUNDING


def _bounds(exponent: FreedExponent) -> str:
    low, high = exponent.interval
    return f"90 %: {low:.2f} to {high:.2f}"
