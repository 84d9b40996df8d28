"""Files of finished runs -> Sweep or LossPoints: the order in which runs are read and cleaned."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import BinaryIO, TypeAlias, get_args

from hptransfer.batches.points import BatchPoints
from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.losses.points import LossPoints
from hptransfer.readers.cleaning import CleanRuns, Gathered, clean, make_sweep, raise_if_any
from hptransfer.readers.columns import NEEDED, ColumnMap, check_column_names, map_columns
from hptransfer.readers.loss_points import POINT_COLUMNS, make_loss_points
from hptransfer.readers.mapping import Reading
from hptransfer.readers.runs import RunCollector
from hptransfer.readers.settings import varying_settings
from hptransfer.readers.sources import check_source, open_source
from hptransfer.readers.streams import STDIN, ByteBudget
from hptransfer.readers.tables import Ledger, ProblemLog
from hptransfer.readers.tuned_runs import TUNED_COLUMNS, make_tuned_runs
from hptransfer.readers.units import BatchUnit
from hptransfer.readers.where import RowFilter
from hptransfer.sweep import CELL_TOLERANCE, LossUnit, ParamsKind, Sweep, SweepSource

PathLike: TypeAlias = str | os.PathLike[str]
ColumnMapping: TypeAlias = Callable[[str, Sequence[str], Mapping[str, str]], ColumnMap]
"""Finds the column of each canonical name; see `columns.map_columns`."""

MAX_ROWS = 1_000_000
MAX_BYTES = 1_000_000_000


def read_sweep(
    paths: PathLike | Sequence[PathLike],
    *,
    source: str | None = None,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    without: Collection[tuple[str, str]] = (),
    vary: Collection[str] = (),
    params_kind: ParamsKind | None = None,
    loss_unit: LossUnit | None = None,
    batch_unit: BatchUnit | None = None,
    seq_len: int | None = None,
    skip_bad_rows: bool = False,
    cell_tolerance: float = CELL_TOLERANCE,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO | None = None,
) -> Sweep:
    """Read finished runs from files and folders (see `sources` for the formats) into one sweep.

    Args:
        paths:          one file or folder or several, whose runs are put together; "-" is standard input.
        source:         name of the format they are in (`SOURCES`); by default recognized by their content.
        columns:        canonical name -> header, for headers that are not recognized or ambiguous.
        where:          column (canonical name or header) -> value; only rows with these values are read.
        without:        columns and values: rows with any of these values are not read.
        vary:           settings that may vary inside the sweep; all others must not.
        params_kind:    what params counts; by default what the header says, else "unspecified".
        loss_unit:      by default what the header says, else nats per token.
        batch_unit:     what a batch column counts, where its header does not say it or says it wrongly.
        seq_len:        tokens per sequence, where neither a column nor tokens, steps and batch settle it.
        skip_bad_rows:  set rows aside that hold what cannot be read, or contradict the others.
        cell_tolerance: relative difference within which params and tokens are the same cell.
        max_rows, max_bytes: limits on all files together; bytes are counted decompressed.
        stdin:          binary stream read for "-", by default the process's own.

    Returns: the usable runs in the order of the files. Diverged ones (loss not finite, or above 1.2 x the
             cell's best) are among them and marked; unfinished, incomplete and repeated rows are in
             `set_aside`.
    Raises:  FileError for what cannot be read or is over a limit; InputError with every unusable place in
             the input; RefusalError when a setting varies, or no run is usable; UsageError for arguments
             that name what is not there.
    """
    reading = Reading(
        source=source,
        columns=columns or {},
        where=where or {},
        without=tuple(without),
        vary=tuple(vary),
        params_kind=params_kind,
        loss_unit=loss_unit,
        batch_unit=batch_unit,
        seq_len=seq_len,
        skip_bad_rows=skip_bad_rows,
    )
    cleaned, may_vary = _read_clean(
        paths,
        reading,
        needed=NEEDED,
        cell_tolerance=cell_tolerance,
        max_rows=max_rows,
        max_bytes=max_bytes,
        stdin=stdin,
    )
    return make_sweep(cleaned, vary=may_vary, cell_tolerance=cell_tolerance)


def read_loss_points(
    paths: PathLike | Sequence[PathLike],
    reading: Reading | None = None,
    *,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO | None = None,
) -> tuple[LossPoints, tuple[tuple[str, str], ...]]:
    """Read (params, tokens, loss) of finished runs; no learning rate is needed.

    Args:    reading: how to read the columns; the rest as in `read_sweep`.
    Returns: the runs that finished with a finite loss, in the order of the files, and (code, message)
             warnings: what was assumed, how many rows were set aside, runs that differ in LR at one scale.
    Raises:  as `read_sweep`.
    """
    cleaned, may_vary = _read_clean(
        paths,
        reading or Reading(),
        needed=POINT_COLUMNS,
        cell_tolerance=CELL_TOLERANCE,
        max_rows=max_rows,
        max_bytes=max_bytes,
        stdin=stdin,
    )
    return make_loss_points(cleaned, vary=may_vary)


def read_tuned_runs(
    paths: PathLike | Sequence[PathLike],
    reading: Reading | None = None,
    *,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO | None = None,
) -> tuple[BatchPoints, tuple[tuple[str, str], ...]]:
    """Read (batch, tokens or steps, loss) of runs whose LR was tuned; params where several models are there.

    Args, raises: as `read_loss_points`.
    Returns: a point a row with a finite loss, and (code, message) warnings.
    """
    cleaned, may_vary = _read_clean(
        paths,
        reading or Reading(),
        needed=TUNED_COLUMNS,
        cell_tolerance=CELL_TOLERANCE,
        max_rows=max_rows,
        max_bytes=max_bytes,
        stdin=stdin,
    )
    return make_tuned_runs(cleaned, vary=may_vary)


def _read_clean(
    paths: PathLike | Sequence[PathLike],
    reading: Reading,
    *,
    needed: Sequence[str],
    cell_tolerance: float,
    max_rows: int,
    max_bytes: int,
    stdin: BinaryIO | None,
) -> tuple[CleanRuns, frozenset[str]]:
    """Read and clean the runs that have the `needed` columns; also return the settings that may vary."""
    check_arguments(
        reading.columns,
        params_kind=reading.params_kind,
        loss_unit=reading.loss_unit,
        batch_unit=reading.batch_unit,
        seq_len=reading.seq_len,
        cell_tolerance=cell_tolerance,
    )
    log = ProblemLog()
    row_filter = RowFilter(reading.where, reading.without)
    gathered = gather(
        paths,
        source=reading.source,
        columns=reading.columns,
        collector=RunCollector(row_filter=row_filter, max_rows=max_rows, log=log),
        budget=ByteBudget(max_bytes),
        stdin=stdin,
        log=log,
        mapping=partial(map_columns, needed=needed),
    )
    if not reading.skip_bad_rows:
        raise_if_any(log, gathered.raw)
    may_vary = varying_settings(reading.vary, gathered.maps)
    row_filter.check_matched()
    cleaned = clean(
        gathered,
        params_kind=reading.params_kind,
        loss_unit=reading.loss_unit,
        batch_unit=reading.batch_unit,
        seq_len=reading.seq_len,
        skip_bad_rows=reading.skip_bad_rows,
        log=log,
        needed=needed,
    )
    return cleaned, may_vary


def check_arguments(
    assigned: Mapping[str, str],
    *,
    params_kind: str | None,
    loss_unit: str | None,
    batch_unit: str | None,
    seq_len: int | None,
    cell_tolerance: float,
) -> None:
    """Raise UsageError for arguments that cannot be what was meant."""
    check_column_names(assigned)
    for option, value, known in (
        ("--params-kind", params_kind, get_args(ParamsKind)),
        ("--loss-unit", loss_unit, get_args(LossUnit)),
        ("--batch-unit", batch_unit, get_args(BatchUnit)),
    ):
        if value is not None and value not in known:
            hint = did_you_mean(value, known)
            msg = f"{option}: unknown {plain(value)!r}.{hint} Known: {', '.join(known)}."
            raise UsageError(msg)
    if seq_len is not None and seq_len <= 0:
        msg = f"--seq-len: got {seq_len}, need a positive number of tokens per sequence."
        raise UsageError(msg)
    if not 0 <= cell_tolerance < 1:
        msg = f"--cell-tolerance: got {cell_tolerance:g}, need a relative difference such as 0.02, below 1."
        raise UsageError(msg)


def gather(
    paths: PathLike | Sequence[PathLike],
    *,
    source: str | None = None,
    columns: Mapping[str, str],
    collector: RunCollector,
    budget: ByteBudget,
    stdin: BinaryIO | None,
    log: ProblemLog,
    mapping: ColumnMapping = map_columns,
) -> Gathered:
    """Read all files one after the other, their columns found by `mapping`.

    Raises:  UsageError for a `source` that names no format, and for no files.
    """
    check_source(source)
    names = [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if not names:
        msg = "no sweep file given."
        raise UsageError(msg)
    if names.count(STDIN) > 1:
        msg = "- stands for standard input, which can be read once only; it is given twice."
        raise UsageError(msg)
    maps, sources = [], []
    for name in names:
        with open_source(name, Ledger(budget, log), source=source, stdin=stdin) as opened:
            mapped = mapping(name, opened.table.headers, columns)
            collector.add(opened.table, mapped)
            sources.append(SweepSource(file=opened.file, sha256=opened.sha256(), columns=mapped.used))
        maps.append(mapped)
    if not collector.has_rows:
        log.raise_if_any()
    return Gathered(collector.runs(), tuple(maps), tuple(sources))
