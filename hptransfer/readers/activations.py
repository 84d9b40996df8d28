"""Files of activation sizes -> ActivationLog: a column a layer, or mup's long form with a row a layer."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from hptransfer.errors import InputError, Problem, plain
from hptransfer.parametrizations.coordinates import ActivationLog
from hptransfer.readers.columns import CANONICAL, fold, guess_columns
from hptransfer.readers.plain_tables import PlainTable, read_plain_table
from hptransfer.sweep import FloatArray

_WIDTH = ("width", "d_model", "hidden_size", "n_embd")
_STEP = ("step", "t", "iter", "iteration", "steps")
_LOSS = ("train/loss", "train_loss", "loss")
_NAME = ("module", "layer")  # of the long form, as mup's get_coord_data writes it
_SIZE = ("l1", "l2", "rms", "abs_mean", "value", "size")
_LAYER = re.compile(r"act|coord|l1|rms|abs_mean|delta", re.IGNORECASE)


def read_activation_log(
    path: str | os.PathLike[str],
    *,
    layers: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
) -> ActivationLog:
    """Read a coordinate check's log; needs width, step and layers, uses parametrization and loss.

    Args:    layers: headers of the layers; by default those that look like activations.
    Raises:  FileError, InputError, UsageError as `read_plain_table`.
    """
    table = read_plain_table(path, where=where, stdin=stdin)
    width, step = _needed(table, _WIDTH, "width"), _needed(table, _STEP, "step")
    module = _find(table, _NAME)
    if module is not None and not layers:
        values = _long(table, module)
    else:
        values = {name: table.numbers(name) for name in _layer_headers(table, layers)}
    loss = _find(table, _LOSS)
    parametrization = _find(table, ("parametrization", "parameterization"))
    return ActivationLog(
        width=_positive(table, width),
        step=table.numbers(step),
        parametrization=[""] * len(table.lines)
        if parametrization is None
        else ["" if value is None else str(value) for value in table.labels(parametrization)],
        layers=values,
        loss=None if loss is None else table.numbers(loss),
    )


def _find(table: PlainTable, names: Sequence[str]) -> str | None:
    folded = {fold(header): header for header in table.headers}
    return next((folded[name] for name in names if name in folded), None)


def _needed(table: PlainTable, names: Sequence[str], what: str) -> str:
    found = _find(table, names)
    if found is None:
        message = f"no column for {what}; it is known by {', '.join(names)}."
        raise InputError([Problem(table.file, None, None, message)])
    return found


def _positive(table: PlainTable, header: str) -> FloatArray:
    values = table.numbers(header)
    problems = [
        Problem(table.file, table.lines[int(row)], header, f"got {values[row]:g}, need a positive number.")
        for row in np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    ]
    if problems:
        raise InputError(problems)
    return values


def _layer_headers(table: PlainTable, layers: Sequence[str]) -> list[str]:
    known = _known(table)
    looks = [header for header in table.headers if _LAYER.search(header) and header not in known]
    found = [table.require(name) for name in layers] or looks
    if not found:
        shown = ", ".join(plain(header, limit=40) for header in table.headers[:20])
        message = (
            "no column looks like a layer's activations. A coordinate check's log has a row for each width "
            "and step, and a column for each layer (or mup's long form: module, t, l1, width); a table of "
            f"finished runs is for `hptransfer width`. Name layers with --layer. Its columns: {shown}."
        )
        raise InputError([Problem(table.file, None, None, message)])
    return found


def _known(table: PlainTable) -> set[str]:
    """Headers of a run's quantities and settings: `warmup_fraction` has `act` in it and is no layer."""
    mapped, _ = guess_columns(table.file, table.headers, {})
    return {*mapped.columns.values(), *(header for header in table.headers if fold(header) in CANONICAL)}


def _long(table: PlainTable, module: str) -> dict[str, FloatArray]:
    """Give each layer of the long form a column of its own, NaN in the rows of other layers."""
    sizes = table.numbers(_needed(table, _SIZE, "activation size"))
    names = np.array([str(value) for value in table.labels(module)], dtype=object)
    return {str(name): np.where(names == name, sizes, np.nan) for name in dict.fromkeys(names)}
