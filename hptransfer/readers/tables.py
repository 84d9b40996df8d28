"""What every table format gives: headers, then chunks of columns; and the list of what is wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from hptransfer.errors import InputError, Problem
from hptransfer.readers.streams import ByteBudget

Value: TypeAlias = str | float
"""A table's entry as it was written: text, or a number where the format has numbers. "" is missing."""

CHUNK_ROWS = 1_000
"""Rows turned into arrays at once: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Chunk:
    """Some rows in the order of the file: 1-based lines, and one list a wanted header, all equally long.

    Where a format has no lines (a database, a folder), they are the 1-based numbers of its runs.
    """

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

    def place(self, number: int) -> str:
        """Say where a row of `Chunk.lines` is, for people: `line 17`, `row 17`, `run lr3e-3`."""


class ProblemLog:
    """The problems of one sweep, collected so that they can be reported at once."""

    MAX_PROBLEMS = 10_000

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._places: dict[str, Callable[[int], str]] = {}

    def name_places(self, file: str, place: Callable[[int], str]) -> None:
        """Have the lines of a file shown as `place` says them."""
        self._places[file] = place

    def place(self, file: str, line: int) -> str:
        """Say where a row of a file is, for people; see `Table.place`."""
        place = self._places.get(file)
        return f"line {line}" if place is None else place(line)

    def add(self, file: str, line: int | None, column: str | None, message: str) -> None:
        """Note one problem; beyond `MAX_PROBLEMS` raise at once, so that memory stays bounded."""
        place = "" if line is None else self.place(file, line)
        self._problems.append(Problem(file, line, column, message, place))
        if len(self._problems) >= self.MAX_PROBLEMS:
            self.raise_if_any(way_out=f"Ledger stopped after {self.MAX_PROBLEMS:,} problems.")

    def __len__(self) -> int:
        """Return the number of problems so far."""
        return len(self._problems)

    def raise_if_any(self, *, way_out: str = "") -> None:
        """Raise InputError with all problems so far, if there are any."""
        if self._problems:
            raise InputError(self._problems, way_out=way_out)


@dataclass(frozen=True)
class OpenTable:
    """A table that is open for reading, the name to record for it, and the digest of what was read.

    `file` is the name without its folder. `sha256` reads what is left, so it is asked for last.
    """

    table: Table
    file: str
    sha256: Callable[[], str]


@dataclass(frozen=True)
class Place:
    """A file or folder that may hold a sweep: its name as given, and enough of it to recognize a format.

    Attributes:
        path:  as the user gave it.
        start: the first bytes of a file as it is stored; b"" for a folder.
        files: paths of all files below a folder, sorted; empty for a file.
    """

    path: str
    start: bytes = b""
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return Path(self.path).is_dir()

    @property
    def name(self) -> str:
        """The name without its folder."""
        return Path(self.path).resolve().name


@dataclass(frozen=True)
class Ledger:
    """What all files of one sweep share: how many bytes may still be read, and the list of problems."""

    budget: ByteBudget
    log: ProblemLog


@dataclass(frozen=True)
class Format:
    """A format that is read from a path: a folder or a binary file. Text formats are in `sources`.

    Attributes:
        name:       as in `--source NAME`.
        title:      for messages.
        recognizes: whether a place looks like this format, by its content.
        open:       opens it; raises FileError for what cannot be read.
    """

    name: str
    title: str
    recognizes: Callable[[Place], bool]
    open: Callable[[Place, Ledger], AbstractContextManager[OpenTable]]
