"""Finished proxy runs, validated, in normal units and grouped into cells.

A `Sweep` is what every reader produces and every estimator consumes. A *cell* holds the runs that share
params and tokens within a tolerance; inside a cell only the learning rate and the batch differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray = TypeVar("AnyArray", FloatArray, IntArray, BoolArray)

ParamsKind = Literal["non-embedding", "total", "active", "unspecified"]
LossUnit = Literal["nats", "bits", "bpb", "perplexity"]

DIVERGED_RATIO = 1.2
"""A run whose loss exceeds its cell's best by this factor counts as diverged."""

CELL_TOLERANCE = 0.02
"""Neighbouring labels of params or tokens at most this far apart, relatively, belong to one cell."""

LR_LEVEL_TOLERANCE = 0.005
"""Labels of LR inside a cell that all lie within this, relatively, differ in rounding only."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A run that takes no part in the fit, and why. `line` is 1-based in `file`, the header being line 1.

    `place` stands for the line where the file has none: `run lr3e-3`.
    """

    file: str
    line: int
    reason: str  # a code: diverged, duplicate, missing-value, not-positive, ...
    message: str
    place: str = ""

    @property
    def where(self) -> str:
        """Where in `file` the run is, for people."""
        return self.place or f"line {self.line}"


@dataclass(frozen=True)
class SweepSource:
    """Where a sweep came from: file name (no folder), SHA-256 of its bytes, how its columns were read."""

    file: str
    sha256: str
    columns: Mapping[str, str]  # canonical name -> header in the file


@dataclass(frozen=True)
class Sweep:
    """Usable finished runs. All arrays have one entry a run, shape (n_runs,), and are read-only.

    Attributes:
        params:       trainable parameters, count; what they count is `params_kind`.
        tokens:       training tokens seen, tokens.
        lr:           peak learning rate of the run, rounding differences inside a cell removed (`lr_levels`).
        batch_tokens: tokens per optimizer step, tokens; NaN where the sweep has no batch.
        loss:         final loss, in `loss_unit`; finite for every run that is not diverged.
        diverged:     True for runs that diverged: kept as an upper bound on LR, not fitted.
        cell:         index of the run's cell, 0 <= cell < n_cells, cells sorted by params, then tokens.
        line:         1-based line of the run in its file.
        places:       what stands for the line where files have none (`run lr3e-3`), shape (n_runs,) or empty.
        cell_params, cell_tokens: one entry a cell, shape (n_cells,): the commonest label in the cell;
                      cells of one model size share their `cell_params`.
        setting:      what was the same in all runs (schedule, optimizer, weight_decay, ...), text or number.
        weight_decay: of each run, NaN where unknown; None unless it was let vary.
    """

    params: FloatArray
    tokens: FloatArray
    lr: FloatArray
    batch_tokens: FloatArray
    loss: FloatArray
    diverged: BoolArray
    cell: IntArray
    line: IntArray
    cell_params: FloatArray
    cell_tokens: FloatArray
    params_kind: ParamsKind = "unspecified"
    loss_unit: LossUnit = "nats"
    seq_len: int | None = None  # tokens per sequence, when one value holds for all runs
    setting: Mapping[str, str | float] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()  # (code, message)
    sources: tuple[SweepSource, ...] = ()
    places: tuple[str, ...] = ()
    weight_decay: FloatArray | None = None

    def where(self, run: int) -> str:
        """Where in its file a run is, for people."""
        return self.places[run] if self.places else f"line {self.line[run]}"

    @property
    def n_runs(self) -> int:
        """Number of usable runs, diverged ones included."""
        return len(self.params)

    @property
    def n_cells(self) -> int:
        """Number of (params, tokens) cells."""
        return len(self.cell_params)

    @property
    def has_batch(self) -> bool:
        """Whether every run says its batch."""
        return bool(np.isfinite(self.batch_tokens).all())


@dataclass(frozen=True)
class Cells:
    """Which cell each run is in, shape (n_runs,), and each cell's labels, shape (n_cells,)."""

    index: IntArray
    params: FloatArray
    tokens: FloatArray


