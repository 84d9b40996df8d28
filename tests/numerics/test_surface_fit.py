"""The surface estimator: recovery, invariances, batched against looped, and choices that follow the sweep."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics import backtest, surface_fit
from hptransfer.numerics.cells import CellRuns, cell_runs, subset, thinned
from hptransfer.numerics.centroids import LawPrior
from hptransfer.numerics.resample import cell_then_run_counts
from hptransfer.numerics.surface import Normal
from hptransfer.numerics.surface_fit import bootstrap_laws, fit_surface, laws_without
from tests.surfaces import BATCH_LAW, LR_LAW, known_runs

FLAT = LawPrior()
SOME = LawPrior(Normal(-0.4, 0.3), Normal(0.0, 0.3), Normal(0.0, 0.15), Normal(0.5, 0.15), Normal(0.5, 0.25))


def test_a_noise_free_cubic_bowl_law_comes_back() -> None:
    """Without a prior, to 1e-6: what is left is the steps' tolerance."""
    fit = fit_surface(known_runs(), FLAT)
    np.testing.assert_allclose(fit.law, [LR_LAW, BATCH_LAW], atol=1e-6)
    assert fit.scores.centroid_share < 0.01
    np.testing.assert_allclose(fit.own_offsets, 0, atol=1e-6)


def test_a_noise_free_law_of_lr_alone_comes_back() -> None:
    fit = fit_surface(known_runs(variables=1), FLAT)
    np.testing.assert_allclose(fit.law[0], LR_LAW, atol=1e-6)


@pytest.mark.parametrize("keep", [1.0, 0.3])
def test_a_noisy_sweep_is_recovered(keep: float) -> None:
    """Within a few percent at the largest cell; the noise is 0.1 % of the loss."""
    runs = known_runs(noise=0.001, keep=keep, seed=3)
    fit = fit_surface(runs, SOME)
    top = np.array([1.0, *(runs.scale[-1] + runs.centre)])
    np.testing.assert_allclose(fit.law @ top, [LR_LAW @ top, BATCH_LAW @ top], atol=0.12)


def test_loss_scale_leaves_exponents_and_scales_the_choices() -> None:
    one, tenth = (fit_surface(known_runs(noise=0.001, loss_scale=s), SOME) for s in (1.0, 0.1))
    np.testing.assert_allclose(tenth.law, one.law, atol=1e-4)
    assert tenth.unit == pytest.approx(0.1 * one.unit, rel=1e-6)
    assert tenth.noise_std == pytest.approx(0.1 * one.noise_std, rel=1e-3)
    assert [s.fade for s in tenth.surfaces] == pytest.approx([0.1 * s.fade for s in one.surfaces])


def test_choices_follow_noise_and_grid_density() -> None:
    """Nothing is a constant: noise moves noise scale, weights and fades; a denser grid moves the weights."""
    quiet, noisy = (fit_surface(known_runs(noise=n), SOME) for n in (0.0003, 0.005))
    assert noisy.noise_std > 5 * quiet.noise_std
    assert noisy.unit > 1.05 * quiet.unit
    weights = [np.append(f.scores.surface_weights, f.scores.centroid_weights) for f in (quiet, noisy)]
    assert np.abs(weights[0] - weights[1]).max() > 0.02
    dense = fit_surface(known_runs(noise=0.005, step=0.25), SOME)
    other = np.append(dense.scores.surface_weights, dense.scores.centroid_weights)
    assert np.abs(other - weights[1]).max() > 0.02


def test_the_unit_of_lr_and_batch_moves_levels_only() -> None:
    runs = known_runs(noise=0.001)
    fit = fit_surface(runs, SOME)
    other = cell_runs(
        *(runs.scale + runs.centre).T,
        cell=runs.cell,
        log_lr=runs.log_lr + 2.0,
        log_batch=runs.log_batch - 7.6,
        log_loss=runs.excess + runs.best[runs.cell],
    )
    moved = fit_surface(other, SOME)
    np.testing.assert_allclose(moved.law, fit.law + np.array([[2.0, 0, 0], [-7.6, 0, 0]]), atol=2e-4)


def test_batched_refits_are_looped_refits() -> None:
    runs = known_runs(noise=0.002, keep=0.5)
    fit = fit_surface(runs, SOME)
    counts = cell_then_run_counts(runs.cell, n_draws=6, rng=np.random.default_rng(0)).astype(float)
    batched = surface_fit._refit(fit, counts, steps=2, free_own=2)
    looped = np.concatenate([surface_fit._refit(fit, row[None], steps=2, free_own=2) for row in counts])
    np.testing.assert_allclose(batched, looped, atol=1e-9)


