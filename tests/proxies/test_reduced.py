"""The proof in small: a part of the shipped sweep, a target of 8 times its compute, an honest comparison."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from examples.proxies.reduced import SHIPPED_TARGET, TARGET, compared, proxies
from examples.proxies.runs import read_losses, read_plan
from tests.proxies.test_runs import RUN
from tests.proxies.test_shipped import PROXIES


def test_its_proxies_ship_and_its_target_has_eight_times_their_compute() -> None:
    assert set(proxies()) <= set(read_plan(PROXIES / "sp_plan.csv"))
    largest = max(run.width**2 * run.tokens for run in proxies())
    assert TARGET.width**2 * TARGET.tokens == pytest.approx(8 * largest)


def test_its_shipped_target_runs_are_of_the_target() -> None:
    losses = read_losses(SHIPPED_TARGET)
    assert {(run.width, run.tokens) for run in losses} == {(TARGET.width, TARGET.tokens)}


def test_runs_of_both_sweeps_that_are_the_same_have_the_same_loss() -> None:
    """Made hours apart by two commands."""
    twice = read_losses(SHIPPED_TARGET), read_losses(PROXIES / "sweep.csv")
    both = twice[0].keys() & twice[1].keys()
    assert both
    assert {run: twice[0][run] for run in both} == {run: twice[1][run] for run in both}


def test_losses_that_differ_are_counted() -> None:
    runs = [replace(RUN, seed=seed) for seed in range(4)]
    ours = dict(zip(runs, [2.0, 3.0, nan, 5.0], strict=True))
    shipped = dict(zip(runs[:3], [2.0, 3.3, nan], strict=True))
    found = compared(ours, [{}, shipped])
    assert found == "1 of 2 losses equal the shipped ones bit for bit; largest difference 9.1e-02"
