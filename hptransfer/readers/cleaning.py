"""Gathered rows -> Sweep: units settled, unusable runs set aside, settings held to one value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hptransfer.errors import InputError, Problem, RefusalError, plain
from hptransfer.readers.columns import NEEDED, ColumnMap
from hptransfer.readers.finished import unfinished_runs
from hptransfer.readers.runs import RawRuns
from hptransfer.readers.settings import constant_settings, label_numbers, unknown_settings
from hptransfer.readers.shape import params_from_shape
from hptransfer.readers.tables import ProblemLog
from hptransfer.readers.units import BatchUnit, Scale, settle_scale
from hptransfer.sweep import (
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
_COUNTS = {"params": "M", "tokens": "B", "planned_tokens": "B", "batch_tokens": "M"}
"""Whole counts, and the unit they are often given in; one below 1 was counted in such a unit."""
_TRUE = (1.0, "true", "True", "TRUE", "yes")  # how files say that a run diverged
_LARGEST = 1e30  # no count or rate is larger, or smaller than its inverse: products stay finite
_LAST_LR_SPREAD = 1.05
_TINY_LR = 1e-5
_WIDE_CELL = 3.0  # in tolerances
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: multiplying by it spreads bits
_LARGEST_NATS = 16.0  # a uniform guess over nine million words; no trained model is worse


@dataclass(frozen=True)
class Gathered:
    """The rows of all files as they were read, how each file's headers were understood, and the files."""

    raw: RawRuns
    maps: tuple[ColumnMap, ...]
    sources: tuple[SweepSource, ...]


@dataclass(frozen=True)
class Scaled:
    """Rows with their scale in tokens; both of shape (n_rows,)."""

    raw: RawRuns
    scale: Scale

    def take(self, rows: BoolArray) -> Scaled:
        """Return the marked rows only."""
        if rows.all():
            return self
        scale = replace(
            self.scale,
            tokens=self.scale.tokens[rows],
            batch_tokens=self.scale.batch_tokens[rows],
            seq_len=self.scale.seq_len[rows],
        )
        return Scaled(self.raw.take(rows), scale)


@dataclass(frozen=True)
class CleanRuns:
    """Usable runs in normal units, what was set aside and why, and what was understood on the way."""

    runs: Scaled
    set_aside: tuple[SetAside, ...]
    params_kind: ParamsKind
    loss_unit: LossUnit
    warnings: tuple[tuple[str, str], ...]
    maps: tuple[ColumnMap, ...]
    sources: tuple[SweepSource, ...]

    def take(self, rows: BoolArray) -> CleanRuns:
        """Return the marked runs only."""
        return replace(self, runs=self.runs.take(rows))


def clean(
    gathered: Gathered,
    *,
    params_kind: ParamsKind | None,
    loss_unit: LossUnit | None,
    batch_unit: BatchUnit | None,
    seq_len: int | None,
    skip_bad_rows: bool,
    log: ProblemLog,
    needed: Collection[str] = NEEDED,
) -> CleanRuns:
    """Settle units, and set aside what is unfinished, incomplete or repeated; errors as of `read_sweep`.

    Args:    skip_bad_rows: set unusable and contradicting rows aside too. log: the problems of gathering.
             needed: values without which a run is incomplete.
    """
    kind = params_kind or _params_kind(gathered.maps)
    set_aside: list[SetAside] = []
    while True:
        try:
            runs, warnings = _settled(gathered, kind=kind, batch_unit=batch_unit, seq_len=seq_len, log=log)
            break
        except InputError as error:
            if not skip_bad_rows:
                raise _with_way_out(gathered.raw, error) from None
            gathered, bad = _leave_out(gathered, error.problems)
            set_aside += bad
            log = ProblemLog()
    finished, unfinished = _set_aside_unfinished(runs)
    complete, incomplete = _set_aside_incomplete(finished, unfinished, needed)
    usable, repeated = _set_aside_repeated(complete)
    files = gathered.raw.files
    set_aside += [*unfinished, *incomplete, *repeated]
    return CleanRuns(
        runs=usable,
        set_aside=tuple(sorted(set_aside, key=lambda run: (files.index(run.file), run.line))),
        params_kind=kind,
        loss_unit=loss_unit or _loss_unit(gathered.maps),
        warnings=warnings,
        maps=gathered.maps,
        sources=gathered.sources,
    )


