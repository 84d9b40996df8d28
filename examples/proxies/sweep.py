"""Train all runs of a plan file, two at a time; kill it at any moment and start it again.

    python -m examples.proxies.sweep examples/proxies/sp_plan.csv -o sweep.csv

Runs that the results hold are not made again; when the last is done, the lines are put in the plan's order.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from examples.proxies.results import open_results, sort_lines
from examples.proxies.runs import Run, read_plan

TRAINER = "examples.proxies.train"
STEP_COST = 2e7  # FLOPs that fit into what any step costs beside its arithmetic, for the estimate only

Train = Callable[[Run], dict[str, Any]]


def sweep(
    runs: Sequence[Run],
    output: Path,
    *,
    trainer: str = TRAINER,
    workers: int = 2,
    stamp: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Train the runs that a results file lacks, append each as it ends, and return how many there were.

    Args:    trainer: module with `COLUMNS` and `train(run)`, imported in every worker; stamp: columns that
             every result carries beside the trainer's.
    Raises:  ValueError when the results file cannot be continued; what a run raises.
    """
    columns: Sequence[str] = importlib.import_module(trainer).COLUMNS
    with open_results(output, (*columns, *stamp)) as results:
        missing = [run for run in runs if run.name not in results.done]
        with _progress(missing) as report:
            for run, result in _finished(missing, trainer, workers):
                results.append({**result, **stamp})
                report(run)
        sort_lines(output, [run.name for run in runs])
    return len(missing)


def _finished(runs: Sequence[Run], trainer: str, workers: int) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Runs and their results as they end, in processes that end with this one."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        futures = {pool.submit(_train, trainer, run): run for run in runs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _train(trainer: str, run: Run) -> dict[str, Any]:
    train: Train = importlib.import_module(trainer).train
    return train(run)


def _end_with_parent() -> None:
    """Leave when the parent dies, whatever it died of: a worker of a killed sweep would train for nobody."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _progress(runs: Sequence[Run]) -> Iterator[Callable[[Run], None]]:
    """A bar with an estimate on terminals, in units of what runs are expected to cost."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    done = itertools.count(1)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"0 of {len(runs)} runs", total=sum(map(cost, runs)))
        yield lambda run: bar.update(task, advance=cost(run), description=f"{next(done)} of {len(runs)} runs")


def cost(run: Run) -> float:
    """What a run is expected to cost, in no unit: its arithmetic, and what every step costs beside it."""
    return 48.0 * run.width**2 * run.tokens + STEP_COST * run.tokens / run.batch_tokens


def main() -> None:
    """Read which plan, train what is missing."""
    parser = argparse.ArgumentParser(description="Train all runs of a plan file; resumable.")
    parser.add_argument("plan", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="results (CSV), continued if there")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, a core each (default 2)")
    parser.add_argument("--trainer", default=TRAINER, help="module with COLUMNS and train(run)")
    arguments = parser.parse_args()
    try:
        runs = read_plan(arguments.plan)
        made = sweep(runs, arguments.output, trainer=arguments.trainer, workers=arguments.workers)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    except BrokenProcessPool:
        sys.exit(f"A worker was killed. {arguments.output} keeps what was finished: start again to go on.")
    except KeyboardInterrupt:
        print(f"Stopped. {arguments.output} keeps what was finished: start again to go on.", file=sys.stderr)
        sys.exit(130)
    print(f"{arguments.output}: {made} of {len(runs)} runs made now. Next: hptransfer fit {arguments.output}")


if __name__ == "__main__":
    main()
