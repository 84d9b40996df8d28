"""Evidence on the report: what a page costs, for the shipped sweep and for 100 cells of 100 runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hptransfer.fitting import fit
from hptransfer.planning import Target, plan
from hptransfer.readers import read_sweep
from hptransfer.reporting.gathering import gather
from hptransfer.reporting.page import report_page
from hptransfer.sweep import Sweep, sweep_from_arrays

SHIPPED = Path(__file__).resolve().parents[1] / "examples" / "proxies" / "sweep.csv"


def large_sweep() -> Sweep:
    """10 x 10 cells of 10 LRs x 10 batches about Step Law's optimum, with noise of 0.02 %."""
    axes = (np.geomspace(5e7, 5e9, 10), np.geomspace(1e9, 1e11, 10), *[np.linspace(-2.5, 2.5, 10)] * 2)
    n, d, a, b = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    excess = 0.004 * a**2 + 0.003 * b**2 - 0.002 * a * b + 2e-4 * np.random.default_rng(0).normal(size=n.size)
    return sweep_from_arrays(
        params=n,
        tokens=d,
        lr=1.79 * n**-0.713 * d**0.307 * 2.0**a,
        batch_tokens=0.58 * d**0.571 * 2.0**b,
        loss=(1.7 + 400 / n**0.34 + 410 / d**0.28) * (1.0 + excess),
    )


def reports() -> Iterator[tuple[str, str, str]]:
    """Seconds of one core and megabytes of a page, its law being there."""
    shipped = read_sweep([str(SHIPPED)])
    for name, sweep, aim in (
        ("the shipped sweep", shipped, "under 3 MB"),
        ("100 cells, 10,000 runs", large_sweep(), "under 10 s and 10 MB"),
    ):
        law = fit(sweep, resamples=0)
        start = time.process_time()
        target = Target(params=4 * float(sweep.params.max()), tokens=4 * float(sweep.tokens.max()))
        page = report_page(gather(sweep, law, plan(law, target)))
        took = time.process_time() - start
        yield (f"report, {name}", f"{took:.1f} s of one core, {len(page.encode()) / 1e6:.1f} MB", aim)
