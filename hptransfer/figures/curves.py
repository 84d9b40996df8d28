"""Logged loss curves, and what a law predicts of other schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.curves.record import Curve
from hptransfer.curves.study import Study
from hptransfer.sweep import FloatArray

MOST_POINTS = 600


@dataclass(frozen=True)
class CurvesFigure:
    """Loss at steps, both (n,), by name of the run or of the predicted schedule."""

    logged: Mapping[str, tuple[FloatArray, FloatArray]]
    predicted: Mapping[str, tuple[FloatArray, FloatArray]]


def curves_figure(curves: Sequence[Curve], study: Study) -> CurvesFigure:
    """Every run and every prediction, thinned evenly to what an eye can see."""
    return CurvesFigure(
        logged={curve.run: _thinned(curve.steps, curve.loss) for curve in curves},
        predicted={spec: _thinned(one.steps, one.loss) for spec, one in study.predictions.items()},
    )


def _thinned(steps: np.ndarray, loss: np.ndarray) -> tuple[FloatArray, FloatArray]:
    picked = np.unique(np.linspace(0, len(steps) - 1, MOST_POINTS).round().astype(int))
    return np.asarray(steps, dtype=float)[picked], np.asarray(loss, dtype=float)[picked]
