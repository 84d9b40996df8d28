"""What every estimator shares: its options, its result, and the questions asked of a sweep before a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from hptransfer.errors import RefusalError
from hptransfer.law import Bowl, CellSummary, Choices, Curvature, Note, PowerLaw, PowerSchedulerTests
from hptransfer.quantities import short_count
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep

MIN_SPAN = 1.1
"""Params (or tokens) whose largest and smallest value differ by less than this factor count as one value."""

ASSUMED_NOISE = 0.10
"""Scatter of one cell's own best LR, natural logs, at which designs are judged (laws of the field: 10 %)."""

MAX_INFLATION = 10.0
"""Variance inflation 1 / (1 - r^2) from which params and tokens are suspected of having moved together."""

MAX_STD_ERROR = 0.30
"""Standard error of an exponent above which a suspected sweep is refused: the sweep would then say less
about the exponent than the weak prior does without any sweep (docs/priors.md)."""

MIN_RESIDUAL = 0.10
"""Spread, natural logs, that params must have at fixed tokens (and the reverse) in a suspected sweep."""

MAX_HOPELESS_STD_ERROR = 1.0
"""Standard error of an exponent above which any sweep is refused: not even the sign would be known."""

NAMED_CELLS = 6


@dataclass(frozen=True)
class FitOptions:
    """What the user may choose about a fit. `threshold` is a relative excess loss (0.0025 is 0.25 %)."""

    estimator: str
    prior: str
    seed: int
    resamples: int
    threshold: float
    batch_on: tuple[str, ...]
    progress: Callable[[int, int], None] | None = None  # called with (steps done, steps)


@dataclass(frozen=True)
class Estimate:
    """What an estimator hands back. `draws` has shape (n_draws, len(draw_columns)).

    `floors` is the loss at each cell's optimum in the sweep's unit, (n_cells,), NaN where unknown; without it
    the loss law is fitted to the cells' best losses.
    """

    peak_lr: PowerLaw
    batch_tokens: PowerLaw | None
    lr_batch_exponent: float | None
    cells: tuple[CellSummary, ...]
    runs_used: int
    prior_used: bool
    warnings: tuple[Note, ...]
    draw_columns: tuple[str, ...]
    draws: FloatArray
    bowl: Bowl | None = None
    data_share: Mapping[str, float] = field(default_factory=dict)
    choices: Choices | None = None
    bend: Mapping[str, Curvature] = field(default_factory=dict)
    floors: FloatArray | None = None
    power_scheduler: PowerSchedulerTests | None = None
    peak_lr_cap: float | None = None


Estimator: TypeAlias = Callable[[Sweep, FitOptions], Estimate]


@dataclass(frozen=True)
class Runs:
    """The runs an estimator may fit, in an order that does not depend on the order of the file.

    All arrays have one entry a run, shape (n_runs,), none of them diverged. Only cells that tried more
    than one LR are here, renumbered from 0; `cells` holds their index in the sweep, shape (n_cells,).
    `row` is the run's index in the sweep, `log_batch` is NaN where the sweep has no batch, `loss` is
    proportional to nats.
    """

    row: IntArray
    log_lr: FloatArray
    log_batch: FloatArray
    loss: FloatArray
    cell: IntArray
    cells: IntArray
    log_params: FloatArray  # (n_cells,)
    log_tokens: FloatArray  # (n_cells,)

    def log_cell(self, name: str) -> FloatArray:
        """Natural logs of `params` or `tokens` of the cells, (n_cells,)."""
        return {"params": self.log_params, "tokens": self.log_tokens}[name]


def usable_runs(sweep: Sweep) -> tuple[Runs, list[Note]]:
    """Leave out diverged runs and cells with a single LR, and put the rest in a canonical order.

    Raises:  RefusalError when a loss is not positive, or nothing is left.
    """
    loss = _loss_in_nats_or_proportional(sweep)
    fitted = ~sweep.diverged
    n_levels = count_levels(sweep.lr[fitted], sweep.cell[fitted], n_cells=sweep.n_cells)
    searched = np.flatnonzero(n_levels > 1)
    notes = []
    if len(searched) < sweep.n_cells:
        message = (
            f"left out, because they tried a single LR: {name_cells(sweep, np.flatnonzero(n_levels <= 1))}."
        )
        notes.append(Note(code="one-lr-cells", message=message))
    keep = np.flatnonzero(fitted & np.isin(sweep.cell, searched))
    keys = (sweep.batch_tokens, sweep.lr, loss, sweep.cell)
    keep = keep[np.lexsort([key[keep] for key in keys])]
    runs = Runs(
        row=keep,
        log_lr=np.log(sweep.lr[keep]),
        log_batch=np.log(sweep.batch_tokens[keep]),
        loss=loss[keep],
        cell=np.searchsorted(searched, sweep.cell[keep]),
        cells=searched,
        log_params=np.log(sweep.cell_params[searched]),
        log_tokens=np.log(sweep.cell_tokens[searched]),
    )
    return runs, notes