def sweep_from_arrays(
    *,
    params: FloatArray,
    tokens: FloatArray,
    lr: FloatArray,
    batch_tokens: FloatArray,
    loss: FloatArray,
    line: IntArray | None = None,
    cell_tolerance: float = CELL_TOLERANCE,
    params_kind: ParamsKind = "unspecified",
    loss_unit: LossUnit = "nats",
    seq_len: int | None = None,
    setting: Mapping[str, str | float] | None = None,
    set_aside: Sequence[SetAside] = (),
    warnings: Sequence[tuple[str, str]] = (),
    sources: Sequence[SweepSource] = (),
    weight_decay: FloatArray | None = None,
) -> Sweep:
    """Group valid runs into cells, remove rounding differences of LR labels, mark diverged runs.

    Args:    arrays of shape (n_runs,), not modified; params, tokens, lr positive and finite; batch_tokens
             positive, or NaN where unknown; loss positive, NaN or inf where the run diverged. `line` is the
             run's 1-based place in its input, by default 1 .. n_runs. The rest is taken over as it is.
    Returns: the runs in the given order.
    """
    cells = group_cells(params, tokens, tolerance=cell_tolerance)
    return Sweep(
        params=_frozen(params),
        tokens=_frozen(tokens),
        lr=_frozen(lr_levels(lr, cells.index)),
        batch_tokens=_frozen(batch_tokens),
        loss=_frozen(loss),
        diverged=_frozen(diverged_runs(loss, cells.index, n_cells=len(cells.params))),
        cell=_frozen(cells.index),
        line=_frozen(np.arange(1, len(params) + 1) if line is None else line),
        cell_params=_frozen(cells.params),
        cell_tokens=_frozen(cells.tokens),
        params_kind=params_kind,
        loss_unit=loss_unit,
        seq_len=seq_len,
        setting=dict(setting or {}),
        set_aside=tuple(set_aside),
        warnings=tuple(warnings),
        sources=tuple(sources),
        weight_decay=None if weight_decay is None else _frozen(weight_decay),
    )


def take_cells(sweep: Sweep, cells: BoolArray) -> Sweep:
    """Take the runs of some cells, with their cells renumbered; everything else is kept.

    Args:    cells: mask, shape (n_cells,).
    """
    runs = cells[sweep.cell]
    number = np.cumsum(cells) - 1
    return replace(
        sweep,
        **{name: _frozen(getattr(sweep, name)[runs]) for name in _ONE_A_RUN},
        cell=_frozen(number[sweep.cell[runs]].astype(np.int64)),
        cell_params=_frozen(sweep.cell_params[cells]),
        cell_tokens=_frozen(sweep.cell_tokens[cells]),
        weight_decay=None if sweep.weight_decay is None else _frozen(sweep.weight_decay[runs]),
    )


_ONE_A_RUN = ("params", "tokens", "lr", "batch_tokens", "loss", "diverged", "line")


def part_of_sweep(sweep: Sweep, rows: BoolArray, *, cell_tolerance: float = CELL_TOLERANCE) -> Sweep:
    """Return the marked runs as a sweep of their own: cells, LR levels and diverged runs are found anew."""
    part = sweep_from_arrays(
        params=sweep.params[rows],
        tokens=sweep.tokens[rows],
        lr=sweep.lr[rows],
        batch_tokens=sweep.batch_tokens[rows],
        loss=sweep.loss[rows],
        line=sweep.line[rows],
        cell_tolerance=cell_tolerance,
        params_kind=sweep.params_kind,
        loss_unit=sweep.loss_unit,
        seq_len=sweep.seq_len,
        setting=sweep.setting,
        sources=sweep.sources,
        weight_decay=None if sweep.weight_decay is None else sweep.weight_decay[rows],
    )
    return replace(part, places=tuple(compress(sweep.places, rows)))


def group_cells(params: FloatArray, tokens: FloatArray, *, tolerance: float) -> Cells:
    """Group runs whose params and, among those, tokens agree within a relative tolerance.

    Single linkage on sorted logs: neighbours closer than the tolerance are joined, so a long chain of close
    labels is one cell (see `cell_spread`). Params are grouped first and over all runs, so that cells of one
    model size share its label.

    Args:    params, tokens: positive and finite, shape (n_runs,).
    Returns: cells sorted by params, then tokens.
    """
    size = _link(np.log(params), np.zeros(len(params), dtype=np.int64), tolerance)
    index = _link(np.log(tokens), size, tolerance)
    n_cells = int(index.max(initial=-1)) + 1
    size_of_cell = np.zeros(n_cells, dtype=np.int64)
    size_of_cell[index] = size
    return Cells(index=index, params=_commonest(params, size)[size_of_cell], tokens=_commonest(tokens, index))


