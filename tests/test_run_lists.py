"""Every list can be read by what it is for, and holds the runs of the design."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from hptransfer.designing import Design, design
from hptransfer.planning import Target
from hptransfer.run_lists import files_of, run_settings, to_csv, to_json, to_slurm, to_wandb


@pytest.fixture(scope="module")
def proposed() -> Design:
    return design(Target(7e9, 1e12), budget_flops=1e20)


def test_csv_has_a_run_a_row_and_a_loss_to_fill_in(proposed: Design) -> None:
    rows = list(csv.DictReader(to_csv(proposed).splitlines()))
    assert [float(row["lr"]) for row in rows] == [run.lr for run in proposed.runs]
    assert {row["loss"] for row in rows} == {""}
    for row in rows:
        steps = float(row["tokens"]) / float(row["batch_tokens"])
        assert float(row["steps"]) == pytest.approx(steps, abs=0.5)


def test_wandb_sweeps_over_runs_not_over_their_product(proposed: Design) -> None:
    content = yaml.safe_load(to_wandb(proposed))
    assert {"program", "method", "metric", "parameters"} == set(content)
    assert (content["method"], list(content["parameters"])) == ("grid", ["run"])
    values = content["parameters"]["run"]["values"]
    assert [json.loads(value) for value in values] == [run_settings(run) for run in proposed.runs]


def test_optuna_and_ray_lists_are_settings(proposed: Design) -> None:
    assert json.loads(to_json(proposed)) == [run_settings(run) for run in proposed.runs]


def test_the_slurm_array_starts_each_row(proposed: Design, tmp_path: Path) -> None:
    """Run by bash, with an `srun` that prints its arguments."""
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "my runs.csv").write_text(to_csv(proposed))
    (tmp_path / "array.sh").write_text(to_slurm(proposed, "my runs.csv"))
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/bash\necho "$@"\n')
    srun.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for task in (1, len(proposed.runs)):
        environment["SLURM_ARRAY_TASK_ID"] = str(task)
        done = subprocess.run(
            [bash, "array.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        settings = run_settings(proposed.runs[task - 1])
        wanted = " ".join(f"--{name} {value}" for name, value in settings.items())
        assert done.stdout.strip() == f"python train.py {wanted}"


def test_slurm_writes_script_and_table(proposed: Design) -> None:
    assert [path for path, _ in files_of(proposed, "out/runs.csv", "slurm")] == [
        "out/runs.csv",
        "out/runs.slurm.sh",
    ]
