"""Tokens, batch and sequence length of each run in tokens, from whatever the file counted them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hptransfer.errors import InputError, Problem
from hptransfer.readers.columns import BATCH_PARTS, column_option
from hptransfer.readers.runs import RawRuns
from hptransfer.readers.tables import ProblemLog
from hptransfer.sweep import BoolArray, FloatArray, lr_levels

BatchUnit = Literal["tokens", "sequences"]

LABEL_TOLERANCE = 0.02
"""Labels are rounded: tokens and steps x batch agree when they are this close, relatively."""

_MOST = 0.9
"""Share of the runs that must agree before arithmetic settles the unit of a batch."""

_UNIT_APART = 100.0
"""Ratio of tokens to steps x batch from which another unit is likelier than a short run."""

_NEEDS_SEQ_LEN = (
    "the batch is in sequences and nothing settles how many tokens a sequence has. Add --seq-len TOKENS, "
    "a column seq_len, or columns tokens and steps."
)


@dataclass(frozen=True)
class Scale:
    """What a run saw, shape (n_rows,), NaN where unknown: training tokens, tokens per step and sequence."""

    tokens: FloatArray
    batch_tokens: FloatArray
    seq_len: FloatArray
    has_batch: bool
    warnings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Batch:
    """A batch as the file gives it, shape (n_rows,), NaN where unknown; at most one of a run's is needed."""

    tokens: FloatArray
    seqs: FloatArray


def settle_scale(
    runs: RawRuns, *, seq_len: int | None, batch_unit: BatchUnit | None, batch_header: str, log: ProblemLog
) -> Scale:
    """Settle tokens, batch_tokens and seq_len of every run.

    seq_len is the file's column, else the argument, else inferred: batch_tokens / batch_seqs, or
    tokens / (steps * batch_seqs), one value for all runs. batch_tokens is the file's column, else
    batch_seqs * seq_len, else tokens / steps. tokens is the file's column, else steps * batch_tokens, else
    what was planned. A batch column that does not say its unit is settled by steps * batch = tokens, or by
    a batch smaller than one sequence, which can only be sequences.

    Args:    runs: positive numbers or NaN. batch_unit: what the batch column counts, against its header.
             batch_header: of a batch column without unit, for messages. log: takes runs that contradict
             each other.
    Raises:  InputError when nothing settles the unit of the batch, or how many tokens a sequence has.
    """
    batch = _stated_batch(runs, seq_len=seq_len, unit=batch_unit, header=batch_header)
    length = _seq_len(runs, batch, seq_len=seq_len, log=log)
    from_seqs = batch.seqs * length
    _compare_batches(runs, batch.tokens, from_seqs, log)
    stated = np.where(np.isnan(batch.tokens), from_seqs, batch.tokens)
    if np.isfinite(batch.seqs).any() and not np.isfinite(stated).any():
        raise InputError([Problem(runs.files[0], None, "batch_seqs", _NEEDS_SEQ_LEN)])
    batch_tokens, derived = _with_derived_batch(runs, stated)
    steps = _steps(runs)
    tokens = runs.quantity("tokens")
    tokens = _first(tokens, steps * batch_tokens, runs.quantity("planned_tokens"))
    return Scale(
        tokens=_as_planned_where_diverged(runs, tokens, batch_tokens),
        batch_tokens=batch_tokens,
        seq_len=length,
        has_batch=bool(np.isfinite(batch_tokens).any()),
        warnings=(*derived, *_tokens_disagree(runs.quantity("tokens"), runs.quantity("steps") * stated)),
    )


def _first(*choices: FloatArray) -> FloatArray:
    """Return the first known of several values of each run."""
    chosen = choices[0]
    for other in choices[1:]:
        chosen = np.where(np.isnan(chosen), other, chosen)
    return chosen


def _steps(runs: RawRuns) -> FloatArray:
    """Return the steps taken, else those planned."""
    return _first(runs.quantity("steps"), runs.quantity("planned_steps"))