def _settled(
    gathered: Gathered,
    *,
    kind: ParamsKind,
    batch_unit: BatchUnit | None,
    seq_len: int | None,
    log: ProblemLog,
) -> tuple[Scaled, tuple[tuple[str, str], ...]]:
    """Check every number, count params where only a shape is there, and settle the scale in tokens.

    Raises:  InputError with every row that is unusable or contradicts the others.
    """
    maps = gathered.maps
    _note_impossible_numbers(gathered.raw, maps, log)
    log.raise_if_any()
    raw, shape_warnings = params_from_shape(_without_loss_where_flagged(gathered.raw), kind)
    scale = settle_scale(
        raw,
        seq_len=seq_len,
        batch_unit=batch_unit,
        batch_header=next((m.columns["batch"] for m in maps if "batch" in m.columns), "batch"),
        log=log,
    )
    log.raise_if_any()
    return Scaled(raw, scale), (*shape_warnings, *scale.warnings)


def raise_if_any(log: ProblemLog, runs: RawRuns) -> None:
    """Raise InputError with all problems so far, and the way out where bad rows can be set aside."""
    try:
        log.raise_if_any()
    except InputError as error:
        raise _with_way_out(runs, error) from None


def _with_way_out(runs: RawRuns, error: InputError) -> InputError:
    """The same problems, and the option that sets their rows aside where that leaves runs."""
    bad = {(problem.file, problem.line) for problem in error.problems}
    every_row = all(runs.place(row) in bad for row in range(len(runs)))
    if every_row or any(line is None for _, line in bad):
        return error
    return InputError(error.problems, way_out="Correct these rows, or set them aside with --skip-bad-rows.")


def _leave_out(gathered: Gathered, problems: Collection[Problem]) -> tuple[Gathered, list[SetAside]]:
    """Leave out the rows that problems name, and set them aside, each with its first problem.

    Raises:  InputError with the problems when they name no row, or nothing is left.
    """
    raw = gathered.raw
    first: dict[tuple[str, int], Problem] = {}
    for problem in problems:
        if problem.line is not None:
            first.setdefault((problem.file, problem.line), problem)
    keep = np.array([raw.place(row) not in first for row in range(len(raw))], dtype=np.bool_)
    if not first or not keep.any():
        raise InputError(tuple(problems))
    set_aside = [
        SetAside(file, line, "bad-row", f"{plain(problem.column or 'row')}: {problem.message}", problem.place)
        for (file, line), problem in first.items()
    ]
    return replace(gathered, raw=raw.take(keep)), set_aside


def make_sweep(cleaned: CleanRuns, *, vary: Collection[str], cell_tolerance: float) -> Sweep:
    """Group clean runs into a sweep.

    Raises:  RefusalError when a setting varies that is not in `vary`.
    """
    raw, scale = cleaned.runs.raw, cleaned.runs.scale
    setting = constant_settings(raw, vary=vary)
    warnings = [
        *cleaned.warnings,
        *unknown_settings(raw, setting.keys()),
        *_last_lr_warning(raw.quantity("lr"), cleaned.maps),
        *_kind_warning(cleaned.params_kind),
        *loss_unit_warning(raw.quantity("loss"), cleaned.loss_unit),
    ]
    sweep = sweep_from_arrays(
        params=raw.quantity("params"),
        tokens=scale.tokens,
        lr=raw.quantity("lr"),
        batch_tokens=scale.batch_tokens,
        loss=raw.quantity("loss"),
        line=raw.line,
        cell_tolerance=cell_tolerance,
        params_kind=cleaned.params_kind,
        loss_unit=cleaned.loss_unit,
        seq_len=_one_value(scale.seq_len),
        setting={name: value for name, value in setting.items() if name != "seq_len"},
        set_aside=cleaned.set_aside,
        sources=cleaned.sources,
        weight_decay=label_numbers(raw, "weight_decay") if "weight_decay" in vary else None,
    )
    warnings += _wide_cell_warning(sweep, cell_tolerance)
    return replace(sweep, warnings=tuple(warnings), places=raw.places())


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
            log.add(
                file, line, header, f"got {values[row]:g}, need {_EXPECTED.get(name, 'a positive number')}."
            )
        for row in np.flatnonzero(~is_bad & (values < 1)) if name in _COUNTS else ():
            file, line = runs.place(row)
            log.add(file, line, maps[runs.file[row]].columns[name], _unit_slip(name, values[row]))


