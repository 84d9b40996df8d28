"""Loss over (LR, batch) in each cell: its runs, and what the law says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hptransfer.estimators.common import split_by_cell
from hptransfer.figures.evaluating import can_evaluate, geometric, optima
from hptransfer.law import Bowl, CellSummary, Law
from hptransfer.numerics.grid_loss import smoothed_optimum
from hptransfer.plans.bowl import amplitude, excess, valley
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep

CONTOUR_POINTS = 61
VALLEY_POINTS = 41
MARGIN = 0.35
"""Natural logs shown beyond a cell's outermost runs."""

USEFUL_EXCESS = 0.1
"""Runs within this of the cell's best, a fraction, set the range that is shown ..."""

WIDE_GAP, LEAST_GAP = 2.5, float(np.log(4.0))
"""... less those behind a gap of so many median gaps, and of at least a factor of 4, ..."""

ROOM_FOR_REST = 1.5
"""... unless all runs take no more than this many times its width, in logs: then they set it."""

SAME_SCALE = 1e-6


@dataclass(frozen=True)
class Surface:
    """Fitted excess loss, fraction, over `lr` (n_lr,) and `batch_tokens` (n_batch,): shape (n_batch, n_lr).

    NaN outside the box around the optimum in which the law trusts its bowl.
    """

    lr: FloatArray
    batch_tokens: FloatArray
    excess: FloatArray


@dataclass(frozen=True)
class Optimum:
    """Where the law puts a cell's optimum, with 90 % intervals where it has them; batch in tokens."""

    peak_lr: float
    batch_tokens: float | None
    peak_lr_interval: tuple[float, float] | None
    batch_tokens_interval: tuple[float, float] | None


@dataclass(frozen=True)
class CellFigure:
    """One cell. Arrays of its runs have shape (n_runs,) and the order of the sweep.

    `excess` is a run's loss over the best of the cell, fraction; NaN where it diverged. `own_optimum` is the
    minimum of a smooth curve through the cell's own runs, log-log, independent of the law.
    """

    params: float
    tokens: float
    lr: FloatArray
    batch_tokens: FloatArray | None  # None where the sweep has none, or the cell a single one
    loss: FloatArray
    excess: FloatArray
    diverged: BoolArray
    where: tuple[str, ...]
    lr_shown: tuple[float, float]  # the range in which runs tell something; others lie beyond the axes
    batch_shown: tuple[float, float] | None
    best: int | None  # index of the best run, None where all diverged
    edges: tuple[str, ...]  # lr-low, lr-high, batch-low, batch-high: sides of the grid the optimum lies on
    optimum: Optimum | None
    own_optimum: tuple[float, float] | None
    surface: Surface | None
    valley: tuple[FloatArray, FloatArray] | None  # LR and batch, (n,): the best LR of each batch


def cell_figures(sweep: Sweep, law: Law) -> list[CellFigure]:
    """Every cell of a sweep under a law, sorted by params, then tokens."""
    rows = split_by_cell(np.arange(sweep.n_runs), sweep.cell, n_cells=sweep.n_cells)
    best = list(_optima(law, sweep.cell_params, sweep.cell_tokens))
    summaries = () if law.fit is None else law.fit.cells
    edges = {(round(c.params), round(c.tokens)): c for c in summaries}
    return [
        _cell(sweep, law, cell, runs, best_by_law=best[cell], edges=_edges_of(edges, sweep, cell))
        for cell, runs in enumerate(rows)
    ]


def _edges_of(known: Mapping[tuple[int, int], CellSummary], sweep: Sweep, cell: int) -> tuple[str, ...]:
    found = known.get((round(sweep.cell_params[cell]), round(sweep.cell_tokens[cell])))
    return () if found is None else found.edges


def _optima(law: Law, params: FloatArray, tokens: FloatArray) -> Iterator[Optimum | None]:
    """The law's optimum of each cell, None where it gives no LR."""
    values = optima(law, params, tokens) if can_evaluate(law) else {"peak_lr": None}
    lr = values["peak_lr"]
    for i in range(len(params)):
        yield (
            None
            if lr is None or not np.isfinite(lr[i])
            else Optimum(
                peak_lr=float(lr[i]),
                batch_tokens=_at(values["batch_tokens"], i),
                peak_lr_interval=_span(values["peak_lr_lo"], values["peak_lr_hi"], i),
                batch_tokens_interval=_span(values["batch_tokens_lo"], values["batch_tokens_hi"], i),
            )
        )


def _at(values: FloatArray | None, i: int) -> float | None:
    return None if values is None else float(values[i])


def _span(low: FloatArray | None, high: FloatArray | None, i: int) -> tuple[float, float] | None:
    return None if low is None or high is None else (float(low[i]), float(high[i]))


