"""Figures of lines over logarithmic axes: optima, residuals, loss, cost, schedules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from hptransfer.drawing.canvas import Axes, log_axis, short_lr
from hptransfer.drawing.palette import EDGE, INK, LAW, METHODS, MUTED, OTHER, PLATEAU, TARGET, level_color
from hptransfer.errors import plain
from hptransfer.figures.evaluating import Axis, Band, Quantity
from hptransfer.figures.losses import CostFigure, LossFigure
from hptransfer.figures.optima import OptimumFigure, Points
from hptransfer.figures.schedules import ScheduleFigure
from hptransfer.quantities import short_count
from hptransfer.sweep import FloatArray

QUANTITY_NAMES: Final[dict[Quantity, str]] = {"peak_lr": "peak LR", "batch_tokens": "batch, tokens"}
DASHES: Final = ((0, (1, 1.5)), (0, (5, 2)), (0, (5, 2, 1, 2)), (0, (8, 3)))
BAND_ALPHA: Final = 0.16


def draw_optimum(axes: Axes, figure: OptimumFigure, points: Points | None) -> None:
    """Cells' own optima, the law at the cells' levels, and its fan at the target's other input."""
    lr = figure.quantity == "peak_lr"
    axes.set_xlabel(figure.axis)
    axes.set_ylabel(QUANTITY_NAMES[figure.quantity])
    others = [level.other for level in figure.levels]
    if figure.fan is not None:
        _band(axes, figure.fan, TARGET, gid="fan")
    for (law_id, line), dash in zip(figure.published.items(), DASHES, strict=False):
        axes.plot(line.x, line.value, color=OTHER, linestyle=dash, linewidth=1.1, label=law_id, gid=law_id)
    for i, level in enumerate(figure.levels):
        color = level_color(i, len(others))
        axes.plot(level.line.x, level.line.value, color=color, linewidth=1.3)
    if points is not None:
        _points(axes, figure.axis, points, others)
    if figure.target is not None:
        _target(axes, figure.target, figure.target_interval)
    log_axis(axes, "x", *_limits(_xs(figure, points), 0.04))
    log_axis(axes, "y", *_limits(_ys(figure, points), 0.06), lr=lr)


def _band(axes: Axes, line: Band, color: str, *, gid: str) -> None:
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=color, alpha=BAND_ALPHA, linewidth=0, gid=gid)
    axes.plot(line.x, line.value, color=color, linewidth=1.4, linestyle=(0, (6, 2)), gid=f"{gid}-line")


def _points(axes: Axes, axis: Axis, points: Points, others: list[float]) -> None:
    x = points.params if axis == "params" else points.tokens
    other = points.tokens if axis == "params" else points.params
    nearest = np.abs(np.log(other[:, None] / np.array(others or [1.0]))).argmin(axis=1)
    for i in range(len(x)):
        color = level_color(int(nearest[i]), len(others))
        axes.plot([x[i], x[i]], [points.low[i], points.high[i]], color=color, linewidth=2.2, alpha=0.35)
        axes.plot(
            x[i],
            points.value[i],
            marker="o",
            markersize=5,
            color=color,
            markeredgecolor=EDGE if points.on_edge[i] else INK,
            markeredgewidth=1.6 if points.on_edge[i] else 0.4,
            linestyle="none",
            gid=f"cell-{i}",
            zorder=4,
        )


def _target(axes: Axes, target: tuple[float, float], interval: tuple[float, float] | None) -> None:
    if interval is not None:
        axes.plot(
            [target[0], target[0]], interval, color=TARGET, linewidth=2.4, solid_capstyle="butt", zorder=5
        )
    axes.plot(
        *target, marker="D", markersize=7, color=TARGET, markeredgecolor="white", linestyle="none",
        gid="target", zorder=6,
    )  # fmt: skip


def _xs(figure: OptimumFigure, points: Points | None) -> Iterable[FloatArray]:
    yield from (level.line.x for level in figure.levels)
    if figure.fan is not None:
        yield figure.fan.x
    if points is not None:
        yield points.params if figure.axis == "params" else points.tokens


def _ys(figure: OptimumFigure, points: Points | None) -> Iterable[FloatArray]:
    yield from (level.line.value for level in figure.levels)
    for line in (figure.fan, *figure.published.values()):
        if line is not None:
            yield from (values for values in (line.value, line.low, line.high) if values is not None)
    if points is not None:
        yield from (points.low, points.high, points.value)


def _limits(arrays: Iterable[FloatArray], margin: float) -> tuple[float, float]:
    """Range of all positive finite values, wider by a share of its decades on both sides."""
    logs = np.log(np.concatenate([np.asarray(a, dtype=float)[np.asarray(a) > 0] for a in arrays]))
    low, high = float(logs[np.isfinite(logs)].min()), float(logs[np.isfinite(logs)].max())
    room = margin * max(high - low, 1.0)
    return float(np.exp(low - room)), float(np.exp(high + room))


