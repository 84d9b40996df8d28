"""Files of finished runs -> WidthSweep."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from hptransfer.errors import InputError, Problem, RefusalError, plain
from hptransfer.parametrizations.widths import WidthSweep
from hptransfer.readers.columns import SETTINGS, ColumnMap, check_column_names, guess_columns
from hptransfer.readers.plain_tables import PlainTable, read_plain_table
from hptransfer.sweep import BoolArray, FloatArray

_NEEDED = ("width", "lr", "loss")
_USED = (*_NEEDED, "depth", "parametrization")
_TRUE = ("1", "1.0", "true", "yes")


def read_width_sweep(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    vary: Collection[str] = (),
    stdin: BinaryIO | None = None,
) -> WidthSweep:
    """Read an LR sweep over widths; needs columns width, lr and loss, uses depth and parametrization.

    Args:    columns, where, vary: as in `read_sweep`; parametrization may always vary.
    Raises:  FileError, InputError, UsageError as `read_sweep`; RefusalError where another setting varies.
    """
    assigned = dict(columns or {})
    check_column_names(assigned)
    table = read_plain_table(path, where=where, stdin=stdin)
    mapped = _mapped(table, assigned)
    _require_one_setting(table, mapped, {"parametrization", *vary})
    values = {name: table.numbers(mapped.columns[name]) for name in _NEEDED}
    _require_positive(table, mapped, values)
    loss = np.where(_flagged(table, mapped), np.nan, values["loss"])
    return WidthSweep(
        width=values["width"],
        depth=_depth(table, mapped),
        lr=values["lr"],
        loss=loss,
        parametrization=_parametrization(table, mapped),
        warnings=tuple(_horizon_warning(table, mapped, np.isfinite(loss))),
    )


def _mapped(table: PlainTable, assigned: Mapping[str, str]) -> ColumnMap:
    """Find the columns; what is missing or ambiguous among those that are used is an InputError."""
    mapped, questions = guess_columns(table.file, table.headers, assigned)
    messages = [str(question) for question in questions if question.name in _USED]
    asked = {question.name for question in questions}
    for name in _NEEDED:
        if name not in mapped.columns and name not in asked:
            listed = ", ".join(plain(header, limit=60) for header in table.headers[:30])
            way_out = f"If one of them holds it, add --column {name}=HEADER."
            messages.append(f"no column for {name}. Its columns: {listed}. {way_out}")
    if messages:
        raise InputError([Problem(table.file, None, None, message) for message in messages])
    return mapped


def _require_one_setting(table: PlainTable, mapped: ColumnMap, may_vary: Collection[str]) -> None:
    complaints = []
    for name in SETTINGS:
        if name in may_vary or name not in mapped.columns:
            continue
        seen = [
            str(value) for value in dict.fromkeys(table.labels(mapped.columns[name])) if value is not None
        ]
        if len(seen) > 1:
            option = shlex.quote(f"{mapped.columns[name]}={seen[0]}")
            listed = ", ".join(plain(value, limit=60) for value in seen[:10])
            complaints.append(
                f"{name} varies inside the sweep: {listed}. Keep one with --where {option}, or add "
                f"--vary {name}."
            )
    if complaints:
        raise RefusalError("\n".join(complaints))


def _require_positive(table: PlainTable, mapped: ColumnMap, values: Mapping[str, FloatArray]) -> None:
    problems = []
    for name in _NEEDED:
        bad = (np.isfinite(values[name]) & (values[name] <= 0)) | (
            (name != "loss") & ~np.isfinite(values[name])
        )
        for row in np.flatnonzero(bad):
            message = f"got {values[name][row]:g}, need a positive number."
            problems.append(Problem(table.file, table.lines[int(row)], mapped.columns[name], message))
    if problems:
        raise InputError(problems)


def _flagged(table: PlainTable, mapped: ColumnMap) -> BoolArray:
    """Rows that a column marks as diverged."""
    if "diverged" not in mapped.columns:
        return np.zeros(len(table.lines), dtype=np.bool_)
    return np.array([str(v).strip().lower() in _TRUE for v in table.columns[mapped.columns["diverged"]]])


def _depth(table: PlainTable, mapped: ColumnMap) -> FloatArray:
    if "depth" not in mapped.columns:
        return np.full(len(table.lines), np.nan)
    return table.numbers(mapped.columns["depth"])


def _parametrization(table: PlainTable, mapped: ColumnMap) -> list[str]:
    if "parametrization" not in mapped.columns:
        return [""] * len(table.lines)
    labels = table.labels(mapped.columns["parametrization"])
    return ["" if value is None else str(value) for value in labels]


def _horizon_warning(table: PlainTable, mapped: ColumnMap, finished: BoolArray) -> Iterator[tuple[str, str]]:
    if "tokens" not in mapped.columns:
        return
    tokens = table.numbers(mapped.columns["tokens"])
    known = tokens[np.isfinite(tokens) & finished]
    if len(known) and np.ptp(known) > 0.02 * known.max():
        text = "tokens differ between runs: the drift with width then contains that of the horizon."
        yield ("horizon-varies", text)
