"""Folders of Hugging Face Trainer runs, of the shape that `TrainerState.save_to_json` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hptransfer.errors import FileError, InputError
from hptransfer.readers import read_sweep
from tests.readers.data.runs import Run, simulated_runs
from tests.readers.samples import opened

RUNS = simulated_runs()


def state(run: Run, *, steps_done: int | None = None, losses: Sequence[float] = ()) -> dict[str, Any]:
    """Return the fields that matter here, and the traps among the others."""
    done = run["steps"] if steps_done is None else steps_done
    evals = [
        {"step": i, "eval_loss": loss, "eval_runtime": 1.0} for i, loss in enumerate(losses or (run["loss"],))
    ]
    return {
        "best_metric": None,
        "epoch": 1.0,
        "global_step": done,
        "max_steps": run["steps"],
        "num_input_tokens_seen": run["tokens"],
        "train_batch_size": 8,
        "total_flos": 1e15,
        "log_history": [
            {"step": 1, "loss": 9.0, "learning_rate": run["lr"] / 2, "grad_norm": 1.0},
            {"step": 2, "loss": 3.9, "learning_rate": run["lr"]},
            *evals,
            {"step": done, "train_loss": 4.5, "train_runtime": 1.0, "total_flos": 1e15},
        ],
    }


def write_run(folder: Path, run: Run, *, settings: dict[str, Any] | None = None, **changed: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer_state.json").write_text(json.dumps(state(run, **changed), indent=2))
    (folder / "training_args.bin").write_bytes(b"\x80\x04never opened")
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 2048}')
    if settings is not None:
        (folder / "sweep.json").write_text(json.dumps(settings))
    return folder


def test_losses_and_settings_come_together(tmp_path: Path) -> None:
    for i, run in enumerate(RUNS):
        settings = {name: run[name] for name in ("params", "lr", "batch_tokens")}
        write_run(tmp_path / f"run-{i:02d}", run, settings=settings)
    columns = {name: f"sweep.{name}" for name in ("params", "lr", "batch_tokens")}
    sweep = read_sweep(tmp_path, columns={**columns, "tokens": "num_input_tokens_seen", "loss": "eval_loss"})
    for name in ("params", "tokens", "lr", "batch_tokens", "loss"):
        assert getattr(sweep, name).tolist() == [run[name] for run in RUNS], name
    assert sweep.where(0) == "run run-00"


def test_settings_may_come_from_the_folders_name(tmp_path: Path) -> None:
    run = RUNS[0]
    found = opened(write_run(tmp_path / "out" / "lr-5e-4_bs=32,n60M", run).parent)
    (row,) = found.rows
    assert (row["folder.lr"], row["folder.bs"], row["folder.n"]) == ("5e-4", "32", "60M")
    assert row["logged_peak_lr"] == run["lr"]
    assert (row["loss"], row["eval_loss"]) == (3.9, run["loss"])
    assert "train_loss" not in row  # the mean over the whole run
    assert "train_batch_size" not in row  # per device
    assert "tokenizer_config.model_max_length" not in row


def test_the_last_checkpoint_stands_for_a_run_that_has_no_state_of_its_own(tmp_path: Path) -> None:
    run = RUNS[0]
    for step in (90, 500, 1000):
        write_run(tmp_path / "a" / f"checkpoint-{step}", run, steps_done=step, losses=[10.0 - step / 1000])
    (tmp_path / "a" / "sweep.json").write_text('{"lr": 0.001}')
    found = opened(tmp_path)
    assert found.places == ["run a"]
    assert found.column("eval_loss") == [9.0]
    assert found.column("sweep.lr") == [0.001]
    assert found.column("state") == ["interrupted"]


def test_a_state_file_given_by_name_is_its_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", RUNS[0], settings={"lr": 0.5})
    assert opened(folder / "trainer_state.json").column("sweep.lr") == [0.5]


def test_a_nan_loss_is_kept(tmp_path: Path) -> None:
    write_run(tmp_path / "a", RUNS[0], losses=[3.0, float("nan")])
    assert str(opened(tmp_path).column("eval_loss")) == "[nan]"


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    write_run(tmp_path / "a", RUNS[0])
    (tmp_path / "a" / "trainer_state.json").write_text("{\n  oops")
    with pytest.raises(InputError, match=r"a/trainer_state\.json: not valid JSON .* at line 2"):
        opened(tmp_path)


def test_a_pickle_is_refused_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x04\x95cos\nsystem\n")
    with pytest.raises(FileError, match="a pickle, which could run any code when opened, so it never is"):
        opened(tmp_path / "training_args.bin")
