"""Checkpoint weights that stand for a decay (WSM)."""

from __future__ import annotations

import numpy as np

from hptransfer.numerics import schedules as shapes
from hptransfer.schedules.decays import DECAYS
from hptransfer.schedules.options import FloatArray, Options, Timeline

MERGEABLE = ("linear", "1-sqrt", "cosine", "mirror-cosine", "square", "sqrt", "megatron-exponential")


def weights_for_decay(decay: str, *, intervals: int) -> tuple[FloatArray, FloatArray]:
    """Decay multipliers of the intervals, (intervals,), and checkpoint weights, (intervals + 1,).

    The i-th interval is decayed to the shape's value at (i - 1) / intervals, the first one not at all.
    """
    run = Timeline(intervals, 0, 1.0, Options(decay=decay, final_ratio=0.0))
    multipliers = DECAYS[decay](run, intervals)(np.arange(intervals) / intervals)
    return multipliers, shapes.merge_weights(multipliers)