def test_every_run_once_gives_the_fit_back() -> None:
    runs = known_runs(noise=0.002)
    fit = fit_surface(runs, SOME)
    once = surface_fit._refit(fit, np.ones((1, runs.n_runs)), steps=2, free_own=None)[0]
    np.testing.assert_allclose(once, fit.law, atol=2e-3)


def test_draws_do_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are drawn chunk by chunk from one generator; only the number of draws must hold."""
    runs = known_runs(noise=0.002, keep=0.4)
    fit = fit_surface(runs, SOME)
    monkeypatch.setattr(surface_fit, "CHUNK_REFITS", 7)
    draws = bootstrap_laws(fit, n_draws=40, rng=np.random.default_rng(0))
    assert draws.shape == (40, 2, 3)
    assert np.isfinite(draws).all()
    assert 0 < draws[:, 0, 1].std() < 0.2


def test_a_left_out_cell_moves_the_law_and_nothing_left_out_does_not() -> None:
    runs = known_runs(noise=0.003)
    fit = fit_surface(runs, SOME)
    masks = np.zeros((2, runs.n_cells), dtype=np.bool_)
    masks[1, -1] = True
    none, one = laws_without(fit, masks)
    assert np.abs(none - fit.law).max() < np.abs(one - fit.law).max()


@pytest.mark.parametrize(
    ("params", "keep"), [((1e8,), 0.15), (tuple(np.geomspace(1e7, 1e9, 34).tolist()), 0.2)]
)
def test_few_and_many_cells_fit(params: tuple[float, ...], keep: float) -> None:
    """Three cells with a handful of runs each, and 102 cells with about ten."""
    fit = fit_surface(known_runs(noise=0.001, params=params, keep=keep), SOME)
    assert np.isfinite(fit.law).all()
    assert np.isfinite(fit.covariance).all()
    assert fit.law[1, 2] == pytest.approx(BATCH_LAW[2], abs=0.2)


def test_cells_with_one_batch_do_not_pull_the_batch_law() -> None:
    """A third of the cells ran at four times their best batch only."""
    runs = known_runs(noise=0.0005, keep=0.8)
    wrong = np.flatnonzero(runs.cell % 3 == 2)
    batch = runs.log_batch.copy()
    kept = np.ones(runs.n_runs, dtype=np.bool_)
    for cell in np.unique(runs.cell[wrong]):
        here = np.flatnonzero(runs.cell == cell)
        level = np.max(batch[here])
        kept[here] = batch[here] == level
    rows = np.flatnonzero(kept)
    log_loss = runs.excess + runs.best[runs.cell]
    chosen = cell_runs(
        *(runs.scale + runs.centre).T,
        cell=runs.cell[rows],
        log_lr=runs.log_lr[rows],
        log_batch=batch[rows],
        log_loss=log_loss[rows],
    )
    assert chosen.searched.sum() == 6
    fit = fit_surface(chosen, SOME)
    assert fit.law[1, 2] == pytest.approx(BATCH_LAW[2], abs=0.06)


def test_thinning_keeps_every_cell_its_best_run_and_the_spread_of_losses() -> None:
    runs = known_runs(noise=0.001)
    sample = subset(runs, thinned(runs, n_runs=runs.n_runs // 5))
    assert sample.n_runs == pytest.approx(runs.n_runs / 5, abs=runs.n_cells)
    np.testing.assert_allclose(np.minimum.reduceat(sample.excess, sample.starts), 0)
    assert np.median(sample.excess) == pytest.approx(np.median(runs.excess), rel=0.1)


def test_a_fit_to_thinned_runs_is_carried_over_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = known_runs(noise=0.001, step=0.2)
    whole = fit_surface(runs, SOME)
    monkeypatch.setattr(surface_fit, "SELECTION_ELEMENTS", 8 * runs.n_runs)
    fit = fit_surface(runs, SOME)
    assert fit.selection_runs < runs.n_runs
    np.testing.assert_allclose(fit.law[:, 1:], whole.law[:, 1:], atol=0.02)


def _scale(n_cells: int) -> CellRuns:
    return known_runs(params=tuple(np.geomspace(1e7, 1e9, n_cells // 3).tolist()), keep=0.3)


def test_folds_leave_out_each_cell_once_and_the_upper_thirds() -> None:
    folds = backtest.hold_out_folds(known_runs().scale)
    assert (folds[:9] == np.eye(9, dtype=bool)).all()
    assert folds[9:].sum(axis=1).tolist() == [3, 3, 4]  # the last with a tie
    many = backtest.hold_out_folds(_scale(150).scale)
    assert len(many) == backtest.MAX_GROUPS + 3
    assert (many[: backtest.MAX_GROUPS].sum(axis=0) == 1).all()
