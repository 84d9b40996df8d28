"""Planted faults are found, and sound sweeps are not accused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hptransfer.evidence.diagnosis import Column, Diagnosis, Verdict, diagnose
from hptransfer.simulation import simulate
from hptransfer.sweep import Sweep
from tests.sweeps import (
    FloatArray,
    IntArray,
    chosen,
    exact_sweep,
    grid_cells,
    lopsided_sweep,
    noisy_sweep,
    rebuilt,
)

NARROW = (0.5, 1.0, 2.0)
COLUMNS = ("params", "tokens", "lr", "batch_tokens", "loss")


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}


def message(diagnosis: Diagnosis, code: str) -> str:
    (found,) = (finding.message for finding in diagnosis.findings if finding.code == code)
    return found


def simulated(seed: int = 0) -> Sweep:
    columns = {name: values.astype(float) for name, values in simulate(seed=seed).items() if name in COLUMNS}
    return rebuilt(lopsided_sweep([(1e8, 2e9)], steps=(1.0,)), **columns)


def level(values: FloatArray, cell: IntArray) -> IntArray:
    """Rank of each value among the different ones of its cell."""
    ranks = np.empty(len(values), dtype=np.int64)
    for index in np.unique(cell):
        rows = cell == index
        ranks[rows] = np.unique(values[rows], return_inverse=True)[1]
    return ranks


def labels(values: Sequence[str]) -> Column:
    known = list(dict.fromkeys(values))
    return Column(np.array([known.index(value) for value in values]), known)


# --- verdicts ----------------------------------------------------------------------------------------


def test_a_full_grid_supports_the_full_law() -> None:
    assert diagnose(lopsided_sweep(grid_cells()), settings={}).best.verdict is Verdict.LR_AND_BATCH


def test_a_fixed_batch_supports_a_law_of_the_lr() -> None:
    sweep = lopsided_sweep(grid_cells(), batches=False)
    found = diagnose(rebuilt(sweep, batch_tokens=np.full(sweep.n_runs, 65_536.0)), settings={})
    assert found.best.verdict is Verdict.LR_AT_FIXED_BATCH
    assert "fixed at 65.5K tokens" in found.best.reason
    assert "single-batch" in codes(found)


@pytest.mark.parametrize(
    ("params", "tokens", "reason"),
    [
        ((1e8,), (2e9, 8e9, 3.2e10), "in tokens, at 100M params"),
        ((6e7, 1e8, 4e8), (2e9,), "in params, at 2B tokens"),
    ],
)
def test_one_size_or_one_horizon_supports_one_direction(
    params: tuple[float, ...], tokens: tuple[float, ...], reason: str
) -> None:
    found = diagnose(lopsided_sweep(grid_cells(params, tokens)), settings={})
    assert found.best.verdict is Verdict.ONE_DIRECTION
    assert reason in found.best.reason


def test_one_lr_a_cell_supports_nothing() -> None:
    found = diagnose(lopsided_sweep(grid_cells(), steps=(1.0,)), settings={})
    assert found.best.verdict is Verdict.NOTHING
    assert found.best.reason.startswith("too-few-cells")


def test_bounds_alone_support_nothing() -> None:
    """Every cell's best is the lowest LR tried: fit would fit the edge of the grid."""
    found = diagnose(lopsided_sweep(grid_cells(), steps=(1.0, 2.0, 4.0), batches=False), settings={})
    assert found.best.verdict is Verdict.NOTHING
    assert found.best.reason.startswith("bounds-only: in 20 of 20 cells")


def test_params_and_tokens_that_moved_together_support_nothing() -> None:
    sweep = lopsided_sweep([(n, 20 * n) for n in (1e8, 1.3e8, 1.6e8)])
    found = diagnose(sweep, settings={})
    assert found.best.verdict is Verdict.NOTHING
    assert found.best.reason.startswith("collinear")
    assert "moved-together" in codes(found)


@pytest.mark.parametrize("seed", range(5))
def test_the_simulated_sweep_is_sound(seed: int) -> None:
    """Its one planted fault is a cell whose grid stops short of the optimum."""
    found = diagnose(simulated(seed), settings={})
    assert found.best.verdict is Verdict.LR_AND_BATCH
    assert "edge-optimum" in codes(found)
    assert not {"mislabelled-rows", "moved-together", "coarse-grid", "single-batch"} & codes(found)


# --- mislabelled rows --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_size_whose_losses_were_shifted_among_its_lrs_is_named_and_no_other(seed: int) -> None:
    """Half of one size's rows repeat the loss of the row with the next LR."""
    sweep = noisy_sweep(seed=seed)
    size = np.unique(sweep.params)[1]
    rows = np.flatnonzero((sweep.params == size) & (sweep.batch_tokens == sweep.batch_tokens[0]))
    rows = rows[np.lexsort((sweep.lr[rows], sweep.tokens[rows]))]
    loss = sweep.loss.copy()
    loss[rows[1::2]] = loss[rows[0::2][: len(rows[1::2])]]
    found = diagnose(rebuilt(sweep, loss=loss), settings={})
    mislabelled = [finding for finding in found.findings if finding.code == "mislabelled-rows"]
    assert len(mislabelled) == 1
    assert f"({size:.0f})" in mislabelled[0].message
    assert found.best.without == (("params", size),)
    assert size not in found.best.sweep.params


