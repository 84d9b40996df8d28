"""A report's figures as inline SVG with a caption, a description and a text for every mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hptransfer.drawing import bars, canvas, cells, lines
from hptransfer.drawing.canvas import Axes
from hptransfer.errors import plain
from hptransfer.figures.cells import CellFigure
from hptransfer.figures.evaluating import AXES, other_axis
from hptransfer.figures.losses import CostFigure, LossFigure
from hptransfer.figures.optima import OptimumFigure, Points
from hptransfer.plans.cost import LEAST_BOUND
from hptransfer.reporting import words
from hptransfer.reporting.gathering import Material
from hptransfer.reporting.inline import inline_svg
from hptransfer.sweep import FloatArray

CELL_SIZE: Final = (3.3, 2.9)
HALF_SIZE: Final = (4.6, 3.3)
WIDE_SIZE: Final = (9.4, 3.0)
MARGINS: Final = {"left": 0.62, "right": 0.12, "bottom": 0.48, "top": 0.14}  # inches
SHOWN_FACTORS: Final = (0.25, 0.5, 0.71, 1.0, 1.41, 2.0, 4.0)
MANY_CELLS: Final = 40
"""From so many cells on, their panels leave out the labels of contours: half of the time to draw them."""


@dataclass(frozen=True)
class Picture:
    """A drawing for the page; `svg` is markup, all else is text."""

    key: str
    title: str
    caption: str
    svg: str
    warning: str = ""
    wide: bool = False


def _axes(
    size: tuple[float, float], *, left: float | None = None, right: float | None = None
) -> tuple[canvas.Figure, Axes]:
    """A figure of one axes with margins fixed in inches: no layout has to be solved."""
    width, height = size
    figure = canvas.new_figure(width, height)
    x0 = (MARGINS["left"] if left is None else left) / width
    x1 = 1.0 - (MARGINS["right"] if right is None else right) / width
    y0, y1 = MARGINS["bottom"] / height, 1.0 - MARGINS["top"] / height
    return figure, figure.add_axes((x0, y0, x1 - x0, y1 - y0))


def cell_pictures(figures: Sequence[CellFigure]) -> list[Picture]:
    """One panel a cell, the cell with most compute first."""
    order = sorted(range(len(figures)), key=lambda i: -figures[i].params * figures[i].tokens)
    light = len(figures) > MANY_CELLS
    with canvas.styled():
        return [_cell_picture(f"cell-{i}", figures[i], light=light) for i in order]


def _cell_picture(key: str, cell: CellFigure, *, light: bool) -> Picture:
    figure, axes = _axes(CELL_SIZE)
    cells.draw_cell(axes, cell, labels=not light)
    title = f"{words.short(cell.params)} params, {words.short(cell.tokens)} tokens"
    hover = {
        name: [run_text(cell, int(run)) for run in runs] for name, runs in cells.runs_by_group(cell).items()
    }
    return Picture(
        key=key,
        title=title,
        caption=_cell_caption(cell),
        svg=inline_svg(
            canvas.to_bytes(figure, "svg"),
            key=key,
            title=f"Loss over peak LR and batch, {title}",
            description=_cell_description(cell),
            hover=hover,
        ),
        warning=f"best run on the grid's edge: {', '.join(cell.edges)}" if cell.edges else "",
    )


def run_text(cell: CellFigure, run: int) -> str:
    """One run in words: where it is in its file, what it tried, what came out."""
    batch = "" if cell.batch_tokens is None else f", batch {words.short(cell.batch_tokens[run])}"
    if cell.diverged[run]:
        loss = f"{cell.loss[run]:.4g}" if np.isfinite(cell.loss[run]) else "not finite"
        result = f"diverged, loss {loss}"
    else:
        result = f"loss {cell.loss[run]:.4f} (+{words.percent(cell.excess[run])})"
    return f"{plain(cell.where[run])}: LR {words.lr(cell.lr[run])}{batch}, {result}"


def _cell_caption(cell: CellFigure) -> str:
    diverged = int(cell.diverged.sum())
    beyond = cells.runs_beyond(cell)
    parts = [words.several(len(cell.lr), "run")]
    parts += [f"{diverged} diverged"] if diverged else []
    parts += [f"{beyond} beyond the axes"] if beyond else []
    return ", ".join(parts)


def _cell_description(cell: CellFigure) -> str:
    parts = [f"{_cell_caption(cell)}."]
    if cell.best is not None:
        parts.append(f"Best: {run_text(cell, cell.best)}.")
    if cell.optimum is not None:
        batch = cell.optimum.batch_tokens
        at = "" if batch is None else f" and batch {words.short(batch)} tokens"
        parts.append(f"The law puts the optimum at LR {words.lr(cell.optimum.peak_lr)}{at}.")
    if cell.edges:
        parts.append(f"The best run lies on the edge of the grid ({', '.join(cell.edges)}).")
    return " ".join(parts)


def optimum_pictures(material: Material) -> list[Picture]:
    """Optima against params and tokens."""
    found = []
    with canvas.styled():
        for figure in material.optima:
            key = f"optimum-{figure.quantity}-{figure.axis}".replace("_", "-")
            points = material.points.get(figure.quantity)
            drawn, axes = _axes(HALF_SIZE)
            lines.draw_optimum(axes, figure, points)
            name = "Peak LR" if figure.quantity == "peak_lr" else "Batch"
            title = f"{name} against {figure.axis}"
            found.append(
                Picture(
                    key=key,
                    title=title,
                    caption=_levels_caption(figure),
                    svg=inline_svg(
                        canvas.to_bytes(drawn, "svg"),
                        key=key,
                        title=title,
                        description=_optimum_description(figure, points),
                        hover=_optimum_hover(figure, points),
                    ),
                )
            )
    return found


def _levels_caption(figure: OptimumFigure) -> str:
    """What the colours of the lines stand for."""
    if len(figure.levels) < 2:
        return ""
    low, high = words.short(figure.levels[0].other), words.short(figure.levels[-1].other)
    return f"{other_axis(figure.axis)} from {low} (violet) to {high} (yellow)"


def _optimum_hover(figure: OptimumFigure, points: Points | None) -> dict[str, list[str]]:
    write = words.lr if figure.quantity == "peak_lr" else words.short
    hover: dict[str, list[str]] = {}
    for i in range(0 if points is None else len(points.value)):
        assert points is not None  # noqa: S101 - else the range is empty
        hover[f"cell-{i}"] = [_point_text(points, i, write(points.value[i]))]
    if figure.target is not None:
        bounds = figure.target_interval
        interval = "" if bounds is None else f", 90 % {write(bounds[0])} to {write(bounds[1])}"
        hover["target"] = [
            f"target, {words.short(figure.target[0])} {figure.axis}: {write(figure.target[1])}{interval}"
        ]
    return hover


def _point_text(points: Points, i: int, value: str) -> str:
    ratio = f", {points.ratio[i]:.2f}x the law" if np.isfinite(points.ratio[i]) else ""
    edge = ", on the grid's edge" if points.on_edge[i] else ""
    scale = f"{words.short(points.params[i])} params, {words.short(points.tokens[i])} tokens"
    return f"{scale}: {value}{ratio}{edge}"


def _optimum_description(figure: OptimumFigure, points: Points | None) -> str:
    write = words.lr if figure.quantity == "peak_lr" else words.short
    parts = (
        []
        if points is None
        else [f"{len(points.value)} cells, from {write(points.value.min())} to {write(points.value.max())}."]
    )
    if figure.target is not None:
        bounds = figure.target_interval
        interval = (
            "without interval"
            if bounds is None
            else f"90 % interval {write(bounds[0])} to {write(bounds[1])}"
        )
        parts.append(f"At the target {write(figure.target[1])}, {interval}.")
    if figure.published:
        parts.append(f"Beside it: {words.listed(figure.published)}.")
    return " ".join(parts)


def residual_pictures(material: Material) -> list[Picture]:
    """Cells' own optima over the law, against params and tokens."""
    found = []
    with canvas.styled():
        for quantity, points in material.points.items():
            if not np.isfinite(points.ratio).any():
                continue
            name = "peak LR" if quantity == "peak_lr" else "batch"
            for axis in AXES:
                key = f"residual-{quantity}-{axis}".replace("_", "-")
                drawn, axes = _axes((4.6, 2.4))
                lines.draw_residuals(axes, points, axis)
                spread = points.ratio[np.isfinite(points.ratio)]
                description = (
                    f"Ratios from {spread.min():.2f} to {spread.max():.2f} over {len(spread)} cells."
                )
                hover = _residual_hover(points, "lr" if quantity == "peak_lr" else "batch")
                title = f"Residuals of {name} against {axis}"
                svg = inline_svg(
                    canvas.to_bytes(drawn, "svg"), key=key, title=title, description=description, hover=hover
                )
                found.append(Picture(key, title, "", svg))
    return found