def _unit_slip(name: str, value: float) -> str:
    """Words for a count below 1: no run has half a token, but 0.5 billion of them."""
    expected = _EXPECTED.get(name, "a positive number of training tokens")
    return (
        f"got {value:g}, need {expected}, 1 or more. Does the column count millions or billions? "
        f"Multiply it, or write the unit into it, as {value:g}{_COUNTS[name]}."
    )


def _without_loss_where_flagged(runs: RawRuns) -> RawRuns:
    """Give runs that a column `diverged` marks a loss of NaN, which is how diverged runs are known here."""
    if "diverged" not in runs.codes:
        return runs
    says_yes = np.array([*(value in _TRUE for value in runs.labels["diverged"]), False])
    is_flagged = says_yes[runs.codes["diverged"]]  # the code of an unknown label, -1, is the last entry
    loss = np.where(is_flagged, np.nan, runs.quantity("loss"))
    return replace(runs, quantities={**runs.quantities, "loss": loss}, no_loss=runs.no_loss & ~is_flagged)


def _set_aside_unfinished(runs: Scaled) -> tuple[Scaled, list[SetAside]]:
    """Split off runs that did not reach their end; see `unfinished_runs`."""
    reasons = unfinished_runs(runs.raw)
    is_finished = np.array([reason is None for reason in reasons])
    return runs.take(is_finished), [reason for reason in reasons if reason is not None]


def _set_aside_incomplete(
    runs: Scaled, unfinished: Collection[SetAside], needed: Collection[str]
) -> tuple[Scaled, list[SetAside]]:
    """Split off runs that lack a needed value; with the LR, the batch is needed where any run has one.

    Raises:  RefusalError when no run is complete.
    """
    if not len(runs.raw):
        first = min(unfinished, key=lambda run: (run.file, run.line))
        msg = (
            f"{plain(first.file)}: none of the {len(unfinished)} runs is finished ({first.where}: "
            f"{first.message}). If a column of steps or tokens is not what it seems, say so with --column."
        )
        raise RefusalError(msg)
    lacks = {
        "params": np.isnan(runs.raw.quantity("params")),
        "tokens": np.isnan(runs.scale.tokens),
        "lr": np.isnan(runs.raw.quantity("lr")),
        "loss": runs.raw.no_loss,
        "batch": np.isnan(runs.scale.batch_tokens) & runs.scale.has_batch,
    }
    wanted = {*needed, "batch"} if "lr" in needed else {*needed}
    missing = {name: rows for name, rows in lacks.items() if name in wanted}
    is_incomplete = np.logical_or.reduce(list(missing.values()))
    if is_incomplete.all():
        counts = ", ".join(f"no {name} in {int(rows.sum())}" for name, rows in missing.items() if rows.any())
        aside = f"; {len(unfinished)} more are unfinished" if unfinished else ""
        msg = f"{plain(runs.raw.files[0])}: none of the {len(runs.raw)} runs is usable ({counts}{aside})."
        raise RefusalError(msg)
    set_aside = []
    for row in np.flatnonzero(is_incomplete):
        names = ", ".join(name for name, rows in missing.items() if rows[row])
        set_aside.append(runs.raw.set_aside(row, "missing-value", f"no {names}"))
    return runs.take(~is_incomplete), set_aside


