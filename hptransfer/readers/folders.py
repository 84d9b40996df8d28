"""A folder of runs as files in a fixed order, read within the limits of the sweep and hashed together."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hptransfer.errors import FileError
from hptransfer.readers.records import FlatRecord, Record, RecordTable, flat_record, json_value
from hptransfer.readers.streams import open_text
from hptransfer.readers.tables import Ledger, OpenTable, Place

MAX_FILES = 1_000_000
MAX_FOLDER_DEPTH = 16
MAX_JSON_CHARACTERS = 1 << 26
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:[kKMGBT]i?)?"
_NAMED_NUMBER = re.compile(rf"(?<![A-Za-z0-9.])([A-Za-z][A-Za-z_]*?)[=_-]?({_NUMBER})(?![A-Za-z0-9.])")


def files_below(path: str) -> tuple[Path, ...]:
    """Return all files below a folder, sorted by path; links to folders are not followed.

    Raises:  FileError beyond `MAX_FILES` files or `MAX_FOLDER_DEPTH` levels.
    """
    root = Path(path)
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        if len(Path(folder).parts) - len(root.parts) > MAX_FOLDER_DEPTH:
            raise FileError(path, f"folders nested deeper than {MAX_FOLDER_DEPTH} levels.")
        subfolders.sort()
        found.extend(Path(folder) / name for name in names)
        if len(found) > MAX_FILES:
            raise FileError(path, f"more than {MAX_FILES:,} files; give a folder that holds the runs only.")
    return tuple(sorted(found))


class FolderReader:
    """Reads files of a folder; spends the sweep's byte budget, and hashes names and contents as it goes."""

    def __init__(self, place: Place, ledger: Ledger) -> None:
        self.place = place
        self._root = Path(place.path)
        self._ledger = ledger
        self._hash = hashlib.sha256()

    def lines(self, file: Path) -> Iterator[str]:
        """Yield the lines of a text file, plain or gzip-compressed."""
        with open_text(str(file), budget=self._ledger.budget) as source:
            yield from source.lines
            self._hash.update(f"{self.relative(file)}\0{source.sha256()}\n".encode())

    def text(self, file: Path) -> str:
        """Return a whole text file; FileError when it is very long."""
        parts, length = [], 0
        for line in self.lines(file):
            parts.append(line)
            length += len(line)
            if length > MAX_JSON_CHARACTERS:
                raise FileError(file, f"more than {MAX_JSON_CHARACTERS:,} characters in one document.")
        return "".join(parts)

    def json(self, file: Path) -> Any:
        """Return what a JSON file holds, or None after noting a problem."""
        try:
            return json_value(self.text(file))
        except ValueError as error:
            self.problem(file, f"{error}.")
            return None

    def flat_json(self, file: Path, *, prefix: str = "", separator: str = ".") -> FlatRecord:
        """Return the values of a JSON file with one object; empty after noting a problem."""
        parsed = self.json(file)
        try:
            return flat_record(parsed, prefix=prefix, separator=separator) if isinstance(parsed, dict) else {}
        except ValueError as error:
            self.problem(file, f"{error}.")
            return {}

    def problem(self, file: Path, message: str) -> None:
        """Note that a file of the folder is unusable."""
        self._ledger.log.add(str(file), None, None, message)

    def relative(self, path: Path) -> str:
        """Return a path as seen from the folder, or the folder's own name for itself."""
        return path.relative_to(self._root).as_posix() if path != self._root else self.place.name

    def count(self, file: Path, sha256: str) -> None:
        """Hash a file that another library reads."""
        self._hash.update(f"{self.relative(file)}\0{sha256}\n".encode())

    def open_table(self, runs: Iterator[tuple[str, FlatRecord]], *, empty: str) -> OpenTable:
        """Make a table of named runs; see `RecordTable`."""
        records = (Record(number, values, name) for number, (name, values) in enumerate(runs, start=1))
        table = RecordTable(self.place.path, records, self._ledger.log, empty=empty)
        return OpenTable(table, self.place.name, self._hash.hexdigest)


def folder_reader(place: Place, ledger: Ledger) -> tuple[FolderReader, Sequence[Path]]:
    """Return the reader and the files of a folder; given one of its files, those of the folder around it."""
    if place.is_folder:
        return FolderReader(place, ledger), place.files
    around = str(Path(place.path).parent)
    siblings = tuple(sorted(path for path in Path(around).iterdir() if path.is_file()))
    return FolderReader(Place(around, files=siblings), ledger), siblings


def numbers_in_name(name: str) -> FlatRecord:
    """Return the settings that a run's folder name carries, as `folder.NAME`.

    >>> numbers_in_name("lr-3e-3_bs=64/width512")
    {'folder.lr': '3e-3', 'folder.bs': '64', 'folder.width': '512'}
    """
    spaced = re.sub(r"[,/ ]|__|(?<=\d)[_-](?=[A-Za-z])", "  ", name)
    return {f"folder.{key}": value for key, value in _NAMED_NUMBER.findall(spaced)}
