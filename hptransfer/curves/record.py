"""Loss curves: what a run logged, a point a logged step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.sweep import FloatArray, IntArray


@dataclass(frozen=True)
class Curve:
    """One run's logged points; all arrays (n_points,), steps rising.

    `first_line` is where the file has the run; `skipped` counts its rows without a loss.
    """

    run: str
    steps: IntArray
    lr: FloatArray
    loss: FloatArray
    first_line: int
    skipped: int = 0

    @property
    def peak_lr(self) -> float:
        """The largest LR logged."""
        return float(self.lr.max())

    @property
    def last_step(self) -> int:
        """The last step logged."""
        return int(self.steps[-1])


def pick(curves: Sequence[Curve], run: str) -> Curve:
    """The curve of this run; UsageError with the nearest name otherwise."""
    for curve in curves:
        if curve.run == run:
            return curve
    names = [curve.run for curve in curves]
    shown = ", ".join(plain(name) for name in names[:20])
    msg = f"no run {plain(run)!r} in the curves.{did_you_mean(run, names)} Runs: {shown}."
    raise UsageError(msg)


GAP_FACTOR = 5.0  # an interval this many times the usual one is a gap
_LR_MOVED = 0.01  # of the peak: below this a gap hides nothing


def refuse_gaps(curve: Curve, *, warmup_steps: int | None, allow_gaps: bool) -> None:
    """Refuse a curve whose LR path is not known: a late start, or a gap in which the LR moved.

    The laws sum the LR over every step, so what happened between two logged points matters.
    """
    steps, lr = curve.steps, curve.lr
    intervals = np.diff(steps)
    usual = float(np.median(intervals))
    if warmup_steps is None and steps[0] > GAP_FACTOR * usual:
        msg = (
            f"run {plain(curve.run)}: begins at step {steps[0]:,}, and what the LR did before is not in the "
            "file. Give --warmup-steps N (a straight warm-up from 0, then the first logged LR; 0 for none)."
        )
        raise RefusalError(msg)
    hiding = (intervals > GAP_FACTOR * usual) & (np.abs(np.diff(lr)) > _LR_MOVED * curve.peak_lr)
    if hiding.any() and not allow_gaps:
        i = int(hiding.argmax())
        msg = (
            f"run {plain(curve.run)}: gap between steps {steps[i]:,} and {steps[i + 1]:,}, in which the LR "
            f"went from {lr[i]:.3g} to {lr[i + 1]:.3g}; how is not in the file. Log the LR there, or add "
            "--allow-gaps to take it as a straight line (or a jump at the end)."
        )
        raise RefusalError(msg)
