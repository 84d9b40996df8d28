"""Files of finished runs -> Sweep: the order in which a sweep is read and cleaned."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO, TypeAlias, get_args

import numpy as np

from hptransfer.errors import InputError, Problem, RefusalError, UsageError, did_you_mean, plain
from hptransfer.readers.columns import QUANTITIES, ColumnMap, check_column_names, map_columns
from hptransfer.readers.delimited import DelimitedTable
from hptransfer.readers.json_lines import JsonLinesTable
from hptransfer.readers.runs import LABEL_COLUMNS, RawRuns, RunCollector
from hptransfer.readers.settings import constant_settings, unknown_settings, varying_settings
from hptransfer.readers.streams import ByteBudget, TextSource, open_text
from hptransfer.readers.tables import ProblemLog, Table
from hptransfer.readers.units import Scale, settle_scale
from hptransfer.readers.where import RowFilter
from hptransfer.sweep import (
    CELL_TOLERANCE,
    BoolArray,
    FloatArray,
    IntArray,
    LossUnit,
    ParamsKind,
    SetAside,
    Sweep,
    SweepSource,
    cell_spread,
    sweep_from_arrays,
)

PathLike: TypeAlias = str | os.PathLike[str]
MAX_ROWS = 1_000_000
MAX_BYTES = 1_000_000_000
_JSON_LINES_SUFFIXES = (".jsonl", ".ndjson", ".json")
_EXPECTED = {
    "params": "a positive number of parameters",
    "tokens": "a positive number of training tokens",
    "lr": "a positive peak learning rate",
    "batch_tokens": "a positive number of tokens per step",
    "batch_seqs": "a positive number of sequences per step",
    "seq_len": "a positive number of tokens per sequence",
    "steps": "a positive number of steps",
    "loss": "a positive loss (or NaN where the run diverged)",
}
_TRUE = (1.0, "true", "True", "TRUE", "yes")  # how files say that a run diverged
_LARGEST = 1e30  # no count or rate is larger, or smaller than its inverse: products stay finite
_LAST_LR_SPREAD = 1.05
_TINY_LR = 1e-5
_WIDE_CELL = 3.0  # in tolerances


@dataclass(frozen=True)
class _Runs:
    """Rows with their scale in tokens; both of shape (n_rows,)."""

    raw: RawRuns
    scale: Scale

    def take(self, rows: BoolArray) -> _Runs:
        """Return the marked rows only."""
        if rows.all():
            return self
        scale = replace(
            self.scale,
            tokens=self.scale.tokens[rows],
            batch_tokens=self.scale.batch_tokens[rows],
            seq_len=self.scale.seq_len[rows],
        )
        return _Runs(self.raw.take(rows), scale)


def read_sweep(
    paths: PathLike | Sequence[PathLike],
    *,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    vary: Collection[str] = (),
    params_kind: ParamsKind | None = None,
    loss_unit: LossUnit | None = None,
    seq_len: int | None = None,
    cell_tolerance: float = CELL_TOLERANCE,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    stdin: BinaryIO | None = None,
) -> Sweep:
    """Read finished runs from CSV or JSON Lines files, plain or gzip-compressed, into one sweep.

    Args:
        paths:          one file or several, whose runs are put together; "-" is standard input.
        columns:        canonical name -> header, for headers that are not recognized or ambiguous.
        where:          column (canonical name or header) -> value; only rows with these values are read.
        vary:           settings that may vary inside the sweep; all others must not.
        params_kind:    what params counts; by default what the header says, else "unspecified".
        loss_unit:      by default nats per token.
        seq_len:        tokens per sequence, where neither a column nor tokens, steps and batch settle it.
        cell_tolerance: relative difference within which params and tokens are the same cell.
        max_rows, max_bytes: limits on all files together; bytes are counted decompressed.
        stdin:          binary stream read for "-", by default the process's own.

    Returns: the usable runs in the order of the files. Diverged ones (loss not finite, or above 1.2 x the
             cell's best) are among them and marked; incomplete and repeated rows are in `set_aside`.
    Raises:  FileError for what cannot be read or is over a limit; InputError with every unusable place in
             the input; RefusalError when a setting varies, or no run is usable; UsageError for arguments
             that name what is not there.
    """
    assigned = dict(columns or {})
    _check_arguments(assigned, params_kind, loss_unit, seq_len, cell_tolerance)
    log = ProblemLog()
    row_filter = RowFilter(where or {})
    raw, maps, sources = _collect(
        [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)],
        assigned=assigned,
        collector=RunCollector(row_filter=row_filter, max_rows=max_rows, log=log),
        budget=ByteBudget(max_bytes),
        stdin=stdin,
        log=log,
    )
    may_vary = varying_settings(vary, maps)
    row_filter.check_matched()

    _note_impossible_numbers(raw, maps, log)
    log.raise_if_any()
    raw = _without_loss_where_flagged(raw)
    every = _Runs(raw, settle_scale(raw, seq_len=seq_len, log=log))
    log.raise_if_any()
    complete, incomplete = _set_aside_incomplete(every)
    usable, repeated = _set_aside_repeated(complete)
    setting = constant_settings(usable.raw, vary=may_vary)

    kind = params_kind or _params_kind(maps)
    warnings = [
        *usable.scale.warnings,
        *unknown_settings(usable.raw, setting.keys()),
        *_last_lr_warning(usable.raw.quantity("lr")),
        *_kind_warning(kind),
    ]
    sweep = sweep_from_arrays(
        params=usable.raw.quantity("params"),
        tokens=usable.scale.tokens,
        lr=usable.raw.quantity("lr"),
        batch_tokens=usable.scale.batch_tokens,
        loss=usable.raw.quantity("loss"),
        line=usable.raw.line,
        cell_tolerance=cell_tolerance,
        params_kind=kind,
        loss_unit=loss_unit or "nats",
        seq_len=_one_value(usable.scale.seq_len),
        setting={name: value for name, value in setting.items() if name != "seq_len"},
        set_aside=sorted([*incomplete, *repeated], key=lambda run: (raw.files.index(run.file), run.line)),
        sources=sources,
    )
    return replace(sweep, warnings=(*warnings, *_wide_cell_warning(sweep, cell_tolerance)))


def _check_arguments(
    assigned: Mapping[str, str],
    params_kind: str | None,
    loss_unit: str | None,
    seq_len: int | None,
    cell_tolerance: float,
) -> None:
    """Raise UsageError for arguments that cannot be what was meant."""
    check_column_names(assigned)
    for option, value, known in (
        ("--params-kind", params_kind, get_args(ParamsKind)),
        ("--loss-unit", loss_unit, get_args(LossUnit)),
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


def _collect(
    paths: Sequence[str],
    *,
    assigned: Mapping[str, str],
    collector: RunCollector,
    budget: ByteBudget,
    stdin: BinaryIO | None,
    log: ProblemLog,
) -> tuple[RawRuns, list[ColumnMap], list[SweepSource]]:
    """Read all files one after the other."""
    if not paths:
        msg = "no sweep file given."
        raise UsageError(msg)
    maps, sources = [], []
    for path in paths:
        with open_text(path, budget=budget, stdin=stdin) as source:
            table = _open_table(source, log)
            mapped = map_columns(path, table.headers, assigned)
            collector.add(table, mapped)
            used = {n: h for n, h in mapped.columns.items() if n in QUANTITIES or n in LABEL_COLUMNS}
            sources.append(SweepSource(file=source.file, sha256=source.sha256(), columns=used))
        maps.append(mapped)
    log.raise_if_any()
    return collector.runs(), maps, sources


def _open_table(source: TextSource, log: ProblemLog) -> Table:
    """Open as JSON Lines by the file's name, or when the text starts like JSON; else as delimited text."""
    lines = source.lines
    blank_and_first = []
    for line in lines:
        blank_and_first.append(line)
        if line.strip():
            break
    start = blank_and_first[-1].lstrip()[:1] if blank_and_first else ""
    is_json = source.file.lower().removesuffix(".gz").endswith(_JSON_LINES_SUFFIXES) or start in {"{", "["}
    all_lines = chain(blank_and_first, lines)
    return JsonLinesTable(source, all_lines, log) if is_json else DelimitedTable(source, all_lines, log)


def _note_impossible_numbers(runs: RawRuns, maps: Sequence[ColumnMap], log: ProblemLog) -> None:
    """Log every quantity that no run can have had (a loss that is not finite is a diverged run)."""
    for name, values in runs.quantities.items():
        if name == "loss":
            is_bad = np.isfinite(values) & (values <= 0)
        else:
            is_bad = (values < 1 / _LARGEST) | (values > _LARGEST)
        for row in np.flatnonzero(is_bad):
            file, line = runs.place(row)
            header = maps[runs.file[row]].columns[name]
            log.add(file, line, header, f"got {values[row]:g}, need {_EXPECTED[name]}.")


def _without_loss_where_flagged(runs: RawRuns) -> RawRuns:
    """Give runs that a column `diverged` marks a loss of NaN, which is how diverged runs are known here."""
    if "diverged" not in runs.codes:
        return runs
    says_yes = np.array([*(value in _TRUE for value in runs.labels["diverged"]), False])
    is_flagged = says_yes[runs.codes["diverged"]]  # the code of an unknown label, -1, is the last entry
    loss = np.where(is_flagged, np.nan, runs.quantity("loss"))
    return replace(runs, quantities={**runs.quantities, "loss": loss}, no_loss=runs.no_loss & ~is_flagged)


def _set_aside_incomplete(runs: _Runs) -> tuple[_Runs, list[SetAside]]:
    """Split off runs that lack a value the fit needs; the batch is needed where any run has one.

    Raises:  RefusalError when no run is complete.
    """
    missing = {
        "params": np.isnan(runs.raw.quantity("params")),
        "tokens": np.isnan(runs.scale.tokens),
        "lr": np.isnan(runs.raw.quantity("lr")),
        "loss": runs.raw.no_loss,
        "batch": np.isnan(runs.scale.batch_tokens) & runs.scale.has_batch,
    }
    is_incomplete = np.logical_or.reduce(list(missing.values()))
    if is_incomplete.all():
        counts = ", ".join(f"no {name} in {int(rows.sum())}" for name, rows in missing.items() if rows.any())
        msg = f"{plain(runs.raw.files[0])}: none of the {len(runs.raw)} runs is usable ({counts})."
        raise RefusalError(msg)
    set_aside = []
    for row in np.flatnonzero(is_incomplete):
        file, line = runs.raw.place(row)
        names = ", ".join(name for name, rows in missing.items() if rows[row])
        set_aside.append(SetAside(file, line, "missing-value", f"no {names}"))
    return runs.take(~is_incomplete), set_aside


def _set_aside_repeated(runs: _Runs) -> tuple[_Runs, list[SetAside]]:
    """Split off rows that repeat an earlier one in every number, setting and the seed.

    Runs that differ in their loss only are repeats of an experiment: they tell the noise, and stay.
    """
    raw = runs.raw
    numbers = [raw.quantity("params"), runs.scale.tokens, raw.quantity("lr"), runs.scale.batch_tokens]
    keys: list[FloatArray | IntArray] = [*numbers, raw.quantity("loss"), *raw.codes.values()]
    order = np.lexsort(keys)  # stable: equal rows stay in the order of the files
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = np.logical_or.reduce([_changes(key[order]) for key in keys])
    first_of_row = np.empty(len(order), dtype=np.int64)
    first_of_row[order] = order[np.flatnonzero(is_new)][np.cumsum(is_new) - 1]
    is_first = first_of_row == np.arange(len(order))
    n_copies = np.bincount(first_of_row, minlength=len(order))
    set_aside = []
    for row in np.flatnonzero(~is_first):
        first = first_of_row[row]
        (file, line), (first_file, first_line) = raw.place(row), raw.place(first)
        where = f"line {first_line}" if file == first_file else f"{plain(first_file)}, line {first_line}"
        message = f"the same run as {where} ({n_copies[first]} copies)"
        set_aside.append(SetAside(file, line, "duplicate", message))
    return runs.take(is_first), set_aside


def _changes(ordered: FloatArray | IntArray) -> BoolArray:
    """Whether each entry after the first differs from the one before; NaN equals NaN."""
    before, after = ordered[:-1], ordered[1:]
    differs: BoolArray = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return differs


def _params_kind(maps: Sequence[ColumnMap]) -> ParamsKind:
    """Return what the headers say params counts.

    Raises:  InputError when the files' headers disagree.
    """
    kinds = [columns.params_kind for columns in maps]
    if len(set(kinds)) > 1:
        said = "; ".join(f"{plain(columns.file)}: {kind}" for columns, kind in zip(maps, kinds, strict=True))
        message = f"the files count params differently ({said}). If they do not, say so with --params-kind."
        raise InputError([Problem(maps[-1].file, None, "params", message)])
    return kinds[0]


def _one_value(values: FloatArray) -> int | None:
    """Return the value all runs share, as an integer, or None."""
    return round(float(values[0])) if np.isfinite(values).all() and np.ptp(values) == 0 else None


def _kind_warning(kind: ParamsKind) -> list[tuple[str, str]]:
    if kind != "unspecified":
        return []
    message = (
        "nothing says whether params counts embeddings; add --params-kind non-embedding, total or active, "
        "and plan with the same kind."
    )
    return [("params-kind-unspecified", message)]


def _last_lr_warning(lr: FloatArray) -> list[tuple[str, str]]:
    """Warn when the LRs look like what a tracker shows at the end of a schedule."""
    nearly_equal = len(lr) > 1 and lr.max() / lr.min() < _LAST_LR_SPREAD
    if not nearly_equal and lr.max() >= _TINY_LR:
        return []
    how = "all nearly equal" if nearly_equal else "all tiny"
    message = (
        f"the learning rates are {how} ({lr.min():g} to {lr.max():g}). A tracker's summary usually holds the "
        "last LR of the schedule; lr must be the peak."
    )
    return [("last-lr", message)]


def _wide_cell_warning(sweep: Sweep, tolerance: float) -> list[tuple[str, str]]:
    """Warn where close labels formed a chain, so that a cell holds runs that are not close."""
    wide = []
    for name, values in (("params", sweep.params), ("tokens", sweep.tokens)):
        spread = cell_spread(values, sweep.cell, n_cells=sweep.n_cells)
        wide += [
            f"{name} spread over {spread[cell]:.1%} around {values[sweep.cell == cell].mean():.4g}"
            for cell in np.flatnonzero(spread > _WIDE_CELL * max(tolerance, 1e-9))
        ]
    if not wide:
        return []
    more = f"; and {len(wide) - 3} more" if len(wide) > 3 else ""
    message = f"cells hold labels that lie apart: {'; '.join(wide[:3])}{more}. See --cell-tolerance."
    return [("wide-cell", message)]
