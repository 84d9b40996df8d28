"""Backtests: what is held out, prices against brute force, refusals said, verdict true to the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hptransfer.errors import RefusalError
from hptransfer.evidence.backtesting import (
    FORMS,
    KEPT_NAME,
    backtest,
    backtest_to_dict,
    largest_scales,
    select_form,
    track_record,
    with_track_record,
)
from hptransfer.fitting import fit
from hptransfer.sweep import Sweep, sweep_from_arrays, take_cells

SIZES, HORIZONS = np.array([6e7, 1.2e8, 2.4e8, 4.8e8]), np.array([1e9, 4e9, 1.6e10])


def law(params: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.log(900.0) - 0.7 * np.log(params) + 0.02 * np.log(tokens), 0.3 + 0.55 * np.log(tokens)


def noise_free(sizes: np.ndarray = SIZES, horizons: np.ndarray = HORIZONS) -> Sweep:
    """A quadratic bowl around an exact law, on grids centred off the optimum."""
    cells = np.array([(n, d) for n in sizes for d in horizons])
    offsets = np.array([(u, v) for u in np.linspace(-1.5, 1.5, 9) for v in np.linspace(-1.4, 1.4, 9)])
    params, tokens = np.repeat(cells, len(offsets), axis=0).T
    u, v = np.tile(offsets, (len(cells), 1)).T
    lr, batch = law(params, tokens)
    loss = (1.7 + 300 / params**0.34 + 400 / tokens**0.28) * np.exp(0.02 * u**2 - 0.01 * u * v + 0.015 * v**2)
    return sweep_from_arrays(
        params=params, tokens=tokens, lr=np.exp(lr + u), batch_tokens=np.exp(batch + v), loss=loss
    )


def test_the_largest_scales_are_held_out() -> None:
    sweep = noise_free()
    splits = {split.name.split(" from")[0]: split.held_out for split in largest_scales(sweep)}
    assert set(splits) == {"params", "tokens", "compute", "tokens per param"}
    assert sweep.cell_params[splits["params"]].tolist() == [4.8e8] * 3
    assert sweep.cell_tokens[splits["tokens"]].tolist() == [1.6e10] * 4
    compute = sweep.cell_params * sweep.cell_tokens
    assert compute[splits["compute"]].min() > compute[~splits["compute"]].max()


def test_an_exact_law_costs_next_to_nothing_and_the_proxys_best_costs_what_it_must() -> None:
    sweep = noise_free()
    result = backtest(sweep, estimator="near-optimal", resamples=0, published=("step-law",))
    by_params = next(split for split in result.splits if split.name.startswith("params"))
    ours = by_params.methods[0]
    assert ours.method == "near-optimal"
    assert ours.mean_excess == pytest.approx(0.0, abs=3e-4)
    kept = next(m for m in by_params.methods if m.method == KEPT_NAME)
    u = 0.7 * np.log(2.0)  # next smaller size: LR 2^0.7 too high; chords read up to 7e-4 high
    assert max(c.excess for c in kept.cells if c.tokens == 1.6e10) == pytest.approx(
        np.expm1(0.02 * u**2), abs=8e-4
    )


def test_a_refused_fit_is_a_result() -> None:
    """All cells at 20 tokens per param: near-optimal refuses, the others are still priced."""
    sizes = np.array([6e7, 1.2e8, 2.4e8, 4.8e8, 9.6e8])
    collinear = take_cells(noise_free(sizes, sizes * 20), np.eye(5, dtype=bool).ravel())
    result = backtest(collinear, estimator="near-optimal", resamples=0)
    assert all(split.methods[0].refused for split in result.splits)
    assert "No split could be planned" in result.verdict


def test_too_few_cells_are_refused() -> None:
    with pytest.raises(RefusalError, match="nothing to hold out"):
        backtest(noise_free(SIZES[:1], HORIZONS[:2]), estimator="near-optimal")


def test_json_content_carries_the_means() -> None:
    content = backtest_to_dict(backtest(noise_free(), estimator="near-optimal", resamples=0))
    first = content["splits"][0]["methods"][0]
    assert first["mean_excess"] == pytest.approx(np.mean([cell["excess"] for cell in first["cells"]]))


def test_taking_cells_renumbers_them() -> None:
    sweep = noise_free()
    part = take_cells(sweep, sweep.cell_params > 1e8)
    assert part.n_cells == 9
    assert (part.cell_params[part.cell] == part.params).all()
    assert part.n_runs == 9 * 81


def test_a_law_keeps_its_backtest_and_stays_the_same_law() -> None:
    sweep = noise_free()
    law = fit(sweep, estimator="near-optimal", resamples=0)
    kept = with_track_record(law, sweep)
    assert kept.fit is not None
    assert kept.fit.track_record == track_record(backtest(sweep, estimator="near-optimal", resamples=0))
    assert kept.digest() == law.digest()
    held_out = np.logical_or.reduce([split.held_out for split in largest_scales(sweep)])
    assert kept.fit.track_record is not None
    assert kept.fit.track_record.cells == held_out.sum()


def test_a_form_that_is_no_better_does_not_replace_the_default() -> None:
    """The same form under another name loses exactly as much."""
    twin = replace(FORMS[2], name="twin")
    selection = select_form(noise_free(), forms=(FORMS[2], twin))
    assert selection.chosen == FORMS[2]
    assert selection.verdict.startswith("Keep near-optimal")
    assert (selection.scores[1].difference, selection.scores[1].deviation) == (0.0, 0.0)


def test_a_form_replaces_the_default_beyond_two_deviations_of_the_paired_difference() -> None:
    sweep = noise_free()
    rng = np.random.default_rng(0)
    noisy = sweep_from_arrays(
        params=sweep.params,
        tokens=sweep.tokens,
        lr=sweep.lr,
        batch_tokens=sweep.batch_tokens,
        loss=sweep.loss * np.exp(2e-3 * rng.standard_normal(sweep.n_runs)),
    )
    selection = select_form(noisy, forms=(FORMS[2], FORMS[0]))
    score = selection.scores[1]
    assert score.difference is not None
    assert score.deviation is not None
    assert (selection.chosen == FORMS[0]) is (score.difference < -2 * score.deviation)


def test_at_one_batch_every_plan_is_made_for_that_batch() -> None:
    """LR tuned at one batch: the fitted law is priced, and its intervals are judged on LR alone."""
    sweep = noise_free()
    fixed = sweep_from_arrays(
        params=sweep.params,
        tokens=sweep.tokens,
        lr=sweep.lr,
        batch_tokens=np.full(sweep.n_runs, 524_288.0),
        loss=sweep.loss + 1e-4 * np.random.default_rng(0).standard_normal(sweep.n_runs),
    )
    ours = backtest(fixed, estimator="surface", resamples=20).splits[0].methods[0]
    assert ours.refused is None
    assert ours.cells
    assert all(cell.batch_covered is None for cell in ours.cells)
    assert all(cell.lr_covered is not None for cell in ours.cells)
