"""TensorBoard event files, one folder a run (needs the extra `tensorboard`).

The last value of each scalar counts; of learning rates the largest is kept too, as `logged_peak_lr`, because
the last one is the end of the schedule. Settings are logged hyperparameters (`hparams.NAME`) and numbers in
the folder's name (`folder.NAME`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hptransfer.errors import FileError, UsageError, plain
from hptransfer.readers.folders import FolderReader, folder_reader, numbers_in_name
from hptransfer.readers.records import MAX_HEADERS, FlatRecord, plain_value
from hptransfer.readers.streams import file_sha256, spend_file
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place

MISSING = "event files need tensorboard: pip install 'hptransfer[tensorboard]', or export the runs as CSV."
_EVENTS = ".tfevents."
_HPARAMS = "_hparams_/session_start_info"
_LEARNING_RATES = ("learning_rate", "lr")


def _recognizes(place: Place) -> bool:
    files = place.files if place.is_folder else (Path(place.path),)
    return any(_EVENTS in file.name for file in files)


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    loader = _loader(place.path)
    folder, files = folder_reader(place, ledger)
    runs = _named_runs(folder, files, ledger, loader)
    yield folder.open_table(runs, empty="no scalars in the event files of this folder.")


def _loader(path: str) -> ModuleType:
    """Import TensorBoard's reader of event files.

    Raises:  UsageError saying what to install.
    """
    try:
        from tensorboard.backend.event_processing import event_file_loader
    except ImportError as error:
        msg = f"{plain(path)}: {MISSING}"
        raise UsageError(msg) from error
    module: ModuleType = event_file_loader
    return module


def _named_runs(
    folder: FolderReader, files: Sequence[Path], ledger: Ledger, loader: ModuleType
) -> Iterator[tuple[str, FlatRecord]]:
    by_run: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        if _EVENTS in file.name:
            by_run[file.parent].append(file)
    for run, event_files in by_run.items():
        values: FlatRecord = {}
        for file in event_files:
            spend_file(str(file), ledger.budget)
            values = _with_events(values, file, loader)
            folder.count(file, file_sha256(str(file)))
        if values:
            name = folder.relative(run)
            yield name, numbers_in_name(name) | values


def _with_events(values: FlatRecord, file: Path, loader: ModuleType) -> FlatRecord:
    """Return the values with those of a further event file; later ones replace earlier ones."""
    from google.protobuf.message import DecodeError

    updated = dict(values)
    try:
        for event in loader.EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                _note(updated, value)
            if len(updated) > MAX_HEADERS:
                raise FileError(file, f"more than {MAX_HEADERS:,} different tags: not a table of runs.")
    except (DecodeError, OSError, ValueError) as error:
        raise FileError(file, f"damaged, or not an event file ({plain(error)}).") from error
    return updated


def _note(values: FlatRecord, value: Any) -> None:
    """Take over one logged value: a scalar, or the hyperparameters of the run."""
    from tensorboard.plugins.hparams import metadata
    from tensorboard.util import tensor_util

    if value.tag == _HPARAMS:
        about = metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
        for name, stored in about.hparams.items():
            values[f"hparams.{name}"] = plain_value(getattr(stored, stored.WhichOneof("kind") or "", None))
        return
    if value.metadata.plugin_data.plugin_name not in {"scalars", ""} or not value.HasField("tensor"):
        return
    entry = tensor_util.make_ndarray(value.tensor)
    if entry.size != 1 or entry.dtype.kind not in "fiu":
        return
    number = float(entry.item())
    values[value.tag] = number
    if value.tag.replace(".", "/").rsplit("/", 1)[-1].lower() in _LEARNING_RATES:
        values["logged_peak_lr"] = max(number, float(values.get("logged_peak_lr", number)))


FORMAT = Format("tensorboard", "TensorBoard event files", _recognizes, _open)
