"""Train a planned target around its plan: did the plan hold?

    python -m examples.proxies.proof sp-n4-d2

Refuses while the plan file differs from the committed one. Every row of `targets/NAME.runs.csv` carries the
plan file's git blob hash, which, unlike a commit's, stays the same when history is rebased.
`git log -- examples/proxies/targets` shows that the plan came first.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path

from examples.proxies.advising import (
    KEPT,
    OURS,
    PUBLISHED,
    RECIPE,
    TARGETS,
    Advice,
    ProofTarget,
    plan_path,
    read_advice,
    runs_path,
)
from examples.proxies.runs import Run, read_losses
from examples.proxies.sweep import sweep

HALF_STEPS = range(-3, 4)  # LRs at the planned batch: factors of sqrt 2 around the planned one
BESIDE = {0.5: (-2, -1, 0), 2.0: (0, 1, 2)}  # at half and twice the batch, along the valley as well
SEEDS = (1, 2)  # beside seed 0
REPEATED = (OURS, RECIPE, KEPT)  # methods whose own run is made with other seeds too


def blob_hash(path: Path) -> str:
    """Git's name for a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def require_committed(path: Path) -> str:
    """The blob hash of a file whose content is the last commit's.

    Raises:  ValueError when it is not.
    """
    found, folder = blob_hash(path), path.parent
    command = ["git", "-C", str(folder), "rev-parse", f"HEAD:./{path.name}"]
    committed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if committed != found:
        msg = f"{path}: commit the plan before its target is trained (content {found[:12]} is in no commit)."
        raise ValueError(msg)
    return found


def around(target: ProofTarget, ours: Advice) -> Iterator[Run]:
    """Runs around the plan: seven LRs at its batch, three batches at its LR, and the valley between."""
    planned = ours.run(target, seed=0)
    for half_steps in sorted(HALF_STEPS, key=abs):
        yield replace(planned, lr=_moved(planned.lr, half_steps))
    for factor, steps in BESIDE.items():
        for half_steps in steps:
            batch = round(planned.batch_tokens * factor)
            yield replace(planned, batch_tokens=batch, lr=_moved(planned.lr, half_steps))


def _moved(lr: float, half_steps: int) -> float:
    return float(f"{lr * 2.0 ** (half_steps / 2):.4g}")


def best_two(runs: Iterable[Run], losses: Mapping[Run, float]) -> list[Run]:
    """The two runs with the lowest finite losses."""
    finite = [run for run in dict.fromkeys(runs) if isfinite(losses[run])]
    return sorted(finite, key=losses.__getitem__)[:2]


def train_target(name: str, *, grid_seeds: int, workers: int) -> None:
    """All runs of a target: around the plan, every method's own, other seeds where it matters most.

    Args:    grid_seeds: with how many seeds the runs around the plan are made.
    """
    target, advised = TARGETS[name], read_advice(plan_path(name))
    stamp = {"plan_blob": require_committed(plan_path(name))}
    ours = next(row for row in advised if row.method == OURS)
    grid = list(around(target, ours))
    methods = {row.method: row.run(target, seed=0) for row in advised}
    published = [run for method, run in methods.items() if method in PUBLISHED[target.parametrization]]
    runs = [*grid, *(run for run in methods.values() if run not in published)]
    _sweep(name, runs, stamp, workers)
    at_batch = [run for run in grid if run.batch_tokens == ours.batch_tokens]
    losses = read_losses(runs_path(name))
    kept = [methods[method] for method in REPEATED]
    again = [*best_two(at_batch, losses), *best_two(runs, losses), *kept]
    runs += [replace(run, seed=seed) for run in again for seed in SEEDS]
    runs += [replace(run, seed=seed) for seed in range(1, grid_seeds) for run in grid]
    _sweep(name, [*runs, *published], stamp, workers)


def _sweep(name: str, runs: list[Run], stamp: dict[str, str], workers: int) -> None:
    sweep(list(dict.fromkeys(runs)), runs_path(name), workers=workers, stamp=stamp)


def main() -> None:
    """Train the named targets."""
    parser = argparse.ArgumentParser(description="Train planned targets around their plans; resumable.")
    parser.add_argument("names", nargs="+", choices=sorted(TARGETS))
    parser.add_argument("--grid-seeds", type=int, default=1, help="seeds of the runs around the plan")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    for name in arguments.names:
        try:
            train_target(name, grid_seeds=arguments.grid_seeds, workers=arguments.workers)
        except ValueError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
