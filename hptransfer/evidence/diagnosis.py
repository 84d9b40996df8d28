"""What a sweep can support: which law, from which of its runs, what is wrong with them, what to add.

`fit` answers or refuses. This module looks at everything first: settings that vary are no error but parts
to choose from, and every part is judged by the very questions that a fit asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from hptransfer.errors import RefusalError, plain
from hptransfer.estimators.common import (
    MIN_SPAN,
    count_levels,
    name_cells,
    split_by_cell,
    summarize_cells,
    usable_runs,
    varied_inputs,
)
from hptransfer.evidence.labels import REPEATED_EVERYWHERE, is_size, mislabelled_sizes, mislabelled_text
from hptransfer.law import CellSummary
from hptransfer.quantities import short_count
from hptransfer.sweep import BoolArray, FloatArray, IntArray, SetAside, Sweep, part_of_sweep

NEAR_OPTIMAL = 0.0025
"""Runs within this relative excess loss of their cell's best show where its optimum is (as in `fit`)."""

TUNED = frozenset({"weight_decay", "beta1", "beta2", "epsilon", "grad_clip"})
"""Settings that are tuned like the LR: runs that differ in them can still be compared by their loss."""

COARSE_LEVELS = 3
MIN_BATCH_CELLS = 2
MAX_PARTS = 200
EXAMPLES = 3
_SHOWN = 6
_UNKNOWN = -1


class Verdict(Enum):
    """What can be fitted, the least first; the value is the sentence to show."""

    NOTHING = "nothing can be fitted"
    ONE_DIRECTION = "a law in one direction only"
    LR_AT_FIXED_BATCH = "a law of the LR in params and tokens, at the batch of the sweep"
    LR_AND_BATCH = "a law of the LR and the batch in params and tokens"


