"""The surface hands over what each cell's loss is at its fitted optimum."""

from __future__ import annotations

import io

import numpy as np
import pytest

from hptransfer.estimators.common import Estimate, FitOptions
from hptransfer.estimators.surface import fit_sweep
from hptransfer.fitting import fit
from hptransfer.losses.fitting import loss_part
from hptransfer.losses.points import sweep_points
from hptransfer.readers import read_sweep
from hptransfer.simulation import best_loss, simulate_csv
from hptransfer.sweep import FloatArray, Sweep, sweep_from_arrays
from tests.sweeps import chosen, noisy_sweep

OPTIONS = FitOptions(
    estimator="surface", prior="weak", seed=0, resamples=0, threshold=0.0025, batch_on=("tokens",)
)
FLOOR = 2.5  # of every cell of `noisy_sweep`


def _floors(sweep: Sweep) -> FloatArray:
    estimate: Estimate = fit_sweep(sweep, OPTIONS)
    assert estimate.floors is not None
    return estimate.floors


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_floors_scatter_less_around_the_best_loss_than_winners_do(seed: int) -> None:
    """`best_loss` is the simulation's closed form; its runs carry noise of 0.1 %."""
    sweep = read_sweep("-", stdin=io.BytesIO(simulate_csv(seed=seed).encode()))
    truth = best_loss(sweep.cell_params, sweep.cell_tokens)
    floor, winner = (np.log(loss / truth) for loss in (_floors(sweep), sweep_points(sweep).loss))
    assert floor.std() < 0.5 * winner.std()
    assert np.abs(floor).max() < 1e-3


def test_floors_of_many_runs_near_the_optimum_are_free_of_the_winners_curse() -> None:
    sweep = noisy_sweep(noise=0.004)
    floor, winner = _floors(sweep) - FLOOR, sweep_points(sweep).loss - FLOOR
    assert winner.mean() < -0.004
    assert abs(floor.mean()) < 0.001


def test_a_noise_free_bowl_gives_its_bottom() -> None:
    np.testing.assert_allclose(_floors(noisy_sweep(noise=0.0)), FLOOR, rtol=2e-4)


def test_floors_are_in_the_unit_of_the_sweep() -> None:
    sweep = noisy_sweep()
    finished = chosen(sweep, ~sweep.diverged)
    perplexity = sweep_from_arrays(
        params=finished.params,
        tokens=finished.tokens,
        lr=finished.lr,
        batch_tokens=finished.batch_tokens,
        loss=np.exp(finished.loss),
        loss_unit="perplexity",
    )
    same = chosen(finished, ~perplexity.diverged)
    np.testing.assert_allclose(np.log(_floors(perplexity)), _floors(same), rtol=1e-9)


def test_a_cell_without_a_search_has_no_floor() -> None:
    sweep = noisy_sweep()
    last = sweep.cell == sweep.n_cells - 1
    floors = _floors(chosen(sweep, ~last | (sweep.lr == sweep.lr[last].min())))
    assert np.isnan(floors).tolist() == [False] * (sweep.n_cells - 1) + [True]


def test_the_loss_law_of_a_fit_rests_on_floors() -> None:
    sweep = read_sweep("-", stdin=io.BytesIO(simulate_csv().encode()))
    law = fit(sweep, resamples=0)
    on_floors, _ = loss_part(sweep, floors=_floors(sweep), seed=0, resamples=0)
    on_winners, _ = loss_part(sweep, seed=0, resamples=0)
    assert law.loss == on_floors != on_winners
