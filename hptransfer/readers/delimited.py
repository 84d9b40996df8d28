"""Text tables with one header line: CSV, tab-, semicolon- or pipe-separated."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, compress, islice
from operator import itemgetter

from hptransfer.errors import FileError, InputError, Problem, plain
from hptransfer.readers.streams import TextSource
from hptransfer.readers.tables import CHUNK_ROWS, Chunk, ProblemLog

DELIMITERS = (",", ";", "\t", "|")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_PANEL_MARK = "__MIN"
_PANEL = (
    "an export of a W&B panel, which has one row a step. Export the table of runs instead (the runs page, "
    "table view, export as CSV), with the columns of the config and the summary shown."
)
_QUOTED = re.compile(r'"[^"]*"')


class DelimitedTable:
    """A delimited text table; the delimiter is the commonest candidate in the header line.

    Raises:  InputError when there is no header line, or when it holds mostly numbers.
    """

    def __init__(self, source: TextSource, lines: Iterator[str], log: ProblemLog) -> None:
        self._source = source
        self._log = log
        first_line, blank_lines = _first_line(lines)
        if not first_line:
            message = "empty; need a header line and one line a run."
            raise InputError([Problem(source.path, None, None, message)])
        self._blank_lines = blank_lines
        self._reader = csv.reader(chain([first_line], lines), delimiter=_delimiter(first_line))
        self.headers = tuple(header.strip() for header in self._next_rows(1)[0])
        self.late_headers: Mapping[str, int] = {}
        if 2 * sum(map(_is_number, self.headers)) > len(self.headers):
            shown = plain(first_line.strip(), limit=60)
            message = f"got numbers ({shown}), need a header line with the columns' names."
            raise InputError([Problem(source.path, blank_lines + 1, None, message)])
        if any(header.endswith(_PANEL_MARK) for header in self.headers):
            raise InputError([Problem(source.path, blank_lines + 1, None, _PANEL)])

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield the wanted columns (two or more); see `Table`. Rows of another length are reported."""
        pick = itemgetter(*(self.headers.index(header) for header in wanted))
        first_line = self._next_line()
        while rows := self._next_rows(CHUNK_ROWS):
            n_lines = self._next_line() - first_line
            lines: Sequence[int] = range(first_line, first_line + n_lines)
            if n_lines != len(rows):
                lines = _line_numbers(rows, first_line)
            lines, rows = self._complete(lines, rows)
            columns = list(zip(*map(pick, rows), strict=True)) if rows else [()] * len(wanted)
            yield Chunk(lines, columns)
            first_line = self._next_line()

    def place(self, number: int) -> str:
        """Return the line; see `Table`."""
        return f"line {number}"

    def _next_line(self) -> int:
        return self._blank_lines + self._reader.line_num + 1

    def _next_rows(self, count: int) -> list[list[str]]:
        """Read up to `count` rows; whatever the csv module cannot read is a FileError."""
        first_line = self._next_line()
        try:
            return list(islice(self._reader, count))
        except csv.Error as error:
            raise FileError(self._source.path, f"near line {first_line}: {error}.") from error

    def _complete(self, lines: Sequence[int], rows: list[list[str]]) -> tuple[Sequence[int], list[list[str]]]:
        """Drop blank rows, and report rows that do not have as many fields as the header."""
        width = len(self.headers)
        if set(map(len, rows)) == {width}:
            return lines, rows
        for line, row in zip(lines, rows, strict=True):
            if row and len(row) != width:
                message = f"got {len(row)} fields, need {width} as in the header."
                self._log.add(self._source.path, line, None, message)
        complete = [len(row) == width for row in rows]
        return list(compress(lines, complete)), list(compress(rows, complete))


def _line_numbers(rows: Sequence[Sequence[str]], first_line: int) -> list[int]:
    """Return the line each row starts on, where quoted fields hold line breaks."""
    n_lines = (1 + sum(len(_LINE_BREAK.findall(field)) for field in row) for row in rows)
    return list(accumulate(n_lines, initial=first_line))[:-1]


def _first_line(lines: Iterator[str]) -> tuple[str, int]:
    """Return the first line that is not blank ("" if there is none) and how many were skipped."""
    skipped = 0
    for line in lines:
        if line.strip():
            return line, skipped
        skipped += 1
    return "", skipped


def _delimiter(header_line: str) -> str:
    unquoted = _QUOTED.sub("", header_line)
    return max(DELIMITERS, key=unquoted.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
