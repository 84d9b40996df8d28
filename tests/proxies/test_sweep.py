"""The sweep: no run lost, none doubled, whenever it is killed. The trainer is a fake one, without torch."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from examples.proxies.runs import write_plan
from examples.proxies.sweep import cost, main, sweep
from tests.proxies.fake_trainer import LR_THAT_KILLS_ITS_WORKER
from tests.proxies.killing import finish, kill_until_done, without_times
from tests.proxies.test_runs import RUN

TRAINER = "tests.proxies.fake_trainer"
RUNS = [replace(RUN, lr=lr, seed=seed) for seed in range(6) for lr in (0.002, 0.004, 0.008, 0.016, 0.032)]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    write_plan(tmp_path / "plan.csv", RUNS)
    return tmp_path / "plan.csv"


def test_killed_and_resumed_equals_uninterrupted(plan: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    took_s = finish(plan, whole, TRAINER)
    rng = random.Random(0)
    kills = kill_until_done(plan, killed, TRAINER, rng, longest_s=took_s)
    assert kills > 0
    assert without_times(killed) == without_times(whole)
    assert [row["run"] for row in without_times(whole)] == [run.name for run in RUNS]


def test_finished_runs_are_not_made_again(tmp_path: Path) -> None:
    output = tmp_path / "results.csv"
    assert sweep(RUNS[:3], output, trainer=TRAINER, workers=1) == 3
    before = output.read_bytes()
    assert sweep(RUNS[:3], output, trainer=TRAINER, workers=1) == 0
    assert output.read_bytes() == before
    assert sweep(RUNS[:5], output, trainer=TRAINER, workers=1) == 2


def test_a_killed_worker_ends_the_sweep_in_words_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, output = tmp_path / "plan.csv", tmp_path / "results.csv"
    write_plan(plan, [RUNS[0], replace(RUN, lr=LR_THAT_KILLS_ITS_WORKER)])
    options = ["-o", str(output), "--trainer", TRAINER, "--workers", "1"]
    monkeypatch.setattr("sys.argv", ["sweep", str(plan), *options])
    with pytest.raises(SystemExit, match=r"A worker was killed\. .* start again to go on"):
        main()
    assert [row["run"] for row in without_times(output)] == [RUNS[0].name]


def test_a_step_costs_something_even_in_a_small_batch() -> None:
    assert cost(replace(RUN, batch_tokens=8)) > cost(RUN)
    assert cost(replace(RUN, width=48)) > cost(RUN)
