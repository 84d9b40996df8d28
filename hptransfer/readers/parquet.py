"""Parquet files, row group by row group (needs the extra `parquet`); struct columns get dotted names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from hptransfer.errors import FileError, InputError, Problem, UsageError, plain
from hptransfer.readers.records import MAX_DEPTH, MAX_HEADERS, plain_value
from hptransfer.readers.streams import ByteBudget, file_sha256
from hptransfer.readers.tables import CHUNK_ROWS, Chunk, Format, Ledger, OpenTable, Place, Value

MAGIC = b"PAR1"
MISSING = "Parquet needs pyarrow: pip install 'hptransfer[parquet]', or export the runs as CSV."


class ParquetTable:
    """A Parquet file; only the wanted columns are read, and their decompressed size counts as bytes read."""

    late_headers: Mapping[str, int] = {}

    def __init__(self, file: Any, path: str, budget: ByteBudget) -> None:
        self._file = file
        self._path = path
        self._budget = budget
        self.headers = tuple(column.path for column in map(file.schema.column, range(len(file.schema))))
        if len(self.headers) > MAX_HEADERS:
            raise FileError(path, f"more than {MAX_HEADERS:,} columns: not a table of runs.")

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield the wanted columns; see `Table`."""
        self._spend(frozenset(wanted))
        first = 1
        batches = self._file.iter_batches(batch_size=CHUNK_ROWS, columns=list(dict.fromkeys(wanted)))
        while (batch := self._next(batches)) is not None:
            yield Chunk(range(first, first + batch.num_rows), [_values(batch, header) for header in wanted])
            first += batch.num_rows

    def place(self, number: int) -> str:
        """Return the 1-based row; see `Table`."""
        return f"row {number}"

    def _spend(self, wanted: Collection[str]) -> None:
        """Count the wanted columns against the byte budget, by the sizes that the file states."""
        about = self._file.metadata
        groups = map(about.row_group, range(about.num_row_groups))
        columns = (group.column(i) for group in groups for i in range(group.num_columns))
        sizes = (column.total_uncompressed_size for column in columns if column.path_in_schema in wanted)
        self._budget.spend(sum(sizes), self._path)

    def _next(self, batches: Iterator[Any]) -> Any:
        with _arrow_errors(self._path):
            return next(batches, None)


def _values(batch: Any, header: str) -> list[Value]:
    """Return one column of a batch; a dotted header goes into structs unless a column has that very name."""
    names = [header] if header in batch.schema.names else header.split(".", MAX_DEPTH)
    entries = batch.column(names[0]).to_pylist()
    for name in names[1:]:
        entries = [entry.get(name) if isinstance(entry, dict) else None for entry in entries]
    return [_plain(entry) for entry in entries]


def _plain(entry: Any) -> Value:
    if entry is None or isinstance(entry, str | int | float | bool):
        return plain_value(entry)
    return str(entry)


def _recognizes(place: Place) -> bool:
    return place.start.startswith(MAGIC)


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        msg = f"{plain(place.path)}: {MISSING}"
        raise UsageError(msg) from error
    with ExitStack() as stack:
        with _arrow_errors(place.path):
            file = stack.enter_context(parquet.ParquetFile(place.path))
        if not file.metadata.num_rows:
            raise InputError([Problem(place.path, None, None, "holds no rows; need one row a run.")])
        table = ParquetTable(file, place.path, ledger.budget)
        yield OpenTable(table, place.name, partial(file_sha256, place.path))


@contextmanager
def _arrow_errors(path: str) -> Iterator[None]:
    """Turn what pyarrow raises into a FileError."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        raise FileError(path, f"damaged, or not a Parquet file ({plain(error)}).") from error


FORMAT = Format("parquet", "a Parquet file", _recognizes, _open)
