"""`design` from nothing and from a sweep: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run

TARGET = ("--target", "params=7e9,tokens=1e12", "--budget-flops", "1e20")


def test_a_first_sweep_filled_in_is_the_next_sweep(run: Run, tmp_path: Path) -> None:
    """The CSV it writes, with losses, is what `fit` and the next `design` read."""
    made = run("design", *TARGET, "-o", "runs.csv")
    assert made.code == 0
    assert "expected 90 % intervals" in made.out
    assert made.err.splitlines()[-1] == "next: hptransfer fit runs.csv"
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    for row in rows:
        n, d, lr, batch = (float(row[name]) for name in ("params", "tokens", "lr", "batch_tokens"))
        u, v = np.log(lr / (1.79 * n**-0.713 * d**0.307)), np.log(batch / (0.58 * d**0.571))
        floor = 1.69 + 406.4 / n**0.34 + 410.7 / d**0.28
        row["loss"] = str(floor * np.exp(0.02 * u**2 - 0.02 * u * v + 0.016 * v**2))
    with (tmp_path / "done.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    fitted = run("fit", "done.csv", "--resamples", "0")
    assert fitted.code == 0, fitted.err
    again = run("design", *TARGET, "--sweep", "done.csv", "--json")
    assert again.code == 0, again.err
    content = json.loads(again.out)
    assert content["guess"] == "published-laws and 12 runs"
    assert content["flops"] <= 1e20


@pytest.mark.parametrize("name", ["csv", "wandb", "optuna", "ray"])
def test_lists_go_to_stdout_alone(run: Run, name: str) -> None:
    made = run("design", *TARGET, "--format", name, "-o", "-")
    assert made.code == 0
    assert "expected" not in made.out
    assert "26000000" in made.out


def test_slurm_writes_both_files(run: Run, tmp_path: Path) -> None:
    assert run("design", *TARGET, "--format", "slurm", "-o", "runs.csv").code == 0
    assert "#SBATCH --array=1-12" in (tmp_path / "runs.slurm.sh").read_text()
    assert (tmp_path / "runs.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--target", "7e9", "--budget-flops", "1e20"), "need params=7e9,tokens=1e12"),
        (("--target", "params=7e9,tokens=1e12", "--budget-flops", "1e10"), "cheapest"),
        (("--target", "params=7e9,tokens=1e12", "--budget-flops", "much"), "need a positive number"),
        ((*TARGET, "--format", "yaml"), "need one of csv, wandb"),
        ((*TARGET, "--format", "slurm"), "two files"),
        ((*TARGET, "--sweep", "none.csv"), "none.csv"),
    ],
)
def test_what_cannot_be_meant_exits_2(run: Run, arguments: tuple[str, ...], match: str) -> None:
    outcome = run("design", *arguments)
    assert outcome.code == 2
    assert match in outcome.err


def test_the_next_line_fits_runs_beside_the_sweep_they_were_chosen_for(run: Run, tmp_path: Path) -> None:
    """The sweep's header says what params count, the list's does not; runs of a cell have its exact size."""
    sweep = Path(__file__).resolve().parents[2] / "examples" / "proxies" / "sweep.csv"
    (tmp_path / "sweep.csv").write_text(sweep.read_text())
    larger = ("--target", "params=1e6,tokens=1e8", "--budget-flops", "1e13")
    made = run("design", *larger, "--sweep", "sweep.csv", "-o", "runs.csv")
    assert made.code == 0, made.err
    command = made.err.splitlines()[-1].removeprefix("next: hptransfer ")
    assert command == "fit sweep.csv runs.csv --params-kind non-embedding"
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert {row["tokens"] for row in rows} <= {"98304", "294912", "786432", "1572864", "3145728"}
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"loss": "2.3"} for row in rows)
    fitted = run(*command.split(), "--resamples", "0")
    assert fitted.code == 0, fitted.err
