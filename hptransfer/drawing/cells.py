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


def runs_by_heat(cell: CellFigure) -> dict[str, IntArray]:
    """Indices of a cell's runs by the id of the group they are drawn in: `runs-0` (best) ..., `diverged`."""
    heat = np.searchsorted(HEAT_ENDS, np.nan_to_num(cell.excess, nan=np.inf), side="right")
    groups = {f"{RUNS_ID}-{k}": np.flatnonzero((heat == k) & ~cell.diverged) for k in range(len(HEAT))}
    groups[DIVERGED_ID] = np.flatnonzero(cell.diverged)
    return {name: runs for name, runs in groups.items() if len(runs)}


def draw_cell(axes: Axes, cell: CellFigure, *, labels: bool = True) -> None:
    """Paint one cell: runs coloured by excess loss over contours of the fit; batch upwards, LR to the right.

    A cell without a search over the batch gets its loss upwards. `labels` writes the excess at its contour.
    """
    axes.set_xlabel("peak LR")
    log_axis(axes, "x", *_span(cell.lr), lr=True)
    if cell.batch_tokens is None:
        _draw_loss_against_lr(axes, cell)
        return
    axes.set_ylabel("batch, tokens")
    log_axis(axes, "y", *_span(cell.batch_tokens))
    _draw_surface(axes, cell, labels=labels)
    _draw_runs(axes, cell, cell.batch_tokens)
    _draw_marks(axes, cell, cell.batch_tokens)


def _span(values: FloatArray) -> tuple[float, float]:
    return float(values.min() * np.exp(-MARGIN)), float(values.max() * np.exp(MARGIN))


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
    for name, runs in runs_by_heat(cell).items():
        if name == DIVERGED_ID:
            style: dict[str, Any] = {
                "marker": "x",
                "color": DIVERGED,
                "markersize": RUN_SIZE - 1,
                "markeredgewidth": 1.2,
            }
        else:
            heat = HEAT[int(name.rpartition("-")[2])]
            style = {"marker": "o", "color": heat, "markersize": RUN_SIZE, "markeredgecolor": INK}
            style |= {"markeredgewidth": 0.4}
        axes.plot(cell.lr[runs], upwards[runs], linestyle="none", gid=name, zorder=3, **style)


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
