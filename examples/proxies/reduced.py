"""The proof in small, in minutes: train part of the sweep, plan a run of 8 times its compute, train that.

    python -m examples.proxies.reduced OUT

What is trained ships as well, so every loss is compared with the shipped one: equal to the last bit on the
same kind of CPU and version of torch, else within the noise between seeds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from math import isnan
from pathlib import Path

from examples.proxies.advising import HERE, OURS, ProofTarget, advice
from examples.proxies.grid import first_pass
from examples.proxies.proof import around
from examples.proxies.report import optimum_text, table
from examples.proxies.runs import Run, read_losses
from examples.proxies.sweep import sweep

WIDEST, HIGHEST_LR = 48, 0.1
SHIPPED_TARGET = HERE / "targets" / "reduced.runs.csv"
TARGET = ProofTarget("sp", width=96, tokens=1_572_864, sweep="sweep.csv")


def proxies() -> list[Run]:
    """The part of the sweep that is trained: three sizes at three horizons."""
    return [run for run in first_pass() if run.width <= WIDEST and run.seed == 0 and run.lr < HIGHEST_LR]


def compared(ours: Mapping[Run, float], shipped: Iterable[Mapping[Run, float]]) -> str:
    """How many losses are those that ship, in words."""
    known = {run: loss for one in shipped for run, loss in one.items()}
    both = {run: (loss, known[run]) for run, loss in ours.items() if run in known and not isnan(loss)}
    equal = sum(loss == before for loss, before in both.values())
    worst = max((abs(loss / before - 1) for loss, before in both.values()), default=0.0)
    return f"{equal} of {len(both)} losses equal the shipped ones bit for bit; largest difference {worst:.1e}"


def main() -> None:
    """Train, plan, train, compare."""
    folder, started = Path(sys.argv[1]), time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    shipped = [read_losses(path) for path in (HERE / "sweep.csv", SHIPPED_TARGET) if path.exists()]
    print(f"Training {len(proxies())} proxies of at most {WIDEST} in width ...", flush=True)
    sweep(proxies(), folder / TARGET.sweep)
    print(compared(read_losses(folder / TARGET.sweep), shipped))
    advised = list(advice(TARGET, folder))
    ours = next(row for row in advised if row.method == OURS)
    print(f"\nPlanned for width {TARGET.width} and {TARGET.tokens:,} tokens, 8 times the compute: {ours}")
    runs = list(dict.fromkeys([*around(TARGET, ours), *(row.run(TARGET, seed=0) for row in advised)]))
    print(f"Training {len(runs)} runs there ...", flush=True)
    sweep(runs, folder / "target.csv")
    losses = read_losses(folder / "target.csv")
    print(compared(losses, shipped))
    print(f"\n{optimum_text(losses, ours.batch_tokens)}\n\n{table(TARGET, advised, losses)}")
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
