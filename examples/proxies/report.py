"""What the runs at a target say about the plans: a table, and a figure.

python -m examples.proxies.report sp-n4-d2 mup-n8 --page docs/proof.md --figure docs/proof.svg
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, isfinite, log
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

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

Losses = Mapping[Run, float]

Floats = NDArray[np.float64]

NEAR = 0.01  # excess loss of the runs that an optimum is read from, as in `hptransfer backtest`
RESAMPLES = 400


@dataclass(frozen=True)
class Verdict:
    """What a method's own run at a target lost, as fractions of the best loss."""

    advice: Advice
    excess: float  # over the best run with seed 0; nan where the run blew up
    mean_excess: float | None  # over the best mean of three seeds; None where other seeds were not run
    lr_held: bool | None  # whether the 90 % interval held the measured optimum; None without one
    batch_held: bool | None


@dataclass(frozen=True)
class Optimum:
    """Where the runs at a target say that the best LR and batch are, with 90 % ranges."""

    lr: float
    batch_tokens: float
    lr_range: tuple[float, float]
    batch_range: tuple[float, float]


def aligned(losses: Losses) -> dict[Run, float]:
    """Finite losses, those of other seeds moved by the mean difference to seed 0 where both were run."""
    finite = {run: loss for run, loss in losses.items() if isfinite(loss)}
    differences: dict[int, list[float]] = {}
    for run, loss in finite.items():
        twin = replace(run, seed=0)
        if twin in finite:
            differences.setdefault(run.seed, []).append(loss - finite[twin])
    offsets = {seed: mean(found) for seed, found in differences.items()}
    return {run: loss - offsets[run.seed] for run, loss in finite.items() if run.seed in offsets}


def measured_optimum(losses: Losses) -> Optimum | None:
    """The vertex of a quadratic in (log LR, log batch) through log loss of the runs near the best, all seeds.

    A target has too few runs for the cubic that `hptransfer backtest` draws through a whole grid. The 90 %
    range is that of redrawn residuals. None where the quadratic has no minimum among the runs.
    """
    known = aligned(losses)
    highest = min(known.values()) * (1 + NEAR)
    near = [run for run, loss in known.items() if loss <= highest]
    points = np.log([[run.lr, run.batch_tokens] for run in near])
    centre, log_loss = points.mean(axis=0), np.log([known[run] for run in near])
    u, v = (points - centre).T
    terms = np.column_stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    if np.linalg.matrix_rank(terms) < terms.shape[1] or len(near) <= terms.shape[1]:
        return None
    to_coefficients = np.linalg.pinv(terms)
    coefficients = to_coefficients @ log_loss
    found = _vertex(coefficients)
    if found is None or (found < np.min([u, v], axis=1)).any() or (found > np.max([u, v], axis=1)).any():
        return None
    smooth = terms @ coefficients
    noise = np.sqrt(((log_loss - smooth) ** 2).sum() / (len(near) - terms.shape[1]))
    draws = smooth + noise * np.random.default_rng(0).standard_normal((RESAMPLES, len(near)))
    others = [other for row in draws @ to_coefficients.T if (other := _vertex(row)) is not None]
    low, high = np.exp(np.percentile(others, [5, 95], axis=0) + centre)
    lr, batch = np.exp(found + centre)
    return Optimum(float(lr), float(batch), (float(low[0]), float(high[0])), (float(low[1]), float(high[1])))


def _vertex(coefficients: Floats) -> Floats | None:
    """Where a quadratic in two coordinates is least; None where it is not a bowl."""
    _, x, y, xx, xy, yy = coefficients
    curvature = np.array([[2 * xx, xy], [xy, 2 * yy]])
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return None
    vertex: Floats = -np.linalg.solve(curvature, [x, y])
    return vertex


