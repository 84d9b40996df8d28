"""Cells, LR levels and diverged runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptransfer.sweep import FloatArray, Sweep, diverged_runs, group_cells, lr_levels, sweep_from_arrays
from tests.strategies import Columns, grid_columns, jittered_sweeps


def arrays(columns: Columns) -> dict[str, FloatArray]:
    return {name: np.array(values, dtype=float) for name, values in columns.items()}


def build(columns: Columns) -> Sweep:
    return sweep_from_arrays(**arrays(columns))  # type: ignore[arg-type]


def test_labels_within_the_tolerance_are_one_cell_and_the_commonest_names_it() -> None:
    params = np.array([1.02e8, 1e8, 1e8, 2e8])
    tokens = np.array([1e9, 1.005e9, 1.01e9, 1e9])
    cells = group_cells(params, tokens, tolerance=0.02)
    assert cells.index.tolist() == [0, 0, 0, 1]
    assert cells.params.tolist() == [1e8, 2e8]
    assert cells.tokens.tolist() == [1.005e9, 1e9]  # all labels differ: the median


def test_labels_beyond_the_tolerance_are_cells_of_their_own() -> None:
    cells = group_cells(np.array([1e8, 1.021e8]), np.array([1e9, 1e9]), tolerance=0.02)
    assert cells.index.tolist() == [0, 1]


def test_cells_are_sorted_by_params_then_tokens_and_share_the_size_label() -> None:
    params = np.array([2.01e8, 1e8, 2e8, 2e8, 1e8])
    tokens = np.array([1e9, 9e9, 3e9, 3e9, 2e9])
    cells = group_cells(params, tokens, tolerance=0.02)
    assert list(zip(cells.params, cells.tokens, strict=True)) == [
        (1e8, 2e9),
        (1e8, 9e9),
        (2e8, 1e9),
        (2e8, 3e9),
    ]
    assert cells.index.tolist() == [2, 1, 3, 3, 0]


@given(jittered_sweeps())
@settings(max_examples=50, deadline=None)
def test_jitter_within_the_tolerance_keeps_the_cells(drawn: tuple[Columns, int]) -> None:
    columns, n_cells = drawn
    sweep = build(columns)
    assert sweep.n_cells == n_cells
    assert np.bincount(sweep.cell).tolist() == [12] * n_cells


@given(jittered_sweeps(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_row_order_does_not_change_the_cells(drawn: tuple[Columns, int], random: object) -> None:
    columns = arrays(drawn[0])
    order = np.arange(len(columns["lr"]))
    random.shuffle(order)  # type: ignore[attr-defined]
    sweep = sweep_from_arrays(**columns)  # type: ignore[arg-type]
    shuffled = sweep_from_arrays(**{name: values[order] for name, values in columns.items()})  # type: ignore[arg-type]
    assert shuffled.cell_params.tolist() == sweep.cell_params.tolist()
    assert shuffled.cell_tokens.tolist() == sweep.cell_tokens.tolist()
    assert shuffled.cell.tolist() == sweep.cell[order].tolist()
    assert shuffled.lr.tolist() == sweep.lr[order].tolist()


def test_lr_labels_that_differ_in_rounding_become_one_level_inside_a_cell() -> None:
    lr = np.array([2.76e-3, 2.762e-3, 2.762e-3, 2.76e-3, 3.9e-3])
    cell = np.array([0, 0, 0, 1, 0])
    assert lr_levels(lr, cell).tolist() == [2.762e-3, 2.762e-3, 2.762e-3, 2.76e-3, 3.9e-3]


def test_lrs_drawn_at_random_are_not_chained_into_one_level() -> None:
    lr = np.exp(np.random.default_rng(0).uniform(np.log(1e-4), np.log(1e-2), 5_000))
    assert np.abs(lr_levels(lr, np.zeros(5_000, dtype=np.int64)) / lr - 1).max() <= 0.005


def test_a_run_diverged_when_its_loss_is_not_finite_or_far_above_its_cells_best() -> None:
    loss = np.array([3.0, 3.59, 3.61, np.nan, np.inf, 9.0, np.nan])
    cell = np.array([0, 0, 0, 0, 0, 1, 2])
    diverged = diverged_runs(loss, cell, n_cells=3)
    assert diverged.tolist() == [False, False, True, True, True, False, True]


def test_a_sweep_is_read_only_and_leaves_its_inputs_alone() -> None:
    columns = arrays(grid_columns())
    before = {name: values.copy() for name, values in columns.items()}
    sweep = sweep_from_arrays(**columns)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        sweep.lr[0] = 1.0
    columns["lr"][0] *= 2
    assert sweep.lr[0] == before["lr"][0]
    assert sweep.line.tolist() == list(range(1, sweep.n_runs + 1))


def test_an_empty_sweep_has_no_cells() -> None:
    empty = np.empty(0)
    assert group_cells(empty, empty, tolerance=0.02).params.tolist() == []
