"""Do the 90 % intervals of a peak LR hold where the batch is pinned? Real grids, at scales held out.

    python benchmarks/pinned_batch.py

For every held-out cell and every batch of it that lies within 1 % of the cell's best loss and has its best LR
inside the grid: the best LR at that batch, smoothed, against the interval of `plan --batch-tokens`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np
from prior_shifts import REGRET, SPLITS, fitted, regret_module

from hptransfer.planning import Target, plan

GROUPS = ("steplaw, mean of five", "oellm, mean of four")
NEAR = math.log(2.0)  # a pin within a doubling of the best batch
RESAMPLES = 300


class Pin(NamedTuple):
    """One pinned batch at one held-out cell, in natural logs."""

    offset: float  # of the pinned batch from the batch that the plan would have chosen
    optimum: float  # log LR, smoothed, of the cell's runs at that batch
    low: float
    high: float

    @property
    def score(self) -> float:
        """Interval score at 90 %: width plus 20 times the miss."""
        return self.high - self.low + 20 * max(self.low - self.optimum, self.optimum - self.high, 0.0)


def slice_optimum(log_lr: np.ndarray, log_loss: np.ndarray) -> float | None:
    """Best log LR at one batch, by a weighted cubic (quadratic below seven LRs); None on the grid's edge."""
    best = int(log_loss.argmin())
    if log_lr.size < 5 or log_lr[best] in (log_lr.min(), log_lr.max()):
        return None
    weights = np.exp(-(log_loss - log_loss[best]) / 0.04)
    degree = 3 if log_lr.size >= 7 else 2
    coefficients = np.polyfit(log_lr - log_lr[best], log_loss, degree, w=weights)
    around = np.linspace(-NEAR, NEAR, 1001)
    return float(log_lr[best] + around[np.polyval(coefficients, around).argmin()])


def pins(regret: ModuleType, data: str, names: tuple[str, ...]) -> Iterator[Pin]:
    """Every pinned batch of every held-out cell of some splits."""
    _, arrays = regret.load(regret.DEFAULT[data], data)
    splits = regret.splits(arrays, data)
    for name in names:
        train, test = splits[name]
        law = fitted(arrays, train, resamples=RESAMPLES)
        for (params, tokens), rows in regret.cells(arrays, test):
            log_lr, log_loss = np.log(arrays["lr"][rows]), np.log(arrays["smooth loss"][rows])
            batches, free = arrays["batch"][rows], plan(law, Target(params, tokens))
            for batch in np.unique(batches):
                here = batches == batch
                optimum = slice_optimum(log_lr[here], log_loss[here])
                if optimum is None or log_loss[here].min() - log_loss.min() > 0.01:
                    continue
                pinned = plan(law, Target(params, tokens, batch_tokens=float(batch)))
                assert pinned.peak_lr_interval is not None
                assert free.batch_tokens is not None
                low, high = map(math.log, pinned.peak_lr_interval)
                yield Pin(math.log(batch / free.batch_tokens), optimum, low, high)


def table() -> Iterator[tuple[str, str]]:
    """Coverage and mean interval score, near the best batch and further off."""
    regret = regret_module()
    for group in GROUPS:
        data, names = SPLITS[group]
        found = list(pins(regret, data, names))
        for where, chosen in (
            ("within a doubling of the planned batch", [pin for pin in found if abs(pin.offset) <= NEAR]),
            ("further off", [pin for pin in found if abs(pin.offset) > NEAR]),
        ):
            held = sum(pin.low <= pin.optimum <= pin.high for pin in chosen)
            score = np.mean([pin.score for pin in chosen]) if chosen else math.nan
            yield f"{data}, {where}", f"{held} of {len(chosen)} covered, score {score:.2f}"


def main() -> None:
    """Print the table; without the shared data say so."""
    if not REGRET.exists():
        print("not here: needs ../shared/bench")
        return
    for name, text in table():
        print(f"{name}: {text}")


if __name__ == "__main__":
    main()
