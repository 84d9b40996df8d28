"""The report: optima by hand, prices by hand, and the page that shows them."""

from __future__ import annotations

import random
from dataclasses import replace
from math import log, nan

import pytest

from examples.proxies.advising import Advice, ProofTarget
from examples.proxies.report import best_lr_at, judge, measured_optimum, table, with_tables
from examples.proxies.runs import Run

TARGET = ProofTarget("sp", width=8, tokens=2**20, sweep="sweep.csv")
BEST_LR, BEST_BATCH = 0.01, 256.0


def run(lr: float, batch: int, seed: int = 0) -> Run:
    return Run("sp", 8, 2**20, batch, lr, seed)


def bowl(at: Run) -> float:
    """A loss whose best LR and batch are known, with the valley along LR ~ batch^1/2."""
    v = log(at.batch_tokens / BEST_BATCH)
    u = log(at.lr / BEST_LR) - 0.5 * v
    return 2.0 * (1 + 0.01 * u**2 + 0.005 * v**2) + 0.001 * at.seed


LOSSES = {
    at: bowl(at)
    for at in (run(0.01 * 2 ** (k / 2), b) for k in range(-4, 5) for b in (64, 128, 256, 512, 1024))
}


def test_the_measured_optimum_is_the_bowls() -> None:
    found = measured_optimum(LOSSES)
    assert found is not None
    assert found.lr == pytest.approx(BEST_LR, rel=1e-3)
    assert found.batch_tokens == pytest.approx(BEST_BATCH, rel=1e-3)
    assert found.lr_range == pytest.approx((BEST_LR, BEST_LR), rel=1e-3)  # no noise, nothing to redraw


def test_noise_widens_the_range_of_the_optimum_and_the_range_holds_it() -> None:
    rng = random.Random(0)
    found = measured_optimum({at: loss * (1 + rng.gauss(0, 1e-3)) for at, loss in LOSSES.items()})
    assert found is not None
    for true, (low, high) in ((BEST_LR, found.lr_range), (BEST_BATCH, found.batch_range)):
        assert low < true < high < 2 * low


def test_an_optimum_beyond_the_runs_is_not_made_up() -> None:
    assert measured_optimum({at: loss for at, loss in LOSSES.items() if at.batch_tokens >= 512}) is None
    assert measured_optimum({at: loss for at, loss in LOSSES.items() if at.batch_tokens == 256}) is None


def test_another_seeds_luck_moves_no_optimum() -> None:
    """All losses with seed 1 are lower by as much; only some points were run with it."""
    lucky = {replace(at, seed=1): loss - 0.05 for at, loss in LOSSES.items() if at.lr > 0.01}
    both, one = measured_optimum(LOSSES | lucky), measured_optimum(LOSSES)
    assert both is not None
    assert one is not None
    assert both.lr == pytest.approx(one.lr, rel=1e-3)
    assert both.batch_tokens == pytest.approx(one.batch_tokens, rel=1e-3)
    assert best_lr_at(LOSSES | lucky, 256) == pytest.approx(best_lr_at(LOSSES, 256), rel=1e-3)


def test_the_best_lr_at_a_batch_lies_in_the_valley() -> None:
    assert best_lr_at(LOSSES, 256) == pytest.approx(BEST_LR, rel=0.01)
    assert best_lr_at(LOSSES, 1024) == pytest.approx(2 * BEST_LR, rel=0.01)
    assert best_lr_at(LOSSES, 4096) is None


def test_prices_are_over_the_best_run_and_intervals_are_judged() -> None:
    advised = [
        Advice("hptransfer", "a", 0.01, 256, 0.01, 0.008, 0.012, 256, 300, 400),
        Advice("fixed-batch", "b", 0.01, 1024, 0.01, 0.005, 0.015),
        Advice("wild", "c", 5.0, 256),
    ]
    losses = (
        LOSSES | {run(5.0, 256): nan} | {run(0.01, 256, seed): bowl(run(0.01, 256, seed)) for seed in (1, 2)}
    )
    ours, fixed, wild = judge(TARGET, advised, losses)
    assert (ours.excess, ours.mean_excess, ours.lr_held, ours.batch_held) == (0.0, 0.0, True, False)
    assert fixed.excess == pytest.approx(bowl(run(0.01, 1024)) / 2 - 1)
    assert (fixed.lr_held, fixed.batch_held) == (False, None)  # the best LR at that batch is 0.02
    shown = table(TARGET, advised, losses).splitlines()
    assert shown[2].startswith(
        "| **hptransfer** | 0.01 | 256 | 0.00% | 0.00% | 0.008 to 0.012 held; 300 to 400 missed"
    )
    assert wild.advice.method in shown[-1]
    assert "blew up" in shown[-1]


def test_a_page_without_marks_stays_as_it_is() -> None:
    assert with_tables("no tables here\n", ["sp-n4-d2"]) == "no tables here\n"
