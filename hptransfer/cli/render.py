"""Tables and numbers for people, JSON for programs; what a record looks like stands in `render_*`.

rich is imported where something is drawn in colour: nothing else waits for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from hptransfer.cli import screen
from hptransfer.quantities import short_span, spans_decades

if TYPE_CHECKING:
    from hptransfer.law import Note

_DIFF_STYLES = {"-": "red", "+": "green", "@": "cyan"}


def table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], stream: TextIO | None = None
) -> None:
    """Print a table that fits the terminal; cells are text, never markup.

    Columns whose name ends in `#` hold numbers: right-aligned, and whole however narrow the terminal. Those
    in `~` hold remarks, which stand under their row where they do not fit beside it.
    """
    from hptransfer.cli.layout import Column, lay_out  # JSON needs no tables

    stream = sys.stdout if stream is None else stream
    laid = lay_out(list(map(Column.named, columns)), [list(row) for row in rows], screen.width(stream))
    rule = ("─" if screen.speaks_unicode(stream) else "-") * laid.rule_width
    titles = screen.fold(title, screen.width(stream)).splitlines()
    styles = [*(["bold"] * len(titles)), *([""] * len(laid.head)), "dim", *([""] * len(laid.body)), ""]
    lines = [*titles, *laid.head, rule, *laid.body, ""]
    show_spans([[span] for span in zip(lines, styles, strict=True)], stream)


def show_spans(lines: Iterable[Sequence[tuple[str, str]]], stream: TextIO) -> None:
    """Print lines made of pieces of text, each in a style of rich's where the stream shows styles."""
    if not screen.is_colored(stream):
        print("\n".join("".join(text for text, _ in line).rstrip() for line in lines), file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    painter = Console(file=stream, force_terminal=True, highlight=False, width=10_000)
    for line in lines:
        painted = Text.assemble(*line)
        painted.rstrip()
        painter.print(painted, soft_wrap=True)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print sentences: folded between words on a terminal, whole in a pipe."""
    stream = sys.stdout if stream is None else stream
    print(screen.prose(text, stream), file=stream)


def show_diff(diff: str, stream: TextIO | None = None) -> None:
    """Print a unified diff as it is, in colours on a terminal."""
    stream = sys.stdout if stream is None else stream
    if not screen.is_colored(stream):
        print(diff, end="", file=stream)
        return
    show_spans(([(line, _diff_style(line))] for line in diff.splitlines()), stream)


def _diff_style(line: str) -> str:
    return "bold" if line.startswith(("---", "+++")) else _DIFF_STYLES.get(line[:1], "")


def print_json(content: Any) -> None:
    """Print strict JSON, indented."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_json_lines(contents: Iterable[Any]) -> None:
    """Print strict JSON, one object a line."""
    for content in contents:
        print(json.dumps(content, allow_nan=False))


def distinct(notes: Iterable[Note]) -> list[Note]:
    """Notes without repetitions, in order."""
    return list(dict.fromkeys(notes))


def folded(sentence: str) -> str:
    """A sentence folded for standard output: at the terminal's width, at 80 columns in a pipe."""
    return screen.fold(sentence, screen.width(sys.stdout) if screen.is_terminal(sys.stdout) else 80)


def signed(value: float | None) -> str:
    """A slope with its sign; a dash for None."""
    return "-" if value is None else f"{value:+.2f}"


def number(value: float | None) -> str:
    """A learning rate, or a dash."""
    return "-" if value is None else f"{value:.3e}"


def rough(value: float) -> str:
    """A learning rate as the end of an interval."""
    return f"{value:.2e}"


def count(value: float | None) -> str:
    """A count with digits grouped, or a dash."""
    return "-" if value is None else f"{round(value):,}"


def interval(bounds: tuple[float, float] | None, write: Callable[[float], str] = rough) -> str:
    """Low to high, or a dash."""
    return "-" if bounds is None else f"{write(bounds[0])} to {write(bounds[1])}"


def count_interval(bounds: tuple[float, float] | None) -> str:
    """Low to high of counts, or a dash."""
    return "-" if bounds is None else short_span(bounds)


def estimated_count(value: float | None, bounds: tuple[float, float] | None) -> str:
    """A count with digits grouped; in two digits where its interval leaves no more known."""
    wide = value is not None and bounds is not None and spans_decades(bounds)
    return f"{value:.1e}" if wide else count(value)


def ratio(value: float | None) -> str:
    """A ratio in four digits; a dash for None."""
    return "-" if value is None else f"{value:.4g}"


def percent(fraction: float | None) -> str:
    """A fraction as a percentage; a dash for None."""
    return "-" if fraction is None else f"{fraction:.3%}"
