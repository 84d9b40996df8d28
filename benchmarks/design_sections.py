"""Evidence for `hptransfer design`: designed against random runs of equal cost, on a real grid."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hptransfer.designing import FLOPS_PER_PARAM_TOKEN, GUESS_STD, State, begin, runs_a_cell
from hptransfer.errors import HptransferError
from hptransfer.fitting import fit
from hptransfer.law import Law, PowerLaw
from hptransfer.numerics.design import Candidates, choose_runs
from hptransfer.numerics.grid_loss import excess_at
from hptransfer.planning import Target, plan_targets
from hptransfer.readers import read_sweep
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep, part_of_sweep, take_cells

PROJECT = Path(__file__).resolve().parents[1]
STEP_LAW = PROJECT.parent / "shared/data/steplaw/dense_lr_bs_loss_upto_537M.csv"
TRAINING_BELOW, HELD_OUT_ABOVE = 3e8, 4e8  # params
STAGES = (12, 24, 48, 96)  # runs after which the law is refitted
REPORTED = STAGES[1:]
SEEDS = 10

Row = tuple[str, str, str]


def design_replay() -> Iterator[Row]:
    """Runs of the smaller sizes are bought from the grid; the larger sizes price the plans."""
    if not STEP_LAW.exists():
        yield ("design replay", "not here: needs ../shared/data", "")
        return
    start = time.perf_counter()
    sweep = read_sweep([str(STEP_LAW)], columns={"loss": "smooth loss"})
    training = take_cells(sweep, sweep.cell_params < TRAINING_BELOW)
    held_out = take_cells(sweep, sweep.cell_params > HELD_OUT_ABOVE)
    designed: dict[int, list[float]] = defaultdict(list)
    at_random: dict[int, list[float]] = defaultdict(list)
    counts: dict[int, list[int]] = defaultdict(list)
    flops: dict[int, list[float]] = defaultdict(list)
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        for n_runs, taken, law in _designed(training, held_out, rng):
            cost = float(_cost(training)[taken].sum())
            drawn = _random(training, cost, rng)
            flops[n_runs].append(cost)
            counts[n_runs].append(int(drawn.sum()))
            designed[n_runs].append(float("nan") if law is None else _priced(law, held_out))
            at_random[n_runs].append(_excess(training, drawn, held_out))
    for n_runs in REPORTED:
        name = f"design replay: excess loss after {n_runs} runs ({np.mean(flops[n_runs]):.2g} FLOP)"
        others = f"random of equal cost ({np.mean(counts[n_runs]):.0f} runs): {_summary(at_random[n_runs])}"
        better = np.mean(np.less(designed[n_runs], at_random[n_runs]))
        yield (name, _summary(designed[n_runs]), f"{others}; designed better in {better:.0%}")
    everything = _excess(training, ~training.diverged, held_out)
    yield (
        f"design replay: all {training.n_runs} runs ({_cost(training).sum():.2g} FLOP)",
        f"{everything:.3%}",
        "",
    )
    yield ("design replay: time", f"{time.perf_counter() - start:.0f} s", "under 300 s")


def _designed(
    training: Sweep, held_out: Sweep, rng: np.random.Generator
) -> Iterator[tuple[int, BoolArray, Law | None]]:
    """Mask of the runs bought after each reported stage, and the law fitted to them; None where refused.

    The first guess is a published law whose level is off by what published laws differ by.
    """
    largest = int((held_out.cell_params * held_out.cell_tokens).argmax())
    target = Target(float(held_out.cell_params[largest]), float(held_out.cell_tokens[largest]))
    cells = np.log(np.column_stack([training.cell_params, training.cell_tokens]))
    runs = np.log(np.column_stack([training.lr, training.batch_tokens]))
    taken = np.zeros(training.n_runs, dtype=np.bool_)
    state = _misguided(begin(None, target), rng.normal(0.0, GUESS_STD, 2))
    for n_runs in STAGES:
        n_new = n_runs - int(taken.sum())
        per_cell = runs_a_cell(n_new, len(cells))
        free = np.flatnonzero(~taken & ~training.diverged)
        usable = _nearest(state.points(cells, per_cell=per_cell), runs, training.cell, free)
        cell = training.cell[usable]
        offset = runs[usable] - state.guess(cells)[cell]
        candidates = Candidates(cell, offset, _cost(training)[usable], repeatable=False)
        chosen = choose_runs(
            candidates,
            state.question(cells),
            state.knowledge(cells),
            state.assumed,
            budget=np.inf,
            n_runs=n_new,
            most_per_cell=per_cell,
        )
        taken = taken.copy()
        taken[usable[chosen]] = True
        state = begin(part_of_sweep(training, taken), target)
        if n_runs in REPORTED:
            yield n_runs, taken, None if state.notes else state.law


def _nearest(wanted: FloatArray, runs: FloatArray, cell: IntArray, free: IntArray) -> IntArray:
    """For each wanted point (n_cells, per_cell, 2), the nearest run of the grid that is still free."""
    found: list[int] = []
    for here, points in enumerate(wanted):
        left = free[cell[free] == here].tolist()
        for point in points:
            distance = np.abs(runs[left] - point).sum(axis=1)
            found.append(left.pop(int(distance.argmin())))
    return np.array(found, dtype=np.int64)


def _misguided(state: State, off: FloatArray) -> State:
    """The state with the levels of its laws moved by `off` (2,), natural logs."""

    def moved(power: PowerLaw, by: float) -> PowerLaw:
        return power.model_copy(update={"log_coefficient": power.log_coefficient + by})

    assert state.law.peak_lr is not None
    law = state.law.model_copy(update={"peak_lr": moved(state.law.peak_lr, float(off[0]))})
    return replace(state, law=law, batch=moved(state.batch, float(off[1])))


def _cost(sweep: Sweep) -> FloatArray:
    return FLOPS_PER_PARAM_TOKEN * sweep.params * sweep.tokens


def _random(training: Sweep, budget: float, rng: np.random.Generator) -> BoolArray:
    """Runs in random order, those left out that no longer fit the budget."""
    cost, taken, left = _cost(training), np.zeros(training.n_runs, dtype=np.bool_), budget
    for run in rng.permutation(np.flatnonzero(~training.diverged)).tolist():
        if cost[run] <= left:
            taken[run] = True
            left -= cost[run]
    return taken


def _excess(training: Sweep, taken: BoolArray, held_out: Sweep) -> float:
    """Mean excess loss of plans at the held-out cells; NaN where no law of LR and batch could be fitted."""
    try:
        law = fit(part_of_sweep(training, taken), resamples=0)
    except HptransferError:
        return float("nan")
    return float("nan") if law.batch_tokens is None else _priced(law, held_out)


def _priced(law: Law, held_out: Sweep) -> float:
    scales = zip(held_out.cell_params.tolist(), held_out.cell_tokens.tolist(), strict=True)
    plans = plan_targets(law, [Target(*scale) for scale in scales])
    excess = []
    for cell, planned in enumerate(plans):
        assert planned.peak_lr is not None
        assert planned.batch_tokens is not None
        runs = (held_out.cell == cell) & ~held_out.diverged
        grid = np.log(held_out.lr[runs]), np.log(held_out.batch_tokens[runs]), held_out.loss[runs]
        excess.append(excess_at(np.log([planned.peak_lr, planned.batch_tokens]), *grid).excess)
    return float(np.mean(excess))


def _summary(values: list[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    refused = len(values) - len(known)
    text = (
        f"mean {np.mean(known):.3%}, median {np.median(known):.3%}, worst {max(known):.3%}" if known else "-"
    )
    return text + (f" ({refused} refused)" if refused else "")


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {"design-replay": design_replay}