def cell_spread(values: FloatArray, cell: IntArray, *, n_cells: int) -> FloatArray:
    """Return each cell's largest label over its smallest, minus one; shape (n_cells,)."""
    low = np.full(n_cells, np.inf)
    high = np.zeros(n_cells)
    np.minimum.at(low, cell, values)
    np.maximum.at(high, cell, values)
    spread: FloatArray = high / low - 1.0
    return spread


def lr_levels(lr: FloatArray, cell: IntArray, *, tolerance: float = LR_LEVEL_TOLERANCE) -> FloatArray:
    """Give LR labels that differ in rounding only (2.76e-3 and 2.762e-3) one value inside their cell.

    Labels joined by single linkage become the commonest of them, but only where the whole group spans no
    more than the tolerance: LRs drawn at random lie close together too, and are left as they are.

    Args:    lr: positive, shape (n_runs,); cell: index of each run's cell.
    Returns: shape (n_runs,).
    """
    level = _link(np.log(lr), cell, tolerance)
    n_levels = int(level.max(initial=-1)) + 1
    is_rounding = cell_spread(lr, level, n_cells=n_levels) <= tolerance
    return np.where(is_rounding[level], _commonest(lr, level)[level], lr)


def diverged_runs(loss: FloatArray, cell: IntArray, *, n_cells: int) -> BoolArray:
    """Mark runs whose loss is not finite, or above `DIVERGED_RATIO` times the best of their cell."""
    finite = np.isfinite(loss)
    best = np.full(n_cells, np.inf)
    np.minimum.at(best, cell[finite], loss[finite])
    return ~finite | (loss > DIVERGED_RATIO * best[cell])


def _link(log_values: FloatArray, group: IntArray, tolerance: float) -> IntArray:
    """Split groups where sorted neighbours differ by more than the tolerance; shape (n_runs,).

    The new groups are numbered by old group, then value.
    """
    order = np.lexsort((log_values, group))
    # Labels exactly one tolerance apart (1.00 and 1.02) are meant to agree: leave room for rounding.
    limit = np.log1p(tolerance) + 1e-12
    is_new = (np.diff(group[order]) != 0) | (np.diff(log_values[order]) > limit)
    linked = np.empty(len(order), dtype=np.int64)
    linked[order] = np.concatenate(([0], np.cumsum(is_new)))[: len(order)]
    return linked


def _commonest(values: FloatArray, group: IntArray) -> FloatArray:
    """Return each group's commonest value, or where several are equally common its (lower) median.

    Args:    values: shape (n_runs,); group: 0 <= group < n_groups, each occurring.
    Returns: shape (n_groups,), independent of the order of the runs.
    """
    order = np.lexsort((values, group))
    sorted_values, sorted_group = values[order], group[order]
    is_first = np.concatenate(([True], (np.diff(sorted_group) != 0) | (np.diff(sorted_values) != 0)))
    starts = np.flatnonzero(is_first[: len(order)])
    counts = np.diff(np.append(starts, len(order)))
    label_group = sorted_group[starts]

    sizes = np.bincount(group)
    highest = np.zeros(len(sizes), dtype=np.int64)
    np.maximum.at(highest, label_group, counts)
    is_mode = counts == highest[label_group]
    mode = np.empty(len(sizes))
    mode[label_group[is_mode]] = sorted_values[starts[is_mode]]
    is_tied = np.bincount(label_group[is_mode], minlength=len(sizes)) > 1
    median = sorted_values[np.cumsum(sizes) - sizes + (sizes - 1) // 2]
    return np.where(is_tied, median, mode)


def _frozen(array: AnyArray) -> AnyArray:
    """Return a read-only copy."""
    copy = array.copy()
    copy.setflags(write=False)
    return copy
