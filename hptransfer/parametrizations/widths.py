"""How the best LR moves with width: an LR sweep over widths to a drift, its interval and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hptransfer.errors import plain
from hptransfer.numerics.width import Failure, optimum, slopes
from hptransfer.sweep import BoolArray, FloatArray

Verdict = Literal["transfers", "drifts", "undecided", "not-enough-usable-runs"]

TOLERANCE = 0.1
"""Drift in log2 LR per doubling of width that still counts as transfer: 7 % a doubling, 1.5x over 64x."""

MIN_WIDTHS = 3  # a line through two has no scatter to judge it by

FAILURES: dict[Failure, str] = {
    "too-few": "fewer than 3 LRs with a usable loss",
    "edge-low": "the lowest LR is the best: add lower ones",
    "edge-high": "the highest LR is the best: add higher ones",
    "edge-diverged": "the neighbour of the best LR diverged: the optimum is on the brink",
}


@dataclass(frozen=True)
class WidthSweep:
    """Finished runs over widths and LRs, one entry a run, shape (n_runs,).

    `depth` is NaN where nobody says; `parametrization` is "" there. Losses are NaN or inf where diverged.
    """

    width: FloatArray
    depth: FloatArray
    lr: FloatArray
    loss: FloatArray
    parametrization: Sequence[str]
    warnings: tuple[tuple[str, str], ...] = ()  # (code, message)


@dataclass(frozen=True)
class AtWidth:
    """What the sweep showed at one width (and depth): the best LR, or why it is not known."""

    width: float
    depth: float | None
    runs: int
    usable_lrs: int
    best_loss: float | None
    lr: float | None
    log2_lr_std: float | None
    excluded: str | None


@dataclass(frozen=True)
class Drift:
    """Exponent of the best LR in width or depth: d log2 LR* / d log2 size, with a 90 % interval."""

    of: Literal["width", "depth"]
    per_doubling: float
    low: float
    high: float


@dataclass(frozen=True)
class Transfer:
    """Verdict on one parametrization."""

    parametrization: str
    verdict: Verdict
    message: str
    drifts: tuple[Drift, ...]  # width first; empty without enough widths
    widths: tuple[AtWidth, ...]


def width_transfer(sweep: WidthSweep, *, tolerance: float = TOLERANCE) -> list[Transfer]:
    """Fit how log LR* moves with width (and depth, where it varies), per parametrization.

    The best LR of each width is the vertex of a local parabola; widths whose best LR is on the edge of the
    grid or of divergence are left out. The interval comes from the scatter of the optima about the line.
    """
    names = np.array(sweep.parametrization, dtype=object)
    return [_transfer(sweep, names == name, str(name), tolerance) for name in dict.fromkeys(names)]


def _transfer(sweep: WidthSweep, rows: BoolArray, name: str, tolerance: float) -> Transfer:
    sizes = sorted({(w, d) for w, d in zip(sweep.width[rows], _known(sweep.depth[rows]), strict=True)})
    at = tuple(_at_width(sweep, rows, width, depth) for width, depth in sizes)
    found = [one for one in at if one.lr is not None]
    if len({one.width for one in found}) < MIN_WIDTHS:
        return Transfer(name, "not-enough-usable-runs", _too_few(at, len(found)), (), at)
    drifts = _drifts(found)
    if not drifts:
        message = "widths and depths move together, or leave nothing to judge the line by: add widths."
        return Transfer(name, "not-enough-usable-runs", message, (), at)
    verdict, message = _judge(drifts[0], tolerance)
    return Transfer(name, verdict, message, drifts, at)


def _known(depth: FloatArray) -> list[float]:
    return [-1.0 if np.isnan(value) else float(value) for value in depth]  # sorts, and equals itself


def _at_width(sweep: WidthSweep, rows: BoolArray, width: float, depth: float) -> AtWidth:
    here = rows & (sweep.width == width) & (np.nan_to_num(sweep.depth, nan=-1.0) == depth)
    best = optimum(np.log2(sweep.lr[here]), sweep.loss[here])
    return AtWidth(
        width=float(width),
        depth=None if depth < 0 else depth,
        runs=int(here.sum()),
        usable_lrs=best.levels,
        best_loss=float(best.loss) if np.isfinite(best.loss) else None,
        lr=None if best.log2_lr is None else float(2.0**best.log2_lr),
        log2_lr_std=best.std,
        excluded=None if best.failure is None else FAILURES[best.failure],
    )


def _drifts(found: Sequence[AtWidth]) -> tuple[Drift, ...]:
    log2_lr = np.log2([one.lr for one in found if one.lr is not None])
    sizes: dict[Literal["width", "depth"], FloatArray] = {"width": np.log2([one.width for one in found])}
    depths = np.array([one.depth or 1.0 for one in found])
    if np.ptp(depths) > 0:
        sizes["depth"] = np.log2(depths)
    fitted = slopes(np.column_stack(list(sizes.values())), log2_lr)
    if fitted is None:
        return ()
    return tuple(
        Drift(name, float(slope), float(slope - half), float(slope + half))
        for name, slope, half in zip(sizes, fitted.slopes, fitted.half_widths, strict=True)
    )


def _judge(drift: Drift, tolerance: float) -> tuple[Verdict, str]:
    interval = f"90 % {drift.low:+.3f} to {drift.high:+.3f}"
    text = f"{drift.per_doubling:+.3f} log2 per doubling of width ({interval})"
    if -tolerance <= drift.low and drift.high <= tolerance:
        return "transfers", f"the best LR stays: {text}."
    if abs(drift.per_doubling) > tolerance and (drift.low > 0 or drift.high < 0):
        return "drifts", f"the best LR changes by {2.0**drift.per_doubling:.3g}x per doubling: {text}."
    neither = f"neither transfer (within {tolerance:g}) nor drift is shown; add widths or LRs"
    return "undecided", f"{text}: {neither}."


def _too_few(at: Sequence[AtWidth], usable: int) -> str:
    reasons: dict[str, int] = {}
    for one in at:
        if one.excluded is not None:
            reasons[one.excluded] = reasons.get(one.excluded, 0) + 1
    why = "; ".join(f"{reason} ({plain(count)} of {len(at)} widths)" for reason, count in reasons.items())
    return (
        f"not enough usable runs: {usable} of {len(at)} widths have a best LR inside the grid, "
        f"{MIN_WIDTHS} are needed. {why[:1].upper()}{why[1:]}."
    )
