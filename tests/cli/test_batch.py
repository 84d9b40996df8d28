"""`batch`: exponent and critical batch of a sweep, a table of tuned runs, and what a sweep lacks."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from hptransfer.sweep import Sweep
from tests.batches.test_critical import known_sweep, table
from tests.cli.conftest import Run
from tests.sweeps import chosen


def write(path: Path, sweep: Sweep) -> str:
    rows = zip(sweep.params, sweep.tokens, sweep.lr, sweep.batch_tokens, sweep.loss, strict=True)
    lines = [",".join(f"{value:.12g}" for value in row) for row in rows]
    path.write_text("\n".join(["params,tokens,lr,batch_tokens,loss", *lines]) + "\n")
    return path.name


def test_a_sweep_answers_both_questions(run: Run, tmp_path: Path) -> None:
    name = write(tmp_path / "sweep.csv", known_sweep(noise=0.0005))
    shown = run("batch", name, "--params-kind", "total")
    text = " ".join(shown.out.split())
    assert shown.code == 0
    assert "Best LR at fixed params and tokens: B^0.4" in text
    assert "a loss takes E_min (1 + B / B_crit) tokens at batch B." in text
    content = json.loads(run("batch", name, "--json").out)
    assert content["lr_exponent"]["value"] == pytest.approx(0.4, abs=0.05)
    assert content["critical_batch"]["law"]["exponents"]["tokens"] == pytest.approx(0.462, abs=0.02)
    assert len(content["critical_batch"]["levels"]) == 9


def test_the_next_command_reads_the_sweep_as_it_was_read(run: Run, tmp_path: Path) -> None:
    """A copied line must fit the rows that were studied, from a file whose name has blanks in it."""
    name = write(tmp_path / "my sweep.csv", known_sweep(noise=0.0005))
    shown = run("batch", name, "--params-kind", "total", "--where", "tokens!=1")
    assert shown.err.splitlines()[-1] == (
        f"next: hptransfer fit \"{name}\" --where 'tokens!=1' --params-kind total -o law.json"
    )


def test_a_table_of_tuned_runs(run: Run, tmp_path: Path) -> None:
    points = table(one_loss=True)
    rows = zip(points.batch_tokens, points.tokens / points.batch_tokens, points.loss, strict=True)
    (tmp_path / "runs.csv").write_text(
        "\n".join(["batch_tokens,steps,loss", *(",".join(map(repr, map(float, row))) for row in rows)])
    )
    content = json.loads(run("batch", "runs.csv", "--tuned", "--json").out)
    level = content["critical_batch"]["levels"][0]
    assert level["critical_batch"] == pytest.approx(1e6, rel=1e-3)
    assert level["tokens_min"] == pytest.approx(3e9, rel=1e-3)
    assert content["lr_exponent"] is None


def test_one_answer_is_given_and_the_other_explained(run: Run, tmp_path: Path) -> None:
    sweep = known_sweep()
    name = write(tmp_path / "sweep.csv", chosen(sweep, sweep.tokens == 1e10))
    outcome = run("batch", name)
    assert outcome.code == 0
    assert "Best LR at fixed params and tokens" in outcome.out
    assert "warning [no-critical-batch]: tokens-not-varied" in outcome.err


def test_neither_ends_with_2_and_both_reasons(run: Run, tmp_path: Path) -> None:
    sweep = known_sweep()
    name = write(tmp_path / "sweep.csv", chosen(sweep, sweep.batch_tokens == np.min(sweep.batch_tokens)))
    outcome = run("batch", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("one-batch:") == 2


def test_a_batch_of_zero_is_a_bad_row(run: Run, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("batch_tokens,steps,loss\n0,500,3.0\n2000,300,3.0\n")
    outcome = run("batch", "runs.csv", "--tuned")
    assert outcome.code == 2
    assert "batch_tokens" in outcome.err


def test_a_law_fitted_to_it_prices_time_against_compute(run: Run, tmp_path: Path) -> None:
    name = write(tmp_path / "sweep.csv", known_sweep(noise=0.0005, small_batch_cost=0.02))
    options = (
        "--estimator",
        "near-optimal",
        "--resamples",
        "100",
        "--params-kind",
        "total",
        "-o",
        "law.json",
    )
    assert run("fit", name, *options).code == 0
    target = ("plan", "--law", "law.json", "--params", "9e8", "--tokens", "5e10", "--params-kind", "total")
    shown = run(*target, "--time-vs-compute")
    assert "Batches, in tokens per step" in shown.out
    assert "Steps against tokens for loss" in shown.out
    content = json.loads(run(*target, "--time-vs-compute", "--json").out)
    assert set(content["batches"]) >= {"optimal_tokens", "acceptable_tokens", "critical_tokens"}
    front = content["time_vs_compute"]["front"]
    assert sum(one["is_plan"] for one in front) == 1
    for one, twice in itertools.pairwise(front):
        assert one["steps"] > twice["steps"]
        assert one["tokens"] < twice["tokens"]


def test_refusals_of_time_vs_compute(run: Run, tmp_path: Path) -> None:
    target = ("plan", "--law", "step-law", "--params", "1e9", "--tokens", "6e10", "--time-vs-compute")
    refused = run(*target)
    assert (refused.code, refused.out) == (2, "")
    assert "has no critical batch here" in refused.err
    (tmp_path / "targets.csv").write_text("params,tokens\n1e9,6e10\n")
    many = run("plan", "--law", "step-law", "--targets", "targets.csv", "--time-vs-compute")
    assert many.code == 2
    assert "--time-vs-compute" in many.err
