"""Tokens, batch and sequence length of each run in tokens, from whatever the file counted them in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.errors import InputError, Problem
from hptransfer.readers.runs import RawRuns
from hptransfer.readers.tables import ProblemLog
from hptransfer.sweep import BoolArray, FloatArray

LABEL_TOLERANCE = 0.02
"""Labels are rounded: tokens and steps x batch agree when they are this close, relatively."""

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


def settle_scale(runs: RawRuns, *, seq_len: int | None, log: ProblemLog) -> Scale:
    """Settle tokens, batch_tokens and seq_len of every run.

    seq_len is the file's column, else the argument, else inferred: batch_tokens / batch_seqs, or
    tokens / (steps * batch_seqs), one value for all runs. batch_tokens is the file's column, else
    batch_seqs * seq_len. tokens is the file's column, else steps * batch_tokens.

    Args:    runs: positive numbers or NaN. log: takes runs that contradict each other.
    Raises:  InputError when the batch is in sequences and nothing settles seq_len.
    """
    batch_seqs = runs.quantity("batch_seqs")
    length = _seq_len(runs, seq_len=seq_len, log=log)
    from_seqs = batch_seqs * length
    given = runs.quantity("batch_tokens")
    _compare_batches(runs, given, from_seqs, log)
    batch_tokens = np.where(np.isnan(given), from_seqs, given)
    if np.isfinite(batch_seqs).any() and not np.isfinite(batch_tokens).any():
        raise InputError([Problem(runs.files[0], None, "batch_seqs", _NEEDS_SEQ_LEN)])
    from_steps = runs.quantity("steps") * batch_tokens
    tokens = runs.quantity("tokens")
    return Scale(
        tokens=np.where(np.isnan(tokens), from_steps, tokens),
        batch_tokens=batch_tokens,
        seq_len=length,
        has_batch=bool(np.isfinite(batch_tokens).any()),
        warnings=_tokens_disagree(tokens, from_steps),
    )


def _seq_len(runs: RawRuns, *, seq_len: int | None, log: ProblemLog) -> FloatArray:
    """Return tokens per sequence of every run, NaN where unknown; see `settle_scale`."""
    column = runs.quantity("seq_len")
    if seq_len is not None:
        differs = np.isfinite(column) & (column != seq_len)
        _reject(runs, differs, column=column, expected=f"the {seq_len} of --seq-len", log=log)
        return np.where(np.isnan(column), float(seq_len), column)
    if np.isfinite(column).any():
        return column
    batch_seqs = runs.quantity("batch_seqs")
    implied = runs.quantity("batch_tokens") / batch_seqs
    if not np.isfinite(implied).any():
        implied = runs.quantity("tokens") / (runs.quantity("steps") * batch_seqs)
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
    message = (
        f"in {int(rows.sum())} of {len(rows)} runs tokens is not steps x batch_tokens within "
        f"{LABEL_TOLERANCE:.0%} (up to x{np.nanmax(np.maximum(ratio, 1 / ratio)):.3g}); "
        "the tokens column is used."
    )
    return (("tokens-steps-mismatch", message),)
