"""Tables and numbers for people, JSON for programs; what a record looks like stands in `render_*`.

rich is imported where a table is drawn: JSON must not wait for it.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

from hptransfer.quantities import scientific

if TYPE_CHECKING:
    from rich.console import Console

    from hptransfer.law import Note

PIPE_WIDTH = 200


def console(stream: TextIO | None = None) -> Console:
    """A console on a stream: colours and the terminal's width there, plain and wide in a pipe."""
    from rich.console import Console

    stream = sys.stdout if stream is None else stream
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], stream: TextIO | None = None
) -> None:
    """Print a table; cells are text, never markup.

    Columns whose name ends in `#` hold numbers: right-aligned, and whole however narrow the terminal.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    stream = sys.stdout if stream is None else stream
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    cells = [list(row) for row in rows]
    for i, column in enumerate(columns):
        if column.endswith("#"):
            widest = max((len(row[i]) for row in cells), default=0)
            grid.add_column(Text(column[:-1]), justify="right", overflow="fold", min_width=widest)
        else:
            grid.add_column(Text(column), overflow="fold")
    for row in cells:
        grid.add_row(*map(Text, row))
    painter = console(stream)
    with painter.capture() as captured:
        painter.print(Text(title, style="bold"))
        painter.print(grid)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), end="\n\n", file=stream)


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
    """A sentence folded at 80 columns, indented from the second line on."""
    return textwrap.fill(sentence, width=80, subsequent_indent="  ", break_long_words=False)


def signed(value: float | None) -> str:
    """A slope with its sign; a dash for None."""
    return "-" if value is None else f"{value:+.2f}"


def number(value: float | None) -> str:
    """A learning rate, or a dash."""
    return "-" if value is None else scientific(value, 4)


def rough(value: float) -> str:
    """A learning rate as the end of an interval."""
    return scientific(value, 3)


def count(value: float | None) -> str:
    """A count with digits grouped, or a dash."""
    return "-" if value is None else f"{round(value):,}"


def interval(bounds: tuple[float, float] | None, write: Callable[[float], str] = rough) -> str:
    """Low to high, or a dash."""
    return "-" if bounds is None else f"{write(bounds[0])} to {write(bounds[1])}"


def ratio(value: float | None) -> str:
    """A ratio in four digits; a dash for None."""
    return "-" if value is None else f"{value:.4g}"


def percent(fraction: float | None) -> str:
    """A fraction as a percentage; a dash for None."""
    return "-" if fraction is None else f"{fraction:.3%}"
