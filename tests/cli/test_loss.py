"""`hptransfer loss` end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hptransfer.cli import loss
from tests.cli.conftest import Run
from tests.losses.test_fitting import points
from tests.strategies import csv_text


def _write(path: Path, **more: list[object]) -> None:
    made = points(noise=0.002)
    columns: dict[str, list[object]] = {
        "params": made.params.tolist(),
        "tokens": made.tokens.tolist(),
        "loss": made.loss.tolist(),
    }
    path.write_text(csv_text(columns | more))


def test_the_example_of_the_help(run: Run, tmp_path: Path) -> None:
    _write(tmp_path / "points.csv")
    done = run(*loss.EXAMPLE.removeprefix("Example: hptransfer ").split())
    assert done.code == 0
    assert "Expected loss at 7B params, 1T tokens" in done.out
    assert "held out" in done.out
    without_target = run("loss", "points.csv")
    assert without_target.err.splitlines()[-1].startswith("next: hptransfer loss points.csv --params")


def test_json_holds_law_target_and_hold_out(run: Run, tmp_path: Path) -> None:
    _write(tmp_path / "points.csv")
    target = ("--params", "7B", "--tokens", "1T", "--hold-out", "4", "--resamples", "30", "--json")
    content = json.loads(run("loss", "points.csv", *target).out)
    assert set(content) == {"law", "target", "hold_out", "warnings"}
    assert content["target"]["interval"][0] < content["target"]["loss"] < content["target"]["interval"][1]
    assert content["hold_out"]["held_out"] > 0


def test_runs_that_differ_in_lr_and_rows_without_a_loss_are_named(run: Run, tmp_path: Path) -> None:
    made = points()
    _write(tmp_path / "points.csv", lr=[1e-3] * len(made))
    text = (tmp_path / "points.csv").read_text()
    extra = text.splitlines()[1].rsplit(",", 2)[0] + ",2.9,2e-3\n5e7,1e9,,1e-3\n"
    (tmp_path / "points.csv").write_text(text + extra)
    done = run("loss", "points.csv", "--resamples", "0")
    assert (done.code, "untuned-runs" in done.err, "rows-set-aside" in done.err) == (0, True, True)


def test_points_without_any_noise_are_no_error(run: Run, tmp_path: Path) -> None:
    """Nine points of one exact law: held-out compute is predicted to the last digit."""
    rows = [
        f"{n},{d},{1.8 + 480 / n**0.35 + 2080 / d**0.37}" for n in (1e7, 1e8, 1e9) for d in (1e9, 1e10, 1e11)
    ]
    (tmp_path / "points.csv").write_text("\n".join(["params,tokens,loss", *rows]) + "\n")
    done = run("loss", "points.csv", "--params", "7e9", "--tokens", "1e12", "--json")
    assert done.code == 0
    expected = 1.8 + 480 / 7e9**0.35 + 2080 / 1e12**0.37
    assert abs(json.loads(done.out)["target"]["loss"] / expected - 1) < 1e-3


def test_half_a_target_and_a_missing_column_are_usage_errors(run: Run, tmp_path: Path) -> None:
    _write(tmp_path / "points.csv")
    half = run("loss", "points.csv", "--params", "7B")
    assert (half.code, "both --params and --tokens" in half.err) == (2, True)
    (tmp_path / "bad.csv").write_text("params,tokens\n1e9,2e10\n")
    missing = run("loss", "bad.csv")
    assert (missing.code, "no column for loss" in missing.err) == (2, True)


def test_a_fitted_law_carries_its_loss_law_to_the_plan(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    assert run("fit", "sweep.csv", "--params-kind", "non-embedding", "--resamples", "100").code == 0
    target = ("--params", "1e9", "--tokens", "5e10", "--params-kind", "non-embedding", "--json")
    planned = json.loads(run("plan", "--law", "law.json", *target).out)
    assert planned["loss_interval"][0] < planned["loss"] < planned["loss_interval"][1]
    assert planned["loss_slope"] < 0
    assert np.isfinite(planned["loss"])


def test_a_pinned_batch_is_told_its_own_loss_not_that_of_the_optimum(run: Run) -> None:
    run("simulate", "-o", "sweep.csv")
    assert run("fit", "sweep.csv", "--params-kind", "non-embedding", "--resamples", "100").code == 0
    target = ("--law", "law.json", "--params", "1e8", "--tokens", "2e9", "--params-kind", "non-embedding")
    free = json.loads(run("plan", *target, "--json").out)
    far = ("--batch-tokens", str(round(4 * free["rounded"]["batch_tokens"])))
    pinned = json.loads(run("plan", *target, *far, "--json").out)
    assert pinned["loss"] == free["loss"]
    assert pinned["run_loss"] == pytest.approx(pinned["loss"] * (1 + pinned["excess"]))
    assert pinned["run_loss"] > free["run_loss"] >= free["loss"]
    assert pinned["run_loss_interval"][0] < pinned["run_loss"] < pinned["run_loss_interval"][1]
    (row,) = (line for line in run("plan", *target, *far).out.splitlines() if "expected loss" in line)
    low, high = (f"{end:.4f}" for end in pinned["run_loss_interval"])
    assert row.split()[2:7] == [f"{pinned['run_loss']:.4f}", f"{pinned['loss']:.4f}", low, "to", high]