def _stated_batch(runs: RawRuns, *, seq_len: int | None, unit: BatchUnit | None, header: str) -> _Batch:
    """Return the batch in the units in which it is given."""
    tokens, seqs = runs.quantity("batch_tokens"), runs.quantity("batch_seqs")
    if unit == "sequences":
        tokens, seqs = np.full(len(runs), np.nan), _first(seqs, tokens, runs.quantity("batch"))
    elif unit == "tokens":
        tokens, seqs = _first(tokens, seqs, runs.quantity("batch")), np.full(len(runs), np.nan)
    elif "batch" in runs.quantities:
        settled = _settled_batch(runs, seq_len=seq_len, header=header)
        tokens, seqs = _first(tokens, settled.tokens), _first(seqs, settled.seqs)
    parts = [runs.quantity(name) for name in BATCH_PARTS]
    return _Batch(tokens=tokens, seqs=np.where(np.isnan(tokens), _first(seqs, np.prod(parts, axis=0)), seqs))


def _settled_batch(runs: RawRuns, *, seq_len: int | None, header: str) -> _Batch:
    """Find the unit of a batch column that does not say it.

    Raises:  InputError with the options that settle it, where the numbers do not.
    """
    batch = runs.quantity("batch")
    unknown = np.full(len(runs), np.nan)
    length = runs.quantity("seq_len") if seq_len is None else np.full(len(runs), float(seq_len))
    counted = runs.quantity("tokens") / (_steps(runs) * batch)
    known = counted[np.isfinite(counted)]
    if len(known):
        usual = float(np.median(known))
        agrees = np.mean(np.abs(known / usual - 1) <= LABEL_TOLERANCE) >= _MOST
        if agrees and abs(usual - 1) <= LABEL_TOLERANCE:
            return _Batch(tokens=batch, seqs=unknown)
        if agrees and usual > 1 + LABEL_TOLERANCE:
            return _Batch(tokens=unknown, seqs=batch * _micro_steps(usual, length))
    if (
        np.isfinite(batch).any()
        and np.all(batch[np.isfinite(batch)] < np.nanmin(length, initial=np.inf))
        and (np.isfinite(length).any())
    ):
        return _Batch(tokens=unknown, seqs=batch)
    options = " or ".join(column_option(name, header) for name in ("batch_tokens", "batch_seqs"))
    message = (
        f"column {header!r} can be batch_tokens or batch_seqs. Say which: {options} (or --batch-unit "
        "tokens|sequences); sequences need --seq-len TOKENS too, unless columns tokens and steps settle it."
    )
    raise InputError([Problem(runs.files[0], None, None, message)])


def _micro_steps(tokens_per_sequence: float, length: FloatArray) -> float:
    """Return by how much the batch of one step is larger than the column says, given the true seq_len.

    Some trainers' batch_size is that of one forward pass (nanoGPT's); steps x batch x seq_len is then short
    of tokens by a whole factor, the passes in a step.
    """
    known = length[np.isfinite(length)]
    if not len(known):
        return 1.0
    factor = tokens_per_sequence / float(np.median(known))
    is_whole = round(factor) >= 1 and abs(factor / round(factor) - 1) <= LABEL_TOLERANCE
    return float(round(factor)) if is_whole else 1.0


def _with_derived_batch(runs: RawRuns, stated: FloatArray) -> tuple[FloatArray, tuple[tuple[str, str], ...]]:
    """Fill a batch that no column holds from tokens / steps, labels that differ in rounding made one."""
    if np.isfinite(stated).any():
        return stated, ()
    derived = runs.quantity("tokens") / _steps(runs)
    known = np.isfinite(derived)
    if not known.any():
        if "micro_batch_seqs" in runs.quantities:
            message = (
                "the batch is per device, and grad_accumulation and world_size are not both there, nor "
                "tokens and steps: the sweep is read without a batch."
            )
            return stated, (("batch-per-device", message),)
        return stated, ()
    derived[known] = lr_levels(
        derived[known], np.zeros(int(known.sum()), dtype=np.int64), tolerance=LABEL_TOLERANCE
    )
    message = f"no column holds the batch: batch_tokens is tokens / steps in {int(known.sum())} runs."
    return derived, (("batch-from-steps", message),)


