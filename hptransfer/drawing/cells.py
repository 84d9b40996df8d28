"""Loss over (LR, batch): one panel a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hptransfer.drawing.canvas import Axes, log_axis
from hptransfer.drawing.palette import DIVERGED, EDGE, HEAT, HEAT_ENDS, INK, LAW, MUTED, PLATEAU
from hptransfer.figures.cells import MARGIN, CellFigure
from hptransfer.sweep import FloatArray

if TYPE_CHECKING:
    from hptransfer.sweep import IntArray

CONTOURS: Final = (0.0025, 0.005, 0.01, 0.02, 0.05)
"""Excess loss, fraction, of the lines; the first one bounds the plateau."""

RUN_SIZE: Final = 5.5
RUNS_ID: Final = "runs"
DIVERGED_ID: Final = "diverged"
EDGE_ROOM: Final = 0.015  # of an axis
POINTERS: Final = {"right": ">", "left": "<", "up": "^", "down": "v"}
"""Marks of runs beyond the axes: they stand at the edge and point to where the run is."""


def runs_by_group(cell: CellFigure) -> dict[str, IntArray]:
    """Indices of a cell's runs by the id of the group they are drawn in.

    `runs-0` (best) ..., `diverged`; those beyond the axes with the direction: `runs-6-right`.
    """
    heat = np.searchsorted(HEAT_ENDS, np.nan_to_num(cell.excess, nan=np.inf), side="right")
    kinds = {f"{RUNS_ID}-{k}": (heat == k) & ~cell.diverged for k in range(len(HEAT))}
    kinds[DIVERGED_ID] = cell.diverged
    sides = _sides(cell)
    groups = {
        f"{kind}-{side}" if side else kind: np.flatnonzero(of_kind & (sides == side))
        for side in ("", *POINTERS)
        for kind, of_kind in kinds.items()
    }
    return {name: runs for name, runs in groups.items() if len(runs)}


def runs_beyond(cell: CellFigure) -> int:
    """How many runs of a cell lie beyond its axes."""
    return int((_sides(cell) != "").sum())


def _sides(cell: CellFigure) -> np.ndarray:
    """Where each run lies: inside the axes (empty), or beyond one of them."""
    sides = np.full(len(cell.lr), "", dtype="<U5")
    batch = cell.batch_tokens
    for values, shown, names in (
        (batch, cell.batch_shown, ("down", "up")),
        (cell.lr, cell.lr_shown, ("left", "right")),
    ):
        if values is not None and shown is not None:
            low, high = _span(shown)
            sides[values < low], sides[values > high] = names
    return sides


def draw_cell(axes: Axes, cell: CellFigure, *, labels: bool = True) -> None:
    """Paint one cell: runs coloured by excess loss over contours of the fit; batch upwards, LR to the right.

    A cell without a search over the batch gets its loss upwards. `labels` writes the excess at its contour.
    """
    axes.set_xlabel("peak LR")
    log_axis(axes, "x", *_span(cell.lr_shown), lr=True)
    if cell.batch_tokens is None or cell.batch_shown is None:
        _draw_loss_against_lr(axes, cell)
        return
    axes.set_ylabel("batch, tokens")
    log_axis(axes, "y", *_span(cell.batch_shown))
    _draw_surface(axes, cell, labels=labels)
    _draw_runs(axes, cell, cell.batch_tokens)
    _draw_marks(axes, cell, cell.batch_tokens)


def _span(shown: tuple[float, float]) -> tuple[float, float]:
    return float(shown[0] * np.exp(-MARGIN)), float(shown[1] * np.exp(MARGIN))


def _draw_surface(axes: Axes, cell: CellFigure, *, labels: bool) -> None:
    surface = cell.surface
    if surface is None:
        return
    cost = np.ma.masked_invalid(surface.excess)
    axes.contourf(
        surface.lr, surface.batch_tokens, cost, levels=(-1.0, CONTOURS[0]), colors=[PLATEAU], alpha=0.22
    )
    lines = axes.contour(
        surface.lr,
        surface.batch_tokens,
        cost,
        levels=CONTOURS,
        colors=[PLATEAU, *[MUTED] * (len(CONTOURS) - 1)],
        linewidths=0.8,
    )
    if labels:
        axes.clabel(lines, fmt=lambda value: f"{100 * value:g} %", fontsize=6.5, inline_spacing=2)
    if cell.valley is not None:
        axes.plot(*cell.valley, color=LAW, linewidth=1.0, linestyle=(0, (4, 2)), gid="valley")


def _draw_runs(axes: Axes, cell: CellFigure, upwards: FloatArray) -> None:
    """Dots coloured by excess, crosses where runs diverged, pointers at the edge for those beyond it."""
    x = np.clip(cell.lr, *_inside(cell.lr_shown))
    y = upwards if cell.batch_shown is None else np.clip(upwards, *_inside(cell.batch_shown))
    for name, runs in runs_by_group(cell).items():
        kind, _, side = name.removeprefix(f"{RUNS_ID}-").partition("-")
        style: dict[str, Any] = {"marker": POINTERS.get(side, "o"), "markersize": RUN_SIZE}
        if kind == DIVERGED_ID:
            style |= {"color": DIVERGED, "markeredgewidth": 1.2}
            style |= {} if side else {"marker": "x", "markersize": RUN_SIZE - 1}
        else:
            style |= {"color": HEAT[int(kind)], "markeredgecolor": INK, "markeredgewidth": 0.4}
        axes.plot(x[runs], y[runs], linestyle="none", gid=name, zorder=3, clip_on=False, **style)


def _inside(shown: tuple[float, float]) -> tuple[float, float]:
    """The axis with a little room for the marks at its ends."""
    low, high = np.log(_span(shown))
    room = EDGE_ROOM * (high - low)
    return float(np.exp(low + room)), float(np.exp(high - room))


def _draw_marks(axes: Axes, cell: CellFigure, upwards: FloatArray) -> None:
    """Ring the best run, in amber on the grid's edge; cross the law's optimum with its intervals."""
    if cell.best is not None:
        axes.plot(
            cell.lr[cell.best],
            upwards[cell.best],
            marker="o",
            markersize=RUN_SIZE + 5,
            markerfacecolor="none",
            markeredgecolor=EDGE if cell.edges else INK,
            markeredgewidth=2.0 if cell.edges else 1.1,
            linestyle="none",
            gid="best",
            zorder=4,
        )
    optimum = cell.optimum
    if optimum is None or optimum.batch_tokens is None:
        return
    axes.plot(
        optimum.peak_lr,
        optimum.batch_tokens,
        marker="P",
        markersize=8,
        color=LAW,
        markeredgecolor="white",
        markeredgewidth=0.8,
        linestyle="none",
        gid="optimum",
        zorder=5,
    )


def _draw_loss_against_lr(axes: Axes, cell: CellFigure) -> None:
    """The panel of a cell with one batch: loss against LR, the law's LR with its interval as a band."""
    axes.set_ylabel("loss")
    finished = cell.loss[~cell.diverged]
    top = float(finished.max()) if finished.size else 1.0
    low = float(finished.min()) if finished.size else 0.0
    room = max(0.08 * (top - low), 0.002 * top)
    axes.set_ylim(low - room, top + 2 * room)
    axes.ticklabel_format(axis="y", useOffset=False)
    shown = np.where(cell.diverged, top + room, np.minimum(cell.loss, top))
    if cell.optimum is not None:
        if cell.optimum.peak_lr_interval is not None:
            axes.axvspan(*cell.optimum.peak_lr_interval, color=LAW, alpha=0.15, linewidth=0)
        axes.axvline(cell.optimum.peak_lr, color=LAW, linewidth=1.2, gid="optimum")
    _draw_runs(axes, cell, shown)
    _draw_marks(axes, cell, shown)
