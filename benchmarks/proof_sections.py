"""Evidence on the shipped sweep: the proof at the targets, the track record, kills, repeated rows."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean

PROJECT = Path(__file__).resolve().parents[1]
PROXIES = PROJECT / "examples" / "proxies"
KILLS = 20

Row = tuple[str, str, str]


def _run(*arguments: str, **environment: str) -> str:
    """What a Python process prints, run in the project's folder."""
    variables = os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, env=variables, check=False)
    return done.stdout


def proof() -> Iterator[Row]:
    """Excess loss of every method at every target that was trained, from the shipped runs."""
    trained = sorted(path.name.removesuffix(".runs.csv") for path in PROXIES.glob("targets/*-*.runs.csv"))
    target = ""
    for line in _run("-m", "examples.proxies.report", *trained).splitlines():
        if not line.startswith("|"):
            target = line.partition(":")[0] or target
            if ": " in line:
                yield (f"proof, {target}", line.partition(": ")[2], "")
        elif not line.startswith(("| method", "|-")):
            method, lr, batch, excess, seeds, interval = (
                cell.strip() for cell in line.strip("| ").split("|")
            )
            measured = ", ".join(filter(None, [excess, seeds and f"{seeds} over 3 seeds", interval]))
            yield (f"proof, {target}: {method}", f"LR {lr}, batch {batch}: {measured}", "")


def track_record() -> Iterator[Row]:
    """Backtests on the shipped sweep, which nothing was tuned on."""
    start = time.perf_counter()
    splits = json.loads(_run("-m", "hptransfer", "backtest", str(PROXIES / "sweep.csv"), "--json"))["splits"]
    for place, method in enumerate(splits[0]["methods"]):
        excess = [split["methods"][place]["mean_excess"] for split in splits]
        cells = [cell for split in splits for cell in split["methods"][place]["cells"]]
        held = [c[k] for c in cells for k in ("lr_covered", "batch_covered") if c[k] is not None]
        text = f"; 90 % intervals held {mean(held):.0%} of {len(held)}" if held else ""
        took = f" ({time.perf_counter() - start:.0f} s)" if place == 0 else ""
        yield (f"shipped sweep held out: {method['method']}", f"{mean(excess):.3%}{text}{took}", "")


def repeats() -> Iterator[Row]:
    """Kills of a short real sweep, and three random rows made again."""
    if importlib.util.find_spec("torch") is None:
        yield ("sweep killed and resumed", "not here: needs torch (make test-oracle)", "")
        return
    chosen = (
        "-m",
        "pytest",
        "-s",
        "-m",
        "oracle",
        "tests/oracle/test_proxies.py",
        "-k",
        "killed or random_rows",
    )
    printed = _run(*chosen, KILLS=str(KILLS))
    kills = re.search(r"(\d+ kills in .*)", printed)
    failed = " FAILED" if "failed" in printed else ", resumed files equal the uninterrupted one"
    yield ("sweep killed and resumed", f"{kills.group(1) if kills else 'no kills'}{failed}", f"{KILLS} kills")
    for line in re.findall(r"((?:sp|mup)-\S+: \S+ shipped, .*)", printed):
        yield ("row made again", line, "equal bit for bit")


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "proof": proof,
    "proof-track-record": track_record,
    "proof-repeats": repeats,
}
