"""Whole figures for papers and slides: panels, keys and titles that need no editing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from hptransfer.drawing.bars import draw_backtest
from hptransfer.drawing.canvas import Axes, Figure, log_axis, new_figure, styled, to_bytes
from hptransfer.drawing.lines import draw_optimum, draw_schedules
from hptransfer.drawing.palette import EDGE, INK, METHODS, MUTED, level_color
from hptransfer.errors import plain
from hptransfer.evidence.backtesting import Backtest
from hptransfer.figures.curves import CurvesFigure
from hptransfer.figures.evaluating import Quantity, other_axis
from hptransfer.figures.optima import OptimumFigure, Points
from hptransfer.figures.schedules import ScheduleFigure
from hptransfer.figures.widths import WidthCurve, WidthPanel
from hptransfer.quantities import short_count

PANEL: Final = (4.2, 3.2)  # inches
ON_EDGE: Final[dict[str, Any]] = {
    "marker": "o", "markersize": 5, "linestyle": "none", "markerfacecolor": "none", "markeredgecolor": EDGE,
    "markeredgewidth": 1.6,
}  # fmt: skip
Draw = Callable[[str], bytes]
"""Draws a figure in a file format."""


def fit_plot(figures: Sequence[OptimumFigure], points: Mapping[Quantity, Points]) -> Draw:
    """Optima of the cells and the law through them: a row a quantity, a column an axis."""

    def draw(figure: Figure) -> None:
        grid = figure.subplots(-(-len(figures) // 2), 2, squeeze=False)
        for axes, one in zip(grid.flat, figures, strict=False):
            shown = points.get(one.quantity)
            draw_optimum(axes, one, shown)
            _key_of_levels(axes, one)
            if shown is not None and shown.on_edge.any():
                axes.plot([], [], **ON_EDGE, label="on the grid's edge")
            if one.levels:
                axes.legend(fontsize=7, ncols=2 if len(one.levels) > 3 else 1)

    rows = -(-len(figures) // 2)
    return _drawn(draw, 2 * PANEL[0], rows * PANEL[1])


def _key_of_levels(axes: Axes, figure: OptimumFigure) -> None:
    """Name the lines by the other input."""
    unit = other_axis(figure.axis)
    for i, level in enumerate(figure.levels):
        color = level_color(i, len(figure.levels))
        axes.plot([], [], color=color, marker="o", markersize=4, label=f"{short_count(level.other)} {unit}")


def backtest_plot(result: Backtest) -> Draw:
    """Excess loss of each method at held-out scales."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_backtest(axes, result)

    return _drawn(draw, 8.4, 0.8 * len(result.splits) + 1.0)


def schedule_plot(curves: ScheduleFigure) -> Draw:
    """LR against steps."""

    def draw(figure: Figure) -> None:
        draw_schedules(figure.subplots(), curves)

    return _drawn(draw, 6.4, 3.4)


def width_plot(panels: Sequence[WidthPanel]) -> Draw:
    """Loss against LR, a panel a parametrization, a line a width, its best LR marked."""

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)
        for axes, panel in zip(grid.flat, panels, strict=True):
            _draw_panel(axes, panel)
        grid.flat[0].set_ylabel("loss")

    return _drawn(draw, PANEL[0] * len(panels), PANEL[1])


def _draw_panel(axes: Axes, panel: WidthPanel) -> None:
    axes.set_title(f"{plain(panel.name)}: {panel.verdict}")
    axes.set_xlabel("peak LR")
    for i, curve in enumerate(panel.curves):
        _draw_width(axes, curve, level_color(i, len(panel.curves)))
    if panel.curves:
        lr = np.concatenate([curve.lr for curve in panel.curves])
        log_axis(axes, "x", float(lr.min()) / 1.3, float(lr.max()) * 1.3, lr=True)
        if any(curve.best is not None for curve in panel.curves):
            axes.plot(
                [], [], marker="v", markersize=6, color=MUTED, linestyle="none", label="best LR, fitted"
            )
        axes.legend(fontsize=7)


def _draw_width(axes: Axes, curve: WidthCurve, color: str) -> None:
    axes.plot(curve.lr, curve.loss, color=color, marker="o", markersize=3, label=curve.name)
    if curve.best is not None:
        axes.plot(*curve.best, color=color, marker="v", markersize=9, markeredgecolor=INK, linestyle="none")


def curves_plot(curves: CurvesFigure) -> Draw:
    """Logged loss in grey, predictions in colour."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for i, (steps, loss) in enumerate(curves.logged.values()):
            axes.plot(steps, loss, color=MUTED, linewidth=0.8, alpha=0.7, label="logged" if i == 0 else None)
        for i, (spec, (steps, loss)) in enumerate(curves.predicted.items()):
            dash = "-" if i < len(METHODS) else "--"
            color = METHODS[i % len(METHODS)]
            axes.plot(steps, loss, color=color, linestyle=dash, linewidth=1.6, label=plain(spec))
        _limit_to_most(axes, curves)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()

    return _drawn(draw, 6.4, 3.8)


def _limit_to_most(axes: Axes, curves: CurvesFigure) -> None:
    """Leave the first steep fall out of sight: what differs is at the end."""
    drawn = [*curves.logged.values(), *curves.predicted.values()]
    low = min(float(loss.min()) for _, loss in drawn)
    high = max(float(np.quantile(loss, 0.95)) for _, loss in drawn)
    room = 0.05 * (high - low)
    axes.set_ylim(low - room, high + room)


def _drawn(draw: Callable[[Figure], None], width: float, height: float) -> Draw:
    def in_format(file_format: str) -> bytes:
        with styled():
            figure = new_figure(width, height, layout="constrained")
            draw(figure)
            return to_bytes(figure, file_format)

    return in_format
