"""Folders of Hugging Face `Trainer` runs: one trainer_state.json each, with the sweep's own config beside it.

The state has the logged losses and learning rates, but not the settings: those come from JSON files in the
run's folder (`training_args.json`, `config.json`, ..., read as `training_args.learning_rate`) and from
numbers in the folder's name (`lr-3e-3_bs-64`, read as `folder.lr`). training_args.bin is a pickle and never
opened. Of a run that has checkpoint folders only, the last checkpoint counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hptransfer.readers.folders import FolderReader, folder_reader, numbers_in_name
from hptransfer.readers.records import FlatRecord, plain_value
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place, Value

STATE = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_NO_SETTINGS = re.compile(
    r"trainer_state|.*tokenizer.*|special_tokens_map|added_tokens|vocab|generation_config|.*\.index"
    r"|(all|train|eval)_results|preprocessor_config|chat_template"
)
_MAX_SETTINGS_BYTES = 1 << 20


def _recognizes(place: Place) -> bool:
    if place.is_folder:
        return any(file.name == STATE for file in place.files)
    return Path(place.path).name == STATE


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    folder, files = folder_reader(place, ledger)
    yield folder.open_table(_named_runs(folder, files), empty=f"no {STATE} in this folder.")


def _named_runs(folder: FolderReader, files: Sequence[Path]) -> Iterator[tuple[str, FlatRecord]]:
    for run, state_file in _last_states(files).items():
        state = folder.json(state_file)
        if not isinstance(state, dict):
            continue
        name = folder.relative(run)
        yield name, _settings(folder, run, state_file, files) | numbers_in_name(name) | _results(state)


def _last_states(files: Sequence[Path]) -> dict[Path, Path]:
    """Return each run's folder with its state file: its own, else that of the last checkpoint in it."""
    steps: dict[Path, tuple[float, Path]] = {}
    for file in files:
        if file.name != STATE:
            continue
        checkpoint = _CHECKPOINT.fullmatch(file.parent.name)
        run = file.parent.parent if checkpoint else file.parent
        step = float(checkpoint[1]) if checkpoint else float("inf")
        steps[run] = max(steps.get(run, (-1.0, file)), (step, file))
    return {run: file for run, (_, file) in steps.items()}


def _settings(folder: FolderReader, run: Path, state_file: Path, files: Sequence[Path]) -> FlatRecord:
    """Return what the JSON files beside the state, and in the run's folder, say about the run."""
    settings: FlatRecord = {}
    for file in files:
        is_beside = file.parent in {run, state_file.parent} and file.suffix == ".json"
        if not is_beside or _NO_SETTINGS.fullmatch(file.stem) or file.stat().st_size > _MAX_SETTINGS_BYTES:
            continue
        settings |= folder.flat_json(file, prefix=f"{file.stem}.")
    return settings


def _results(state: Mapping[str, Any]) -> FlatRecord:
    """Return the last loss of each kind, and how far the run came.

    `train_batch_size` is left out: it is per device, of a number of devices that the state does not say.
    """
    history = [entry for entry in state.get("log_history") or () if isinstance(entry, dict)]
    results: FlatRecord = {
        name: _last(history, name)
        for name in dict.fromkeys(key for entry in history for key in entry)
        if _is_loss(name)
    }
    rates = [rate for entry in history if isinstance(rate := entry.get("learning_rate"), int | float)]
    if rates:
        results["logged_peak_lr"] = max(rates)
    done, planned = state.get("global_step"), state.get("max_steps")
    is_cut_short = isinstance(done, int) and isinstance(planned, int) and done < planned
    results |= {
        "global_step": plain_value(done),
        "num_input_tokens_seen": plain_value(state.get("num_input_tokens_seen") or None),
        "state": "interrupted" if is_cut_short else "finished",
    }
    return results


def _is_loss(name: str) -> bool:
    """Whether a logged name is a loss at a step; `train_loss` is HF's mean over the whole run."""
    return (name == "loss" or name.endswith("_loss")) and name != "train_loss"


def _last(history: Sequence[Mapping[str, Any]], name: str) -> Value:
    return next(plain_value(entry[name]) for entry in reversed(history) if name in entry)


FORMAT = Format("hf", "Hugging Face Trainer runs (trainer_state.json)", _recognizes, _open)