@pytest.mark.parametrize("decimals", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_rounded_losses_are_not_accused(decimals: int, seed: int) -> None:
    sweep = noisy_sweep(seed=seed)
    assert "mislabelled-rows" not in codes(
        diagnose(rebuilt(sweep, loss=sweep.loss.round(decimals)), settings={})
    )


def test_half_precision_losses_are_not_accused() -> None:
    sweep = noisy_sweep()
    loss = np.round(sweep.loss * 64) / 64
    assert "mislabelled-rows" not in codes(diagnose(rebuilt(sweep, loss=loss), settings={}))


def test_losses_that_repeat_in_every_size_leave_no_size_out() -> None:
    """A made-up, symmetric bowl has the same loss on both sides: no size is worse than the others."""
    found = diagnose(exact_sweep(grid_cells()), settings={})
    assert "in all model sizes" in message(found, "repeated-losses")
    assert "mislabelled-rows" not in codes(found)
    assert (found.best.without, found.best.verdict) == ((), Verdict.LR_AND_BATCH)


# --- settings ----------------------------------------------------------------------------------------


def test_of_mixed_settings_the_part_that_supports_most_is_chosen() -> None:
    """Cosine runs are a full grid, WSD runs one LR a cell."""
    full = lopsided_sweep(grid_cells())
    poor = chosen(full, np.flatnonzero(np.diff(full.cell, prepend=-1)))
    both = chosen(
        full, np.concatenate([np.arange(full.n_runs), np.flatnonzero(np.diff(full.cell, prepend=-1))])
    )
    schedule = labels(["cosine"] * full.n_runs + ["wsd"] * poor.n_runs)
    found = diagnose(both, settings={"schedule": schedule})
    assert found.best.where == (("schedule", "cosine"),)
    assert found.best.sweep.n_runs == full.n_runs
    assert "cosine (500 runs), wsd (20 runs)" in message(found, "mixed-settings")


def test_tuned_settings_may_be_mixed_where_nothing_else_helps() -> None:
    """Each size was trained at its own weight decay: one value is one direction, all of them are a law."""
    sweep = lopsided_sweep(grid_cells())
    decay = labels([f"{params / 6e7:.0f}" for params in sweep.params])
    found = diagnose(sweep, settings={"weight_decay": decay})
    assert found.best.verdict is Verdict.ONE_DIRECTION
    assert found.wider is not None
    assert (found.wider.vary, found.wider.verdict) == (("weight_decay",), Verdict.LR_AND_BATCH)


def test_a_schedule_is_never_mixed() -> None:
    sweep = lopsided_sweep(grid_cells(params=(1e8,)))
    schedule = labels([f"s{tokens:.0f}" for tokens in sweep.tokens])
    found = diagnose(sweep, settings={"schedule": schedule})
    assert (found.best.verdict, found.best.vary, found.wider) == (Verdict.NOTHING, (), None)


def test_an_unknown_column_that_tells_equal_runs_apart_is_named() -> None:
    sweep = lopsided_sweep(grid_cells())
    twice = chosen(sweep, np.tile(np.arange(sweep.n_runs), 2))
    floor = labels(["0.1"] * sweep.n_runs + ["0.0"] * sweep.n_runs)
    found = diagnose(twice, settings={}, others={"min_lr": floor, "note": labels(["x"] * twice.n_runs)})
    assert "min_lr (0.1, 0.0)" in message(found, "other-columns")
    assert "note" not in message(found, "other-columns")


# --- designs -----------------------------------------------------------------------------------------


def test_batches_tried_at_one_lr_are_no_search() -> None:
    """One factor at a time: LRs at the middle batch, batches at the middle LR."""
    sweep = lopsided_sweep(grid_cells())
    keep = (level(sweep.lr, sweep.cell) == 2) | (level(sweep.batch_tokens, sweep.cell) == 2)
    found = diagnose(chosen(sweep, keep), settings={})
    assert found.best.verdict is Verdict.LR_AT_FIXED_BATCH
    assert "20 of 20 cells" in message(found, "one-at-a-time")


def test_three_point_grids_are_named() -> None:
    found = diagnose(lopsided_sweep(grid_cells(), steps=NARROW), settings={})
    assert "20 of 20 cells tried 3 LRs or fewer" in message(found, "coarse-grid")


def test_an_empty_corner_is_named() -> None:
    """The lattice lacks a cell that is cheaper than the dearest one."""
    cells = [cell for cell in grid_cells() if cell != (6e7, 1.28e11)]
    found = diagnose(lopsided_sweep(cells), settings={})
    assert "60M / 128B" in message(found, "empty-corners")


def test_a_cell_of_diverged_runs_only_is_named() -> None:
    sweep = lopsided_sweep(grid_cells())
    lone = chosen(sweep, np.append(np.arange(sweep.n_runs), 0))
    is_lone = np.arange(lone.n_runs) == sweep.n_runs
    lone = rebuilt(
        lone, tokens=np.where(is_lone, 5e7, lone.tokens), loss=np.where(is_lone, np.nan, lone.loss)
    )
    assert "60M params / 50M tokens" in message(diagnose(lone, settings={}), "no-finished-run")