def best_lr_at(losses: Losses, batch_tokens: int) -> float | None:
    """Vertex of a parabola through log loss against log LR at a batch, all seeds; None with too few LRs."""
    here = [(run.lr, loss) for run, loss in aligned(losses).items() if run.batch_tokens == batch_tokens]
    best = min((loss for _, loss in here), default=float("nan"))
    near = [(log(lr), log(loss)) for lr, loss in here if loss < best * (1 + NEAR)]
    if len({log_lr for log_lr, _ in near}) < 4:
        return None
    log_lrs, log_losses = np.array(near).T
    curvature, slope, _ = np.polyfit(log_lrs, log_losses, 2)
    return exp(-slope / (2 * curvature)) if curvature > 0 else None


def optimum_text(losses: Losses, batch_tokens: int) -> str:
    """The measured optimum in words, of all and at the planned batch."""
    found, lr = measured_optimum(losses), best_lr_at(losses, batch_tokens)
    where = "not among the runs"
    if found is not None:
        (lr_lo, lr_hi), (batch_lo, batch_hi) = found.lr_range, found.batch_range
        where = (
            f"at LR {found.lr:.2g} ({lr_lo:.2g} to {lr_hi:.2g}) and {found.batch_tokens:.0f} tokens a batch "
            f"({batch_lo:.0f} to {batch_hi:.0f})"
        )
    return f"measured optimum {where}; at {batch_tokens} tokens LR {'unknown' if lr is None else f'{lr:.2g}'}"


def seed_means(losses: Losses) -> dict[tuple[float, int], float]:
    """Mean loss by LR and batch of what was run with three seeds."""
    by_point: dict[tuple[float, int], list[float]] = {}
    for run, loss in losses.items():
        by_point.setdefault((run.lr, run.batch_tokens), []).append(loss)
    return {point: mean(found) for point, found in by_point.items() if len(found) == 3}


def judge(target: ProofTarget, advised: Sequence[Advice], losses: Losses) -> Iterator[Verdict]:
    """Every method's price, in the order of the plan file; methods that were not run are left out.

    An LR interval without one for the batch is about the LR at that batch, and judged there.
    """
    best = min(loss for run, loss in losses.items() if run.seed == 0 and isfinite(loss))
    means, optimum = seed_means(losses), measured_optimum(losses)
    lr, batch = (None, None) if optimum is None else (optimum.lr, optimum.batch_tokens)
    for row in advised:
        run = row.run(target, seed=0)
        if run not in losses:
            continue
        point = means.get((row.lr, row.batch_tokens))
        yield Verdict(
            row,
            losses[run] / best - 1,
            None if point is None else point / min(means.values()) - 1,
            _held(row.lr_lo, row.lr_hi, best_lr_at(losses, row.batch_tokens) if row.batch_lo is None else lr),
            _held(row.batch_lo, row.batch_hi, batch),
        )


def _held(low: float | None, high: float | None, value: float | None) -> bool | None:
    return None if low is None or high is None or value is None else low <= value <= high


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


def target_text(name: str) -> str:
    """Measured optimum and table of a target that was trained."""
    losses, advised = read_losses(runs_path(name)), read_advice(plan_path(name))
    ours = next(row for row in advised if row.method == OURS)
    found = optimum_text(losses, ours.batch_tokens)
    return f"{len(losses)} runs, {found}.\n\n{table(TARGETS[name], advised, losses)}"


def with_tables(page: str, names: Sequence[str]) -> str:
    """A page with what stands between `<!-- NAME -->` and `<!-- end -->` made anew for every target."""
    for name in names:
        head, mark, rest = page.partition(f"<!-- {name} -->\n")
        if mark:
            page = head + mark + target_text(name) + rest[rest.index("<!-- end -->") :]
    return page


def main() -> None:
    """Print the tables, renew a page's, draw the figure."""
    parser = argparse.ArgumentParser(description="Tables and figure of the proof.")
    parser.add_argument("names", nargs="+", choices=sorted(TARGETS))
    parser.add_argument("--page", type=Path, help="Markdown page whose tables to renew")
    parser.add_argument("--figure", type=Path, help="SVG to write")
    arguments = parser.parse_args()
    for name in arguments.names:
        print(f"{name}: {target_text(name)}")
    if arguments.page:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(with_tables(page, arguments.names), encoding="utf-8")
    if arguments.figure:
        arguments.figure.write_text(drawing(arguments.names), encoding="utf-8")


if __name__ == "__main__":
    main()
