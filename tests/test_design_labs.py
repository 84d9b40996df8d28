"""The places where designed and random runs are made: what is offered exists, and the truth costs nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hptransfer.published import published_law
from hptransfer.sweep import take_cells
from tests.sweeps import exact_sweep, grid_cells

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from design_labs import LATTICES, SURFACES, Grid, Simulated

STEP_LAW = published_law("step-law")


def small_grid() -> Grid:
    sweep = exact_sweep(grid_cells((1e8, 4e8), (2e9, 8e9)))
    return Grid(take_cells(sweep, sweep.cell_params < 2e8), take_cells(sweep, sweep.cell_params > 2e8))


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("lattice", LATTICES)
def test_simulated_training_is_best_at_its_optimum(surface: str, lattice: str) -> None:
    lab = Simulated(surface, LATTICES[lattice], 0, STEP_LAW)
    u, v = (a.ravel() for a in np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9)))
    assert lab.bowl(np.zeros(1), np.zeros(1))[0] == 0
    assert (lab.bowl(u, v) >= 0).all()
    assert lab.bowl(np.array([1.0]), np.array([0.0]))[0] > 0.005


def test_its_grid_surrounds_the_true_optima() -> None:
    lab = Simulated("quadratic", LATTICES["3 x 3"], 1, STEP_LAW)
    cell, point = lab.runs(lab.grid)
    away = point - lab.optima(lab.cells)[cell]
    for here in range(len(lab.cells)):
        assert (away[cell == here].min(axis=0) < -1).all()
        assert (away[cell == here].max(axis=0) > 1).all()


def test_simulated_runs_are_made_where_they_are_asked_for() -> None:
    lab = Simulated("skewed", LATTICES["2 x 4"], 2, STEP_LAW)
    wanted = lab.optima(lab.cells)[:, None] + np.linspace(-1, 1, 4)[:, None]
    rows = lab.offer(wanted, np.empty(0, dtype=np.int64), most=3)
    cell, point = lab.runs(rows)
    np.testing.assert_array_equal(np.bincount(cell), np.full(8, 3))
    np.testing.assert_array_equal(point.reshape(8, 3, 2), wanted[:, :3])
    assert lab.sweep(rows).n_runs == len(rows)


def test_a_grid_offers_no_run_twice_and_none_that_is_taken() -> None:
    lab = small_grid()
    middle = np.array([lab.points[lab.all.cell == cell].mean(axis=0) for cell in range(2)])
    wanted = np.repeat(middle[:, None], 6, axis=1)
    first = lab.offer(wanted, np.empty(0, dtype=np.int64), most=4)
    second = lab.offer(wanted, first, most=4)
    assert len(first) == 8
    assert len(set(first) | set(second)) == len(first) + len(second)


def test_a_grid_offers_nothing_far_outside_of_it() -> None:
    lab = small_grid()
    wanted = np.full((2, 3, 2), 100.0)
    assert len(lab.offer(wanted, np.empty(0, dtype=np.int64), most=3)) == 0
