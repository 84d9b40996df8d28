"""The report: optima by hand, prices by hand, and the page that shows them."""

from __future__ import annotations

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
    assert found[0] == pytest.approx(BEST_LR, rel=0.05)
    assert found[1] == pytest.approx(BEST_BATCH, rel=0.05)


def test_another_seeds_luck_moves_no_optimum() -> None:
    """All losses with seed 1 are lower by as much; only some points were run with it."""
    lucky = {replace(at, seed=1): loss - 0.05 for at, loss in LOSSES.items() if at.lr > 0.01}
    assert measured_optimum(LOSSES | lucky) == pytest.approx(measured_optimum(LOSSES), rel=0.05)
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