_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True)
class Column:
    """One column of labels: a code a run, shape (n_runs,), -1 where unknown, into `labels`."""

    codes: IntArray
    labels: Sequence[str | float]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a sweep, or that must be known before it is fitted."""

    code: str
    message: str


@dataclass(frozen=True)
class CellGrid:
    """What was tried in one cell. `lr` and `batch_tokens` hold the levels tried, diverged runs included."""

    summary: CellSummary
    lr: tuple[float, ...]
    batch_tokens: tuple[float, ...]
    finished_lrs: int  # LR levels with a finished run
    searched_batches: int  # batches that tried several LRs

    @property
    def gaps(self) -> int:
        """How many pairs of a tried LR and a tried batch are missing from the full grid, at least."""
        return max(len(self.lr) * max(len(self.batch_tokens), 1) - self.summary.runs, 0)

    @property
    def is_searched(self) -> bool:
        """Whether several LRs finished."""
        return self.finished_lrs > 1

    @property
    def is_bracketed(self) -> bool:
        """Whether the best LR has worse ones on both sides."""
        return self.is_searched and not any(edge.startswith("lr") for edge in self.summary.edges)


@dataclass(frozen=True)
class Part:
    """Runs that belong together: `where` and `without` select them, `vary` lets settings differ."""

    where: tuple[tuple[str, str | float], ...]
    without: tuple[tuple[str, str | float], ...]
    vary: tuple[str, ...]
    sweep: Sweep
    cells: tuple[CellGrid, ...]
    verdict: Verdict
    reason: str

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """What makes one part better than another: the law, then bracketed and searched cells, then runs."""
        bracketed = sum(cell.is_bracketed for cell in self.cells)
        searched = sum(cell.is_searched for cell in self.cells)
        return _RANK[self.verdict], bracketed, searched, self.sweep.n_runs


@dataclass(frozen=True)
class Diagnosis:
    """The best part of a sweep to fit, and what was found on the way.

    `wider` is another part, with more to fit, that needs settings mixed.
    """

    best: Part
    wider: Part | None
    findings: tuple[Finding, ...]
    runs: int


def diagnose(
    sweep: Sweep,
    *,
    settings: Mapping[str, Column],
    others: Mapping[str, Column] | None = None,
    can_exclude_params: bool = True,
) -> Diagnosis:
    """Judge a sweep whose settings may vary.

    Args:    settings: canonical name -> its column, as long as the sweep. others: columns that mean nothing
             known, by header. can_exclude_params: whether rows can be left out by their params.
    Returns: the part that supports the most, by `Part.rank`.
    """
    varying = {name: column for name, column in settings.items() if _n_values(column.codes) > 1}
    sizes, everywhere = mislabelled_sizes(sweep)
    without = tuple(
        ("params", float(value))
        for size in sizes
        for value in np.unique(sweep.params[is_size(sweep, size)])
        if can_exclude_params
    )
    usable = ~np.isin(sweep.params, [value for _, value in without])
    strict = _best_part(sweep, usable, varying, vary=(), without=without)
    tuned = tuple(name for name in varying if name in TUNED)
    wider = None
    if tuned:
        rest = {name: column for name, column in varying.items() if name not in TUNED}
        mixed = _best_part(sweep, usable, rest, vary=tuned, without=without)
        wider = mixed if mixed.rank > strict.rank and mixed.verdict is not Verdict.NOTHING else None
    best = strict
    if strict.verdict is Verdict.NOTHING and wider is not None:
        best, wider = wider, None
    findings = [
        *_mislabelled(sweep, sizes),
        *([Finding("repeated-losses", REPEATED_EVERYWHERE)] if everywhere else []),
        *_set_aside(sweep.set_aside),
        *_mixed(varying),
        *_other_columns(sweep, {**settings}, others or {}),
        *(Finding(code, message) for code, message in sweep.warnings),
        *_design(best),
    ]
    return Diagnosis(
        best=best, wider=wider, findings=tuple(findings), runs=sweep.n_runs + len(sweep.set_aside)
    )


# --- parts -------------------------------------------------------------------------------------------


def _best_part(
    sweep: Sweep,
    usable: BoolArray,
    varying: Mapping[str, Column],
    *,
    vary: tuple[str, ...],
    without: tuple[tuple[str, str | float], ...],
) -> Part:
    """Judge every combination of values of the varying settings, and return the one to fit."""
    parts = [
        _judged(part_of_sweep(sweep, rows), where=where, without=without, vary=vary)
        for where, rows in _combinations(varying, usable)
    ]
    return max(parts, key=lambda part: part.rank)


def _combinations(
    varying: Mapping[str, Column], usable: BoolArray
) -> Iterator[tuple[tuple[tuple[str, str | float], ...], BoolArray]]:
    """Yield the conditions and the runs of each combination of settings, the commonest ones first."""
    known = usable.copy()
    for column in varying.values():
        known &= column.codes != _UNKNOWN
    if not varying or not known.any():
        yield (), usable
        return
    rows = np.flatnonzero(known)
    counts = Counter(zip(*(column.codes[rows].tolist() for column in varying.values()), strict=True))
    for codes, _ in counts.most_common(MAX_PARTS):
        chosen = known.copy()
        for column, code in zip(varying.values(), codes, strict=True):
            chosen &= column.codes == code
        where = tuple(
            (name, column.labels[code])
            for (name, column), code in zip(varying.items(), codes, strict=True)
        )  # fmt: skip
        yield where, chosen


def _judged(
    sweep: Sweep,
    *,
    where: tuple[tuple[str, str | float], ...],
    without: tuple[tuple[str, str | float], ...],
    vary: tuple[str, ...],
) -> Part:
    cells = cell_grids(sweep)
    verdict, reason = _verdict(sweep, cells)
    return Part(
        where=where, without=without, vary=vary, sweep=sweep, cells=cells, verdict=verdict, reason=reason
    )


def _verdict(sweep: Sweep, cells: Sequence[CellGrid]) -> tuple[Verdict, str]:
    """Ask what `fit` asks, and whether enough cells have their optimum inside their grid."""
    try:
        runs, _ = usable_runs(sweep)
        varied, _ = varied_inputs(sweep, runs)
    except RefusalError as refusal:
        return Verdict.NOTHING, str(refusal)
    bracketed = sum(cell.is_bracketed for cell in cells)
    searched = sum(cell.is_searched for cell in cells)
    needed = 1 + len(varied)
    if bracketed < needed:
        return Verdict.NOTHING, (
            f"bounds-only: in {searched - bracketed} of {searched} cells the best LR is the highest or "
            f"lowest tried, so they only bound the optimum; {bracketed} bracket it, and a law in "
            f"{' and '.join(varied)} needs {needed}."
        )
    extent = f"{bracketed} of {searched} cells bracket their best LR"
    if 2 * bracketed < searched:
        extent += ", the others only bound it: a weak law"
    batch = _batch_sentence(cells, has_batch=sweep.has_batch)
    if len(varied) == 1:
        (fixed,) = {"params", "tokens"} - set(varied)
        value = short_count(float(np.exp(np.median(runs.log_cell(fixed)))))
        return Verdict.ONE_DIRECTION, f"in {varied[0]}, at {value} {fixed}; {batch}; {extent}."
    joint = [cell for cell in cells if cell.searched_batches > 1]
    tokens = [cell.summary.tokens for cell in joint]
    if len(joint) >= MIN_BATCH_CELLS and max(tokens) / min(tokens) >= MIN_SPAN:
        return Verdict.LR_AND_BATCH, f"{extent}, {len(joint)} searched LR and batch together."
    return Verdict.LR_AT_FIXED_BATCH, f"{batch}; {extent}."


def _batch_sentence(cells: Sequence[CellGrid], *, has_batch: bool) -> str:
    """Say what the sweep did with its batch."""
    if not has_batch:
        return "its batch is unknown"
    levels = sorted({batch for cell in cells for batch in cell.batch_tokens})
    if len(levels) == 1:
        return f"the batch was fixed at {short_count(levels[0])} tokens"
    if any(cell.searched_batches > 1 for cell in cells):
        joint = sum(cell.searched_batches > 1 for cell in cells)
        return f"LR and batch were searched together in {joint} cells"
    return "LR and batch were not searched together"


# --- cells -------------------------------------------------------------------------------------------


def cell_grids(sweep: Sweep) -> tuple[CellGrid, ...]:
    """Describe what was tried in each cell; cells without a finished run are left out."""
    finished = np.flatnonzero(~sweep.diverged)
    near = {}
    for cell, rows in enumerate(split_by_cell(finished, sweep.cell[finished], n_cells=sweep.n_cells)):
        if len(rows):
            near[cell] = rows[sweep.loss[rows] <= sweep.loss[rows].min() * (1 + NEAR_OPTIMAL)]
    every = split_by_cell(np.arange(sweep.n_runs), sweep.cell, n_cells=sweep.n_cells)
    summaries = summarize_cells(sweep, near)
    return tuple(_cell_grid(sweep, every[c], summary) for c, summary in zip(near, summaries, strict=True))


def _cell_grid(sweep: Sweep, rows: IntArray, summary: CellSummary) -> CellGrid:
    finished = rows[~sweep.diverged[rows]]
    batch = sweep.batch_tokens[rows]
    batches = np.unique(batch[np.isfinite(batch)])
    place = np.searchsorted(batches, sweep.batch_tokens[finished])
    lrs_of_batch = count_levels(sweep.lr[finished], place, n_cells=len(batches) + 1)
    return CellGrid(
        summary=summary,
        lr=tuple(np.unique(sweep.lr[rows]).tolist()),
        batch_tokens=tuple(batches.tolist()),
        finished_lrs=len(np.unique(sweep.lr[finished])),
        searched_batches=int((lrs_of_batch[: len(batches)] > 1).sum()),
    )


# --- findings ----------------------------------------------------------------------------------------


def _mislabelled(sweep: Sweep, sizes: Iterable[float]) -> Iterator[Finding]:
    """Name each mislabelled model size."""
    for size in sizes:
        text = f"{mislabelled_text(sweep, size)} The size is left out of what follows."
        yield Finding("mislabelled-rows", text)


def _set_aside(set_aside: Sequence[SetAside]) -> Iterator[Finding]:
    """Count what was set aside, with the first of each kind as examples."""
    for reason in sorted({run.reason for run in set_aside}):
        runs = [run for run in set_aside if run.reason == reason]
        examples = "; ".join(f"{plain(r.file)}, {r.where}: {r.message}" for r in runs[:EXAMPLES])
        yield Finding(reason, f"{len(runs)} runs are set aside, for example {examples.rstrip('.')}.")


def _mixed(varying: Mapping[str, Column]) -> Iterator[Finding]:
    """Say which settings vary, with the values and how many runs have them."""
    for name, column in varying.items():
        counts = Counter(column.codes[column.codes != _UNKNOWN].tolist()).most_common()
        shown = ", ".join(f"{label_text(column.labels[code])} ({n} runs)" for code, n in counts[:_SHOWN])
        more = f", ... ({len(counts)} values)" if len(counts) > _SHOWN else ""
        yield Finding("mixed-settings", f"{name} varies: {shown}{more}.")


def _other_columns(
    sweep: Sweep, settings: Mapping[str, Column], others: Mapping[str, Column]
) -> Iterator[Finding]:
    """Name columns that differ between runs which agree in everything known: they may be settings too."""
    keys = [sweep.cell, sweep.lr, np.nan_to_num(sweep.batch_tokens), *(c.codes for c in settings.values())]
    order = np.lexsort(keys)
    same = np.logical_and.reduce([np.diff(key[order]) == 0 for key in keys])
    named = []
    for header, column in others.items():
        codes = column.codes[order]
        differs = same & (np.diff(codes) != 0)
        if int(differs.sum()) >= 2 and 1 < _n_values(column.codes) <= _SHOWN * 2:
            values = ", ".join(label_text(label) for label in list(column.labels)[:_SHOWN])
            named.append(f"{plain(header, limit=40)} ({values})")
    if named:
        yield Finding(
            "other-columns",
            f"runs with equal params, tokens, LR, batch and settings differ in {'; '.join(named)}. Where "
            "that is a setting of the run, keep one value with --where COL=VALUE.",
        )


def _design(part: Part) -> Iterator[Finding]:
    """Say what is weak in the design of the part that is fitted."""
    sweep, cells = part.sweep, part.cells
    searched = [cell for cell in cells if cell.is_searched]
    edges = [cell for cell in cells if cell.summary.edges]
    if edges:
        named = "; ".join(f"{_name(cell)} ({', '.join(cell.summary.edges)})" for cell in edges[:_SHOWN])
        more = f"; and {len(edges) - _SHOWN} more" if len(edges) > _SHOWN else ""
        yield Finding(
            "edge-optimum",
            f"the best run lies on the edge of the grid in {len(edges)} of {len(cells)} cells: "
            f"{named}{more}.",
        )
    single = [cell for cell in cells if not cell.is_searched]
    if single:
        yield Finding(
            "one-lr-cells", f"{len(single)} of {len(cells)} cells have finished runs at one LR only."
        )
    coarse = [cell for cell in searched if cell.finished_lrs <= COARSE_LEVELS]
    if coarse:
        yield Finding(
            "coarse-grid",
            f"{len(coarse)} of {len(searched)} cells tried {COARSE_LEVELS} LRs or fewer: the step between "
            "them, not the noise of the runs, sets how well the optimum is known.",
        )
    empty = np.setdiff1d(np.arange(sweep.n_cells), sweep.cell[~sweep.diverged])
    if len(empty):
        yield Finding(
            "no-finished-run",
            f"all runs diverged in {len(empty)} cells: {name_cells(sweep, empty)}. If they stopped early and "
            "tokens is what they saw, a column of planned tokens puts them where they bound the LR.",
        )
    yield from _batch_findings(cells, has_batch=sweep.has_batch)
    yield from _lattice(cells)


def _batch_findings(cells: Sequence[CellGrid], *, has_batch: bool) -> Iterator[Finding]:
    if not has_batch:
        yield Finding("no-batch", "no column says the batch: the law holds at whatever it was.")
        return
    several = [cell for cell in cells if len(cell.batch_tokens) > 1]
    if not several:
        yield Finding("single-batch", "every cell tried one batch: nothing says which batch is best.")
        return
    apart = [cell for cell in several if cell.searched_batches < 2]
    if apart:
        yield Finding(
            "one-at-a-time",
            f"{len(apart)} of {len(several)} cells that tried several batches did so at a single LR: the "
            "best LR moves with the batch, so they do not show which batch is best. Where half or more of "
            "the cells are like this, a fit gives the LR only, at the batch where LRs were tried.",
        )


def _lattice(cells: Sequence[CellGrid]) -> Iterator[Finding]:
    """Say how params and tokens moved, and which cells of their lattice are missing."""
    params = np.array([cell.summary.params for cell in cells if cell.is_searched])
    tokens = np.array([cell.summary.tokens for cell in cells if cell.is_searched])
    if len(params) < 3 or np.ptp(np.log(params)) == 0 or np.ptp(np.log(tokens)) == 0:
        return
    correlation = float(np.corrcoef(np.log(params), np.log(tokens))[0, 1])
    if abs(correlation) >= 0.9:
        ratio = tokens / params
        yield Finding(
            "moved-together",
            f"params and tokens moved together (correlation {correlation:.3f}, {ratio.min():.3g} to "
            f"{ratio.max():.3g} tokens per param): their exponents are hard to tell apart.",
        )
    missing = missing_cells(params, tokens)
    if missing:
        named = ", ".join(f"{short_count(n)} / {short_count(d)}" for n, d in missing[:_SHOWN])
        more = f", and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        yield Finding("empty-corners", f"no LR was searched at params / tokens {named}{more}.")


def missing_cells(params: FloatArray, tokens: FloatArray) -> list[tuple[float, float]]:
    """Cells missing from a lattice of params x tokens that are no dearer than the dearest one there.

    Empty where less than half of the lattice is there: the sweep was then not meant as one.

    >>> missing_cells(np.array([1e8, 1e8, 2e8]), np.array([1e9, 4e9, 4e9]))
    [(200000000.0, 1000000000.0)]
    """
    there = set(zip(params.tolist(), tokens.tolist(), strict=True))
    sizes, horizons = np.unique(params).tolist(), np.unique(tokens).tolist()
    if 2 * len(there) < len(sizes) * len(horizons):
        return []
    dearest = max(n * d for n, d in there)
    return [(n, d) for n in sizes for d in horizons if (n, d) not in there and n * d <= dearest]


def label_text(label: str | float) -> str:
    """Write a label for people."""
    return f"{label:g}" if isinstance(label, float) else plain(label, limit=60)


def _name(cell: CellGrid) -> str:
    return f"{short_count(cell.summary.params)} / {short_count(cell.summary.tokens)}"


def _n_values(codes: IntArray) -> int:
    return len(np.unique(codes[codes != _UNKNOWN]))
