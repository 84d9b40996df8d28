"""The runs to add are those that the diagnosis misses."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.evidence.additions import additions
from hptransfer.evidence.diagnosis import diagnose
from hptransfer.sweep import Sweep
from tests.sweeps import LAW, chosen, evaluate, grid_cells, lopsided_sweep, rebuilt


def test_beyond_an_edge_means_beyond_it_and_in_that_cell() -> None:
    sweep = lopsided_sweep(grid_cells(), batches=False)
    cut = chosen(sweep, (sweep.cell != 3) | (sweep.lr < 0.9 * _optimum(sweep, 3)))
    (added,) = [item for item in additions(diagnose(cut, settings={})) if "highest LR" in item.why]
    assert (added.params, added.tokens) == (sweep.cell_params[3], sweep.cell_tokens[3])
    tried = cut.lr[cut.cell == 3].max()
    assert all(lr > tried for lr in added.lr)
    assert min(added.lr) <= _optimum(sweep, 3) * 1.01


def test_a_sweep_without_a_search_gets_one() -> None:
    found = additions(diagnose(lopsided_sweep(grid_cells(), steps=(1.0,)), settings={}))
    assert {item.params for item in found} <= set(lopsided_sweep(grid_cells()).cell_params)
    assert len({item.params for item in found}) >= 4
    assert len({item.tokens for item in found}) >= 2


def test_a_diagonal_sweep_gets_cells_off_the_diagonal() -> None:
    sweep = lopsided_sweep([(n, 20 * n) for n in (1e8, 1.3e8, 1.6e8)])
    found = additions(diagnose(sweep, settings={}))
    assert {round(item.tokens / item.params) for item in found} == {80, 5}


def test_a_fixed_batch_gets_batches_each_with_several_lrs() -> None:
    sweep = lopsided_sweep(grid_cells(), batches=False)
    fixed = rebuilt(sweep, batch_tokens=np.full(sweep.n_runs, 65_536.0))
    found = [item for item in additions(diagnose(fixed, settings={})) if "best batch" in item.why]
    assert found
    assert all((item.batch_tokens, len(item.lr)) == ((32_768.0, 131_072.0, 262_144.0), 3) for item in found)
    assert all(item.runs == 9 for item in found)


def _optimum(sweep: Sweep, cell: int) -> float:
    return float(evaluate(LAW, params=sweep.cell_params[cell], tokens=sweep.cell_tokens[cell]))


@pytest.mark.parametrize("batches", [True, False])
def test_a_full_grid_needs_nothing_beyond_its_edges(batches: bool) -> None:
    found = additions(diagnose(lopsided_sweep(grid_cells(), batches=batches), settings={}))
    assert not [item for item in found if "beyond" in item.why or "missing" in item.why]
