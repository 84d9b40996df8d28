"""Runs that arrive one record each (JSON, databases, folders) as a table; nested values get dotted names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

from hptransfer.errors import FileError, InputError, Problem, plain
from hptransfer.readers.tables import CHUNK_ROWS, Chunk, ProblemLog, Value

MAX_DEPTH = 16
MAX_HEADERS = 10_000
HEADER_ROWS = 10_000
_WANDB_VALUE = frozenset({"value", "desc"})

FlatRecord: TypeAlias = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Record:
    """One run: its 1-based line or number, its values by header, and its name where it has no line."""

    number: int
    values: Mapping[str, Value]
    name: str = ""


class RecordTable:
    """A table made of records. Its headers are the keys of the first `HEADER_ROWS` records.

    A wanted key may be absent from a record: its value is missing there. Keys that turn up only later
    come too late to be read; they are noted in `late_headers`.

    Raises:  InputError saying `empty` when there is no record at all.
    """

    def __init__(self, path: str, records: Iterator[Record], log: ProblemLog, *, empty: str) -> None:
        self._path = path
        self._records = records
        self._names: dict[int, str] = {}
        self._first_records = self._next_records(HEADER_ROWS)
        if not self._first_records:
            log.raise_if_any()
            raise InputError([Problem(path, None, None, empty)])
        keys = (record.values for record in self._first_records)
        self.headers = tuple(dict.fromkeys(chain.from_iterable(keys)))
        self.late_headers: dict[str, int] = {}
        self._check_header_count()

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield the wanted columns; see `Table`."""
        records = self._first_records
        while records:
            columns = [[record.values.get(header, "") for record in records] for header in wanted]
            yield Chunk([record.number for record in records], columns)
            records = self._next_records(CHUNK_ROWS)
            self._note_late_headers(records)

    def place(self, number: int) -> str:
        """Return the run by its name where it has one, else by its line; see `Table`."""
        name = self._names.get(number)
        return f"line {number}" if name is None else f"run {plain(name, limit=80)}"

    def _next_records(self, count: int) -> list[Record]:
        records = list(islice(self._records, count))
        self._names.update((record.number, record.name) for record in records if record.name)
        return records

    def _note_late_headers(self, records: Sequence[Record]) -> None:
        known = frozenset(self.headers)
        for record in records:
            for header in record.values.keys() - known:
                self.late_headers.setdefault(header, record.number)
        self._check_header_count()

    def _check_header_count(self) -> None:
        if len(self.headers) + len(self.late_headers) > MAX_HEADERS:
            raise FileError(self._path, f"more than {MAX_HEADERS:,} different keys: not a table of runs.")


def json_value(text: str) -> Any:
    """Parse JSON text; NaN and Infinity are numbers, as trackers write them.

    Raises:  ValueError whose message says what is wrong with the text.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, " if error.lineno > 1 else ""
        msg = f"not valid JSON ({error.msg} at {where}character {error.colno})"
        raise ValueError(msg) from error
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    except ValueError as error:  # an integer with thousands of digits
        msg = f"not valid JSON ({plain(error)})"
        raise ValueError(msg) from error


def flat_record(nested: Mapping[str, Any], *, prefix: str = "", separator: str = ".") -> FlatRecord:
    """Return the plain values below a mapping by their joined names (`config.lr`).

    W&B's `{"lr": {"value": 0.003, "desc": null}}` is the value itself.

    Raises:  ValueError when it is nested deeper than `MAX_DEPTH`.

    >>> flat_record({"config": {"lr": 0.003, "tags": ["a"]}, "loss": None})
    {'config.lr': 0.003, 'config.tags': '["a"]', 'loss': ''}
    """
    flat: FlatRecord = {}
    _flatten(nested, prefix, separator, MAX_DEPTH, flat)
    return flat


def plain_value(value: Any) -> Value:
    """Return numbers and text as they are, None as missing, all else (true, lists) as its JSON text."""
    if value is None:
        return ""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return json.dumps(value)


def _flatten(nested: Mapping[str, Any], prefix: str, separator: str, depth: int, flat: FlatRecord) -> None:
    """Add all plain values below `nested` to `flat`."""
    if depth == 0:
        raise ValueError(_too_deep())
    for key, value in nested.items():
        if not isinstance(value, dict):
            flat[f"{prefix}{key}"] = plain_value(value)
        elif "value" in value and value.keys() <= _WANDB_VALUE and not isinstance(value["value"], dict):
            flat[f"{prefix}{key}"] = plain_value(value["value"])
        else:
            _flatten(value, f"{prefix}{key}{separator}", separator, depth - 1, flat)


def _too_deep() -> str:
    return f"nested deeper than {MAX_DEPTH} levels"
