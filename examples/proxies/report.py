"""What the runs at a target say about the plans: a table, and a figure.

python -m examples.proxies.report sp-n4-d2 mup-n8 --figure docs/proof.svg
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from pathlib import Path
from statistics import mean

import numpy as np

from examples.proxies.advising import (
    OURS,
    TARGETS,
    Advice,
    ProofTarget,
    plan_path,
    read_advice,
    runs_path,
)
from examples.proxies.figure import drawing
from examples.proxies.runs import Run, read_losses
from hptransfer.numerics.grid_loss import smoothed_optimum

Losses = Mapping[Run, float]


@dataclass(frozen=True)
class Verdict:
    """What a method's own run at a target lost, as fractions of the best loss."""

    advice: Advice
    excess: float  # over the best run with seed 0; nan where the run blew up
    mean_excess: float | None  # over the best mean of three seeds; None where other seeds were not run
    lr_held: bool | None  # whether the 90 % interval held the measured optimum; None without one
    batch_held: bool | None


def measured_optimum(losses: Losses) -> tuple[float, float] | None:
    """LR and batch at the minimum of a smooth surface through the runs with seed 0; None with too few."""
    runs = [run for run, loss in losses.items() if run.seed == 0 and isfinite(loss)]
    found = smoothed_optimum(
        np.log([run.lr for run in runs]),
        np.log([run.batch_tokens for run in runs]),
        np.array([losses[run] for run in runs]),
    )
    return None if found is None else (exp(found[0]), exp(found[1]))


def optimum_text(losses: Losses) -> str:
    """The measured optimum in words."""
    found = measured_optimum(losses)
    if found is None:
        return "too few runs for a measured optimum"
    return f"measured optimum at LR {found[0]:.3g} and {found[1]:.0f} tokens a batch"


def seed_means(losses: Losses) -> dict[tuple[float, int], float]:
    """Mean loss by LR and batch of what was run with seed 0 and others."""
    by_point: dict[tuple[float, int], list[float]] = {}
    for run, loss in losses.items():
        by_point.setdefault((run.lr, run.batch_tokens), []).append(loss)
    return {point: mean(found) for point, found in by_point.items() if len(found) > 1}


def judge(target: ProofTarget, advised: Sequence[Advice], losses: Losses) -> Iterator[Verdict]:
    """Every method's price, in the order of the plan file; methods that were not run are left out."""
    best = min(loss for run, loss in losses.items() if run.seed == 0 and isfinite(loss))
    means, optimum = seed_means(losses), measured_optimum(losses)
    for row in advised:
        run = row.run(target, seed=0)
        if run not in losses:
            continue
        point = means.get((row.lr, row.batch_tokens))
        yield Verdict(
            row,
            losses[run] / best - 1,
            None if point is None else point / min(means.values()) - 1,
            None if optimum is None else _held(row.lr_lo, row.lr_hi, optimum[0]),
            None if optimum is None else _held(row.batch_lo, row.batch_hi, optimum[1]),
        )


def _held(low: float | None, high: float | None, value: float) -> bool | None:
    return None if low is None or high is None else low <= value <= high


def table(target: ProofTarget, advised: Sequence[Advice], losses: Losses) -> str:
    """The verdicts on a target as a Markdown table, best first."""
    verdicts = list(judge(target, advised, losses))
    lines = [
        "| method | LR | batch | excess loss | mean of 3 seeds | 90 % interval of LR, batch |",
        "|---|---|---|---|---|---|",
    ]
    for one in sorted(verdicts, key=lambda one: one.excess if isfinite(one.excess) else float("inf")):
        row = one.advice
        shown = f"**{row.method}**" if row.method == OURS else row.method
        seeds = "" if one.mean_excess is None else f"{one.mean_excess:.2%}"
        cells = (shown, f"{row.lr:.3g}", row.batch_tokens, f"{one.excess:.2%}", seeds, _intervals(one))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines).replace("nan%", "blew up") + "\n"


def _intervals(one: Verdict) -> str:
    row = one.advice
    if row.lr_lo is None or row.lr_hi is None:
        return ""
    words = {True: "held", False: "missed", None: "not judged"}
    found = [f"{row.lr_lo:.2g} to {row.lr_hi:.2g} {words[one.lr_held]}"]
    if row.batch_lo is not None and row.batch_hi is not None:
        found.append(f"{row.batch_lo:.0f} to {row.batch_hi:.0f} {words[one.batch_held]}")
    return "; ".join(found)


def main() -> None:
    """Print the tables, draw the figure."""
    parser = argparse.ArgumentParser(description="Tables and figure of the proof.")
    parser.add_argument("names", nargs="+", choices=sorted(TARGETS))
    parser.add_argument("--figure", type=Path, help="SVG to write")
    arguments = parser.parse_args()
    for name in arguments.names:
        losses = read_losses(runs_path(name))
        print(f"{name}: {optimum_text(losses)}\n")
        print(table(TARGETS[name], read_advice(plan_path(name)), losses))
    if arguments.figure:
        arguments.figure.write_text(drawing(arguments.names), encoding="utf-8")


if __name__ == "__main__":
    main()
