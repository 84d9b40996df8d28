"""Small pictures made of characters, on terminals only: heat maps of cells, the course of a schedule."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TextIO

from hptransfer.cli import screen
from hptransfer.cli.render import rough, show_spans
from hptransfer.quantities import short_count

if TYPE_CHECKING:
    from hptransfer.figures.heat import HeatMap
    from hptransfer.planning import Plan
    from hptransfer.schedules import Schedule
    from hptransfer.sweep import Sweep

Span = tuple[str, str]
"""Text, and the style it is painted in."""

HEAT_ENDS: Final = (0.0025, 0.01, 0.02, 0.05)
"""Excess loss, fraction, at which one shade ends and the next begins."""

HEAT_STYLES: Final = ("#fde725", "#7ad151", "#22a884", "#2a788e", "#5e4b9c")
"""Cut from viridis, brightest best; the last is lightened to be seen on black."""

SHADES: Final = ("██", "▓▓", "▒▒", "░░", "··")
ASCII_SHADES: Final = ("@@", "##", "==", "--", "..")
BEST, ASCII_BEST = "◆ ", "* "
DIVERGED, ASCII_DIVERGED = "××", "xx"
LABEL: Final = 7  # columns of a batch and the blank after it
MAPS_APART: Final = 3
ROWS_OF_MAPS: Final = 2
SPARKS: Final = "▁▂▃▄▅▆▇█"
SPARK_POINTS: Final = 48


def show_heat(sweep: Sweep, stream: TextIO | None = None) -> None:
    """Draw loss over LR and batch of the cells with most compute; nothing where nobody would see it."""
    stream = sys.stdout if stream is None else stream
    if not (screen.is_terminal(stream) or screen.draws(stream)):
        return
    from hptransfer.figures.heat import MOST_LRS, heat_maps

    width = screen.width(stream)
    across = max(1, (width + MAPS_APART) // (LABEL + 2 * MOST_LRS + MAPS_APART))
    maps = heat_maps(sweep, most=ROWS_OF_MAPS * min(across, 3))
    if not maps or width < LABEL + 2 * MOST_LRS:
        return
    whole = screen.speaks_unicode(stream)
    lines: list[list[Span]] = [[("Loss over LR (to the right) and batch (upwards), tokens", "bold")], []]
    per_row = min(across, 3)
    for start in range(0, len(maps), per_row):
        lines += [*_beside([heat_lines(one, whole=whole) for one in maps[start : start + per_row]]), []]
    lines += _legend(width, whole=whole)
    show_spans([*lines, []], stream)


def heat_lines(heat: HeatMap, *, whole: bool) -> list[list[Span]]:
    """One cell: its scale, a line a batch with the largest on top, and the LRs at both ends.

    Args:    whole: whether the terminal has more than ASCII.
    """
    lines = [[(f"{short_count(heat.params)} params, {short_count(heat.tokens)} tokens", "")]]
    for row in reversed(range(len(heat.batch_tokens))):
        label = short_count(heat.batch_tokens[row]).rjust(LABEL - 1) + " "
        lines.append([(label, "dim"), *(_place(heat, row, k, whole=whole) for k in range(len(heat.lr)))])
    low, high = rough(float(heat.lr[0])), rough(float(heat.lr[-1]))
    room = max(2 * len(heat.lr) - len(low), len(high) + 2)
    lines.append([(" " * LABEL + low + high.rjust(room), "dim")])
    return lines


def _place(heat: HeatMap, row: int, column: int, *, whole: bool) -> Span:
    excess = heat.excess[row, column]
    if heat.diverged[row, column]:
        return (DIVERGED if whole else ASCII_DIVERGED, "red")
    if (row, column) == heat.best:
        return (BEST if whole else ASCII_BEST, f"bold {HEAT_STYLES[0]}")
    if not excess >= 0:  # NaN: no run was made there
        return ("  ", "")
    shade = sum(excess > end for end in HEAT_ENDS)
    return ((SHADES if whole else ASCII_SHADES)[shade], HEAT_STYLES[shade])


def _beside(pictures: Sequence[list[list[Span]]]) -> list[list[Span]]:
    """Pictures side by side, all on one ground."""
    widths = [max(sum(len(text) for text, _ in line) for line in lines) for lines in pictures]
    together = []
    for lines in zip_longest(*(reversed(lines) for lines in pictures), fillvalue=[]):
        spans: list[Span] = []
        for line, width in zip(lines, widths, strict=True):
            used = sum(len(text) for text, _ in line)
            spans += [*line, (" " * (width - used + MAPS_APART), "")]
        together.append(spans)
    return together[::-1]


def _legend(width: int, *, whole: bool) -> list[list[Span]]:
    """What the shades mean, on as many lines as it takes."""
    ends = [f"{100 * end:g} %" for end in HEAT_ENDS]
    texts = [f"within {ends[0]} of the best", *(f"{end}" for end in ends[1:]), "worse"]
    shades = SHADES if whole else ASCII_SHADES
    entries = [
        (BEST if whole else ASCII_BEST, HEAT_STYLES[0], "best run"),
        *zip(shades, HEAT_STYLES, texts, strict=True),
        (DIVERGED if whole else ASCII_DIVERGED, "red", "diverged"),
    ]
    lines: list[list[Span]] = [[]]
    for mark, style, text in entries:
        used = sum(len(piece) for piece, _ in lines[-1])
        if used + len(mark) + len(text) + 3 > width:
            lines.append([])
        lines[-1] += [(mark, style), (f" {text}  ", "")]
    return lines


def sparkline(values: Sequence[float]) -> str:
    """Values from zero to their largest as eighths of a line's height.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▅█'
    """
    top = max(values, default=0.0)
    last = len(SPARKS) - 1
    return "".join(SPARKS[round(last * value / top) if top > 0 else 0] for value in values)


def show_course(made: Schedule, name: str = "LR over the run") -> None:
    """Draw the course of a schedule on a line, where blocks can be seen."""
    if not screen.draws(sys.stdout):
        return
    from hptransfer.figures.heat import sampled
    from hptransfer.figures.schedules import schedule_figure

    steps, lr = schedule_figure({"": made}).curves[""]
    line = sparkline(sampled((steps, lr), SPARK_POINTS))
    show_spans([[(f"{name}  ", ""), (line, HEAT_STYLES[2]), (f"  {made.steps:,} steps", "")]], sys.stdout)


def show_planned_course(plan: Plan) -> None:
    """Draw the schedule of a plan, if it has one that is known."""
    if screen.draws(sys.stdout):
        from hptransfer.figures.schedules import planned_schedule

        made = planned_schedule(plan)
        if made is not None:
            show_course(made)
