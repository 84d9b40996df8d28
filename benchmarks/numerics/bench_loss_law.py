"""Batched fits of the loss law against the loop over scipy: read the ratio, not the seconds."""

from __future__ import annotations

import time

import numpy as np

from hptransfer.numerics.loss_law import FORMS, best_fits, minimize
from tests.numerics.test_loss_law import grid
from tests.oracle.loss_law_loop import loop_fit

DELTA = 1e-2


def main() -> None:
    """Refit resamples of 36 points, batched and in a warm-started loop."""
    form, points = FORMS["additive"], grid(seed=0, noise=0.003)
    start = best_fits(form, points, delta=DELTA).coefficients
    print("| resamples | batched s | loop s | ratio |\n|---|---|---|---|")
    for n_draws in (30, 100, 300):
        rng = np.random.default_rng(1)
        weights = rng.multinomial(len(points), np.full(len(points), 1 / len(points)), size=n_draws).astype(
            float
        )
        begin = time.perf_counter()
        minimize(form, points, start=np.repeat(start, n_draws, axis=0), weights=weights, delta=DELTA)
        middle = time.perf_counter()
        for row in weights:
            loop_fit(form, points, starts=start, weights=row, delta=DELTA)
        batched, looped = middle - begin, time.perf_counter() - middle
        print(f"| {n_draws} | {batched:.2f} | {looped:.2f} | {looped / batched:.0f} |")


if __name__ == "__main__":
    main()