def _as_planned_where_diverged(runs: RawRuns, tokens: FloatArray, batch_tokens: FloatArray) -> FloatArray:
    """Return tokens; those planned for runs without a finite loss, which stopped because they diverged."""
    planned = _first(runs.quantity("planned_tokens"), runs.quantity("planned_steps") * batch_tokens)
    diverged = ~np.isfinite(runs.quantity("loss")) & ~runs.no_loss & np.isfinite(planned)
    return np.where(diverged, planned, tokens)


def _seq_len(runs: RawRuns, batch: _Batch, *, seq_len: int | None, log: ProblemLog) -> FloatArray:
    """Return tokens per sequence of every run, NaN where unknown; see `settle_scale`."""
    column = runs.quantity("seq_len")
    if seq_len is not None:
        differs = np.isfinite(column) & (column != seq_len)
        _reject(runs, differs, column=column, expected=f"the {seq_len} of --seq-len", log=log)
        return np.where(np.isnan(column), float(seq_len), column)
    if np.isfinite(column).any():
        return column
    implied = batch.tokens / batch.seqs
    if not np.isfinite(implied).any():
        implied = runs.quantity("tokens") / (_steps(runs) * batch.seqs)
    if not np.isfinite(implied).any():
        return column
    inferred = max(float(np.round(np.nanmedian(implied))), 1.0)
    disagrees = np.abs(implied / inferred - 1) > LABEL_TOLERANCE
    expected = f"{inferred:g} as in most runs (or state it with --seq-len)"
    _reject(runs, disagrees, column=implied, expected=expected, log=log)
    return np.full(len(runs), inferred)


def _compare_batches(runs: RawRuns, given: FloatArray, from_seqs: FloatArray, log: ProblemLog) -> None:
    """A batch given twice must be the same: one of the two has the wrong unit, and which is a guess."""
    ratio = given / from_seqs
    for row in np.flatnonzero(np.abs(ratio - 1) > LABEL_TOLERANCE):
        file, line = runs.place(row)
        message = f"got {given[row]:g}, but batch_seqs x seq_len = {from_seqs[row]:g}; keep the right one."
        log.add(file, line, "batch_tokens", message)


def _reject(runs: RawRuns, rows: BoolArray, *, column: FloatArray, expected: str, log: ProblemLog) -> None:
    """Log the runs whose tokens per sequence, given in `column`, are not the expected ones."""
    for row in np.flatnonzero(rows):
        file, line = runs.place(row)
        log.add(file, line, "seq_len", f"{column[row]:g} tokens per sequence, need {expected}.")


def _tokens_disagree(tokens: FloatArray, from_steps: FloatArray) -> tuple[tuple[str, str], ...]:
    """Warn where the tokens column is not steps x batch: the column is used, the steps are not."""
    ratio = tokens / from_steps
    rows = np.abs(ratio - 1) > LABEL_TOLERANCE
    if not rows.any():
        return ()
    worst = float(np.nanmax(np.maximum(ratio, 1 / ratio)))
    asked = " Are tokens in millions or billions, or the batch in other units than tokens?"
    message = (
        f"in {int(rows.sum())} of {len(rows)} runs tokens is not steps x batch_tokens within "
        f"{LABEL_TOLERANCE:.0%} (up to x{worst:.3g}); the tokens column is used."
        f"{asked if worst >= _UNIT_APART else ''}"
    )
    return (("tokens-steps-mismatch", message),)
