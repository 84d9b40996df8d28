"""Evidence for `hptransfer design`: designed against random runs of equal cost, simulated and on real grids.

    python benchmarks/design_sections.py [SEEDS]

prints the simulated study by lattice, with more sweeps than the evidence table has time for.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from design_labs import LATTICES, SURFACES, Grid, Lab, Simulated, cost_of, misguided

from hptransfer.designing import FLOPS_PER_PARAM_TOKEN, Design, design, runs_a_cell
from hptransfer.errors import HptransferError
from hptransfer.fitting import fit
from hptransfer.guessing import GUESS_STD, begin, middle_of_published_laws
from hptransfer.law import Law
from hptransfer.numerics.design import Candidates, choose_runs
from hptransfer.planning import Target
from hptransfer.published import published_law
from hptransfer.readers import read_sweep
from hptransfer.sweep import FloatArray, IntArray, take_cells

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STAGES = (12, 24, 48, 96)  # runs after which the guess is renewed
REPORTED = STAGES[1:]
SEEDS = 10
SIMULATED_SEEDS = 2  # of each surface and lattice
GUESSED = "step-law"  # what simulated truth is drawn about
TARGET, BUDGET, COVERAGE_SEEDS = Target(7e9, 1e12), 1e20, 40
QUANTITIES = ("peak_lr", "batch_tokens")

GRIDS: Mapping[str, tuple[str, str, Mapping[str, Any], tuple[float, float]]] = {
    "Step Law": (
        "step-law",
        "steplaw/dense_lr_bs_loss_upto_537M.csv",
        {"columns": {"loss": "smooth loss"}},
        (3e8, 4e8),
    ),
    "OpenEuroLLM": (
        "openeurollm",
        "oellm_dense_english_upto_302M.csv",
        {"columns": {"batch_seqs": "gbsz"}, "seq_len": 4096, "vary": ("beta2",)},
        (2e8, 2e8),
    ),
}
"""Law, file, how it is read, params below which runs are for sale, and above which plans are priced."""

Row = tuple[str, str, str]


class Scores:
    """Excess loss of designed and random runs, by number of runs designed."""

    def __init__(self) -> None:
        self.designed: dict[int, list[float]] = defaultdict(list)
        self.random: dict[int, list[float]] = defaultdict(list)
        self.counts: dict[int, list[int]] = defaultdict(list)
        self.flops: dict[int, list[float]] = defaultdict(list)

    def add(self, lab: Lab, guess: Law, rng: np.random.Generator) -> None:
        """One designed sequence, and after each stage as many FLOP of random runs."""
        for n_runs, rows in designed(lab, guess):
            cost = float(cost_of(lab, rows).sum())
            drawn = random_runs(lab, cost, rng)
            self.designed[n_runs].append(priced(lab, rows))
            self.random[n_runs].append(priced(lab, drawn))
            self.counts[n_runs].append(len(drawn))
            self.flops[n_runs].append(cost)

    def rows(self, name: str) -> Iterator[Row]:
        """Table rows, one a stage."""
        for n_runs in self.designed:
            better = np.mean(np.less(self.designed[n_runs], self.random[n_runs]))
            yield (
                f"{name}: excess loss after {n_runs} designed runs ({np.mean(self.flops[n_runs]):.2g} FLOP)",
                summary(self.designed[n_runs]),
                f"random of equal cost ({np.mean(self.counts[n_runs]):.0f} runs): "
                f"{summary(self.random[n_runs])}; designed better in {better:.0%}",
            )


def designed(lab: Lab, guess: Law) -> Iterator[tuple[int, IntArray]]:
    """Rows of the runs made after each reported stage."""
    cells, rows = lab.cells, np.empty(0, dtype=np.int64)
    cost = cost_of_cells(lab)
    for n_runs in STAGES:
        n_new, first = n_runs - len(rows), len(rows) == 0
        state = begin(lab.target, cells, None if first else lab.sweep(rows), guess)
        most = runs_a_cell(n_new, len(cells), first=first)
        offered = lab.offer(state.points(cells, per_cell=2 * most), rows, most)
        cell, point = lab.runs(offered)
        candidates = Candidates(cell, point - state.guess(cells)[cell], cost[cell])
        chosen = choose_runs(
            candidates,
            state.question(cells),
            state.knowledge(cells),
            state.assumed,
            budget=np.inf,
            n_runs=n_new,
            most_per_cell=most,
        )
        rows = np.concatenate([rows, offered[chosen]])
        if n_runs in REPORTED:
            yield n_runs, rows


def cost_of_cells(lab: Lab) -> FloatArray:
    """FLOP of one run in each cell, (n_cells,)."""
    return np.asarray(FLOPS_PER_PARAM_TOKEN * np.exp(lab.cells.sum(axis=1)))


def random_runs(lab: Lab, budget: float, rng: np.random.Generator) -> IntArray:
    """Runs of the grid in random order, those left out that no longer fit the budget."""
    order = lab.at_random(rng)
    taken: list[int] = []
    for row, cost in zip(order.tolist(), cost_of(lab, order).tolist(), strict=True):
        if cost <= budget:
            taken.append(row)
            budget -= cost
    return np.array(taken, dtype=np.int64)


def priced(lab: Lab, rows: IntArray) -> float:
    """Mean excess loss of plans from the law of these runs; NaN where it cannot answer."""
    try:
        law = fit(lab.sweep(rows), resamples=0)
        return float("nan") if law.batch_tokens is None else lab.excess(law)
    except HptransferError:  # too few cells, or one size for all
        return float("nan")


def summary(values: list[float]) -> str:
    """Mean, median and worst."""
    known = [value for value in values if np.isfinite(value)]
    refused = len(values) - len(known)
    text = "-"
    if known:
        text = f"mean {np.mean(known):.3%}, median {np.median(known):.3%}, worst {max(known):.3%}"
    return text + (f" ({refused} refused)" if refused else "")


def design_replay() -> Iterator[Row]:
    """Runs of the smaller sizes are bought from real grids; the larger sizes price the plans.

    The first guess is the grid's own published law with its level off by what published laws differ by.
    """
    start = time.perf_counter()
    for name, (law, file, reading, (below, above)) in GRIDS.items():
        if not (DATA / file).exists():
            yield (f"design replay, {name}", "not here: needs ../shared/data", "")
            continue
        sweep = read_sweep(str(DATA / file), **reading)
        training = take_cells(sweep, sweep.cell_params < below)
        lab = Grid(training, take_cells(sweep, sweep.cell_params > above))
        scores = Scores()
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            scores.add(lab, misguided(published_law(law), rng.normal(0.0, GUESS_STD, 2)), rng)
        yield from scores.rows(f"design replay, {name}")
        everything = priced(lab, lab.usable)
        yield (f"design replay, {name}: all {len(lab.usable)} runs", f"{everything:.3%}", "")
    yield ("design replay: time", f"{time.perf_counter() - start:.0f} s", "under 300 s of an idle core")


def simulated_scores(lattices: Iterable[str], seeds: int) -> Scores:
    """Simulated training of known truth; designed runs are made where they are asked for."""
    scores, law = Scores(), published_law(GUESSED)
    for lattice in lattices:
        for surface in SURFACES:
            for seed in range(seeds):
                lab = Simulated(surface, LATTICES[lattice], seed, law)
                scores.add(lab, law, np.random.default_rng(seed))
    return scores


def design_simulated() -> Iterator[Row]:
    """A few sweeps of every surface and lattice."""
    start = time.perf_counter()
    name = f"design, {len(SURFACES) * len(LATTICES) * SIMULATED_SEEDS} simulated sweeps"
    yield from simulated_scores(LATTICES, SIMULATED_SEEDS).rows(name)
    yield ("design, simulated: time", f"{time.perf_counter() - start:.0f} s", "under 300 s of an idle core")


def design_coverage() -> Iterator[Row]:
    """How often expected intervals of first sweeps hold the true optimum at the target."""
    for n_runs in (12, 24):
        proposed = design(TARGET, budget_flops=BUDGET, n_runs=n_runs)
        held = np.array([_held(proposed, s, seed) for s in SURFACES[:3] for seed in range(COVERAGE_SEEDS)])
        before, after = (" / ".join(f"{share:.0%}" for share in row) for row in held.mean(axis=0))
        name = f"design, {n_runs} first runs: true LR / batch in the expected interval, {len(held)} trainings"
        yield (name, f"before {before}, after {after}", "90 %")


def _held(proposed: Design, surface: str, seed: int) -> FloatArray:
    """Whether the intervals before, and one as wide as after about the renewed guess, hold LR and batch."""
    sizes, horizons = ({getattr(run, name) for run in proposed.runs} for name in ("params", "tokens"))
    lattice = (tuple(sorted(sizes)), tuple(sorted(horizons)), (TARGET.params,), (TARGET.tokens,))
    lab = Simulated(surface, lattice, seed, middle_of_published_laws())
    scale = np.log([[run.params, run.tokens] for run in proposed.runs])
    cell = np.abs(scale[:, None] - lab.cells).sum(axis=2).argmin(axis=1)
    rows = lab.make(cell, np.log([[run.lr, run.batch_tokens] for run in proposed.runs]))
    state = begin(TARGET, lab.cells, lab.sweep(rows))
    truth, guess = (optima(state.target_logs[None])[0] for optima in (lab.optima, state.guess))
    ends = np.log(
        [[getattr(part, name) for name in QUANTITIES] for part in (proposed.before, proposed.after)]
    )
    middle = np.stack([ends[0].mean(axis=1), guess])
    return np.asarray(np.abs(truth - middle) <= np.ptp(ends, axis=2) / 2, dtype=np.float64)


def main() -> None:
    """Print the simulated study by lattice."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for lattice in LATTICES:
        for row in simulated_scores((lattice,), seeds).rows(lattice):
            print(" | ".join(row), flush=True)


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "design-replay": design_replay,
    "design-simulated": design_simulated,
    "design-coverage": design_coverage,
}

if __name__ == "__main__":
    main()
