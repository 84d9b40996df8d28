"""Simulated loss curves, labelled as such, to try `hptransfer curves` on.

The truth is neither of the laws that are fitted: the gain of an LR drop saturates in the area since the drop
as a mixture of two exponentials, and the noise is correlated from one logged point to the next.
"""

from __future__ import annotations

import numpy as np

from hptransfer.schedules import Schedule, schedule_from_spec
from hptransfer.sweep import FloatArray

PEAK_LR = 1e-3
STEPS = 8_000
WARMUP_STEPS = 400
LOG_EVERY = 40
RUNS = {
    "constant": "constant",
    "cosine": "cosine:final_ratio=0.1",
    "wsd": "wsd:decay=1-sqrt,final_ratio=0.1",
    "linear": "linear:final_ratio=0.1",
}
_GAIN = 250.0  # nats a unit of LR
_MEMORIES = (0.05, 0.8)  # in LR area


def simulate_curves_csv(*, seed: int) -> str:
    """Four runs as CSV text: run, step, lr, loss, simulated."""
    rng = np.random.default_rng(seed)
    lines = ["run,step,lr,loss,simulated\n"]
    for run, spec in RUNS.items():
        made = schedule_from_spec(spec, steps=STEPS, warmup_steps=WARMUP_STEPS, peak_lr=PEAK_LR)
        lr = PEAK_LR * made.curve()
        steps = np.arange(LOG_EVERY, STEPS + 1, LOG_EVERY)
        loss = true_loss(made)[steps] + _noise(len(steps), rng)
        lines += [
            f"{run},{step},{lr[step]:.8g},{value:.5f},true\n" for step, value in zip(steps, loss, strict=True)
        ]
    return "".join(lines)


def true_loss(made: Schedule) -> FloatArray:
    """Noise-free loss at t = 0 ... steps, shape (steps + 1,)."""
    lr = made.peak_lr * made.curve()
    area = np.cumsum(lr)
    drop = np.concatenate([[0.0], lr[:-1] - lr[1:]])
    gained = np.zeros_like(lr)
    for memory in _MEMORIES:
        kept = np.exp(-lr / memory)
        pending = 0.0  # sum of drops, each faded by the area since
        for t in range(1, len(lr)):
            pending = (pending + drop[t]) * kept[t]
            gained[t] += (lr[0] - lr[t] - pending) / len(_MEMORIES)
    return np.asarray(2.5 + 1.1 * (area + 0.05) ** -0.4 - _GAIN * gained)


def _noise(count: int, rng: np.random.Generator) -> FloatArray:
    """A first-order autoregression, standard deviation about 0.002 nats."""
    noise = np.zeros(count)
    for i in range(1, count):
        noise[i] = 0.6 * noise[i - 1] + 0.0016 * rng.standard_normal()
    return noise
