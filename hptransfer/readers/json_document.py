"""A JSON document: an array of objects, one a run, or a single object; and folders of such files.

A folder of JSON files (`runs/a.json`, `runs/b/tracker_metrics.jsonl` of Levanter and marin) is one sweep;
each object in it is a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hptransfer.errors import FileError, plain
from hptransfer.readers.folders import MAX_JSON_CHARACTERS, FolderReader, numbers_in_name
from hptransfer.readers.json_lines import SUFFIXES, flat_object
from hptransfer.readers.records import FlatRecord, Record, RecordTable, flat_record, json_value
from hptransfer.readers.streams import TextSource
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place, ProblemLog

_NEED = "need an array of JSON objects, one a run"
_LINES_SUFFIXES = (".jsonl", ".ndjson")


def json_document_table(source: TextSource, lines: Iterator[str], log: ProblemLog) -> RecordTable:
    """Open a document that holds an array of objects or a single one.

    Raises:  FileError when it is very long; it has to be read in one piece.
    """
    text = _whole_text(source.path, lines)
    records = _records(source.path, text, log)
    return RecordTable(source.path, records, log, empty=f"an empty array; {_NEED}.")


def looks_like_json_document(_source: TextSource, first_line: str) -> bool:
    """Tell by a first line that opens an array, or an object that goes on in the next line."""
    start = first_line.strip()
    return start.startswith("[") or start == "{"


def _whole_text(path: str, lines: Iterator[str]) -> str:
    parts, length = [], 0
    for line in lines:
        parts.append(line)
        length += len(line)
        if length > MAX_JSON_CHARACTERS:
            msg = (
                f"one JSON document of more than {MAX_JSON_CHARACTERS:,} characters; need one object a line "
            )
            raise FileError(path, msg + "(jq -c '.[]').")
    return "".join(parts)


def _records(path: str, text: str, log: ProblemLog) -> Iterator[Record]:
    try:
        parsed = json_value(text)
    except ValueError as error:
        log.add(path, None, None, f"{error}; {_NEED}.")
        return
    for number, entry in enumerate(parsed if isinstance(parsed, list) else [parsed], start=1):
        if not isinstance(entry, dict):
            log.add(path, None, None, f"entry {number} is {plain(entry, limit=40)}; {_NEED}.")
            continue
        try:
            yield Record(number, flat_record(entry), f"number {number}")
        except ValueError as error:
            log.add(path, None, None, f"entry {number}: {error}.")


def _recognizes(place: Place) -> bool:
    return any(_is_json(file) for file in place.files)


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    folder = FolderReader(place, ledger)
    files = [file for file in place.files if _is_json(file)]
    yield folder.open_table(_objects(folder, files), empty="no JSON objects in this folder.")


def _objects(folder: FolderReader, files: list[Path]) -> Iterator[tuple[str, FlatRecord]]:
    """Yield each object of each file, with the numbers that the file's path carries."""
    for file in files:
        name = folder.relative(file)
        about = numbers_in_name(name.removesuffix(".gz").rsplit(".", 1)[0])
        for number, values in _file_objects(folder, file):
            yield f"{name}{f':{number}' if number else ''}", values | about


def _file_objects(folder: FolderReader, file: Path) -> Iterator[tuple[int, FlatRecord]]:
    """Yield the objects of one file with their lines or numbers, 0 where it is the only one."""
    if file.name.removesuffix(".gz").endswith(_LINES_SUFFIXES):
        for number, line in enumerate(folder.lines(file), start=1):
            try:
                if line.strip():
                    yield number, flat_object(line)
            except ValueError as error:
                folder.problem(file, f"line {number}: {error}.")
        return
    parsed = folder.json(file)
    entries = parsed if isinstance(parsed, list) else [parsed]
    for number, entry in enumerate(entries, start=1):
        try:
            if isinstance(entry, dict):
                yield number if isinstance(parsed, list) else 0, flat_record(entry)
        except ValueError as error:
            folder.problem(file, f"{error}.")


def _is_json(file: Path) -> bool:
    return file.name.lower().removesuffix(".gz").endswith(SUFFIXES)


FORMAT = Format("json-folder", "a folder of JSON files", _recognizes, _open)
