"""What every table format gives: headers, then chunks of columns; and the list of what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hptransfer.errors import InputError, Problem

Value: TypeAlias = str | float
"""A table's entry as it was written: text, or a number where the format has numbers. "" is missing."""

CHUNK_ROWS = 1_000
"""Rows turned into arrays at once: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Chunk:
    """Some rows in the order of the file: 1-based lines, and one list a wanted header, all equally long."""

    lines: Sequence[int]
    columns: Sequence[Sequence[Value]]


class Table(Protocol):
    """An open table. Its headers are known before its rows are read.

    Formats without a header line know the headers of their first rows only: those that turn up later are
    not read, and stand in `late_headers` with the line of their first occurrence.
    """

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the headers in the order of the file."""

    @property
    def late_headers(self) -> Mapping[str, int]:
        """Return header -> line for those that came too late; complete when all rows are read."""

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield all rows once, some thousands at a time, with the wanted headers' columns."""


class ProblemLog:
    """The problems of one sweep, collected so that they can be reported at once."""

    MAX_PROBLEMS = 10_000

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def add(self, file: str, line: int | None, column: str | None, message: str) -> None:
        """Note one problem; beyond `MAX_PROBLEMS` raise at once, so that memory stays bounded."""
        self._problems.append(Problem(file, line, column, message))
        if len(self._problems) >= self.MAX_PROBLEMS:
            self.raise_if_any(way_out=f"Reading stopped after {self.MAX_PROBLEMS:,} problems.")

    def __len__(self) -> int:
        """Return the number of problems so far."""
        return len(self._problems)

    def raise_if_any(self, *, way_out: str = "") -> None:
        """Raise InputError with all problems so far, if there are any."""
        if self._problems:
            raise InputError(self._problems, way_out=way_out)
