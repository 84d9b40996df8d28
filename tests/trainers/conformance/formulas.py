"""Learning rates of trainers that are no packages: their LR functions as closed forms, from their sources.

Steps count from 0. A cosine decay is written with the half angle, so that no line is one of theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Lrs = NDArray[np.float64]


def cosine_to(floor: float, peak: float, progress: Lrs) -> Lrs:
    """From `peak` at progress 0 to `floor` at 1 and after."""
    return floor + (peak - floor) * np.cos(np.pi / 2 * np.clip(progress, 0, 1)) ** 2


def nanogpt(steps: Lrs, *, peak: float, floor: float, warmup: float, horizon: float, first: float = 1) -> Lrs:
    """train.py of karpathy/nanoGPT (3adf61e); `first`=0 for nanoGPT-mup's, forked before its warm-up changed.

    Warm-up counts from `first`, so that it ends one step before the peak in both.
    """
    rising = peak * (steps + first) / (warmup + first)
    return np.where(steps < warmup, rising, cosine_to(floor, peak, (steps - warmup) / (horizon - warmup)))


def gpt_neox(steps: Lrs, *, style: str, peak: float, floor: float, warmup: float, horizon: float) -> Lrs:
    """megatron/learning_rates.py of EleutherAI/gpt-neox (ea7aefd), since its pull requests 1008, 1011, 1039.

    `warmup` in steps; a linear decay runs to 0 and the floor cuts it off.
    """
    progress = (steps - warmup) / (horizon - warmup)
    falling = {
        "constant": np.full_like(steps, peak),
        "linear": np.maximum(peak * (1 - progress), floor),
        "cosine": cosine_to(floor, peak, progress),
    }[style]
    return np.where(steps <= warmup, peak * steps / warmup, falling)


def nanotron_1_sqrt(
    steps: Lrs, *, peak: float, floor: float, warmup: float, start: float, length: float
) -> Lrs:
    """src/nanotron/helpers.py of huggingface/nanotron (main), the decay that its release lacks."""
    progress = np.clip((steps - start) / length, 0, 1)
    return np.where(steps <= warmup, peak * steps / warmup, floor + (peak - floor) * (1 - np.sqrt(progress)))
