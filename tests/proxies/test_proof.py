"""The proof: a plan has to be committed before its target is trained, and what is trained lies around it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from examples.proxies.advising import TARGETS, Advice
from examples.proxies.proof import around, best_two, blob_hash, require_committed
from examples.proxies.runs import Run


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_only_a_committed_plan_may_be_trained(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    plan = tmp_path / "plan.csv"
    plan.write_text("method,lr\n", encoding="utf-8")
    with pytest.raises(ValueError, match="commit the plan before its target is trained"):
        require_committed(plan)
    git(tmp_path, "add", "plan.csv")
    git(tmp_path, "commit", "-q", "-m", "plan")
    assert require_committed(plan) == git(tmp_path, "hash-object", "plan.csv") == blob_hash(plan)
    plan.write_text("method,lr\nedited,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="commit the plan"):
        require_committed(plan)


@pytest.mark.parametrize("batch", [384, 512])
def test_seven_rates_at_the_planned_batch_and_three_batches_at_the_planned_rate(batch: int) -> None:
    runs = list(around(TARGETS["sp-n4-d2"], Advice("hptransfer", "fitted-1", 0.004, batch)))
    for run in runs:
        run.require_runnable()
    assert len({run.name for run in runs}) == 13
    at_batch = sorted(run.lr / 0.004 for run in runs if run.batch_tokens == batch)
    assert at_batch == pytest.approx([2 ** (k / 2) for k in range(-3, 4)], rel=1e-3)
    assert sorted(run.batch_tokens / batch for run in runs if run.lr == 0.004) == [0.5, 1, 2]


def test_the_best_two_are_found_among_runs_that_did_not_blow_up() -> None:
    runs = [Run("sp", 8, 64, 8, lr, 0) for lr in (1.0, 2.0, 4.0, 8.0)]
    losses = dict(zip(runs, [3.0, 2.0, float("nan"), 1.0], strict=True))
    assert [run.lr for run in best_two(runs, losses)] == [8.0, 2.0]
