"""Which runs a sweep lacks: beyond which edge of which cell, which cells, which batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.evidence.diagnosis import CellGrid, Diagnosis, Verdict, missing_cells
from hptransfer.quantities import significant

DEFAULT_STEP = 2.0
"""Ratio of neighbouring LRs where a cell does not show one."""

MIN_STEP, MAX_STEP = 1.2, 4.0
NEW_CELLS = 4
BATCH_CELLS = 3
TOKENS_FACTOR = 4.0
"""How much longer or shorter to train where params and tokens moved together."""


@dataclass(frozen=True)
class Addition:
    """Runs to add in one cell: every LR with every batch; no batch where the sweep has none."""

    params: float
    tokens: float
    lr: tuple[float, ...]
    batch_tokens: tuple[float, ...]
    why: str

    @property
    def runs(self) -> int:
        """How many runs these are."""
        return len(self.lr) * max(len(self.batch_tokens), 1)


def additions(diagnosis: Diagnosis) -> tuple[Addition, ...]:
    """Runs that would help most: what the verdict lacks first, then edges, then missing cells."""
    cells = diagnosis.best.cells
    codes = {finding.code for finding in diagnosis.findings}
    found: list[Addition] = []
    if diagnosis.best.verdict is Verdict.NOTHING and sum(cell.is_searched for cell in cells) < NEW_CELLS:
        found += _searches(cells)
    if "moved-together" in codes or diagnosis.best.reason.startswith("collinear"):
        found += _apart(cells)
    found += _beyond_edges(cells)
    found += _missing(cells)
    if codes & {"single-batch", "one-at-a-time"} and diagnosis.best.verdict is not Verdict.NOTHING:
        found += _batches(cells)
    return tuple(found)


def _searches(cells: Sequence[CellGrid]) -> Iterator[Addition]:
    """LRs around the one tried, in the cheapest cell of each size."""
    cheapest: dict[float, CellGrid] = {}
    for cell in sorted(cells, key=_cost):
        if not cell.is_searched:
            cheapest.setdefault(cell.summary.params, cell)
    chosen = list(cheapest.values())[:NEW_CELLS]
    for cell in chosen:
        best = cell.summary.best_lr
        lrs = _rounded(best / 4, best / 2, best * 2, best * 4)
        yield _addition(cell, lrs, "no search over the LR yet: try it below and above")
    if chosen:
        cell = chosen[0]
        lrs = _rounded(*(cell.summary.best_lr * factor for factor in (0.25, 0.5, 1.0, 2.0, 4.0)))
        yield _addition(
            cell,
            lrs,
            "the same params at other tokens, so that the two can be told apart",
            tokens=TOKENS_FACTOR,
        )


def _apart(cells: Sequence[CellGrid]) -> Iterator[Addition]:
    """The smallest and the largest searched size, trained longer and shorter."""
    searched = sorted((cell for cell in cells if cell.is_searched), key=_cost)
    ends = [(searched[0], TOKENS_FACTOR), (searched[-1], 1 / TOKENS_FACTOR)] if len(searched) > 1 else []
    for cell, factor in ends:
        step = _step(cell.lr)
        lrs = _rounded(*(cell.summary.best_lr * step**power for power in (-2, -1, 0, 1, 2)))
        how = "longer" if factor > 1 else "shorter"
        yield _addition(
            cell,
            lrs,
            f"the same params trained {TOKENS_FACTOR:g} times {how}: tells them apart",
            tokens=factor,
        )


def _beyond_edges(cells: Sequence[CellGrid]) -> Iterator[Addition]:
    """Two more levels beyond each edge that an optimum lies on."""
    for cell in cells:
        if not cell.is_searched:
            continue
        for edge in cell.summary.edges:
            name, side = edge.split("-")
            levels = cell.lr if name == "lr" else cell.batch_tokens
            step = max(_step(levels), DEFAULT_STEP)  # an edge says nothing of how far away the optimum is
            end, step = (levels[-1], step) if side == "high" else (levels[0], 1 / step)
            beyond = (end * step, end * step**2)
            which = "highest" if side == "high" else "lowest"
            why = f"beyond the {which} {'LR' if name == 'lr' else 'batch'} tried"
            if name == "lr":
                yield _addition(cell, _rounded(*beyond), why)
            else:
                yield _addition(
                    cell, _around(cell), why, batch_tokens=tuple(float(round(batch)) for batch in beyond)
                )


def _missing(cells: Sequence[CellGrid]) -> Iterator[Addition]:
    """Cells missing from the lattice, with the LRs of the nearest cell."""
    searched = [cell for cell in cells if cell.is_searched]
    if not searched:
        return
    params = np.array([cell.summary.params for cell in searched])
    tokens = np.array([cell.summary.tokens for cell in searched])
    for n, d in missing_cells(params, tokens)[:NEW_CELLS]:
        near = searched[int(np.argmin(np.abs(np.log(params / n)) + np.abs(np.log(tokens / d))))]
        batch = near.summary.best_batch_tokens
        yield Addition(
            params=n,
            tokens=d,
            lr=_around(near, reach=2),
            batch_tokens=() if batch is None else (batch,),
            why="this cell is missing between its neighbours",
        )


def _batches(cells: Sequence[CellGrid]) -> Iterator[Addition]:
    """Half, twice and four times the batch, LRs around the best, in the cheapest cell of each horizon."""
    cheapest: dict[float, CellGrid] = {}
    for cell in sorted(cells, key=_cost):
        if cell.is_bracketed and cell.summary.best_batch_tokens is not None:
            cheapest.setdefault(cell.summary.tokens, cell)
    for cell in list(cheapest.values())[:BATCH_CELLS]:
        batch = cell.summary.best_batch_tokens or 0.0
        yield _addition(
            cell,
            _around(cell),
            "several batches, each with several LRs: shows the best batch",
            batch_tokens=(batch / 2, batch * 2, batch * 4),
        )


def _addition(
    cell: CellGrid,
    lr: tuple[float, ...],
    why: str,
    *,
    batch_tokens: tuple[float, ...] | None = None,
    tokens: float = 1.0,
) -> Addition:
    """Runs beside a cell; `tokens` multiplies the cell's own."""
    own = cell.summary.best_batch_tokens
    if batch_tokens is None:
        batch_tokens = () if own is None else (own,)
    return Addition(
        params=cell.summary.params,
        tokens=cell.summary.tokens * tokens,
        lr=lr,
        batch_tokens=batch_tokens,
        why=why,
    )


def _around(cell: CellGrid, *, reach: int = 1) -> tuple[float, ...]:
    step = _step(cell.lr)
    return _rounded(*(cell.summary.best_lr * step**power for power in range(-reach, reach + 1)))


def _step(levels: Sequence[float]) -> float:
    """Usual ratio of neighbouring levels."""
    if len(levels) < 2:
        return DEFAULT_STEP
    usual = float(np.exp(np.median(np.diff(np.log(levels)))))
    return min(max(usual, MIN_STEP), MAX_STEP)


def _rounded(*values: float) -> tuple[float, ...]:
    return tuple(significant(value) for value in values)


def _cost(cell: CellGrid) -> float:
    return cell.summary.params * cell.summary.tokens
