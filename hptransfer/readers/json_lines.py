"""JSON Lines: one object a line; nested objects become dotted names (`config.lr`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

from hptransfer.errors import FileError, InputError, Problem, plain
from hptransfer.readers.streams import TextSource
from hptransfer.readers.tables import CHUNK_ROWS, Chunk, ProblemLog, Value

MAX_DEPTH = 16
MAX_HEADERS = 10_000
HEADER_ROWS = 10_000
_FlatRow: TypeAlias = dict[str, Value]


class JsonLinesTable:
    """A file with one JSON object a line. Its headers are the keys of the first `HEADER_ROWS` objects.

    A wanted key may be absent from a line: its value is missing there. Keys that turn up only later
    come too late to be read; they are noted in `late_headers`.

    Raises:  InputError when there is no object at all.
    """

    def __init__(self, source: TextSource, lines: Iterator[str], log: ProblemLog) -> None:
        self._source = source
        self._log = log
        self._rows = self._objects(lines)
        self._first_rows = list(islice(self._rows, HEADER_ROWS))
        if not self._first_rows:
            log.raise_if_any()
            raise InputError([Problem(source.path, None, None, "empty; need one JSON object a line.")])
        self.headers = tuple(dict.fromkeys(chain.from_iterable(row for _, row in self._first_rows)))
        self.late_headers: dict[str, int] = {}
        self._check_header_count()

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield the wanted columns; see `Table`."""
        rows = self._first_rows
        while rows:
            columns = [[row.get(header, "") for _, row in rows] for header in wanted]
            yield Chunk([line for line, _ in rows], columns)
            rows = list(islice(self._rows, CHUNK_ROWS))
            self._note_late_headers(rows)

    def _note_late_headers(self, rows: list[tuple[int, _FlatRow]]) -> None:
        known = frozenset(self.headers)
        for line, row in rows:
            for header in row.keys() - known:
                self.late_headers.setdefault(header, line)
        self._check_header_count()

    def _check_header_count(self) -> None:
        if len(self.headers) + len(self.late_headers) > MAX_HEADERS:
            raise FileError(
                self._source.path, f"more than {MAX_HEADERS:,} different keys: not a table of runs."
            )

    def _objects(self, lines: Iterator[str]) -> Iterator[tuple[int, _FlatRow]]:
        """Yield line number and flattened object of each line that holds one; the others are problems."""
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield number, _flat_object(line)
            except ValueError as error:
                self._log.add(self._source.path, number, None, str(error))


def _flat_object(line: str) -> _FlatRow:
    """Parse one line into dotted names and plain values.

    Raises:  ValueError whose message says what is wrong with the line.
    """
    too_deep = f"nested deeper than {MAX_DEPTH} levels."
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError as error:
        msg = f"not valid JSON ({error.msg} at character {error.pos + 1}); need one object a line."
        raise ValueError(msg) from error
    except RecursionError as error:
        raise ValueError(too_deep) from error
    except ValueError as error:  # an integer with thousands of digits
        msg = f"not valid JSON ({plain(error)})."
        raise ValueError(msg) from error
    if not isinstance(parsed, dict):
        shown = plain(line.strip(), limit=40)
        msg = f"got {shown}, need one JSON object a line (from an array: jq -c '.[]')."
        raise ValueError(msg)  # noqa: TRY004 - wrong content, not a wrong argument
    flat: _FlatRow = {}
    if not _flatten(parsed, "", MAX_DEPTH, flat):
        raise ValueError(too_deep)
    return flat


def _flatten(nested: dict[str, Any], prefix: str, depth: int, flat: _FlatRow) -> bool:
    """Add all plain values below `nested` to `flat`; False when it is deeper than `depth`."""
    if depth == 0:
        return False
    for key, value in nested.items():
        if isinstance(value, dict):
            if not _flatten(value, f"{prefix}{key}.", depth - 1, flat):
                return False
        else:
            flat[f"{prefix}{key}"] = _plain_value(value)
    return True


def _plain_value(value: Any) -> Value:
    """Return numbers and text as they are, null as missing, all else (true, lists) as its JSON text."""
    if value is None:
        return ""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return json.dumps(value)
