"""TensorBoard event files, as tensorboardX wrote them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from hptransfer.errors import FileError, HptransferError, UsageError
from hptransfer.readers import read_sweep
from tests.readers.data.runs import simulated_runs
from tests.readers.samples import DATA, opened

RUNS = simulated_runs()[:4]
EVENTS = DATA / "tensorboard"


def test_last_scalars_peak_rates_and_the_folders_name() -> None:
    found = opened(EVENTS)
    by_lr = {row.get("folder.lr"): row for row in found.rows}
    for run in RUNS:
        row = next(
            r
            for r in found.rows
            if r["folder.b"] == str(run["batch_tokens"]) and r["folder.lr"] == str(run["lr"])
        )
        assert row["eval/loss"] == pytest.approx(run["loss"])  # event files hold 32-bit floats
        assert row["logged_peak_lr"] == pytest.approx(run["lr"])
        assert row["train/learning_rate"] == pytest.approx(run["lr"] / 10)
    assert by_lr[""]["hparams.optimizer"] == "adamw"
    assert by_lr[""]["hparams.lr"] == pytest.approx(0.001)
    assert "run with-hparams" in found.places


def test_a_folder_of_events_is_a_sweep_by_its_folders_names(tmp_path: Path) -> None:
    for source in EVENTS.glob("n*"):
        shutil.copytree(source, tmp_path / f"tokens2B_{source.name}")
    columns = {"params": "folder.n", "tokens": "folder.tokens", "lr": "folder.lr", "batch_tokens": "folder.b"}
    sweep = read_sweep(tmp_path, columns={**columns, "loss": "eval/loss"})
    assert sorted(sweep.loss.tolist()) == pytest.approx(sorted(run["loss"] for run in RUNS))
    assert sweep.params.tolist() == [6e7] * 4


def test_a_damaged_file_is_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"\xff" * 100)
    with pytest.raises(HptransferError, match=r"no scalars|damaged"):
        opened(tmp_path)


def test_the_byte_limit_holds() -> None:
    with pytest.raises(FileError, match="--max-bytes"):
        opened(EVENTS, max_bytes=300)


def test_without_tensorboard_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing", None)
    with pytest.raises(UsageError, match=r"pip install 'hptransfer\[tensorboard\]'"):
        opened(EVENTS)