def _cell(
    sweep: Sweep,
    law: Law,
    cell: int,
    runs: IntArray,
    *,
    best_by_law: Optimum | None,
    edges: tuple[str, ...],
) -> CellFigure:
    loss, diverged = sweep.loss[runs], sweep.diverged[runs]
    finished = np.where(diverged, np.nan, loss)
    lowest = None if diverged.all() else int(np.nanargmin(finished))
    batch = sweep.batch_tokens[runs] if sweep.has_batch else None
    if batch is not None and np.ptp(batch) == 0:
        batch = None
    excess = finished / (np.nan if lowest is None else finished[lowest]) - 1.0
    lr_shown = useful_range(sweep.lr[runs], excess)
    batch_shown = None if batch is None else useful_range(batch, excess)
    surface = path = None
    if best_by_law is not None and law.bowl is not None and batch_shown is not None:
        surface, path = fitted_surface(
            law.bowl,
            best_by_law,
            params=float(sweep.cell_params[cell]),
            tokens=float(sweep.cell_tokens[cell]),
            lr_span=lr_shown,
            batch_span=batch_shown,
        )
    return CellFigure(
        params=float(sweep.cell_params[cell]),
        tokens=float(sweep.cell_tokens[cell]),
        lr=sweep.lr[runs],
        batch_tokens=batch,
        loss=loss,
        excess=excess,
        diverged=diverged,
        where=tuple(sweep.where(int(run)) for run in runs),
        lr_shown=lr_shown,
        batch_shown=batch_shown,
        best=lowest,
        edges=edges,
        optimum=best_by_law,
        own_optimum=own_optimum(sweep, runs),
        surface=surface,
        valley=path,
    )


def useful_range(values: FloatArray, excess: FloatArray) -> tuple[float, float]:
    """Lowest and highest value worth showing: a stray run far away must not squeeze all others.

    Args:    values: LR or batch of a cell's runs, (n_runs,); excess: NaN where a run diverged.
    """
    every = (float(values.min()), float(values.max()))
    near = np.nan_to_num(excess, nan=np.inf) <= USEFUL_EXCESS
    if not near.any():
        return every
    useful = _without_strays(values[near], float(values[near][np.argmin(excess[near])]))
    room = max(np.log(useful[1] / useful[0]), 2 * MARGIN)
    return every if np.log(every[1] / every[0]) <= ROOM_FOR_REST * room else useful


def _without_strays(values: FloatArray, best: float) -> tuple[float, float]:
    """Range of values, less those at its ends that a wide gap parts from the side of the best one."""
    levels = np.unique(values)
    gaps = np.diff(np.log(levels))
    wide = gaps > max(LEAST_GAP, WIDE_GAP * float(np.median(gaps))) if len(gaps) else np.zeros(0, dtype=bool)
    at = int(np.searchsorted(levels, best))
    below, above = np.flatnonzero(wide[:at]), np.flatnonzero(wide[at:])
    first = int(below[-1]) + 1 if len(below) else 0
    last = at + int(above[0]) if len(above) else len(levels) - 1
    return float(levels[first]), float(levels[last])


def own_optimum(sweep: Sweep, runs: IntArray) -> tuple[float, float] | None:
    """LR and batch (tokens) at the smoothed minimum of a cell's own runs; None with too few of them."""
    finished = runs[~sweep.diverged[runs]]
    if not sweep.has_batch or len(finished) == 0:
        return None
    found = smoothed_optimum(
        np.log(sweep.lr[finished]), np.log(sweep.batch_tokens[finished]), sweep.loss[finished]
    )
    return None if found is None else (float(np.exp(found[0])), float(np.exp(found[1])))


def fitted_surface(
    bowl: Bowl,
    optimum: Optimum,
    *,
    params: float,
    tokens: float,
    lr_span: tuple[float, float],
    batch_span: tuple[float, float],
) -> tuple[Surface | None, tuple[FloatArray, FloatArray] | None]:
    """The bowl over a cell's grid of runs and a little beyond, and its valley inside that box."""
    if optimum.batch_tokens is None:
        return None, None
    lr = geometric(lr_span[0] * np.exp(-MARGIN), lr_span[1] * np.exp(MARGIN), CONTOUR_POINTS)
    batch = geometric(batch_span[0] * np.exp(-MARGIN), batch_span[1] * np.exp(MARGIN), CONTOUR_POINTS)
    scale = amplitude(bowl, {"params": np.log(params), "tokens": np.log(tokens)}, np)
    u = np.log(lr / optimum.peak_lr)[None, :]
    v = np.log(batch / optimum.batch_tokens)[:, None]
    cost = np.expm1(scale * excess(bowl, u, v, np))
    trusted = _within(u, bowl.trusted_u) & _within(v, bowl.trusted_v)
    surface = Surface(lr, batch, np.where(trusted, cost, np.nan))
    along = np.linspace(
        max(bowl.trusted_v[0], float(v[0, 0])), min(bowl.trusted_v[1], float(v[-1, 0])), VALLEY_POINTS
    )
    bottom = optimum.peak_lr * np.exp(valley(bowl, along, np))
    inside = (bottom >= lr[0]) & (bottom <= lr[-1])
    return surface, (bottom[inside], (optimum.batch_tokens * np.exp(along))[inside])


def _within(values: FloatArray, span: tuple[float, float]) -> BoolArray:
    inside: BoolArray = (values >= span[0] - SAME_SCALE) & (values <= span[1] + SAME_SCALE)
    return inside