def _set_aside_repeated(runs: Scaled) -> tuple[Scaled, list[SetAside]]:
    """Split off rows that repeat an earlier one in every number, setting and the seed.

    Runs that differ in their loss only are repeats of an experiment: they tell the noise, and stay.
    """
    raw = runs.raw
    numbers = [raw.quantity("params"), runs.scale.tokens, raw.quantity("lr"), runs.scale.batch_tokens]
    keys: list[FloatArray | IntArray] = [*numbers, raw.quantity("loss"), *raw.codes.values()]
    rows = _sharing_a_hash(keys)
    order = rows[np.lexsort([key[rows] for key in keys])]  # stable: equal rows stay in the files' order
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = np.logical_or.reduce([_changes(key[order]) for key in keys])
    first_of_row = np.arange(len(raw))
    first_of_row[order] = order[np.flatnonzero(is_new)][np.cumsum(is_new) - 1]
    is_first = first_of_row == np.arange(len(raw))
    n_copies = np.bincount(first_of_row, minlength=len(raw))
    set_aside = []
    for row in np.flatnonzero(~is_first):
        first = first_of_row[row]
        other_file = "" if raw.file[row] == raw.file[first] else f"{plain(raw.place(first)[0])}, "
        message = f"the same run as {other_file}{raw.where(first)} ({n_copies[first]} copies)"
        set_aside.append(raw.set_aside(row, "duplicate", message))
    return runs.take(is_first), set_aside


def _sharing_a_hash(keys: Sequence[FloatArray | IntArray]) -> IntArray:
    """Return the rows whose hash another row has too, ascending: all rows that repeat, and hardly any other.

    Sorting one number a row is several times faster than sorting by all keys.
    """
    mixed = np.zeros(len(keys[0]), dtype=np.uint64)
    for key in keys:
        bits = np.where(np.isnan(key), np.nan, key + 0.0).view(np.uint64)  # one NaN, one zero
        mixed = (mixed ^ bits) * _ODD
        mixed ^= mixed >> np.uint64(29)
    in_order = np.sort(mixed)
    shared = in_order[1:][in_order[1:] == in_order[:-1]]
    return np.flatnonzero(np.isin(mixed, shared)) if len(shared) else np.empty(0, dtype=np.int64)


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


def _loss_unit(maps: Sequence[ColumnMap]) -> LossUnit:
    """Return the unit that the headers of the losses name, by default nats.

    Raises:  InputError when the files' headers disagree.
    """
    units = [mapped.loss_unit or "nats" for mapped in maps]
    if len(set(units)) > 1:
        said = "; ".join(f"{plain(m.file)}: {unit}" for m, unit in zip(maps, units, strict=True))
        message = f"the files' losses are in different units ({said}). Say which with --loss-unit."
        raise InputError([Problem(maps[-1].file, None, "loss", message)])
    return units[0]


def loss_unit_warning(loss: FloatArray, unit: LossUnit) -> list[tuple[str, str]]:
    """Warn where losses said to be nats are too large to be."""
    finite = loss[np.isfinite(loss)]
    if unit != "nats" or not len(finite) or finite.min() < _LARGEST_NATS:
        return []
    message = (
        f"every loss is above {_LARGEST_NATS:g} ({finite.min():.4g} and more): no model is that bad in nats "
        "per token. Say what they are with --loss-unit perplexity, bits or bpb."
    )
    return [("loss-unit-doubtful", message)]


def _last_lr_warning(lr: FloatArray, maps: Sequence[ColumnMap]) -> list[tuple[str, str]]:
    """Warn when the LRs look like, or come from where trackers show, the end of a schedule."""
    for mapped in maps:
        if mapped.has_last_lr:
            message = (
                f"{plain(mapped.columns['lr'])!r} is where trackers log the LR of the current step: "
                "at the end of a run it is the last LR of the schedule. lr must be the configured peak."
            )
            return [("last-lr", message)]
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