def _residual_hover(points: Points, name: str) -> dict[str, list[str]]:
    write = words.lr if name == "lr" else words.short
    known = np.isfinite(points.ratio)
    return {
        group: [_point_text(points, int(i), write(points.value[i])) for i in np.flatnonzero(known & rows)]
        for group, rows in (("residuals", ~points.on_edge), ("residuals-edge", points.on_edge))
        if (known & rows).any()
    }


def loss_picture(figure: LossFigure) -> Picture:
    """Loss against compute."""
    with canvas.styled():
        drawn, axes = _axes(WIDE_SIZE, right=0.3)
        lines.draw_loss(axes, figure)
        hover = {f"loss-{i}": [_loss_text(figure, i)] for i in range(len(figure.loss))}
        description = (
            f"{len(figure.loss)} cells, best loss {figure.loss.min():.4f} to {figure.loss.max():.4f}."
        )
        if figure.target_point is not None:
            at = f"target: loss {figure.target_point[1]:.4f}"
            if figure.target_interval is not None:
                at += f", 90 % {figure.target_interval[0]:.4f} to {figure.target_interval[1]:.4f}"
            hover["target"] = [at]
            description += f" At the {at}."
        svg = inline_svg(
            canvas.to_bytes(drawn, "svg"),
            key="loss",
            title="Loss against training compute",
            description=description,
            hover=hover,
        )
    return Picture("loss", "Loss against training compute", "", svg, wide=True)


