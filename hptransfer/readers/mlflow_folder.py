"""MLflow's file store: `mlruns/<experiment>/<run>/` with a file for each parameter, metric and tag.

`params/<name>` holds the value; `metrics/<name>` lines of `timestamp value step`; `meta.yaml` the run's name
and state. Names with `/` are subfolders. Columns are named as `mlflow.search_runs` names them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hptransfer.readers.folders import FolderReader
from hptransfer.readers.mlflow_sqlite import STATUS, is_own_tag
from hptransfer.readers.records import FlatRecord
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place

_META = "meta.yaml"
_KINDS = ("params", "metrics", "tags")
_TRASH = ".trash"
_META_LINE = re.compile(r"(\w+):\s*'?([^']*?)'?\s*")


def _recognizes(place: Place) -> bool:
    return place.is_folder and bool(_runs(place))


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    folder = FolderReader(place, ledger)
    empty = "no MLflow runs in this folder (deleted ones do not count); need mlruns/EXPERIMENT/RUN/meta.yaml."
    yield folder.open_table(_named_runs(folder, _runs(place)), empty=empty)


def _runs(place: Place) -> dict[Path, list[Path]]:
    """Return each run's folder with its files: those whose meta.yaml has params or metrics beside it."""
    meta_of = {file.parent for file in place.files if file.name == _META and _TRASH not in file.parts}
    runs: dict[Path, list[Path]] = defaultdict(list)
    for file in place.files:
        kind_folder = next((folder for folder in file.parents if folder.name in _KINDS), None)
        if kind_folder is not None and kind_folder.parent in meta_of:
            runs[kind_folder.parent].append(file)
    return runs


def _named_runs(folder: FolderReader, runs: dict[Path, list[Path]]) -> Iterator[tuple[str, FlatRecord]]:
    experiments: dict[Path, str] = {}
    for run, files in runs.items():
        about = _meta(folder, run / _META)
        if about.get("lifecycle_stage") == "deleted":
            continue
        if run.parent not in experiments:
            named = run.parent / _META
            experiments[run.parent] = _meta(folder, named).get("name", "") if named.is_file() else ""
        status = about.get("status", "")
        values: FlatRecord = {
            "run_id": about.get("run_id", run.name),
            "status": STATUS.get(status, status),
            "experiment": experiments[run.parent] or run.parent.name,
        }
        for file in files:
            values |= _entry(folder, run, file)
        yield about.get("run_name") or run.name, values


def _entry(folder: FolderReader, run: Path, file: Path) -> FlatRecord:
    """Return the one value that a file of a run holds, by its column."""
    kind, *names = file.relative_to(run).parts
    key = "/".join(names)
    if kind == "tags" and is_own_tag(key):
        return {}
    if kind == "metrics":
        return {f"metrics.{key}": _latest(folder, file)}
    return {f"{kind}.{key}": folder.text(file).strip()}


def _latest(folder: FolderReader, file: Path) -> str:
    """Return the value at a metric's last step (then last time); "" after noting a problem."""
    latest, value = (-1, -1), ""
    for number, line in enumerate(folder.lines(file), start=1):
        fields = line.split()
        try:
            timestamp, text, step = int(fields[0]), fields[1], int(fields[2] if len(fields) > 2 else 0)
        except (IndexError, ValueError):
            folder.problem(file, f"line {number} is not `timestamp value step`.")
            return ""
        if (step, timestamp) >= latest:
            latest, value = (step, timestamp), text
    return value


def _meta(folder: FolderReader, file: Path) -> dict[str, str]:
    """Read the flat `key: value` lines of a meta.yaml."""
    matches = map(_META_LINE.fullmatch, folder.lines(file))
    return {match[1]: match[2] for match in matches if match}


FORMAT = Format("mlflow-folder", "MLflow's folder of runs (mlruns)", _recognizes, _open)
