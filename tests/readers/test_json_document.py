"""JSON arrays and folders of JSON files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from hptransfer.errors import FileError, InputError
from hptransfer.readers import folders, json_document, read_sweep
from tests.readers.data.runs import simulated_runs
from tests.readers.samples import opened

RUNS = simulated_runs()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["runs.json", "runs.txt"])
def test_an_array_is_a_table(tmp_path: Path, indent: int | None, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(RUNS, indent=indent))
    assert read_sweep(tmp_path / name).loss.tolist() == [run["loss"] for run in RUNS]


def test_a_folder_of_objects_is_a_table(tmp_path: Path) -> None:
    for i, run in enumerate(RUNS[:3]):
        (tmp_path / f"{i}.json").write_text(
            json.dumps({"config": run, "lr": {"value": run["lr"], "desc": None}}, indent=1)
        )
    (tmp_path / "more.json.gz").write_bytes(gzip.compress(json.dumps(RUNS[3:5]).encode()))
    found = opened(tmp_path)
    assert [row.get("lr") for row in found.rows] == [run["lr"] for run in RUNS[:3]] + [
        run["lr"] for run in RUNS[3:5]
    ]
    assert found.places == [
        "run 0.json",
        "run 1.json",
        "run 2.json",
        "run more.json.gz:1",
        "run more.json.gz:2",
    ]


def test_levanters_metrics_files_are_runs(tmp_path: Path) -> None:
    """One object with config and summary in each run's folder, as marin publishes them."""
    for run in RUNS[:2]:
        folder = tmp_path / run["run"]
        folder.mkdir()
        config = {"optimizer": {"learning_rate": run["lr"]}, "trainer": {"train_batch_size": 32}}
        summary = {
            "parameter_count": run["params"],
            "throughput/total_tokens": run["tokens"],
            "eval/bpb": 0.9,
        }
        (folder / "tracker_metrics.jsonl").write_text(
            json.dumps({"config": config, "summary": summary}) + "\n"
        )
    found = opened(tmp_path)
    assert found.column("config.optimizer.learning_rate") == [run["lr"] for run in RUNS[:2]]
    assert found.column("summary.throughput/total_tokens") == [run["tokens"] for run in RUNS[:2]]


def test_what_is_wrong_is_named_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"lr": 1}')
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.jsonl").write_text('{"lr": 1}\n[]\n')
    (tmp_path / "d.json").write_text('{"a":' * 40 + "1" + "}" * 40)
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    text = str(caught.value)
    assert "b.json: not valid JSON" in text
    assert "c.jsonl: line 2: got []" in text
    assert "d.json: nested deeper than 16 levels" in text


@pytest.mark.parametrize("text", ["[\n]", '[{"lr": 1}', "[1]"])
def test_unusable_documents_are_input_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="need an array of JSON objects, one a run"):
        opened(tmp_path / "a.json")


def test_a_document_too_long_to_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_document, "MAX_JSON_CHARACTERS", 1000)
    monkeypatch.setattr(folders, "MAX_JSON_CHARACTERS", 1000)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(RUNS, indent=1))
    for place in (path, tmp_path):
        with pytest.raises(FileError, match="1,000 characters"):
            opened(place)
