"""Figures of amounts: a backtest's prices, the factors of a rule set."""

from __future__ import annotations

import math

from hptransfer.drawing.canvas import Axes
from hptransfer.drawing.palette import INK, LAW, METHODS, MUTED
from hptransfer.errors import plain
from hptransfer.evidence.backtesting import Backtest, MethodResult
from hptransfer.figures.factors import FactorFigure


def priced_methods(result: Backtest) -> list[str]:
    """Methods that made a plan for some split, in the order of their colours."""
    return list(dict.fromkeys(m.method for split in result.splits for m in split.methods if _is_priced(m)))


def draw_backtest(axes: Axes, result: Backtest, *, key: bool = True) -> None:
    """Mean excess loss at held-out scales, a dot a method with a line to its worst cell, a row a split."""
    names = priced_methods(result)
    step = 0.8 / max(len(names), 1)
    for row, split in enumerate(result.splits):
        for method in split.methods:
            if method.method not in names:
                continue  # refused at every split: the table says why
            k = names.index(method.method)
            y = row + (k - (len(names) - 1) / 2) * step
            color = METHODS[k % len(METHODS)]
            if method.mean_excess is None or method.worst_excess is None:
                axes.text(0, y, " refused", color=color, fontsize=7.0, va="center")
                continue
            mean, worst = 100 * method.mean_excess, 100 * method.worst_excess
            axes.plot([mean, worst], [y, y], color=color, linewidth=1.2)
            axes.plot(worst, y, marker="|", color=color, markersize=7)
            axes.plot(mean, y, marker="o", markersize=6, color=color, linestyle="none")
    for k, name in enumerate(names):
        color = METHODS[k % len(METHODS)]
        axes.plot([], [], marker="o", markersize=6, color=color, linestyle="none", label=plain(name))
    axes.set_yticks(range(len(result.splits)), [_held_out(split.name) for split in result.splits])
    axes.set_ylim(len(result.splits) - 0.5, -0.5)
    axes.set_xlim(0, None)
    axes.set_xlabel("excess loss at held-out cells, %: mean (dot) to worst (bar)")
    axes.grid(visible=False, axis="y")
    if key:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _is_priced(method: MethodResult) -> bool:
    return method.mean_excess is not None


def _held_out(name: str) -> str:
    """The name of a split on short lines."""
    return "\n".join(part.strip().replace(" from ", "\nfrom ") for part in plain(name).split(","))


def draw_factors(axes: Axes, figure: FactorFigure) -> None:
    """Factors over the proxy's values in powers of two, a row a class, a column of marks a value."""
    marks = ("o", "s", "^", "D", "v")
    step = 0.7 / max(len(figure.factors), 1)
    for k, (name, factors) in enumerate(figure.factors.items()):
        placed = [
            (math.log2(factor), row + (k - (len(figure.factors) - 1) / 2) * step)
            for row, factor in enumerate(factors)
            if factor is not None and factor > 0
        ]
        axes.plot(
            [x for x, _ in placed], [y for _, y in placed], marker=marks[k % len(marks)], markersize=5.5,
            linestyle="none", color=METHODS[k % len(METHODS)], markeredgecolor=INK, markeredgewidth=0.4,
            label=name, gid=f"factor-{name}",
        )  # fmt: skip
    axes.axvline(0.0, color=LAW, linewidth=1.0)
    axes.set_yticks(range(len(figure.classes)), [plain(name) for name in figure.classes])
    axes.set_ylim(len(figure.classes) - 0.4, -0.6)
    low, high = (math.floor(axes.get_xlim()[0]), math.ceil(axes.get_xlim()[1]))
    ticks = range(low, high + 1, max(1, (high - low) // 8))
    axes.set_xticks(list(ticks), [f"{2.0**tick:g}x" if abs(tick) <= 7 else f"2^{tick}" for tick in ticks])
    axes.set_xlabel("factor on the proxy's value")
    axes.tick_params(axis="y", length=0, colors=MUTED, labelcolor=INK)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
