"""Heat maps of cells against a plain loop over the runs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hptransfer.figures.heat import MOST_BATCHES, MOST_LRS, HeatMap, heat_maps, sampled
from hptransfer.sweep import Sweep


@pytest.fixture(scope="module")
def maps(sweep: Sweep) -> list[HeatMap]:
    return heat_maps(sweep, most=4)


def test_the_largest_cells_that_searched_both_come_first(sweep: Sweep, maps: list[HeatMap]) -> None:
    compute = [one.params * one.tokens for one in maps]
    assert len(maps) == 4
    assert compute == sorted(compute, reverse=True)


def test_each_place_has_the_best_of_its_runs(sweep: Sweep, maps: list[HeatMap]) -> None:
    """A loop over every run of every cell shown."""
    for heat in maps:
        cell = next(
            i
            for i in range(sweep.n_cells)
            if (sweep.cell_params[i], sweep.cell_tokens[i]) == (heat.params, heat.tokens)
        )
        runs = [
            (sweep.lr[i], sweep.batch_tokens[i], sweep.loss[i])
            for i in range(sweep.n_runs)
            if sweep.cell[i] == cell and not sweep.diverged[i]
        ]
        best = min(loss for *_, loss in runs)
        for row, batch in enumerate(heat.batch_tokens):
            for column, lr in enumerate(heat.lr):
                here = [
                    loss
                    for a, b, loss in runs
                    if math.isclose(a, lr, rel_tol=0.02) and math.isclose(b, batch, rel_tol=0.02)
                ]
                expected = min(here) / best - 1.0 if here else math.nan
                assert heat.excess[row, column] == pytest.approx(expected, nan_ok=True)
        assert heat.excess[heat.best] == 0.0


def test_many_values_share_bins(sweep: Sweep) -> None:
    """Random search: every run has an LR and a batch of its own."""
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(0, 0.3, (2, sweep.n_runs)))
    searched = replace(sweep, lr=sweep.lr * spread[0], batch_tokens=sweep.batch_tokens * spread[1])
    heat = heat_maps(searched, most=1)[0]
    assert (len(heat.batch_tokens), len(heat.lr)) == (MOST_BATCHES, MOST_LRS) == heat.excess.shape
    runs = (searched.params[:, None] == heat.params) & (searched.tokens[:, None] == heat.tokens)
    assert np.isfinite(heat.excess).sum() <= runs.sum()
    assert np.all(np.diff(heat.lr) > 0)


def test_a_sweep_without_batches_has_none(sweep: Sweep) -> None:
    assert heat_maps(replace(sweep, batch_tokens=np.full(sweep.n_runs, np.nan)), most=4) == []


def test_a_curve_is_sampled_at_even_steps() -> None:
    assert sampled((np.array([0.0, 10.0]), np.array([0.0, 1.0])), 3) == [0.0, 0.5, 1.0]
