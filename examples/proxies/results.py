"""The results file of a sweep: one line a finished run, appended and on disk, safe to kill at any moment.

A line counts once its newline is on disk: what a killed sweep wrote half is cut off, and that run is made
again. One sweep at a time holds the file's lock, and only the parent process writes.
"""

from __future__ import annotations

import csv
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hptransfer.files import write_text

NAME = "run"


class Results:
    """An open results file: which runs it holds, and appending to it."""

    def __init__(self, stream: BinaryIO, columns: Sequence[str], done: Iterable[str]) -> None:
        self._stream, self._columns, self.done = stream, columns, set(done)

    def append(self, result: Mapping[str, object]) -> None:
        """Add the line of a finished run and wait until it is on disk."""
        name = str(result[NAME])
        if name in self.done:
            msg = f"{name} is in the results already."
            raise ValueError(msg)
        if tuple(result) != tuple(self._columns):
            msg = f"{name}: its columns {', '.join(result)} are not the file's, {', '.join(self._columns)}."
            raise ValueError(msg)
        self._write(result.values())
        self.done.add(name)

    def _write(self, values: Iterable[object]) -> None:
        self._stream.write((",".join(map(str, values)) + "\n").encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())


@contextmanager
def open_results(path: Path, columns: Sequence[str]) -> Iterator[Results]:
    """Open a results file for appending, make it where there is none, cut off what was written half.

    Raises:  ValueError when another sweep holds it or it has other columns.
    """
    with path.open("a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{path}: another sweep is writing it. Wait for that one, or give another file with -o."
            raise ValueError(msg) from None
        stream.seek(0)
        content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        stream.truncate(len(whole))
        results = Results(stream, columns, _names(path, whole.decode(), columns))
        if not whole:
            results._write(columns)
        yield results


def _names(path: Path, text: str, columns: Sequence[str]) -> list[str]:
    if not text:
        return []
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != tuple(columns):
        msg = f"{path}: has other columns than this trainer writes. Give another file with -o."
        raise ValueError(msg)
    return [row[NAME] for row in reader]


def sort_lines(path: Path, names: Sequence[str]) -> None:
    """Put the lines in the order of `names`, other runs last; the file changes at once or not at all."""
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    place = {name: index for index, name in enumerate(names)}
    lines.sort(key=lambda line: place.get(line.split(",", 1)[0], len(place)))
    write_text(str(path), header + "".join(lines), force=True)
