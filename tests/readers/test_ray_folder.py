"""Ray Tune's results, as Ray 2.60 wrote them (pickles and event files left out)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hptransfer.errors import InputError
from hptransfer.readers import read_sweep
from tests.readers.data.runs import simulated_runs
from tests.readers.samples import DATA, opened

RUNS = simulated_runs()[:4]
NAMES = ("params", "tokens", "lr", "batch_tokens", "optimizer", "seq_len", "steps", "run")
COLUMNS = {**{name: f"config/run/{name}" for name in NAMES}, "loss": "eval_loss"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "ray", tmp_path / "ray")


def test_the_last_result_of_each_trial_counts(results: Path) -> None:
    found = opened(results)
    assert found.column("config/run/lr") == [run["lr"] for run in RUNS]
    assert found.column("eval_loss") == [run["loss"] for run in RUNS[:3]] + [9.0]
    assert found.column("state") == ["finished"] * 3 + ["failed"]
    assert all(place.startswith("run ray_trial_") for place in found.places)


def test_progress_csv_stands_in_for_a_result_that_is_not_there(results: Path) -> None:
    before = opened(results)
    for file in results.rglob("result.json"):
        file.unlink()
    after = opened(results)
    assert [float(v) for v in after.column("eval_loss")] == before.column("eval_loss")
    assert after.column("config/run/lr") == before.column("config/run/lr")


def test_single_result_files_are_trials(results: Path) -> None:
    files = sorted(results.rglob("result.json"))[:3]
    sweep = read_sweep(files, columns=COLUMNS)
    assert sweep.loss.tolist() == [run["loss"] for run in RUNS[:3]]


@pytest.mark.parametrize(("name", "text"), [("params.json", "{oops"), ("result.json", '{"eval_loss": 3\n')])
def test_a_damaged_file_is_named(results: Path, name: str, text: str) -> None:
    next(results.rglob(name)).write_text(text)
    with pytest.raises(InputError, match=rf"ray_trial_\w+/{name}: .*not valid JSON"):
        opened(results)