def _loss_text(figure: LossFigure, i: int) -> str:
    predicted = "" if figure.predicted is None else f", loss law {figure.predicted[i]:.4f}"
    scale = f"{words.short(figure.params[i])} params, {figure.compute[i]:.2e} FLOP"
    return f"{scale}: loss {figure.loss[i]:.4f}{predicted}"


def cost_pictures(figures: Sequence[CostFigure]) -> list[Picture]:
    """Excess loss of being off the optimum."""
    found = []
    with canvas.styled():
        for figure in figures:
            key = f"cost-{figure.quantity}".replace("_", "-")
            name = "peak LR" if figure.quantity == "peak_lr" else "batch"
            drawn, axes = _axes(HALF_SIZE)
            lines.draw_cost(axes, figure)
            svg = inline_svg(
                canvas.to_bytes(drawn, "svg"),
                key=key,
                title=f"Excess loss of another {name}",
                description="; ".join(f"{factor}: {cost}" for factor, cost, *_ in cost_rows(figure)) + ".",
            )
            found.append(Picture(key, f"Excess loss of another {name}", "", svg))
    return found


def cost_rows(figure: CostFigure) -> Iterator[tuple[str, ...]]:
    """Factor on the value to run, excess loss with its interval, share of compute wasted."""

    def read(values: FloatArray | None, factor: float, digits: int) -> str:
        if values is None:
            return words.DASH
        return words.percent(float(np.interp(np.log(factor), np.log(figure.factor), values)), digits)

    for factor in SHOWN_FACTORS:
        beyond = figure.beyond_runs[np.abs(np.log(figure.factor / factor)).argmin()]
        at_least = "at least " if beyond else ""
        if beyond and float(np.interp(np.log(factor), np.log(figure.factor), figure.excess)) < LEAST_BOUND:
            yield f"{factor:g}x", words.DASH, words.DASH, words.DASH
            continue
        interval = f"{read(figure.low, factor, 2)} to {read(figure.high, factor, 2)}"
        yield (
            f"{factor:g}x",
            f"{at_least}{read(figure.excess, factor, 2)}",
            words.DASH if figure.low is None or beyond else interval,
            f"{at_least}{read(figure.wasted, factor, 1)}",
        )


def schedule_picture(material: Material) -> Picture | None:
    """The LR over the run."""
    if material.schedule is None or material.plan is None:
        return None
    run = material.plan.rounded
    with canvas.styled():
        drawn, axes = _axes((9.4, 2.4), left=0.8, right=0.3)
        lines.draw_schedules(axes, material.schedule)
        name = next(iter(material.schedule.curves))
        svg = inline_svg(
            canvas.to_bytes(drawn, "svg"),
            key="schedule",
            title="Learning rate over the run",
            description=(
                f"{name}: warm-up over {words.count(run.warmup_steps)} steps to {words.lr(run.peak_lr)}, "
                f"{words.count(run.steps)} steps in all, ending at "
                f"{words.plain_number(material.plan.final_lr_ratio)} of the peak."
            ),
        )
    return Picture("schedule", "Learning rate over the run", "", svg, wide=True)


def factor_picture(material: Material) -> Picture | None:
    """Factors of the tensor classes."""
    if material.factors is None:
        return None
    with canvas.styled():
        drawn, axes = _axes((9.4, 0.46 * len(material.factors.classes) + 1.0), left=1.2, right=1.4)
        bars.draw_factors(axes, material.factors)
        svg = inline_svg(
            canvas.to_bytes(drawn, "svg"),
            key="factors",
            title=f"Factors of {material.factors.rule_set} by tensor class",
            description="The table below has the same numbers.",
        )
    return Picture("factors", "Factors by tensor class", "", svg, wide=True)


def backtest_picture(material: Material) -> Picture | None:
    """What plans lost at scales held out."""
    if material.backtest is None:
        return None
    with canvas.styled():
        drawn, axes = _axes((9.4, 0.75 * len(material.backtest.splits) + 0.9), left=1.5)
        bars.draw_backtest(axes, material.backtest, key=False)
        svg = inline_svg(
            canvas.to_bytes(drawn, "svg"),
            key="backtest",
            title="Excess loss of plans at held-out scales",
            description=material.backtest.verdict,
        )
    return Picture("backtest", "Excess loss at held-out scales", "", svg, wide=True)
