"""Optimum against params and against tokens: the cells, the law through them, the fan to the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.comparison.traits import comparable
from hptransfer.figures.cells import CellFigure
from hptransfer.figures.evaluating import (
    AXES,
    QUANTITIES,
    Axis,
    Band,
    Quantity,
    band,
    can_evaluate,
    geometric,
    optima,
    other_axis,
    planned_band,
)
from hptransfer.law import Law
from hptransfer.planning import Plan
from hptransfer.published import law_ids, published_law
from hptransfer.sweep import BoolArray, FloatArray

POINTS = 61
BEYOND = 1.6  # how far a fan goes past the target, and a level past its cells
NEAR = 0.0025  # excess loss of the runs that show how well a cell pins its own optimum
MOST_LEVELS = 6
MOST_PUBLISHED = 4
ALWAYS_BESIDE = "step-law"


@dataclass(frozen=True)
class Points:
    """One entry a cell, shape (n_cells,): its own optimum, and its runs within 0.25 % of the best.

    The optimum is that of a smooth curve through the cell's own runs, or its best run where there are too
    few. `ratio` is optimum over the law's value, NaN where the law has none.
    """

    params: FloatArray
    tokens: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    smoothed: BoolArray
    on_edge: BoolArray
    ratio: FloatArray


@dataclass(frozen=True)
class Level:
    """The law at one value of the other axis, over the cells that lie there."""

    other: float
    line: Band


@dataclass(frozen=True)
class OptimumFigure:
    """One quantity along one axis. `fan` ends beyond the target, the other input being the target's."""

    quantity: Quantity
    axis: Axis
    levels: tuple[Level, ...]
    fan: Band | None
    target: tuple[float, float] | None  # position on the axis, planned optimum
    target_interval: tuple[float, float] | None
    published: Mapping[str, Band]  # by id of the law, at the target's other input


def cell_points(cells: Sequence[CellFigure], law: Law, quantity: Quantity) -> Points | None:
    """Own optima of all cells that finished a run; None where the sweep does not show the quantity."""
    rows = [row for cell in cells if (row := _own(cell, quantity)) is not None]
    if not rows:
        return None
    params, tokens, value, low, high, smoothed, on_edge = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    by_law = optima(law, params, tokens)[quantity] if can_evaluate(law) else None
    ratio = np.full(len(value), np.nan) if by_law is None else value / by_law
    return Points(params, tokens, value, low, high, smoothed, on_edge, ratio)


def _own(cell: CellFigure, quantity: Quantity) -> tuple[float, float, float, float, float, bool, bool] | None:
    values = cell.lr if quantity == "peak_lr" else cell.batch_tokens
    if cell.best is None or values is None or np.ptp(values[~cell.diverged]) == 0:
        return None
    near = values[np.nan_to_num(cell.excess, nan=np.inf) <= NEAR]
    smoothed = cell.own_optimum is not None
    index = QUANTITIES.index(quantity)
    value = cell.own_optimum[index] if cell.own_optimum is not None else float(values[cell.best])
    on_edge = any(edge.startswith("lr" if quantity == "peak_lr" else "batch") for edge in cell.edges)
    return cell.params, cell.tokens, value, float(near.min()), float(near.max()), smoothed, on_edge


def optimum_figures(
    cells: Sequence[CellFigure], law: Law, plan: Plan | None, *, published: Iterable[str] = ()
) -> list[OptimumFigure]:
    """Every quantity that the law knows along every axis, LR first.

    Args:    published: ids of laws to draw beside it.
    """
    if not can_evaluate(law):
        return []
    beside = {law_id: published_law(law_id) for law_id in published}
    return [
        _figure(cells, law, plan, quantity=quantity, axis=axis, beside=beside)
        for quantity in QUANTITIES
        for axis in AXES
        if getattr(law, quantity) is not None
    ]


def _figure(
    cells: Sequence[CellFigure],
    law: Law,
    plan: Plan | None,
    *,
    quantity: Quantity,
    axis: Axis,
    beside: Mapping[str, Law],
) -> OptimumFigure:
    levels = _levels(cells, law, quantity, axis)
    if plan is None:
        return OptimumFigure(quantity, axis, levels, None, None, None, {})
    at = float(getattr(plan.target, axis))
    here = [float(getattr(cell, axis)) for cell in cells] or [at / 10.0, at]
    x = geometric(min(*here, at) / BEYOND, max(*here, at) * BEYOND, POINTS)
    value, interval = _planned(plan, quantity)
    other = float(getattr(plan.target, other_axis(axis)))
    lines = {law_id: band(one, quantity, axis, x, other=other) for law_id, one in beside.items()}
    return OptimumFigure(
        quantity=quantity,
        axis=axis,
        levels=levels,
        fan=planned_band(plan, quantity, axis, x),
        target=None if value is None else (at, value),
        target_interval=interval,
        published={law_id: line for law_id, line in lines.items() if line is not None},
    )


def _planned(plan: Plan, quantity: Quantity) -> tuple[float | None, tuple[float, float] | None]:
    if quantity == "peak_lr":
        return plan.peak_lr, plan.peak_lr_interval
    return plan.batch_tokens, plan.batch_tokens_interval


def _levels(cells: Sequence[CellFigure], law: Law, quantity: Quantity, axis: Axis) -> tuple[Level, ...]:
    """The law over the cells of each value of the other input; of many values a few, evenly picked."""
    groups: dict[float, list[float]] = {}
    for cell in cells:
        other = float(getattr(cell, other_axis(axis)))
        key = next((known for known in groups if abs(np.log(known / other)) < np.log(1.05)), other)
        groups.setdefault(key, []).append(float(getattr(cell, axis)))
    chosen = sorted(groups)
    if len(chosen) > MOST_LEVELS:
        picked = np.unique(np.linspace(0, len(chosen) - 1, MOST_LEVELS).round().astype(int))
        chosen = [chosen[i] for i in picked]
    found = []
    for other in chosen:
        x = geometric(min(groups[other]) / BEYOND**0.5, max(groups[other]) * BEYOND**0.5, POINTS)
        line = band(law, quantity, axis, x, other=other)
        if line is not None:
            found.append(Level(other, line))
    return tuple(found)


def laws_beside(law: Law) -> list[str]:
    """Published laws worth drawing beside one: Step Law, then those that move for the same reasons."""
    candidates = [ALWAYS_BESIDE, *(law_id for law_id in law_ids() if law_id != ALWAYS_BESIDE)]
    found = []
    for law_id in candidates:
        other = published_law(law_id)
        fits = law_id == ALWAYS_BESIDE or comparable(law, other)
        if other.id != law.id and fits and not other.experimental and can_evaluate(other) and other.peak_lr:
            found.append(law_id)
    return found[:MOST_PUBLISHED]
