"""Draw an LR sweep over widths: loss against base LR, a panel a parametrization, optima marked.

    python examples/plot_width.py examples/width_sweep.csv -o docs/width_sweep.svg

Plain SVG, from the optima that `hptransfer width` reports; needs nothing beside hptransfer.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hptransfer.numerics.width import DIVERGED_RATIO
from hptransfer.parametrizations.widths import AtWidth, Transfer, WidthSweep, width_transfer
from hptransfer.readers.width_sweeps import read_width_sweep

TITLES = {"mup": "µP", "sp": "standard parametrization"}
COLORS = ("#9ecae1", "#4a98c9", "#1764ab", "#08306b")  # narrow to wide
PANEL, GAP, LEFT, RIGHT, TOP, HEIGHT = 300, 20, 52, 90, 34, 210  # pixels
INK, GRID, FONT = "#333", "#e4e4e4", "font-family='Helvetica,Arial,sans-serif' font-size='12'"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Place = Callable[[float], float]


def scale(low: float, high: float, start: float, end: float) -> Place:
    """The straight map of [low, high] to pixels [start, end]."""
    return lambda value: start + (end - start) * (value - low) / (high - low)


def text(x: float, y: float, words: str, anchor: str = "middle", extra: str = "") -> str:
    """One line of text."""
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{INK}'{extra}>{words}</text>"


def runs_at(sweep: WidthSweep, name: str, width: float) -> list[tuple[float, float]]:
    """log2 LR and loss of one curve, in order, without what diverged or is far above the best."""
    here = (np.array(sweep.parametrization, dtype=object) == name) & (sweep.width == width)
    pairs = sorted(zip(np.log2(sweep.lr[here]).tolist(), sweep.loss[here].tolist(), strict=True))
    best = min(loss for _, loss in pairs if math.isfinite(loss))
    return [(log2_lr, loss) for log2_lr, loss in pairs if loss <= DIVERGED_RATIO * best]


def axes(x: Place, y: Place, log2_lrs: range, losses: list[float], *, labelled: bool) -> Iterator[str]:
    """Grid lines, ticks and the title of the x axis; labels of losses on the first panel only."""
    left, right = x(log2_lrs[0] - 0.5), x(log2_lrs[-1] + 0.5)
    for loss in losses:
        yield f"<path d='M{left:.1f} {y(loss):.1f}H{right:.1f}' stroke='{GRID}'/>"
        if labelled:
            yield text(left - 6, y(loss) + 4, f"{loss:.2f}", "end")
    for power in log2_lrs:
        yield text(x(power), TOP + HEIGHT + 18, "2" + str(power).translate(SUPERSCRIPT))
    yield text((left + right) / 2, TOP + HEIGHT + 38, "base LR")


def curve(points: list[tuple[float, float]], at: AtWidth, color: str, x: Place, y: Place) -> Iterator[str]:
    """The runs of one width, a line through them, and a dashed drop at the best LR."""
    line = "L".join(f"{x(log2_lr):.1f} {y(loss):.1f}" for log2_lr, loss in points)
    yield f"<path d='M{line}' fill='none' stroke='{color}' stroke-width='2'/>"
    for log2_lr, loss in points:
        yield f"<circle cx='{x(log2_lr):.1f}' cy='{y(loss):.1f}' r='2.5' fill='{color}'/>"
    if at.lr is not None and at.best_loss is not None:
        best, level = x(math.log2(at.lr)), y(at.best_loss)
        path = f"M{best:.1f} {level:.1f}V{TOP + HEIGHT}"
        yield f"<path d='{path}' stroke='{color}' stroke-width='1.5' stroke-dasharray='3 3'/>"
        corners = (
            f"{best - 5:.1f},{level - 13:.1f} {best + 5:.1f},{level - 13:.1f} {best:.1f},{level - 4:.1f}"
        )
        yield f"<polygon points='{corners}' fill='{color}'><title>width {at.width:g}</title></polygon>"


def legend(widths: list[float], left: float) -> Iterator[str]:
    """Widths and their colours, right of the last panel."""
    for index, (width, color) in enumerate(zip(widths, COLORS, strict=False)):
        y = TOP + 14 + 16 * index
        yield f"<path d='M{left:.1f} {y}h20' stroke='{color}' stroke-width='2'/>"
        yield text(left + 26, y + 4, f"width {width:g}", "start")


def drawing(sweep: WidthSweep, transfers: list[Transfer]) -> str:
    """The whole SVG."""
    curves = {
        (one.parametrization, at.width): runs_at(sweep, one.parametrization, at.width)
        for one in transfers
        for at in one.widths
    }
    points = [point for each in curves.values() for point in each]
    log2_lrs = range(math.floor(min(p[0] for p in points)), math.ceil(max(p[0] for p in points)) + 1)
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    y = scale(low - 0.1 * (high - low), high, TOP + HEIGHT, TOP)
    ticks = [0.05 * tick for tick in range(math.ceil(low / 0.05), math.floor(high / 0.05) + 1)]
    widths = sorted({at.width for one in transfers for at in one.widths})
    shades = dict(zip(widths, COLORS, strict=True))
    end = LEFT + len(transfers) * (PANEL + GAP)
    parts = [text(14, TOP + HEIGHT / 2, "loss", extra=f" transform='rotate(-90 14 {TOP + HEIGHT / 2:.0f})'")]
    for index, one in enumerate(transfers):
        start = LEFT + index * (PANEL + GAP)
        x = scale(log2_lrs[0] - 0.5, log2_lrs[-1] + 0.5, start, start + PANEL)
        title = TITLES.get(one.parametrization, one.parametrization)
        parts.append(text(start + PANEL / 2, TOP - 14, title, extra=" font-weight='bold'"))
        parts += axes(x, y, log2_lrs, ticks, labelled=index == 0)
        for at in one.widths:
            parts += curve(curves[one.parametrization, at.width], at, shades[at.width], x, y)
    parts += legend(widths, end)
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {end + RIGHT} {TOP + HEIGHT + 48}' {FONT}>"
    return "\n".join([head, "<rect width='100%' height='100%' fill='#fff'/>", *parts, "</svg>\n"])


def main() -> None:
    """Read the options and draw."""
    parser = argparse.ArgumentParser(description="SVG of an LR sweep over widths.")
    parser.add_argument("sweep", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    sweep = read_width_sweep(arguments.sweep)
    arguments.output.write_text(drawing(sweep, width_transfer(sweep)), encoding="utf-8")


if __name__ == "__main__":
    main()
