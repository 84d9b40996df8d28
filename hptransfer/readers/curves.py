"""A table of logged points -> loss curves, one a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hptransfer.curves.record import Curve
from hptransfer.errors import FileError, InputError, Problem, UsageError, did_you_mean, plain
from hptransfer.readers.columns import fold
from hptransfer.readers.delimited import DelimitedTable
from hptransfer.readers.streams import ByteBudget, open_text
from hptransfer.readers.tables import Chunk, ProblemLog
from hptransfer.readers.values import LabelColumn, Numbers, numbers
from hptransfer.sweep import BoolArray, IntArray

HEADERS = {
    "run": ("run", "run_id", "run_name", "name"),
    "step": ("step", "steps", "_step", "iteration", "iter", "global_step"),
    "lr": ("lr", "learning_rate", "train/lr", "train/learning_rate"),
    "loss": ("loss", "val_loss", "train_loss", "eval_loss", "train/loss", "eval/loss", "val/loss"),
}
_NEEDED = ("step", "lr", "loss")
_MAX_STEP = 1e9  # the laws keep an array of every step; longer is no training run
MAX_ROWS = 5_000_000
MAX_BYTES = 1_000_000_000


def read_curves(
    path: str,
    *,
    columns: Mapping[str, str] | None = None,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
) -> list[Curve]:
    """Read logged points, a row each: columns step, lr, loss, and run where there are several.

    Rows without a loss are skipped and counted. Curves come in the order of their first rows.

    Args:    columns: name -> header for headers that are not recognized or ambiguous.
    Raises:  InputError with every unusable place: a loss or step that is no number, steps that do not rise
             (two runs under one id); FileError over a limit; UsageError for columns that are not there.
    """
    log = ProblemLog()
    with open_text(path, budget=ByteBudget(max_bytes)) as source:
        table = DelimitedTable(source, source.lines, log)
        found = _find_columns(path, table.headers, dict(columns or {}))
        runs = LabelColumn()
        parts, n_rows = [], 0
        for chunk in table.chunks(list(found.values())):
            n_rows += len(chunk.lines)
            if n_rows > max_rows:
                raise FileError(path, f"holds more than {max_rows:,} rows; raise the limit with --max-rows.")
            parts.append(_Part(chunk, list(found), runs, path, log))
    log.raise_if_any()
    if not n_rows:
        raise InputError([Problem(path, None, None, "holds no points; need one row a logged step.")])
    curves = list(_split(parts, [_shown(label) for label in runs.labels], path, log))
    log.raise_if_any(
        way_out="Two runs under one id? Give each a run column of its own (--column run=HEADER)."
    )
    return curves


class _Part:
    """A chunk's arrays, each (n_rows,)."""

    def __init__(
        self, chunk: Chunk, names: Sequence[str], runs: LabelColumn, path: str, log: ProblemLog
    ) -> None:
        entries = dict(zip(names, chunk.columns, strict=True))
        self.line: IntArray = np.asarray(chunk.lines, dtype=np.int64)
        if "run" in entries:
            self.code = runs.codes(entries["run"])
        else:
            self.code = runs.codes(["run"] * len(chunk.lines))
        read = {name: numbers(entries[name]) for name in _NEEDED}
        self.step, self.lr, self.loss = (read[name].values for name in _NEEDED)
        self.has_loss: BoolArray = ~read["loss"].is_missing
        self._note_problems(read, path, log)

    def _note_problems(self, read: Mapping[str, Numbers], path: str, log: ProblemLog) -> None:
        for name, column in read.items():
            for row, message in column.problems:
                log.add(path, int(self.line[row]), name, message)
        used = self.has_loss
        is_step = (self.step >= 0) & (self.step <= _MAX_STEP) & (self.step == np.floor(self.step))
        for name, good, wanted in (
            ("step", is_step, "a whole number of updates, 0 to 1e9"),
            ("lr", (self.lr >= 0) & np.isfinite(self.lr), "a learning rate, 0 or more"),
            (
                "loss",
                (self.loss > 0) & np.isfinite(self.loss),
                "a positive loss; cut a diverged curve before",
            ),
        ):
            bad_text = {row for row, _ in read[name].problems}
            for index in np.flatnonzero(used & ~good).tolist():
                if index not in bad_text:
                    message = f"got {read[name].values[index]:g}, need {wanted}."
                    log.add(path, int(self.line[index]), name, message)


def _find_columns(path: str, headers: Sequence[str], assigned: Mapping[str, str]) -> dict[str, str]:
    """Name -> header, assigned or recognized; run is left out when there is none."""
    for name, header in assigned.items():
        if name not in HEADERS:
            hint = did_you_mean(name, HEADERS)
            msg = f"--column: unknown name {plain(name)!r}.{hint} Names: {', '.join(HEADERS)}."
            raise UsageError(msg)
        if header not in headers:
            hint = did_you_mean(header, headers)
            has = ", ".join(map(plain, headers))
            msg = f"{plain(path)} has no column {plain(header)!r}.{hint} It has {has}."
            raise UsageError(msg)
    found, problems = dict(assigned), []
    for name, known in HEADERS.items():
        if name in found:
            continue
        candidates = [h for h in headers if fold(h) in known and h not in assigned.values()]
        if len(candidates) > 1:
            shown = ", ".join(plain(h) for h in candidates)
            message = f"{shown} could all be {name}; add --column {name}={plain(candidates[0])!r} or another."
            problems.append(Problem(path, 1, None, message))
        elif candidates:
            found[name] = candidates[0]
        elif name in _NEEDED:
            message = (
                f"no column for {name}; add --column {name}=HEADER. Has {', '.join(map(plain, headers))}."
            )
            problems.append(Problem(path, 1, None, message))
    if problems:
        raise InputError(problems)
    return found


def _split(parts: Sequence[_Part], names: Sequence[str], path: str, log: ProblemLog) -> Iterator[Curve]:
    """One curve a run; steps that do not rise are noted, the first of each run only."""
    code, line = (np.concatenate([getattr(part, key) for part in parts]) for key in ("code", "line"))
    step, lr, loss = (np.concatenate([getattr(part, key) for part in parts]) for key in _NEEDED)
    has_loss = np.concatenate([part.has_loss for part in parts])
    by_run = np.argsort(code, kind="stable")
    for rows in np.split(by_run, np.flatnonzero(np.diff(code[by_run])) + 1):
        kept = rows[has_loss[rows]]
        name = names[code[rows[0]]] if code[rows[0]] >= 0 else "(no run)"
        falls = np.flatnonzero(np.diff(step[kept]) <= 0)
        if len(falls):
            at = kept[falls[0] + 1]
            before = step[kept[falls[0]]]
            message = (
                f"run {plain(name)}: step {step[at]:.0f} after {before:.0f}; steps must rise within a run."
            )
            log.add(path, int(line[at]), "step", message)
        elif len(kept) < 2:
            log.add(path, int(line[rows[0]]), None, f"run {plain(name)}: {len(kept)} points, need 2 or more.")
        else:
            yield Curve(
                run=name,
                steps=step[kept].astype(np.int64),
                lr=lr[kept],
                loss=loss[kept],
                first_line=int(line[rows[0]]),
                skipped=len(rows) - len(kept),
            )


def _shown(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
