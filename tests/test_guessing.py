"""What is known before the next run: the published law moved by the runs, points as wide as the doubt."""

from __future__ import annotations

import numpy as np

from hptransfer.guessing import GUESS_STD, REACH, State, begin
from hptransfer.law import Law
from hptransfer.numerics.arrays import FloatArray
from hptransfer.planning import Target, plan
from hptransfer.published import published_law
from hptransfer.sweep import Sweep
from tests.sweeps import chosen, exact_sweep, grid_cells, reordered

TARGET = Target(7e9, 1e12)
CELLS = np.log(grid_cells((1e8, 4e8), (2e9, 8e9)))


def half(sweep: Sweep) -> Sweep:
    """Every run below the middle LR of its cell."""
    middle = np.array([np.median(sweep.lr[sweep.cell == cell]) for cell in range(sweep.n_cells)])
    return chosen(sweep, np.flatnonzero(sweep.lr < middle[sweep.cell]))


def batch_reach(state: State) -> FloatArray:
    """How far points go from the guess in log batch, by cell."""
    away = state.points(CELLS, per_cell=200) - state.guess(CELLS)[:, None]
    return np.asarray(np.abs(away[..., 1]).max(axis=1))


def planned(law: Law) -> FloatArray:
    """Log LR and log batch that the law plans at `CELLS`, (4, 2), compute taken as 6 params tokens."""
    targets = [
        Target(params, tokens, flops_per_token=6 * params) for params, tokens in np.exp(CELLS).tolist()
    ]
    plans = [plan(law, target, rounding="none") for target in targets]
    return np.log([[found.peak_lr or np.nan, found.batch_tokens or np.nan] for found in plans])


def test_without_runs_the_guess_is_the_law_given() -> None:
    law = published_law("step-law")
    np.testing.assert_allclose(begin(TARGET, CELLS, guess=law).guess(CELLS), planned(law), atol=1e-6)


def test_by_default_it_is_the_mean_of_logs_of_comparable_published_laws() -> None:
    """Decayed, AdamW, standard parametrization, batch re-tuned, in scale alone, on runs of their own."""
    laws = [published_law(name) for name in ("step-law", "deepseek-llm", "moonlight", "openeurollm")]
    expected = np.mean([planned(law) for law in laws], axis=0)
    np.testing.assert_allclose(begin(TARGET, CELLS).guess(CELLS), expected, atol=1e-3)


def test_runs_move_the_guess_to_their_optima() -> None:
    """A bowl in |log|, so no quadratic fits it; the middle of each cell is its optimum."""
    sweep = exact_sweep(grid_cells((1e8, 4e8), (2e9, 8e9)))
    middle = [np.median(np.log([sweep.lr, sweep.batch_tokens])[:, sweep.cell == c], axis=1) for c in range(4)]
    cells = np.log(np.column_stack([sweep.cell_params, sweep.cell_tokens]))
    np.testing.assert_allclose(begin(TARGET, cells, sweep).guess(cells), middle, atol=0.35)


def test_the_order_of_rows_does_not_matter() -> None:
    sweep = exact_sweep(grid_cells((1e8, 4e8), (2e9, 8e9)))
    order = np.random.default_rng(0).permutation(sweep.n_runs)
    one, other = (begin(TARGET, CELLS, s).guess(CELLS) for s in (sweep, reordered(sweep, order)))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_another_law_may_be_the_guess() -> None:
    law = published_law("step-law")
    assert law.peak_lr is not None
    moved = law.model_copy(
        update={
            "peak_lr": law.peak_lr.model_copy(update={"log_coefficient": law.peak_lr.log_coefficient + 1})
        }
    )
    difference = begin(TARGET, CELLS, guess=moved).guess(CELLS) - begin(TARGET, CELLS, guess=law).guess(CELLS)
    np.testing.assert_allclose(difference, [[1.0, 0.0]] * len(CELLS), atol=1e-9)


def test_points_are_as_wide_as_bowl_and_doubt() -> None:
    state = begin(TARGET, CELLS)
    batch = batch_reach(state)
    assert (batch > 0.95 * (REACH[1] + GUESS_STD)).all()
    sweep = exact_sweep(grid_cells((1e8, 4e8), (2e9, 8e9)))
    informed = begin(TARGET, CELLS, sweep)
    narrower = np.abs(informed.points(CELLS, per_cell=200) - informed.guess(CELLS)[:, None])[..., 1].max(
        axis=1
    )
    assert (narrower < batch).all()
    assert (narrower > 0.95 * REACH[1]).all()


def test_runs_on_one_side_leave_more_doubt() -> None:
    whole = exact_sweep(grid_cells((1e8, 4e8), (2e9, 8e9)))
    doubts = [
        begin(TARGET, CELLS, sweep).belief.optima_std(np.zeros((1, 2)))[0, 0]
        for sweep in (whole, half(whole))
    ]
    assert doubts[0] < doubts[1]


def test_a_mup_sweep_expects_no_fall_with_size() -> None:
    sweep = exact_sweep(grid_cells((1e8, 4e8), (2e9, 8e9)), setting={"parametrization": "mup"})
    assert begin(TARGET, CELLS, sweep).prior.laws[0, 1] == 0.0
