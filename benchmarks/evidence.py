"""Rerun every figure that was asked for and print one table.

    python benchmarks/evidence.py [SECTION ...]

Real sweeps are read from `../shared/data`, beside the project; without them their rows say so.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"
STEP_LAW = SHARED / "data/steplaw/dense_lr_bs_loss_upto_537M.csv"
REGRET = SHARED / "bench/regret.py"
PROGRAM = [sys.executable, "-m", "hptransfer"]

Row = tuple[str, str, str]  # figure, measured, aim


def run(arguments: list[str], folder: str | Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Run a process and keep what it printed."""
    return subprocess.run(arguments, capture_output=True, text=True, cwd=folder, check=False)


def step_law_file() -> Iterator[Row]:
    """The Step Law file fitted as published and planned at the held-back scale."""
    if not STEP_LAW.exists():
        yield ("Step Law file", "not here: needs ../shared/data", "")
        return
    with tempfile.TemporaryDirectory() as folder:
        law = str(Path(folder) / "law.json")
        options = ["--column", "loss=smooth loss", "--estimator", "near-optimal", "-o", law]
        run([*PROGRAM, "fit", str(STEP_LAW), *options])
        content = json.loads(Path(law).read_text())
        for name in ("peak_lr", "batch_tokens"):
            exponents = content[name]["exponents"].items()
            text = ", ".join(f"{k}^{v:.3f}" for k, v in exponents)
            yield (f"Step Law file, near-optimal: {name}", text, "")
        target = ["--params", "1.07e9", "--tokens", "5.69e10", "--json"]
        plan = json.loads(run([*PROGRAM, "plan", "--law", law, *target]).stdout)
        published = json.loads(run([*PROGRAM, "plan", "--law", "step-law", *target]).stdout)
    for name in ("peak_lr", "batch_tokens"):
        low, high = plan[f"{name}_interval"]
        text = f"{plan[name]:.4g} [{low:.3g}, {high:.3g}]"
        yield (f"planned {name} at 1.07e9 / 5.69e10", text, f"Step Law published: {published[name]:.4g}")


def regret() -> Iterator[Row]:
    """Excess loss at held-out scales, beside Step Law's own recipe (regret.py, default estimator)."""
    if not REGRET.exists():
        yield ("regret.py", "not here: needs ../shared/bench", "")
        return
    done = run([sys.executable, str(REGRET), "--hptransfer", " ".join(PROGRAM), "--json"])
    if done.returncode:
        yield ("regret.py", f"failed: {done.stderr.strip().splitlines()[-1]}", "runs through")
        return
    content = json.loads(done.stdout)
    for name, split in content["splits"].items():
        ours = "refused" if split["refused"] else f"{split['hptransfer']:.4f} %"
        theirs = f"Step Law's recipe {split['step_law_estimator']:.4f} %"
        yield (f"excess loss, {name} ({split['runs']} runs)", ours, theirs)
    for name, summary in content["intervals"].items():
        if summary:
            covered, score = summary["covered"], summary["interval_score"]
            text = f"LR {covered[0]:.0%} score {score[0]:.2f}; batch {covered[1]:.0%} score {score[1]:.2f}"
            yield (f"90 % intervals: {name}", text, "")


COLD = {
    "hptransfer --help": (["--help"], 2.0),
    "hptransfer plan --json": (
        ["plan", "--law", "step-law", "--params", "7e9", "--tokens", "1e12", "--json"],
        2.5,
    ),
    "hptransfer plan --targets": (["plan", "--law", "step-law", "--targets", "TARGETS", "--json"], 3.5),
}


def cold_start() -> Iterator[Row]:
    """Whole processes against `python -c "import numpy"`, interleaved; the median of each."""
    with tempfile.TemporaryDirectory() as folder:
        targets = Path(folder) / "targets.csv"
        targets.write_text("params,tokens\n7e9,1e12\n1e9,1e11\n")
        commands = {"numpy": [sys.executable, "-c", "import numpy"]}
        for name, (arguments, _) in COLD.items():
            commands[name] = [*PROGRAM, *(str(targets) if a == "TARGETS" else a for a in arguments)]
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(15):
            for name, command in commands.items():
                start = time.perf_counter()
                run(command, folder)
                seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["numpy"])
    for name, (_, limit) in COLD.items():
        ratio = statistics.median(seconds[name]) / base
        yield (f"cold start: {name} / import numpy", f"{ratio:.2f}x", f"under {limit}x")


def properties() -> Iterator[Row]:
    """The properties asked for, as tests."""
    wanted = "noise_free or row_order or unit or round_trip or batched or loop or single_ones"
    done = run([sys.executable, "-m", "pytest", "-q", "-k", wanted, "-p", "no:cacheprovider"])
    summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-80:]
    count = re.findall(r"\.", done.stdout)
    passed = "all passed" if done.returncode == 0 else summary
    yield (
        "properties (noise-free, order, units, round trips, batched = looped)",
        passed,
        f"{len(count)} tests",
    )


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "step-law-file": step_law_file,
    "regret": regret,
    "cold-start": cold_start,
    "properties": properties,
}


def main() -> None:
    """Print the table, a section at a time."""
    wanted = sys.argv[1:] or list(SECTIONS)
    print("| figure | measured | aim or beside it |\n|---|---|---|")
    for name in wanted:
        for row in SECTIONS[name]():
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
