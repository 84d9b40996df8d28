"""Planted faults: does each diagnostic fire where it must, and stay silent on sound sweeps?

    python benchmarks/planted_faults.py [SOUND_SWEEPS [SWEEPS_PER_FAULT]]

Sweeps are those of `simulated_sweeps` (optima that scatter about a law by 5 %, a lopsided bowl that the fit
cannot represent exactly, noise of 0.1 %) on 4 sizes x 3 horizons with full grids. A fault is planted in one
of them at a random place. No threshold of a diagnostic was set by these sweeps: all are false-alarm rates.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from simulated_sweeps import Case, draw_truth, simulate_cell

from hptransfer.fitting import fit
from hptransfer.simulation import best_loss
from hptransfer.sweep import Sweep, sweep_from_arrays

FloatArray = NDArray[np.float64]
Columns = dict[str, FloatArray]

SIZES = (5e7, 1e8, 2e8, 4e8)
HORIZONS = (2e9, 8e9, 3.2e10)
TOKENS_PER_PARAM = 20.0
RESAMPLES = 20
SETTING_LOSS, SETTING_LR = 1.01, 1.6  # a second setting: 1 % more loss, its best LR 1.6 times as high
CLOSE_SETTING_LR = 1.2  # or only 1.2 times
WRONG_HORIZON = 2.5
BEND = 0.2  # change of the exponent per e-fold of params
WATCHED = (
    "edge-optimum", "not-identifiable", "mislabelled-rows", "cell-disagrees", "unit-slip", "two-settings",
    "bend", "repeats-disagree", "lack-of-fit", "prior-outweighs-data", "form-sensitive",
)  # fmt: skip


def sound_columns(
    rng: np.random.Generator,
    *,
    cells: list[tuple[float, float]] | None = None,
    bend: float = 0.0,
) -> Columns:
    """Columns of a sound sweep, (n_runs,) each, and the index of each run's cell."""
    truth = draw_truth(rng)
    case = Case(bend=bend)
    parts = []
    for k, (n, d) in enumerate(cells or [(n, d) for n in SIZES for d in HORIZONS]):
        lr, batch, loss = simulate_cell(case, truth, (n, d), rng, keep=1.0)
        one = np.ones(len(lr))
        parts.append((n * one, d * one, lr, batch, loss / 2.5 * best_loss(n, d), k * one))
    names = ("params", "tokens", "lr", "batch_tokens", "loss", "cell")
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def one_cell(columns: Columns, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The runs of a random cell."""
    return np.asarray(columns["cell"] == rng.integers(columns["cell"].max() + 1))


def sound(rng: np.random.Generator) -> Columns:
    """Nothing planted."""
    return sound_columns(rng)


def edge(rng: np.random.Generator) -> Columns:
    """The grid of one cell stops short of its optimum."""
    columns = sound_columns(rng)
    here = one_cell(columns, rng)
    best = columns["lr"][here][columns["loss"][here].argmin()]
    keep = ~here | (columns["lr"] < 0.6 * best)
    return {name: values[keep] for name, values in columns.items()}


def collinear(rng: np.random.Generator) -> Columns:
    """All cells at 20 tokens per parameter."""
    return sound_columns(rng, cells=[(n, TOKENS_PER_PARAM * n) for n in np.geomspace(5e7, 8e8, 9)])


def mislabelled_rows(rng: np.random.Generator) -> Columns:
    """In one size the losses of one LR were written to its neighbour too."""
    columns = sound_columns(rng)
    size = rng.choice(SIZES)
    for cell in np.unique(columns["cell"][columns["params"] == size]):
        rows = np.flatnonzero(columns["cell"] == cell)
        levels = np.unique(columns["lr"][rows])
        k = rng.integers(len(levels) - 1)
        here, there = (rows[columns["lr"][rows] == levels[j]] for j in (k, k + 1))
        n = min(len(here), len(there))
        columns["loss"][there[:n]] = columns["loss"][here[:n]]
    return columns


def mislabelled_cell(rng: np.random.Generator) -> Columns:
    """One cell was trained on fewer tokens than its label says."""
    columns = sound_columns(rng)
    columns["tokens"][one_cell(columns, rng)] *= WRONG_HORIZON
    return columns


def unit_slip(rng: np.random.Generator) -> Columns:
    """One cell's batch in sequences, or its LR in thousandths, or its loss in bits."""
    columns = sound_columns(rng)
    name, factor = [("batch_tokens", 1 / 2048), ("lr", 1e3), ("loss", 1 / np.log(2))][rng.integers(3)]
    columns[name][one_cell(columns, rng)] *= factor
    return columns


def mixed_runs(rng: np.random.Generator, *, lr: float = SETTING_LR) -> Columns:
    """Half of the runs, wherever, were made under another setting."""
    columns = sound_columns(rng)
    return mixed(columns, rng.random(len(columns["lr"])) < 0.5, lr=lr)


def mixed_cells(rng: np.random.Generator) -> Columns:
    """Half of the cells were made under another setting."""
    columns = sound_columns(rng)
    n_cells = int(columns["cell"].max()) + 1
    return mixed(columns, np.isin(columns["cell"], rng.permutation(n_cells)[: n_cells // 2]))


def mixed(columns: Columns, other: NDArray[np.bool_], *, lr: float = SETTING_LR) -> Columns:
    """Give some runs another level of loss and another best LR, with their labels on the same lattice."""
    return columns | {
        "loss": np.where(other, SETTING_LOSS, 1.0) * columns["loss"],
        "lr": np.where(other, lr, 1.0) * columns["lr"],
    }


def bent(rng: np.random.Generator) -> Columns:
    """The exponent of the LR changes with params."""
    return sound_columns(rng, bend=BEND * rng.choice([-1.0, 1.0]))


def unnoticed_repeats(rng: np.random.Generator) -> Columns:
    """A tenth of the runs was made again, with another setting that no column tells."""
    columns = sound_columns(rng)
    again = np.flatnonzero(rng.random(len(columns["lr"])) < 0.1)
    copies = {name: values[again].copy() for name, values in columns.items()}
    copies["loss"] *= 1.008
    return {name: np.concatenate([values, copies[name]]) for name, values in columns.items()}


@dataclass(frozen=True)
class Fault:
    """A way of making sweeps, and the codes of which at least one must be raised."""

    make: Callable[[np.random.Generator], Columns]
    expected: tuple[str, ...]


FAULTS = {
    "edge: one cell's grid stops short of its optimum": Fault(edge, ("edge-optimum",)),
    "collinear: 20 tokens per param everywhere": Fault(collinear, ("not-identifiable",)),
    "mislabelled rows: losses under the next LR too": Fault(mislabelled_rows, ("mislabelled-rows",)),
    "mislabelled cell: tokens 2.5x too high": Fault(mislabelled_cell, ("cell-disagrees",)),
    "unit slip in one cell: batch, LR or loss": Fault(unit_slip, ("unit-slip",)),
    "two settings: half of the runs, LR 1.2x": Fault(
        partial(mixed_runs, lr=CLOSE_SETTING_LR), ("two-settings",)
    ),
    "two settings: half of the runs, LR 1.6x": Fault(mixed_runs, ("two-settings",)),
    "two settings: half of the cells": Fault(mixed_cells, ("two-settings",)),
    "bend of LR in params, 0.2 per e-fold": Fault(bent, ("bend",)),
    "repeats under another setting": Fault(unnoticed_repeats, ("repeats-disagree", "two-settings")),
}


def as_sweep(columns: Columns) -> Sweep:
    """The sweep that a reader would make of these columns."""
    return sweep_from_arrays(
        params=columns["params"],
        tokens=columns["tokens"],
        lr=columns["lr"],
        batch_tokens=columns["batch_tokens"],
        loss=columns["loss"],
    )


def raised(make: Callable[[np.random.Generator], Columns], seed: int) -> set[str]:
    """Codes of the warnings that `fit` gives on one sweep."""
    law = fit(as_sweep(make(np.random.default_rng(seed))), resamples=RESAMPLES)
    return {note.code for note in law.warnings}


@dataclass(frozen=True)
class Outcome:
    """Of `sweeps`, how many raised what was expected, and how often each code came up."""

    sweeps: int
    found: int
    codes: Counter[str]
    silent: int  # sweeps without any of `WATCHED`


def study(fault: Fault, n_sweeps: int, *, first_seed: int) -> Outcome:
    """Plant one fault in many sweeps."""
    codes = [raised(fault.make, first_seed + k) for k in range(n_sweeps)]
    found = sum(bool(set(fault.expected) & one) for one in codes)
    silent = sum(not one & set(WATCHED) for one in codes)
    return Outcome(n_sweeps, found, Counter(c for one in codes for c in one if c in WATCHED), silent)


def table(n_sound: int, n_faulty: int) -> list[tuple[str, str, str]]:
    """One row a case: what was planted, how often what must fire fired, what else did."""
    rows = []
    outcome = study(Fault(sound, ()), n_sound, first_seed=0)
    rows.append(("nothing", f"silent: {outcome.silent} of {n_sound}", _listed(outcome.codes)))
    for k, (name, fault) in enumerate(FAULTS.items(), start=1):
        outcome = study(fault, n_faulty, first_seed=10_000 * k)
        others = Counter({code: n for code, n in outcome.codes.items() if code not in fault.expected})
        expected = " or ".join(fault.expected)
        rows.append((name, f"{expected}: {outcome.found} of {n_faulty}", _listed(others)))
    return rows


def _listed(codes: Counter[str]) -> str:
    return ", ".join(f"{code} {n}" for code, n in codes.most_common()) or "-"


def main() -> None:
    """Print the table."""
    n_sound = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    n_faulty = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    print("| planted | fired | besides |\n|---|---|---|")
    for row in table(n_sound, n_faulty):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
