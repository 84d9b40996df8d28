"""Shapes of learning-rate schedules: multipliers of the peak, vectorized over steps.

`t` counts steps from 0 to the horizon, `progress` runs from 0 to 1, a falling shape from 1 to 0 (or to
`final_ratio`, last lr / peak lr). Multipliers leave the ratios between parameter groups alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def progress(t: FloatArray, *, start: float, end: float) -> FloatArray:
    """How far t is between start and end (> start): 0 before, 1 after."""
    return np.asarray(np.clip((t - start) / (end - start), 0.0, 1.0))


def linear_warmup(t: FloatArray, *, warmup_steps: float, start_ratio: float = 0.0) -> FloatArray:
    """Rise from start_ratio at t = 0 to 1 at warmup_steps (> 0), then 1."""
    return np.asarray(start_ratio + (1 - start_ratio) * np.minimum(t / warmup_steps, 1.0))


def floored(shape: FloatArray, *, final_ratio: float) -> FloatArray:
    """Stretch a shape that falls from 1 to 0 so that it falls from 1 to final_ratio."""
    return np.asarray(final_ratio + (1 - final_ratio) * shape)


def linear(q: FloatArray) -> FloatArray:
    """1 - q."""
    return np.asarray(1 - q)


def cosine(q: FloatArray) -> FloatArray:
    """Half a cosine, (1 + cos(pi q)) / 2."""
    return np.asarray(0.5 * (1 + np.cos(np.pi * q)))


def mirror_cosine(q: FloatArray) -> FloatArray:
    """The cosine mirrored at the straight line, 2 (1 - q) - (1 + cos(pi q)) / 2."""
    return np.asarray(2 * (1 - q) - cosine(q))


def one_minus_sqrt(q: FloatArray) -> FloatArray:
    """1 - sqrt(q); source: Hägele et al. 2024, arXiv:2405.18392, Eq. 1."""
    return np.asarray(1 - np.sqrt(q))


def one_minus_square(q: FloatArray) -> FloatArray:
    """1 - q^2."""
    return np.asarray(1 - q**2)


def power(q: FloatArray, *, exponent: float) -> FloatArray:
    """(1 - q)^exponent."""
    return np.asarray((1 - q) ** exponent)


def exponential(q: FloatArray, *, final_ratio: float) -> FloatArray:
    """final_ratio^q, straight in the log; final_ratio > 0 is where it ends."""
    return np.asarray(final_ratio**q)


def megatron_exponential(q: FloatArray) -> FloatArray:
    """2 * 0.5^q - 1, which Megatron-LM calls exponential: it reaches 0."""
    return np.asarray(2 * 0.5**q - 1)


def harmonic(q: FloatArray, *, final_ratio: float) -> FloatArray:
    """Straight in 1 / lr, 1 / (q / final_ratio + 1 - q); final_ratio > 0 is where it ends.

    Source:  WSD-S, Wen et al. 2024, arXiv:2410.05192.
    """
    return np.asarray(1 / (q / final_ratio + 1 - q))


def inverse_sqrt(t: FloatArray, *, warmup_steps: float, timescale: float) -> FloatArray:
    """1 / sqrt((t + timescale - warmup_steps) / timescale): 1 at the end of the warm-up."""
    return np.asarray(1 / np.sqrt((np.maximum(t, warmup_steps) + timescale - warmup_steps) / timescale))


def rex(p: FloatArray, *, gamma: float) -> FloatArray:
    """(1 - p) / (1 - gamma p).

    gamma is 0.5 in the paper (Chen et al. 2021, arXiv:2107.04197) and 0.45 in its authors' code.
    """
    return np.asarray((1 - p) / (1 - gamma * p))


def uba(p: FloatArray, *, phi: float) -> FloatArray:
    """2 u / (phi + (2 - phi) u) with u the cosine: phi = 2 is the cosine, phi -> 0 constant; phi > 0.

    Source:  arXiv:2505.24452 as recalled, and one third-party implementation; not verified in the text.
    """
    u = cosine(p)
    return np.asarray(2 * u / (phi + (2 - phi) * u))


def multi_step(x: FloatArray, *, milestones: Sequence[float], factors: Sequence[float]) -> FloatArray:
    """1 before the first milestone (rising fractions of the run), then the factor of the last one passed."""
    passed = np.searchsorted(np.asarray(milestones), x, side="right")
    return np.asarray(np.concatenate([[1.0], factors])[passed])


def power_of_tokens(
    tokens: FloatArray, *, batch_seqs: float, coefficient: float, exponent: float, max_lr: float
) -> FloatArray:
    """Learning rate min(max_lr, batch_seqs * coefficient * tokens^exponent), tokens seen so far.

    Source:  Power Scheduler, Shen et al. 2024, arXiv:2408.13359.

    >>> power_of_tokens(np.array([0, 1e10]), batch_seqs=128, coefficient=4.6, exponent=-0.51, max_lr=0.02)
    array([0.02   , 0.00468])
    """
    seen = np.maximum(tokens, 1.0)  # at zero tokens the cap holds anyway
    return np.asarray(np.minimum(max_lr, batch_seqs * coefficient * seen**exponent))


def inverse_sqrt_cooldown(x: FloatArray, *, alpha: float = 10.0) -> FloatArray:
    """Fall from 1 to 0 like 1 / sqrt(1 + alpha x); source: Ibrahim et al. 2024, arXiv:2403.08763."""
    return np.asarray(1 - (1 / np.sqrt(1 + alpha * x) - 1) / (1 / np.sqrt(1 + alpha) - 1))


def refined(gradient_norms: FloatArray, *, adam: bool, smoothing: int = 1) -> FloatArray:
    """Schedule refined from a finished run's gradient norms; one multiplier a norm, the last one 0.

    s_t ~ v_t * sum_{k>t} v_k with v = norm^-2 (SGD, L2 norm) or 1 / norm (Adam, L1 norm); scaled to peak 1.

    Args:    gradient_norms: (n,), n >= 2, positive; smoothing: odd width of the median filter run first.
    Source:  Defazio et al. 2023, arXiv:2310.07831.

    >>> refined(np.ones(6), adam=False)
    array([1. , 0.8, 0.6, 0.4, 0.2, 0. ])
    """
    norms = _median_filter(gradient_norms, smoothing) if smoothing > 1 else gradient_norms
    v = norms ** (-1.0 if adam else -2.0)
    s = v * np.append(np.cumsum(v[::-1])[::-1][1:], 0.0)
    return np.asarray(s / s.max())


def _median_filter(x: FloatArray, width: int) -> FloatArray:
    half = min(width // 2, len(x) - 1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, half, mode="reflect"), 2 * half + 1)
    return np.asarray(np.median(windows, axis=1))


def merge_weights(decay: FloatArray) -> FloatArray:
    """Weights of checkpoints whose average stands for a decay (WSM: warm-up, stable, merge).

    Args:    decay: w_1 ... w_k, non-increasing, in [0, 1]: what a decay would multiply the k updates between
             the checkpoints with.
    Returns: (k + 1,), >= 0, sum 1: the weight of the checkpoint before the first update, then after each.
             Exact for the gradients of the constant run; a real decay would see others.
    Source:  Tian et al. 2025, arXiv:2507.17634.

    >>> merge_weights(np.array([5, 4, 3, 2, 1]) / 6)
    array([0.1667, 0.1667, 0.1667, 0.1667, 0.1667, 0.1667])
    """
    return np.concatenate([[1 - decay[0]], decay[:-1] - decay[1:], decay[-1:]])
