"""Ray Tune's folder of results: one trial folder each with params.json, result.json and progress.csv.

The last reported result counts, as in `ResultGrid.get_dataframe()`, and columns are named as there
(`config/lr`, nested values joined by `/`). A trial with an error.txt failed; `done` says nothing, as Ray 2.60
writes false for finished trials too. The pickles beside them are never opened.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hptransfer.readers.folders import FolderReader, folder_reader
from hptransfer.readers.records import FlatRecord, flat_record, json_value
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place

_PARAMS, _RESULT, _PROGRESS, _ERROR = "params.json", "result.json", "progress.csv", "error.txt"


def _recognizes(place: Place) -> bool:
    if place.is_folder:
        return bool(_trials(place.files))
    path = Path(place.path)
    return path.name in {_RESULT, _PROGRESS} and (path.parent / _PARAMS).is_file()


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    folder, files = folder_reader(place, ledger)
    empty = "no Ray Tune trials in this folder; need TRIAL/params.json with a result.json or progress.csv."
    yield folder.open_table(_named_trials(folder, files), empty=empty)


def _trials(files: Sequence[Path]) -> dict[Path, set[str]]:
    """Return the names of the files of each trial folder."""
    names: dict[Path, set[str]] = {}
    for file in files:
        if file.name in {_PARAMS, _RESULT, _PROGRESS, _ERROR}:
            names.setdefault(file.parent, set()).add(file.name)
    return {
        trial: found for trial, found in names.items() if _PARAMS in found and found & {_RESULT, _PROGRESS}
    }


def _named_trials(folder: FolderReader, files: Sequence[Path]) -> Iterator[tuple[str, FlatRecord]]:
    for trial, names in _trials(files).items():
        values = _last_result(folder, trial / _RESULT) if _RESULT in names else {}
        if not values and _PROGRESS in names:
            values = _last_row(folder, trial / _PROGRESS)
        values |= folder.flat_json(trial / _PARAMS, prefix="config/", separator="/")
        values["state"] = "failed" if _ERROR in names else "finished"
        yield folder.relative(trial), values


def _last_result(folder: FolderReader, file: Path) -> FlatRecord:
    """Return the last object of a file of JSON lines; empty after noting a problem."""
    last = ""
    for line in folder.lines(file):
        last = line if line.strip() else last
    if not last:
        return {}
    try:
        parsed = json_value(last)
        return flat_record(parsed, separator="/") if isinstance(parsed, dict) else {}
    except ValueError as error:
        folder.problem(file, f"the last line is {error}.")
        return {}


def _last_row(folder: FolderReader, file: Path) -> FlatRecord:
    """Return the last row of a CSV file; empty where there is none."""
    rows = csv.reader(folder.lines(file))
    headers, last = next(rows, []), []
    try:
        for row in rows:
            last = row
    except csv.Error as error:
        folder.problem(file, f"{error}.")
    return dict(zip(headers, last, strict=False))  # the last row may be cut off


FORMAT = Format("ray", "a Ray Tune results folder", _recognizes, _open)
