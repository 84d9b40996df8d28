"""Entries of a column to arrays: numbers as people write them, missing marks, labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.errors import plain
from hptransfer.quantities import parse_number
from hptransfer.readers.tables import Value
from hptransfer.sweep import BoolArray, FloatArray, IntArray

_MISSING = frozenset({"", "na", "n/a", "#n/a", "null", "none", "<na>", "-", "--", "undefined"})
_REPEATED = 8  # times that an entry has to come up on average for looking it up to be faster
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Numbers:
    """A column's numbers, shape (n_rows,): NaN where the entry is missing, not a number, or says NaN.

    `problems` holds position and message of each entry that is neither missing nor a number.
    """

    values: FloatArray
    is_missing: BoolArray
    problems: Sequence[tuple[int, str]]


def numbers(entries: Sequence[Value]) -> Numbers:
    """Read a column of numbers; plain floats take a fast path."""
    try:
        values = _floats(entries)
    except (ValueError, OverflowError):
        return _numbers_one_by_one(entries)
    return Numbers(values, np.zeros(len(entries), dtype=np.bool_), ())


def _floats(entries: Sequence[Value]) -> FloatArray:
    """Convert entries that are all plain floats; where few differ, as sizes and batches do, each once.

    Raises:  ValueError, OverflowError for the first that is not one.
    """
    convert: Callable[[Value], float] = float
    different = set(entries)
    if _REPEATED * len(different) <= len(entries):
        convert = {entry: float(entry) for entry in different}.__getitem__
    return np.fromiter(map(convert, entries), dtype=np.float64, count=len(entries))


def _numbers_one_by_one(entries: Sequence[Value]) -> Numbers:
    values = np.full(len(entries), np.nan)
    is_missing = np.zeros(len(entries), dtype=np.bool_)
    problems = []
    for index, entry in enumerate(entries):
        if is_missing_mark(entry):
            is_missing[index] = True
            continue
        try:
            values[index] = as_number(entry)
        except (ValueError, OverflowError):
            problems.append((index, _not_a_number(entry)))
    return Numbers(values, is_missing, problems)


def as_number(entry: Value) -> float:
    """Read one number: as Python writes floats, or with a suffix as in 7B or 4Mi.

    Raises:  ValueError, OverflowError.
    """
    try:
        return float(entry)
    except ValueError:
        return parse_number(str(entry))


def is_missing_mark(entry: Value) -> bool:
    """Whether an entry is empty or one of the usual words for nothing (NaN is not one: a loss can be NaN)."""
    return isinstance(entry, str) and entry.strip().lower() in _MISSING


def label(entry: Value) -> Value | None:
    """Return an entry so that equal ones compare equal: a finite number, else stripped text, None if missing.

    >>> label(" 0.10"), label("cosine "), label("")
    (0.1, 'cosine', None)
    """
    if is_missing_mark(entry):
        return None
    text = entry.strip() if isinstance(entry, str) else entry
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return str(text)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(text)


class LabelColumn:
    """A column of labels, collected chunk by chunk as codes into its distinct entries."""

    UNKNOWN = -1

    def __init__(self) -> None:
        self._code_of_entry: dict[Value, int] = {}
        self._code_of_label: dict[Value, int] = {}

    @property
    def labels(self) -> list[Value]:
        """The distinct labels; a run's code is an index into this list."""
        return list(self._code_of_label)

    def codes(self, entries: Sequence[Value]) -> IntArray:
        """Return each entry's code, `UNKNOWN` where it is missing; shape (n_rows,)."""
        known = self._code_of_entry
        if entries and entries.count(entries[0]) == len(entries):
            entry = entries[0]
            known.setdefault(entry, self._code(label(entry)))
            return np.full(len(entries), known[entry])
        for entry in dict.fromkeys(entries):  # in order of occurrence, so that codes are reproducible
            if entry not in known:
                known[entry] = self._code(label(entry))
        return np.fromiter(map(known.__getitem__, entries), dtype=np.int64, count=len(entries))

    def _code(self, value: Value | None) -> int:
        if value is None:
            return self.UNKNOWN
        return self._code_of_label.setdefault(value, len(self._code_of_label))


def _not_a_number(entry: Value) -> str:
    shown = plain(str(entry), limit=60)
    if _DECIMAL_COMMA.fullmatch(str(entry).strip()):
        return f"got {shown!r}, a decimal comma; need a decimal point (in a ;-separated file: sed 's/,/./g')."
    return f"got {shown!r}, need a number such as 0.003, 7B or 524_288."