def without_lone_batches(sweep: Sweep, runs: Runs) -> tuple[Runs, list[Note]]:
    """Keep the row of LRs of cells that moved one factor at a time, where that is how the batch was searched.

    In such a cell all batches but one were tried at one and the same LR. The best LR moves with the batch, so
    the column of batches shows the best batch *for that LR*, and its runs say nothing of the LR at the row's
    batch: with half or more of the cells that moved the batch like this, the columns are left out of both
    laws. Fewer such cells lend their runs to a surface whose tilt the other cells show.
    """
    if not sweep.has_batch:
        return runs, []
    several = np.flatnonzero(count_levels(runs.log_batch, runs.cell, n_cells=len(runs.cells)) > 1)
    rows = {int(cell): row for cell in several if (row := _row_of_cross(runs, int(cell))) is not None}
    if not rows or 2 * len(rows) < len(several):
        return runs, []
    keep = np.ones(len(runs.row), dtype=np.bool_)
    for cell, row in rows.items():
        keep &= (runs.cell != cell) | (runs.log_batch == row)
    message = (
        f"{len(rows)} of {len(several)} cells moved the batch at a single LR "
        f"({name_cells(sweep, runs.cells[list(rows)])}). The best LR moves with the batch, so they show the "
        f"best batch for that LR, not the best batch: they give no batch law, and {int((~keep).sum())} runs "
        "at those batches are left out. What they support is the best LR at the batch where LRs were tried; "
        "pin it with `plan --batch-tokens`, or add LRs at other batches."
    )
    return _kept(runs, keep), [Note(code="one-at-a-time", message=message)]


def _row_of_cross(runs: Runs, cell: int) -> float | None:
    """Log batch of the row of LRs of a cell whose other batches share one LR; None for any other cell."""
    here = runs.cell == cell
    lrs = {float(b): set(runs.log_lr[here & (runs.log_batch == b)]) for b in np.unique(runs.log_batch[here])}
    searched = [batch for batch, tried in lrs.items() if len(tried) > 1]
    lone = [tried for tried in lrs.values() if len(tried) == 1]
    return searched[0] if len(searched) == 1 and len(set().union(*lone)) == 1 else None


def _kept(runs: Runs, keep: BoolArray) -> Runs:
    """Some of the runs, with every cell still there."""
    return replace(
        runs,
        row=runs.row[keep],
        log_lr=runs.log_lr[keep],
        log_batch=runs.log_batch[keep],
        loss=runs.loss[keep],
        cell=runs.cell[keep],
    )


def varied_inputs(sweep: Sweep, runs: Runs, *, separable: bool = True) -> tuple[tuple[str, ...], list[Note]]:
    """Which of params and tokens the sweep varied, after refusing designs that cannot tell them apart.

    Args:    separable: refuse those; an estimator with a prior can go on and say so (`inseparable`).
    Raises:  RefusalError (too-few-cells, collinear, narrow-span) with the numbers and what to add.
    """
    spans = {
        name: float(np.ptp(runs.log_cell(name))) if len(runs.cells) else 0.0 for name in ("params", "tokens")
    }
    varied = tuple(name for name, span in spans.items() if span >= np.log(MIN_SPAN))
    notes = []
    for name, other in (("params", "tokens"), ("tokens", "params")):
        if name not in varied and other in varied:
            value = short_count(float(np.exp(np.median(runs.log_cell(name)))))
            message = (
                f"all cells have about {value} {name}: the law says how the optimum moves with {other} only. "
                f"Add cells at other {name} to learn the rest."
            )
            notes.append(Note(code=f"single-{name}", message=message))
    _require_cells(sweep, runs, varied)
    if varied and separable:
        problem = inseparable(runs, varied)
        if problem is not None:
            raise RefusalError(problem)
    return varied, notes


