"""A first look at a sweep: everything is understood as far as it goes, and nothing is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from hptransfer.errors import InputError, Problem, RefusalError
from hptransfer.readers.cleaning import CleanRuns, Gathered, clean, make_sweep
from hptransfer.readers.columns import SETTINGS, ColumnMap, Question, guess_columns, missing_columns
from hptransfer.readers.mapping import Reading
from hptransfer.readers.reading import MAX_BYTES, MAX_ROWS, PathLike, check_arguments, gather
from hptransfer.readers.runs import RunCollector
from hptransfer.readers.settings import varying_settings
from hptransfer.readers.streams import ByteBudget
from hptransfer.readers.tables import ProblemLog
from hptransfer.readers.units import BatchUnit
from hptransfer.readers.where import RowFilter
from hptransfer.sweep import CELL_TOLERANCE, IntArray, Sweep

ASSUMED_SEQ_LEN = 2048
SMALLEST_BATCH_TOKENS = 8192
"""A batch column whose values all are at least this is taken to count tokens, until a person says."""


@dataclass(frozen=True)
class Survey:
    """What a first look understood.

    Attributes:
        maps:      how each file's headers were understood.
        questions: what `fit` would ask, and was answered here by the likeliest; `reading` has the answers.
        reading:   how the sweep was read, guesses included: what to tell `fit`.
        unusable:  why there is no sweep, empty where there is one.
        sweep:     the usable runs, whatever their settings.
        codes, labels: settings that may vary, as in `RawRuns`, aligned with the sweep's runs.
        others, other_labels: columns that mean nothing known, likewise, by header.
    """

    maps: tuple[ColumnMap, ...]
    questions: tuple[str, ...]
    reading: Reading
    unusable: tuple[str, ...]
    sweep: Sweep | None
    codes: Mapping[str, IntArray]
    labels: Mapping[str, Sequence[str | float]]
    others: Mapping[str, IntArray]
    other_labels: Mapping[str, Sequence[str | float]]


class _Columns:
    """Maps the columns of each file to the likeliest, and keeps what was asked and what is missing."""

    def __init__(self) -> None:
        self.maps: list[ColumnMap] = []
        self.questions: list[Question] = []
        self.missing: list[str] = []

    def __call__(self, file: str, headers: Sequence[str], assigned: Mapping[str, str]) -> ColumnMap:
        """See `columns.map_columns`."""
        mapped, questions = guess_columns(file, headers, assigned)
        self.maps.append(mapped)
        self.questions += questions
        self.missing += missing_columns(mapped)
        if self.missing:
            raise InputError([Problem(file, None, None, message) for message in self.missing])
        return mapped


def survey(
    paths: PathLike | Sequence[PathLike],
    reading: Reading,
    *,
    cell_tolerance: float = CELL_TOLERANCE,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO | None = None,
) -> Survey:
    """Look at a sweep without refusing it: bad rows are left out, open questions answered by the likeliest.

    Raises:  FileError for what cannot be read at all, UsageError for arguments that name what is not there,
             InputError for a file without header or rows.
    """
    check_arguments(
        reading.columns,
        params_kind=reading.params_kind,
        loss_unit=reading.loss_unit,
        batch_unit=reading.batch_unit,
        seq_len=reading.seq_len,
        cell_tolerance=cell_tolerance,
    )
    log, columns = ProblemLog(), _Columns()
    row_filter = RowFilter(reading.where, reading.without)
    try:
        gathered = gather(
            paths,
            source=reading.source,
            columns=reading.columns,
            collector=RunCollector(row_filter=row_filter, max_rows=max_rows, log=log, watch_others=True),
            budget=ByteBudget(max_bytes),
            stdin=stdin,
            log=log,
            mapping=columns,
        )
    except InputError:
        if not columns.missing:
            raise
        return _unusable(columns, reading, columns.missing)
    row_filter.check_matched()
    may_vary = varying_settings(reading.vary, gathered.maps)
    answered = reading.over(Reading(columns={q.name: q.headers[0] for q in columns.questions}))
    try:
        cleaned = _clean(gathered, answered, log)
    except (InputError, RefusalError) as error:
        return _unusable(columns, answered, [str(error)])
    has_bad_rows = any(run.reason == "bad-row" for run in cleaned.runs.set_aside)
    raw = cleaned.runs.runs.raw
    settings = [name for name in SETTINGS if name in raw.codes and name not in may_vary]
    return Survey(
        maps=gathered.maps,
        questions=(*map(str, columns.questions), *cleaned.assumed),
        reading=replace(cleaned.reading, skip_bad_rows=has_bad_rows),
        unusable=(),
        sweep=make_sweep(cleaned.runs, vary=SETTINGS, cell_tolerance=cell_tolerance),
        codes={name: raw.codes[name] for name in settings},
        labels={name: raw.labels[name] for name in settings},
        others=raw.others,
        other_labels=raw.other_labels,
    )


def _unusable(columns: _Columns, reading: Reading, messages: Sequence[str]) -> Survey:
    return Survey(
        maps=tuple(columns.maps),
        questions=tuple(map(str, columns.questions)),
        reading=reading,
        unusable=tuple(messages),
        sweep=None,
        codes={},
        labels={},
        others={},
        other_labels={},
    )


@dataclass(frozen=True)
class _Cleaned:
    """Clean runs, the reading that gave them, and what had to be assumed for it."""

    runs: CleanRuns
    reading: Reading
    assumed: tuple[str, ...] = ()


def _clean(gathered: Gathered, reading: Reading, log: ProblemLog) -> _Cleaned:
    """Clean the rows; leave out bad and contradicting ones, and where a unit is open assume it and say so.

    Raises:  InputError or RefusalError when nothing helps.
    """
    try:
        cleaned = _clean_once(gathered, reading, log)
    except InputError as error:
        assumed = _with_assumed_units(gathered, reading)
        if assumed == reading:
            raise
        cleaned = _clean_once(gathered, assumed, log)
        return _Cleaned(cleaned, assumed, (f"{error} (assumed here: {_units(assumed)})",))
    return _Cleaned(cleaned, reading)


def _units(reading: Reading) -> str:
    unit = f"--batch-unit {reading.batch_unit} " if reading.batch_unit else ""
    return unit + (f"--seq-len {reading.seq_len}" if reading.seq_len else "")


def _clean_once(gathered: Gathered, reading: Reading, log: ProblemLog) -> CleanRuns:
    return clean(
        gathered,
        params_kind=reading.params_kind,
        loss_unit=reading.loss_unit,
        batch_unit=reading.batch_unit,
        seq_len=reading.seq_len,
        skip_bad_rows=True,
        log=log,
    )


def _with_assumed_units(gathered: Gathered, reading: Reading) -> Reading:
    """Assume what a batch column of unstated unit counts by its size, and the length of a sequence."""
    batch = gathered.raw.quantity("batch")
    unit: BatchUnit | None = reading.batch_unit
    if unit is None and np.isfinite(batch).any():
        unit = "tokens" if np.nanmin(batch) >= SMALLEST_BATCH_TOKENS else "sequences"
    if unit == "tokens" or np.isfinite(gathered.raw.quantity("seq_len")).any():
        return replace(reading, batch_unit=unit)
    return replace(reading, batch_unit=unit, seq_len=reading.seq_len or ASSUMED_SEQ_LEN)