def draw_residuals(axes: Axes, points: Points, axis: Axis) -> None:
    """Each cell's own optimum over the law's value, against one input."""
    x = points.params if axis == "params" else points.tokens
    known = np.isfinite(points.ratio)
    axes.axhline(1.0, color=LAW, linewidth=1.2)
    scale = points.ratio / points.value
    for i in np.flatnonzero(known):
        axes.plot([x[i], x[i]], [points.low[i] * scale[i], points.high[i] * scale[i]], color=OTHER, alpha=0.5)
    for edge in (False, True):
        rows = known & (points.on_edge == edge)
        axes.plot(
            x[rows], points.ratio[rows], marker="o", markersize=5, linestyle="none", color=LAW,
            markeredgecolor=EDGE if edge else INK, markeredgewidth=1.6 if edge else 0.4,
            gid="residuals-edge" if edge else "residuals",
        )  # fmt: skip
    axes.set_xlabel(axis)
    axes.set_ylabel("own optimum / law")
    ends = np.concatenate([points.low[known] * scale[known], points.high[known] * scale[known], [0.8, 1.25]])
    log_axis(axes, "x", *_limits([x], 0.05))
    _ratio_axis(axes, float(ends.min()) / 1.05, float(ends.max()) * 1.05)


_RATIOS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)


def _ratio_axis(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(low, high)
    ticks = [ratio for ratio in _RATIOS if low <= ratio <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_ticklabels([f"{ratio:g}x" for ratio in ticks])


def draw_loss(axes: Axes, figure: LossFigure) -> None:
    """Best loss of each cell against compute, the loss law at each size, and the target's."""
    axes.set_xlabel("training compute 6 N D, FLOP")
    axes.set_ylabel(f"loss, {figure.unit}" + (" per token" if figure.unit == "nats" else ""))
    sizes = [size for size, _ in figure.sizes] or sorted(set(figure.params.tolist()))
    arrays = [figure.compute]
    for i, (_, line) in enumerate(figure.sizes):
        axes.plot(line.x, line.value, color=level_color(i, len(sizes)), linewidth=1.1)
        arrays.append(line.x)
    if figure.target is not None:
        _band(axes, figure.target, TARGET, gid="loss-fan")
        arrays.append(figure.target.x)
    nearest = np.abs(np.log(figure.params[:, None] / np.array(sizes))).argmin(axis=1)
    for i in range(len(figure.loss)):
        axes.plot(
            figure.compute[i], figure.loss[i], marker="o", markersize=5, linestyle="none",
            color=level_color(int(nearest[i]), len(sizes)), markeredgecolor=INK, markeredgewidth=0.4,
            gid=f"loss-{i}", zorder=4,
        )  # fmt: skip
    if figure.target_point is not None:
        _target(axes, figure.target_point, figure.target_interval)
    log_axis(axes, "x", *_limits(arrays, 0.02))
    _compute_labels(axes)


def _compute_labels(axes: Axes) -> None:
    """FLOP are said as powers of ten."""
    axes.xaxis.set_ticklabels([short_lr(tick).replace("e", "e+") for tick in axes.get_xticks()])


def draw_cost(axes: Axes, figure: CostFigure) -> None:
    """Excess loss of being off the optimum, with its interval; dashed where the cost is a lower bound."""
    percent, inside = 100 * figure.excess, ~figure.beyond_runs
    at = float(np.interp(np.log(figure.run), np.log(figure.x), percent))
    drawn = [percent] if figure.high is None else [percent, 100 * figure.high[inside]]
    top = max(float(np.concatenate(drawn).max()) * 1.08, 0.1)
    axes.set_xlabel(QUANTITY_NAMES[figure.quantity])
    axes.set_ylabel("excess loss, %")
    if figure.low is not None and figure.high is not None:
        axes.fill_between(
            figure.x, 100 * figure.low, 100 * figure.high, where=inside, color=LAW, alpha=BAND_ALPHA,
            linewidth=0, gid="cost-interval",
        )  # fmt: skip
    if figure.plateau is not None:
        axes.axvspan(*figure.plateau, ymax=0.03, color=PLATEAU, alpha=0.8, linewidth=0, gid="plateau")
    axes.plot(figure.x, percent, color=MUTED, linewidth=1.2, linestyle=(0, (2, 2)))
    axes.plot(figure.x, np.where(inside, percent, np.nan), color=LAW, linewidth=2.0, gid="cost")
    if figure.interval is not None:
        axes.plot(
            figure.interval,
            [at, at],
            color=TARGET,
            linewidth=2.4,
            solid_capstyle="butt",
            zorder=5,
            gid="interval",
        )
    axes.plot(
        figure.run, at, marker="D", markersize=7, color=TARGET, markeredgecolor="white", linestyle="none",
        gid="run", zorder=6,
    )  # fmt: skip
    axes.set_ylim(-0.06 * top, top)
    log_axis(axes, "x", float(figure.x[0]), float(figure.x[-1]), lr=figure.quantity == "peak_lr")


def draw_schedules(axes: Axes, figure: ScheduleFigure) -> None:
    """LR against steps, one line a schedule."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for i, (name, (steps, lr)) in enumerate(figure.curves.items()):
        color = METHODS[i % len(METHODS)]
        dash = "-" if i < len(METHODS) else "--"
        axes.plot(steps, lr, color=color, linestyle=dash, label=plain(name), gid=f"schedule-{i}")
    axes.set_xlabel("step")
    axes.set_ylabel("learning rate")
    axes.set_ylim(0, None)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value == 0 else short_count(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value == 0 else short_lr(value)))
    axes.margins(x=0.01)
    if len(figure.curves) > 1:
        axes.legend()