def cells_that_searched_batch(sweep: Sweep, runs: Runs, *, needed: int) -> tuple[BoolArray, list[Note]]:
    """Cells, (n_cells,), whose batch was searched and not chosen; none where fewer than `needed` did."""
    none = np.zeros(len(runs.cells), dtype=np.bool_)
    if not sweep.has_batch:
        return none, [
            Note(code="no-batch-law", message="the sweep has no batch column: the law gives the LR only.")
        ]
    searched = count_levels(runs.log_batch, runs.cell, n_cells=len(runs.cells)) > 1
    if searched.sum() >= needed:
        if searched.all():
            return searched, []
        left_out = name_cells(sweep, runs.cells[~searched])
        message = f"left out of the batch law, because they tried a single batch: {left_out}."
        return searched, [Note(code="one-batch-cells", message=message)]
    message = (
        f"{int(searched.sum())} cells searched more than one batch, a batch law needs {needed}: this law "
        "gives the LR only, at the batches of the sweep."
    )
    notes = [Note(code="no-batch-law", message=message)]
    if not searched.any():
        low, high = np.exp([runs.log_batch.min(), runs.log_batch.max()])
        span = f"{low:.0f} tokens" if low == high else f"{low:.0f} to {high:.0f} tokens, one a cell"
        message = f"the batch was fixed at {span}: the LR law holds at that batch, not at the best batch."
        notes.append(Note(code="fixed-batch", message=message))
    return none, notes


def count_levels(values: FloatArray, cell: IntArray, *, n_cells: int) -> IntArray:
    """How many different values each cell has, shape (n_cells,)."""
    order = np.lexsort((values, cell))
    is_new = np.diff(values[order], prepend=np.nan) != 0
    is_new |= np.diff(cell[order], prepend=-1) != 0
    return np.bincount(cell[order][is_new], minlength=n_cells)


def split_by_cell(rows: IntArray, cell: IntArray, *, n_cells: int) -> list[IntArray]:
    """Split indices of runs by their cell: one array a cell, in the given order; `cell` as long as `rows`."""
    sizes = np.bincount(cell, minlength=n_cells)
    return np.split(rows[np.argsort(cell, kind="stable")], np.cumsum(sizes)[:-1])


def name_cells(sweep: Sweep, cells: IntArray) -> str:
    """Name cells for a message, the first few in full: `60M params / 2B tokens, ...`."""
    return _first_few([_cell_name(sweep.cell_params[c], sweep.cell_tokens[c]) for c in cells], ", ")


def _cell_name(params: float, tokens: float) -> str:
    """Name one cell: `60M params / 2B tokens`."""
    return f"{short_count(params)} params / {short_count(tokens)} tokens"


def _first_few(names: Sequence[str], separator: str) -> str:
    """Join the first few names and count the others."""
    hidden = len(names) - NAMED_CELLS
    return separator.join(names[:NAMED_CELLS]) + (f"{separator}and {hidden} more" if hidden > 0 else "")


def summarize_cells(sweep: Sweep, near_optimal: Mapping[int, IntArray]) -> tuple[CellSummary, ...]:
    """One summary a cell that has a finished run.

    Args:    near_optimal: indices of the runs in each cell's near-optimal set, by cell; cells that took no
             part in the fit are missing.
    """
    cells = split_by_cell(np.arange(sweep.n_runs), sweep.cell, n_cells=sweep.n_cells)
    return tuple(
        _summarize(sweep, rows, near_optimal.get(c))
        for c, rows in enumerate(cells)
        if not sweep.diverged[rows].all()
    )


def _summarize(sweep: Sweep, rows: IntArray, near_optimal: IntArray | None) -> CellSummary:
    """Summarize the cell whose runs are `rows`, at least one of them finished."""
    finished = rows[~sweep.diverged[rows]]
    best = finished[np.argmin(sweep.loss[finished])]
    batch = float(sweep.batch_tokens[best])
    return CellSummary(
        params=float(sweep.cell_params[sweep.cell[best]]),
        tokens=float(sweep.cell_tokens[sweep.cell[best]]),
        runs=len(rows),
        diverged=len(rows) - len(finished),
        best_loss=float(sweep.loss[best]),
        best_lr=float(sweep.lr[best]),
        best_batch_tokens=batch if np.isfinite(batch) else None,
        near_optimal_runs=None if near_optimal is None else len(near_optimal),
        edges=() if near_optimal is None else _grid_edges(sweep, rows, near_optimal),
    )


def _grid_edges(sweep: Sweep, rows: IntArray, near_optimal: IntArray) -> tuple[str, ...]:
    """Edges of a cell's grid that its optimum lies on: lr-low, lr-high, batch-low, batch-high.

    It lies on an edge when the best run does, or half of the near-optimal runs. A set that merely touches
    the edge does not count: along a tilted valley it often touches two. The grid includes diverged runs: an
    LR above the best one that diverged bounds the optimum. A quantity with a single level in the whole cell
    has no grid; that is reported elsewhere.

    Args:    rows: indices of all runs of the cell; near_optimal: of those in its near-optimal set.
    """
    best = near_optimal[np.argmin(sweep.loss[near_optimal])]
    found = []
    for name, values in (("lr", sweep.lr), ("batch", sweep.batch_tokens)):
        low, high = values[rows].min(), values[rows].max()
        if not low < high:
            continue
        for side, edge in (("low", low), ("high", high)):
            if values[best] == edge or (values[near_optimal] == edge).mean() >= 0.5:
                found.append(f"{name}-{side}")
    return tuple(found)


