"""The simulated sweep: labelled, deterministic, and with the faults that real sweeps have."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from hptransfer.fitting import fit
from hptransfer.simulation import HORIZONS, TRUTH, Truth, best_loss, simulate, simulate_csv, true_optimum
from hptransfer.sweep import Sweep, sweep_from_arrays


def _sweep(seed: int = 0) -> Sweep:
    columns = simulate(seed=seed)
    return sweep_from_arrays(
        params=columns["params"],
        tokens=columns["tokens"],
        lr=columns["lr"],
        batch_tokens=columns["batch_tokens"],
        loss=columns["loss"],
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert simulate_csv(seed=3) == simulate_csv(seed=3)
    assert simulate_csv(seed=3) != simulate_csv(seed=4)


def test_every_row_says_that_it_is_simulated() -> None:
    rows = list(csv.DictReader(io.StringIO(simulate_csv())))
    assert len(rows) > 500
    assert all(row["run"].startswith("simulated-") and row["dataset"] == "simulated" for row in rows)
    assert len({row["run"] for row in rows}) == len(rows)


def test_the_csv_holds_what_was_simulated() -> None:
    columns = simulate(seed=1)
    rows = list(csv.DictReader(io.StringIO(simulate_csv(seed=1))))
    for name in ("params", "tokens", "lr", "batch_tokens", "steps", "loss"):
        written = np.array([float(row[name]) for row in rows])
        np.testing.assert_allclose(written, columns[name], rtol=1e-5)


def test_tokens_are_steps_times_batch_and_stay_in_their_cell() -> None:
    columns = simulate()
    np.testing.assert_array_equal(columns["tokens"], columns["steps"] * columns["batch_tokens"])
    assert len(np.unique(columns["tokens"])) > len(HORIZONS)
    assert _sweep().n_cells == 14


def test_lr_labels_are_rounded_in_two_ways() -> None:
    """The same lattice value appears with three and with four digits inside one cell."""
    columns = simulate()
    assert len(np.unique(columns["lr"])) > len(np.unique(_sweep().lr))


@pytest.mark.parametrize("seed", range(4))
def test_a_corner_diverged_a_corner_is_missing_and_one_cell_stops_short(seed: int) -> None:
    sweep = _sweep(seed)
    assert 0 < sweep.diverged.sum() < sweep.n_runs / 5
    runs_per_cell = np.bincount(sweep.cell)
    assert runs_per_cell.max() < 9 * 6
    law = fit(sweep, resamples=0)
    assert law.fit is not None
    assert [c.edges for c in law.fit.cells if c.edges] == [("lr-high",)]
    assert "edge-optimum" in [note.code for note in law.warnings]


def test_diverged_runs_have_high_lrs_for_their_batch() -> None:
    columns = simulate()
    ratio = np.log(columns["lr"] / true_optimum(columns["params"], columns["tokens"])[0])
    assert ratio[np.isnan(columns["loss"])].min() > ratio[np.isfinite(columns["loss"])].mean()


def test_the_loss_is_lowest_at_the_true_optimum_and_steeper_above_it() -> None:
    """Without noise no run beats the loss of the optimum; 2x too high costs more than 2x too low."""
    quiet = Truth(noise=0.0, noise_growth=0.0)
    columns = simulate(truth=quiet)
    floor = best_loss(columns["params"], columns["tokens"])
    excess = columns["loss"] - floor
    assert np.nanmin(excess) > -1e-4  # losses are written with five digits, tokens differ by a step
    lr, batch = true_optimum(columns["params"], columns["tokens"])
    same_batch = np.abs(np.log(columns["batch_tokens"] / batch)) < 0.4
    factor = np.log2(columns["lr"] / lr)
    high, low = (np.nanmean(excess[same_batch & (np.abs(factor - side) < 0.3)]) for side in (1.5, -1.5))
    assert high > 1.5 * low


def test_noise_grows_with_the_excess_loss() -> None:
    residual = simulate(seed=0)["loss"] - simulate(seed=0, truth=Truth(noise=0.0, noise_growth=0.0))["loss"]
    excess = simulate(seed=0, truth=Truth(noise=0.0, noise_growth=0.0))["loss"]
    columns = simulate(seed=0)
    excess = excess - best_loss(columns["params"], columns["tokens"])
    far = excess > 0.05
    assert np.nanstd(residual[far]) > 1.5 * np.nanstd(residual[excess < 0.01])


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_finds_the_truth_roughly(seed: int) -> None:
    """Ten times beyond the sweep, the fitted law is within a factor 1.35 of the truth."""
    law = fit(_sweep(seed), resamples=0)
    for part, truth in zip((law.peak_lr, law.batch_tokens), true_optimum(5e9, 2.5e11), strict=True):
        assert part is not None
        logs = {"params": np.log(5e9), "tokens": np.log(2.5e11)}
        predicted = part.log_coefficient + sum(e * logs[str(k)] for k, e in part.exponents.items())
        assert abs(predicted - np.log(truth)) < np.log(1.35)


def test_the_truth_is_no_published_law() -> None:
    assert (TRUTH.lr_params, TRUTH.lr_tokens, TRUTH.batch_tokens) not in {(-0.713, 0.307, 0.571)}
