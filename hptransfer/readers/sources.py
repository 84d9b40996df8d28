"""Which format a file or folder is in, by its content; `--source NAME` forces one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from hptransfer.errors import FileError, UsageError, did_you_mean, plain
from hptransfer.readers import (
    hf_folder,
    json_document,
    mlflow_folder,
    mlflow_sqlite,
    optuna_sqlite,
    parquet,
    ray_folder,
    tensorboard,
)
from hptransfer.readers.delimited import DelimitedTable
from hptransfer.readers.folders import files_below
from hptransfer.readers.json_document import json_document_table, looks_like_json_document
from hptransfer.readers.json_lines import json_lines_table, looks_like_json_lines
from hptransfer.readers.optuna_journal import looks_like_optuna_journal, optuna_journal_table
from hptransfer.readers.sqlite import is_sqlite, table_names
from hptransfer.readers.streams import STDIN, TextSource, first_bytes, open_text
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place, ProblemLog, Table

FORMATS: tuple[Format, ...] = (
    mlflow_sqlite.FORMAT,
    optuna_sqlite.FORMAT,
    parquet.FORMAT,
    mlflow_folder.FORMAT,
    ray_folder.FORMAT,
    hf_folder.FORMAT,
    tensorboard.FORMAT,
    json_document.FORMAT,
)
"""Formats of folders and binary files; the first that recognizes a place reads it."""


@dataclass(frozen=True)
class TextFormat:
    """A format of text, which may be compressed or come from standard input.

    Attributes:
        recognizes: whether a text whose first line (that is not blank) is this one looks like the format.
        open:       makes the table; the lines include the first one.
    """

    recognizes: Callable[[TextSource, str], bool]
    open: Callable[[TextSource, Iterator[str], ProblemLog], Table]


TEXT_FORMATS: Mapping[str, TextFormat] = {
    "optuna-journal": TextFormat(looks_like_optuna_journal, optuna_journal_table),
    "json": TextFormat(looks_like_json_document, json_document_table),
    "jsonl": TextFormat(looks_like_json_lines, json_lines_table),
    "csv": TextFormat(lambda _source, _first_line: True, DelimitedTable),
}
"""By name, as in `--source NAME`; the first that recognizes a text reads it. csv takes any delimiter."""

SOURCES = (*TEXT_FORMATS, *(known.name for known in FORMATS))


def check_source(source: str | None) -> None:
    """Raise UsageError for a `--source` that names no format."""
    if source is not None and source not in SOURCES:
        hint = did_you_mean(source, SOURCES)
        msg = f"--source: unknown {plain(source)!r}.{hint} Known: {', '.join(SOURCES)}."
        raise UsageError(msg)


@contextmanager
def open_source(
    path: str, ledger: Ledger, *, source: str | None = None, stdin: BinaryIO | None = None
) -> Iterator[OpenTable]:
    """Open a file, a folder, or standard input for `-`, as a table in the format it is in.

    Args:    source: name of the format; None to recognize it.
    Raises:  FileError when it cannot be read or is in no known format; UsageError for a wrong `source`;
             InputError when it holds no table of runs.
    """
    found = None if path == STDIN or source in TEXT_FORMATS else _path_format(path, source)
    if path == STDIN and source is not None and source not in TEXT_FORMATS:
        msg = f"--source {source} is read from a path only, not from standard input."
        raise UsageError(msg)
    opened = _open_text(path, ledger, source, stdin) if found is None else found[0].open(found[1], ledger)
    with opened as table:
        ledger.log.name_places(path, table.table.place)
        yield table


def _path_format(path: str, source: str | None) -> tuple[Format, Place] | None:
    """Return the format of a folder or a binary file and what is known of the place; None for text.

    Raises:  FileError when it can be neither; UsageError when it is not what `source` says.
    """
    is_folder = os.path.isdir(path)  # noqa: PTH112 - Path raises for a NUL byte in the name, and this does not
    place = Place(path, files=files_below(path)) if is_folder else Place(path, start=first_bytes(path))
    for known in FORMATS:
        if source in {None, known.name} and known.recognizes(place):
            return known, place
    if source is not None:
        title = next(known.title for known in FORMATS if known.name == source)
        msg = f"{plain(path)} is not {title}, which --source {source} says."
        raise UsageError(msg)
    if is_folder:
        raise FileError(path, _unknown_folder(place))
    if is_sqlite(place.start):
        names = ", ".join(sorted(plain(name, limit=40) for name in table_names(path))) or "none"
        raise FileError(path, f"a SQLite database of neither MLflow nor Optuna (its tables: {names}).")
    return None


def _unknown_folder(place: Place) -> str:
    """Say what a folder would have to hold, and what to do with what it holds."""
    tables = [
        file for file in place.files if file.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))
    ]
    hint = f" Its tables are read by name: hptransfer fit {plain(tables[0])} ..." if tables else ""
    titles = "; ".join(known.title for known in FORMATS if "folder" in known.title or "(" in known.title)
    return f"a folder without runs that are recognized (known: {titles}).{hint}"


@contextmanager
def _open_text(path: str, ledger: Ledger, source: str | None, stdin: BinaryIO | None) -> Iterator[OpenTable]:
    with open_text(path, budget=ledger.budget, stdin=stdin) as text:
        start = _blank_and_first(text.lines)
        first_line = start[-1] if start else ""
        names = TEXT_FORMATS if source is None else (source,)
        known = next(TEXT_FORMATS[n] for n in names if source or TEXT_FORMATS[n].recognizes(text, first_line))
        table = known.open(text, chain(start, text.lines), ledger.log)
        yield OpenTable(table, text.file, text.sha256)


def _blank_and_first(lines: Iterator[str]) -> list[str]:
    """Take the first line that is not blank off the lines, with the blank ones before it."""
    taken = []
    for line in lines:
        taken.append(line)
        if line.strip():
            break
    return taken
