"""Rows of one or more open tables, collected as arrays; units and meaning are settled later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from hptransfer.errors import FileError, plain
from hptransfer.readers.columns import QUANTITIES, RECORDED, SETTINGS, ColumnMap, is_recognized
from hptransfer.readers.tables import Chunk, ProblemLog, Table
from hptransfer.readers.values import LabelColumn, numbers
from hptransfer.readers.where import RowFilter
from hptransfer.sweep import AnyArray, BoolArray, FloatArray, IntArray, SetAside

MAX_WATCHED = 100
MAX_WATCHED_LABELS = 64
LABEL_COLUMNS = (*SETTINGS, *RECORDED, "seed", "diverged", "state")
"""Columns collected as labels: what must not vary, what makes two equal rows two runs, what marks a run."""


@dataclass(frozen=True)
class RawRuns:
    """The kept rows of all files in their order, every array of shape (n_rows,).

    Attributes:
        files:      name of each file, as the user gave it.
        file, line: index into `files`; 1-based line in it.
        say_where:  for each file, how to say where a line is: `line 17`, `run lr3e-3`.
        quantities: canonical name -> numbers as in the file; NaN where missing. Names without a column in
                    any file are absent.
        no_loss:    True where the loss is missing, as opposed to NaN.
        codes:      canonical name -> index into `labels`, `LabelColumn.UNKNOWN` where missing.
        labels:     canonical name -> the distinct labels.
        others, other_labels: the same by header, for columns that mean nothing known, where asked for.
    """

    files: tuple[str, ...]
    file: IntArray
    line: IntArray
    quantities: Mapping[str, FloatArray]
    no_loss: BoolArray
    codes: Mapping[str, IntArray]
    labels: Mapping[str, Sequence[str | float]]
    say_where: tuple[Callable[[int], str], ...]
    others: Mapping[str, IntArray] = field(default_factory=dict)
    other_labels: Mapping[str, Sequence[str | float]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.line)

    def quantity(self, name: str) -> FloatArray:
        """Return a quantity, all NaN where no file has it."""
        return self.quantities.get(name, np.full(len(self), np.nan))

    def with_quantity(self, name: str, values: FloatArray) -> RawRuns:
        """Return the same rows with a quantity added or replaced."""
        return replace(self, quantities={**self.quantities, name: values})

    def place(self, row: int | np.integer) -> tuple[str, int]:
        """Return file and line of a row, for messages."""
        return self.files[self.file[row]], int(self.line[row])

    def where(self, row: int | np.integer) -> str:
        """Return where in its file a row is, for people."""
        say = self.say_where[int(self.file[row])]
        return say(int(self.line[row]))

    def set_aside(self, row: int | np.integer, reason: str, message: str) -> SetAside:
        """Return a row as one that takes no part."""
        file, line = self.place(row)
        return SetAside(file, line, reason, message, self.where(row))

    def places(self) -> tuple[str, ...]:
        """Return the place of each row, file named if several; nothing where all are lines of one file."""
        if len(self.files) > 1:
            return tuple(f"{plain(self.place(row)[0])}, {self.where(row)}" for row in range(len(self)))
        if all(say(1) == "line 1" for say in self.say_where):
            return ()
        return tuple(self.where(row) for row in range(len(self)))

    def take(self, rows: BoolArray) -> RawRuns:
        """Return the marked rows only."""
        return replace(
            self,
            file=self.file[rows],
            line=self.line[rows],
            quantities={name: values[rows] for name, values in self.quantities.items()},
            no_loss=self.no_loss[rows],
            codes={name: codes[rows] for name, codes in self.codes.items()},
            others={header: codes[rows] for header, codes in self.others.items()},
        )


class RunCollector:
    """Collects the rows of one file after the other; chunks of text become arrays at once."""

    def __init__(
        self, *, row_filter: RowFilter, max_rows: int, log: ProblemLog, watch_others: bool = False
    ) -> None:
        self._filter = row_filter
        self._max_rows = max_rows
        self._log = log
        self._watch_others = watch_others
        self._others: dict[str, LabelColumn] = {}
        self._other_codes: dict[str, dict[int, IntArray]] = {}
        self._n_rows_read = 0
        self._files: list[str] = []
        self._say_where: list[Callable[[int], str]] = []
        self._chunk_rows: list[int] = []
        # canonical name -> chunk -> the chunk's rows; chunks whose file lacks the column are left out
        self._numbers: dict[str, dict[int, FloatArray]] = {}
        self._codes: dict[str, dict[int, IntArray]] = {}
        self._label_columns = {name: LabelColumn() for name in LABEL_COLUMNS}
        self._file_blocks: list[IntArray] = []
        self._line_blocks: list[IntArray] = []
        self._no_loss_blocks: list[BoolArray] = []

    def add(self, table: Table, columns: ColumnMap) -> None:
        """Read all rows of a table.

        Raises:  FileError when the sweep has more than `max_rows` rows; InputError after very many problems.
        """
        self._files.append(columns.file)
        self._say_where.append(table.place)
        used = columns.used
        asked = [columns.header_of(name) for name in self._filter.names]
        others = self._headers_to_watch(table.headers, columns) if self._watch_others else ()
        wanted = list(dict.fromkeys([*used.values(), *asked, *others]))
        n_rows_before = self._n_rows_read
        for chunk in table.chunks(wanted):
            self._count_rows(len(chunk.lines), columns.file)
            by_header = dict(zip(wanted, chunk.columns, strict=True))
            keep = self._filter.keep([by_header[header] for header in asked], len(chunk.lines))
            kept = _kept(chunk, keep)
            self._add_chunk(kept, wanted, used)
            self._watch(kept, wanted, others)
        if self._n_rows_read == n_rows_before and not self._log:
            self._log.add(columns.file, None, None, "a header but no runs; need one line a run.")
        self._note_late_headers(table, columns.file)

    @property
    def has_rows(self) -> bool:
        """Whether any row was kept or left out so far."""
        return bool(self._chunk_rows)

    def runs(self) -> RawRuns:
        """Return everything collected; at least one table must have had rows."""
        return RawRuns(
            files=tuple(self._files),
            file=np.concatenate(self._file_blocks),
            line=np.concatenate(self._line_blocks),
            quantities={name: self._joined(blocks, np.nan) for name, blocks in self._numbers.items()},
            no_loss=np.concatenate(self._no_loss_blocks),
            codes={name: self._joined(blocks, LabelColumn.UNKNOWN) for name, blocks in self._codes.items()},
            labels={name: self._label_columns[name].labels for name in self._codes},
            say_where=tuple(self._say_where),
            others={h: self._joined(blocks, LabelColumn.UNKNOWN) for h, blocks in self._other_codes.items()},
            other_labels={header: self._others[header].labels for header in self._other_codes},
        )

    def _headers_to_watch(self, headers: Sequence[str], columns: ColumnMap) -> list[str]:
        """Return the first headers of a file that mean nothing known."""
        known = frozenset(columns.columns.values())
        return [h for h in dict.fromkeys(headers) if h and h not in known][:MAX_WATCHED]

    def _watch(self, chunk: Chunk, wanted: Sequence[str], others: Sequence[str]) -> None:
        """Collect columns that mean nothing known, until they prove to be no labels but measurements."""
        by_header = dict(zip(wanted, chunk.columns, strict=True))
        for header in others:
            column = self._others.setdefault(header, LabelColumn())
            if len(column.labels) <= MAX_WATCHED_LABELS:
                codes = column.codes(by_header[header])
                self._other_codes.setdefault(header, {})[len(self._chunk_rows) - 1] = codes
            else:
                self._other_codes.pop(header, None)

    def _joined(self, blocks: Mapping[int, AnyArray], absent: float) -> AnyArray:
        """Join the chunks of one column in order; `absent` stands where a chunk's file lacks it."""
        dtype = next(iter(blocks.values())).dtype
        every = [blocks.get(i, np.full(n, absent, dtype=dtype)) for i, n in enumerate(self._chunk_rows)]
        return np.concatenate(every)

    def _count_rows(self, n_rows: int, file: str) -> None:
        self._n_rows_read += n_rows
        if self._n_rows_read > self._max_rows:
            msg = f"the input holds more than {self._max_rows:,} rows; raise the limit with --max-rows."
            raise FileError(file, msg)

    def _add_chunk(self, chunk: Chunk, wanted: Sequence[str], used: Mapping[str, str]) -> None:
        """Turn the rows of one chunk into arrays."""
        by_header = dict(zip(wanted, chunk.columns, strict=True))
        number, n_rows = len(self._chunk_rows), len(chunk.lines)
        self._chunk_rows.append(n_rows)
        for name, header in used.items():
            if name in QUANTITIES:
                column = numbers(by_header[header])
                self._numbers.setdefault(name, {})[number] = column.values
                for index, message in column.problems:
                    self._log.add(self._files[-1], chunk.lines[index], header, message)
                if name == "loss":
                    self._no_loss_blocks.append(column.is_missing)
            if name in LABEL_COLUMNS:
                codes = self._label_columns[name].codes(by_header[header])
                self._codes.setdefault(name, {})[number] = codes
        self._file_blocks.append(np.full(n_rows, len(self._files) - 1))
        self._line_blocks.append(np.fromiter(chunk.lines, dtype=np.int64, count=n_rows))

    def _note_late_headers(self, table: Table, file: str) -> None:
        """A known column that turned up after the headers were settled must not be dropped silently."""
        for header, line in table.late_headers.items():
            if is_recognized(header):
                message = (
                    f"key {plain(header)!r} comes up here first, too late; give it in the first line too."
                )
                self._log.add(file, line, None, message)


def _kept(chunk: Chunk, keep: Sequence[bool]) -> Chunk:
    if all(keep):
        return chunk
    return Chunk(list(compress(chunk.lines, keep)), [list(compress(c, keep)) for c in chunk.columns])
