"""Any table as columns of entries, for what is no sweep of cells: width sweeps and activation logs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import BinaryIO

from hptransfer.errors import FileError, InputError, Problem, UsageError, did_you_mean, plain
from hptransfer.readers.reading import MAX_BYTES, MAX_ROWS
from hptransfer.readers.sources import open_source
from hptransfer.readers.streams import ByteBudget
from hptransfer.readers.tables import Ledger, ProblemLog, Value
from hptransfer.readers.values import label, numbers
from hptransfer.readers.where import RowFilter
from hptransfer.sweep import FloatArray


@dataclass(frozen=True)
class PlainTable:
    """All rows of one file: header -> entries, and the 1-based line of each row."""

    file: str
    columns: Mapping[str, Sequence[Value]]
    lines: Sequence[int]

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers in the order of the file."""
        return tuple(self.columns)

    def numbers(self, header: str) -> FloatArray:
        """A column as numbers, NaN where missing.

        Raises:  InputError naming every entry that is no number.
        """
        read = numbers(self.columns[header])
        if read.problems:
            raise InputError(
                [Problem(self.file, self.lines[index], header, message) for index, message in read.problems]
            )
        return read.values

    def labels(self, header: str) -> list[Value | None]:
        """A column as labels, None where missing."""
        return [label(entry) for entry in self.columns[header]]

    def require(self, header: str) -> str:
        """Return a header the user named, else raise UsageError with the nearest one."""
        if header in self.columns:
            return header
        hint = did_you_mean(header, self.headers)
        msg = f"{plain(self.file)} has no column {plain(header)!r}.{hint}"
        raise UsageError(msg)


def read_plain_table(
    path: str | os.PathLike[str],
    *,
    where: Mapping[str, str] | None = None,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO | None = None,
) -> PlainTable:
    """Read a table in any format that sweeps are read in; "-" is standard input.

    Args:    where: header -> value; only rows with these values are kept.
    Raises:  FileError, InputError, UsageError as `read_sweep`.
    """
    log = ProblemLog()
    row_filter = RowFilter(where or {})
    lines: list[int] = []
    ledger = Ledger(ByteBudget(max_bytes), log)
    with open_source(os.fspath(path), ledger, stdin=stdin) as opened:
        table = opened.table
        headers = list(dict.fromkeys(header for header in table.headers if header))
        if len(headers) < 2:
            message = "only one column; need a header line and columns set apart by commas or tabs."
            raise InputError([Problem(os.fspath(path), None, None, message)])
        columns: dict[str, list[Value]] = {header: [] for header in headers}
        shell = PlainTable(os.fspath(path), columns, lines)
        asked = [shell.require(name) for name in row_filter.names]
        for chunk in table.chunks(headers):
            if len(lines) + len(chunk.lines) > max_rows:
                msg = f"the input holds more than {max_rows:,} rows; raise the limit with --max-rows."
                raise FileError(path, msg)
            by_header = dict(zip(headers, chunk.columns, strict=True))
            keep = row_filter.keep([by_header[name] for name in asked], len(chunk.lines))
            lines += compress(chunk.lines, keep)
            for header in headers:
                columns[header] += compress(by_header[header], keep)
    log.raise_if_any()
    row_filter.check_matched()
    if not lines:
        raise InputError([Problem(os.fspath(path), None, None, "a header but no rows.")])
    return shell