def edge_notes(cells: Sequence[CellSummary]) -> list[Note]:
    """Warn of the cells whose optimum lies on an edge of the grid, naming cells and sides."""
    named = [f"{_cell_name(c.params, c.tokens)} ({', '.join(c.edges)})" for c in cells if c.edges]
    if not named:
        return []
    message = (
        f"the best runs lie on the edge of the grid in {len(named)} of {len(cells)} cells: "
        f"{_first_few(named, '; ')}. The optimum may lie beyond it; the cells stay in the fit. Add runs "
        "beyond the named side."
    )
    return [Note(code="edge-optimum", message=message)]


def _loss_in_nats_or_proportional(sweep: Sweep) -> FloatArray:
    """Loss on a scale where relative excess means what it means in nats; NaN where diverged."""
    loss = np.where(sweep.diverged, np.nan, sweep.loss)
    if sweep.loss_unit == "perplexity":
        loss = np.log(loss, where=loss > 0, out=np.zeros_like(loss))
    bad = ~sweep.diverged & ~(loss > 0)
    if bad.any():
        line = int(sweep.line[bad].min())
        msg = (
            f"loss-not-positive: {int(bad.sum())} runs have a loss that is not positive, the first on line "
            f"{line}. An excess over the best loss has no meaning then: check --loss-unit, or drop them."
        )
        raise RefusalError(msg)
    return loss


def _require_cells(sweep: Sweep, runs: Runs, varied: tuple[str, ...]) -> None:
    """Refuse when there are fewer cells than coefficients, or fewer than three."""
    needed = max(3, 1 + len(varied))
    have = len(runs.cells)
    if have >= needed and varied:
        return
    if have >= needed:
        what = f"its {have} cells differ by less than a factor of {MIN_SPAN:g} in params and in tokens"
        way_out = f"Add cells that span at least a factor of {MIN_SPAN:g}, better 10, in params or in tokens."
    else:
        diverged = (
            f" ({int(sweep.diverged.sum())} of {sweep.n_runs} runs diverged)" if sweep.diverged.any() else ""
        )
        what = (
            f"it has {have} cells of (params, tokens) with a search over LR{diverged}, a law needs {needed}"
        )
        way_out = f"Add {needed - have} or more at other params and other tokens, each with several LRs."
    msg = f"too-few-cells: the sweep cannot show how the optimum moves with scale: {what}. {way_out}"
    raise RefusalError(msg)


def inseparable(runs: Runs, varied: tuple[str, ...]) -> str | None:
    """Say why the exponents of a design would be noise, and what to add; None where they would not."""
    inputs = np.column_stack([runs.log_cell(name) for name in varied])  # (n_cells, n_varied)
    centred = inputs - inputs.mean(axis=0)
    spread = centred.std(axis=0)
    correlation = float(np.corrcoef(centred.T)[0, 1]) if len(varied) > 1 else 0.0
    unexplained = max(1.0 - correlation**2, np.finfo(float).eps)
    residual = spread * unexplained**0.5  # spread of each input with the other held fixed
    std_error = ASSUMED_NOISE / (len(inputs) ** 0.5 * residual)
    errors = " and ".join(f"{e:.2g} ({name})" for name, e in zip(varied, std_error, strict=True))
    if 1 / unexplained >= MAX_INFLATION and (
        std_error.max() > MAX_STD_ERROR or residual.min() < MIN_RESIDUAL
    ):
        ratio = np.exp(inputs[:, 1] - inputs[:, 0])
        return (
            f"collinear: params and tokens moved together (correlation {correlation:.4f}, tokens per param "
            f"{ratio.min():.3g} to {ratio.max():.3g} over {len(inputs)} cells): their exponents cannot "
            f"be told apart. With {ASSUMED_NOISE:.0%} noise in each cell's best LR their standard errors "
            f"would be {errors}. Add cells that train the same params on several times more or fewer tokens."
        )
    if std_error.max() > MAX_HOPELESS_STD_ERROR:
        spans = ", ".join(
            f"{n} x{s:.3g}" for n, s in zip(varied, np.exp(np.ptp(inputs, axis=0)), strict=True)
        )
        return (
            f"narrow-span: the cells lie too close together (span: {spans}). With {ASSUMED_NOISE:.0%} noise "
            f"in each cell's best LR the standard errors of the exponents would be {errors}. Add cells "
            "further apart."
        )
    return None
