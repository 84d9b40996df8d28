"""Columns of text that fit a terminal: numbers stay whole, words uncut, remarks move under their rows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from hptransfer.cli.screen import fold

NUMBER, REMARK = "#", "~"
GAPS = (3, 2)  # blanks between columns: airy where there is room
NARROWEST = 4
REMARK_INDENT = 4


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether it holds numbers (right-aligned, whole) or remarks."""

    heading: str
    is_number: bool = False
    is_remark: bool = False

    @classmethod
    def named(cls, name: str) -> Column:
        """Read `heading#` as numbers and `heading~` as remarks, which may stand under their row."""
        heading = name.removesuffix(NUMBER).removesuffix(REMARK)
        return cls(heading, is_number=name.endswith(NUMBER), is_remark=name.endswith(REMARK))


@dataclass(frozen=True)
class Layout:
    """Lines of a table, none with trailing blanks."""

    head: list[str]
    rule_width: int
    body: list[str]


def lay_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Layout:
    """Set a table in `width` columns of a terminal.

    Where it is too wide, remarks go under their rows; then headings and words fold between words, and only
    then words are broken. Numbers are never cut: a table of too many of them is wider than `width`.
    """
    shown = [i for i, column in enumerate(columns) if not column.is_remark or any(row[i] for row in rows)]
    below: list[int] = []
    gap, widths = _fitting(columns, rows, shown, width)
    if widths is None and any(column.is_remark for column in columns):
        below = [i for i in shown if columns[i].is_remark]
        shown = [i for i in shown if not columns[i].is_remark]
        gap, widths = _fitting(columns, rows, shown, width)
    if widths is None:
        widths = _squeezed(columns, rows, shown, width - GAPS[-1] * (len(shown) - 1))
    numeric = [columns[i].is_number for i in shown]
    head = _set([columns[i].heading for i in shown], widths, numeric, gap, bottom=True)
    body: list[str] = []
    for row in rows:
        body += _set([row[i] for i in shown], widths, numeric, gap)
        body += [line for i in below for line in _remark(columns[i], row[i], width)]
    return Layout(head, sum(widths) + gap * (len(widths) - 1), body)


def _fitting(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], shown: Sequence[int], width: int
) -> tuple[int, list[int] | None]:
    """The widest gap at which the columns fit unfolded, with their widths; None where none does."""
    widths = [max(cells(columns[i].heading), *(cells(row[i]) for row in rows), 0) for i in shown]
    for gap in GAPS:
        if sum(widths) + gap * (len(widths) - 1) <= width:
            return gap, widths
    return GAPS[-1], None


def _squeezed(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], shown: Sequence[int], room: int
) -> list[int]:
    """Widths that sum to `room` where that is possible: the widest texts give way first."""
    widths, whole, least = [], [], []
    for i in shown:
        texts = [columns[i].heading] + ([] if columns[i].is_number else [row[i] for row in rows])
        wanted = max((cells(row[i]) for row in rows), default=0)
        word = max((cells(word) for text in texts for word in text.split()), default=0)
        widths.append(max(wanted, word))
        whole.append(max(wanted, word) if columns[i].is_number else word)
        least.append(wanted if columns[i].is_number else min(NARROWEST, max(wanted, word)))
    for floor in (whole, least):
        while sum(widths) > room:
            slack = [value - lowest for value, lowest in zip(widths, floor, strict=True)]
            if max(slack) <= 0:
                break
            widest = max((value, k) for k, value in enumerate(widths) if slack[k] > 0)[1]
            widths[widest] -= 1
    return widths


def _set(
    texts: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], gap: int, *, bottom: bool = False
) -> list[str]:
    """The lines of one row; `bottom` aligns folded cells at their last line."""
    folded = [_folded(text, width) for text, width in zip(texts, widths, strict=True)]
    height = max(len(lines) for lines in folded)
    padded = [
        [""] * (height - len(lines)) + lines if bottom else lines + [""] * (height - len(lines))
        for lines in folded
    ]
    return [
        (" " * gap)
        .join(
            " " * (width - cells(text)) + text if right else text + " " * (width - cells(text))
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        .rstrip()
        for line in zip(*padded, strict=True)
    ]


def _folded(text: str, width: int) -> list[str]:
    if cells(text) <= width:
        return [text]
    if text.isascii():
        return textwrap.wrap(text, max(width, 1), break_on_hyphens=False) or [""]
    from rich.cells import chop_cells

    lines: list[str] = []
    for word in text.split():
        if lines and cells(lines[-1]) + 1 + cells(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += chop_cells(word, max(width, 2))
    return lines or [""]


def _remark(column: Column, text: str, width: int) -> list[str]:
    """A remark under its row, with its heading, which no longer stands above it."""
    if text in ("", "-"):
        return []
    said = f"{column.heading}: {text}" if column.heading else text
    indent = " " * REMARK_INDENT
    return [indent + line for line in fold(said, width - REMARK_INDENT).splitlines()]


def cells(text: str) -> int:
    """Columns that a text takes: two for wide characters, none for combining ones.

    >>> cells("law"), cells("法則")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
