"""Starting a sweep, killing all of it at a random moment, starting it again."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(plan: Path, output: Path, trainer: str, workers: int = 2) -> subprocess.Popen[bytes]:
    """A sweep in a process of its own."""
    command = [sys.executable, "-m", "examples.proxies.sweep", str(plan), "-o", str(output)]
    command += ["--trainer", trainer, "--workers", str(workers)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def finish(plan: Path, output: Path, trainer: str) -> float:
    """Run a sweep to its end; return the seconds that took."""
    started = time.monotonic()
    assert start(plan, output, trainer).wait(timeout=600) == 0
    return time.monotonic() - started


def kill_until_done(plan: Path, output: Path, trainer: str, rng: random.Random, *, longest_s: float) -> int:
    """Start, wait up to so long, `kill -9` the parent, start again, until it ends first; count the kills."""
    kills = 0
    while True:
        process = start(plan, output, trainer)
        time.sleep(rng.uniform(0, longest_s))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            return kills
        kills += 1


def without_times(output: Path) -> list[dict[str, str]]:
    """The rows of a results file, wall times apart."""
    with output.open(newline="", encoding="utf-8") as stream:
        return [
            {k: v for k, v in row.items() if k not in ("wall_s", "cpu_s")} for row in csv.DictReader(stream)
        ]
