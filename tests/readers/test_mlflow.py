"""MLflow's stores, as MLflow 3.17 wrote them."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from hptransfer.errors import FileError, InputError
from hptransfer.readers import read_sweep
from tests.readers.data.runs import simulated_runs
from tests.readers.samples import DATA, opened, unpacked

RUNS = simulated_runs()[:4]
TROUBLED = ["simulated-nan", "simulated-inf", "simulated-failed"]
COLUMNS = {
    **{name: f"params.{name}" for name in ("params", "tokens", "lr", "batch_tokens", "optimizer")},
    "loss": "metrics.eval/loss",
}


@pytest.fixture(params=["database", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked("mlflow.db", tmp_path) if request.param == "database" else DATA / "mlruns"


def test_both_stores_give_settings_and_last_metrics(store: Path) -> None:
    found = opened(store)
    by_name = dict(zip(found.places, found.rows, strict=True))
    assert sorted(by_name) == sorted(f"run {name}" for name in [*TROUBLED, *(run["run"] for run in RUNS)])
    for run in RUNS:
        row = by_name[f"run {run['run']}"]
        assert (row["params.lr"], row["params.optimizer"]) == (str(run["lr"]), "adamw")
        assert float(row["metrics.eval/loss"]) == run["loss"]
        assert (row["status"], row["experiment"]) == ("FINISHED", "simulated")
    assert math.isnan(float(by_name["run simulated-nan"]["metrics.eval/loss"]))
    assert by_name["run simulated-inf"]["metrics.eval/loss"] in {math.inf, "inf"}
    assert by_name["run simulated-failed"]["status"] == "FAILED"
    assert not any(header.startswith("tags.mlflow") for header in found.rows[0])


def test_both_stores_are_sweeps(store: Path) -> None:
    sweep = read_sweep(store, columns=COLUMNS)
    finite = ~sweep.diverged & (sweep.loss < 9)
    assert sorted(sweep.loss[finite].tolist()) == sorted(run["loss"] for run in RUNS)
    assert sorted(sweep.where(int(row)) for row in sweep.diverged.nonzero()[0])[-2:] == [
        "run simulated-inf",
        "run simulated-nan",
    ]


def test_problems_name_the_run_or_the_file(tmp_path: Path) -> None:
    store = shutil.copytree(DATA / "mlruns", tmp_path / "mlruns")
    metric = next(store.rglob("eval/loss"))
    metric.write_text("1795418945684 4.0 1\noops\n")
    with pytest.raises(InputError, match=r"eval/loss: line 2 is not `timestamp value step`"):
        opened(store)
    metric.write_text("1 4.0 1\n")
    next(store.rglob("params/lr")).write_text("fast")
    with pytest.raises(InputError, match=r"run simulated-.*, params\.lr: got 'fast'"):
        read_sweep(store, columns=COLUMNS)


def test_the_digest_of_a_store_covers_its_files(tmp_path: Path) -> None:
    store = shutil.copytree(DATA / "mlruns", tmp_path / "mlruns")
    before = opened(store).sha256
    assert before == opened(DATA / "mlruns").sha256
    next(store.rglob("params/lr")).write_text("0.5")
    assert opened(store).sha256 != before


def test_the_byte_limit_holds_for_folders_and_databases(store: Path) -> None:
    with pytest.raises(FileError, match="--max-bytes"):
        opened(store, max_bytes=200)
