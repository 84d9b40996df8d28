"""Loss against LR at each width: does the best LR stay where it is?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.width import DIVERGED_RATIO
from hptransfer.parametrizations.widths import AtWidth, Transfer, WidthSweep
from hptransfer.sweep import FloatArray


@dataclass(frozen=True)
class WidthCurve:
    """Runs of one width (and depth) by rising LR, (n_runs,), without diverged ones; `best` is the vertex."""

    name: str
    lr: FloatArray
    loss: FloatArray
    best: tuple[float, float] | None  # LR, loss


@dataclass(frozen=True)
class WidthPanel:
    """One parametrization, narrow to wide."""

    name: str
    verdict: str
    curves: tuple[WidthCurve, ...]


def width_panels(sweep: WidthSweep, found: Sequence[Transfer]) -> list[WidthPanel]:
    """A panel a parametrization; widths of which no run finished are left out."""
    return [_panel(sweep, one) for one in found]


def _panel(sweep: WidthSweep, found: Transfer) -> WidthPanel:
    own = np.array([name == found.parametrization for name in sweep.parametrization])
    many_depths = len({at.depth for at in found.widths}) > 1
    curves = (_curve(sweep, own, at, many_depths=many_depths) for at in found.widths)
    name = found.parametrization or "all runs"
    return WidthPanel(name, found.verdict, tuple(curve for curve in curves if curve is not None))


def _curve(sweep: WidthSweep, own: np.ndarray, at: AtWidth, *, many_depths: bool) -> WidthCurve | None:
    rows = own & (sweep.width == at.width) & np.isfinite(sweep.loss)
    rows &= np.isnan(sweep.depth) if at.depth is None else sweep.depth == at.depth
    if not rows.any():
        return None
    rows &= sweep.loss <= DIVERGED_RATIO * sweep.loss[rows].min()
    order = np.argsort(sweep.lr[rows], kind="stable")
    depth = f", depth {at.depth:g}" if many_depths and at.depth is not None else ""
    best = None if at.lr is None or at.best_loss is None else (at.lr, at.best_loss)
    return WidthCurve(f"width {at.width:g}{depth}", sweep.lr[rows][order], sweep.loss[rows][order], best)
