"""Which files a check's paths stand for: files as they are named, and the configs in folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hptransfer.files import STANDARD_STREAM
from hptransfer.findings import Unreadable

SUFFIXES = (".yaml", ".yml")
_MARKED = re.compile(rb"^(?:\xef\xbb\xbf)?[{\"' ]{0,4}hptransfer_config[\"']? *:", re.MULTILINE)
_MARK_WITHIN = 2**16  # bytes from the start in which a config's mark must stand


@dataclass
class Found:
    """What searching the paths came across. `skipped` counts files in folders that are no configs."""

    files: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    skipped: int = 0


def gather(paths: Iterable[str]) -> Found:
    """Collect the files that the paths stand for, each once under the first name it was met by.

    Hidden names are left out, symlinked folders are not entered, pipes and devices not waited for.
    """
    found = Found()
    for path in paths:
        if path == STANDARD_STREAM or not Path(path).is_dir():
            found.files.append(path)
        else:
            _gather_folder(path, found)
    found.files = _distinct(found.files)
    return found


def _gather_folder(folder: str, found: Found) -> None:
    def complain(error: OSError) -> None:
        found.unreadable.append(Unreadable(str(error.filename), _cannot_be_read(error)))

    for file in _candidates(folder, complain):
        try:
            ours = is_marked(file)
        except OSError as error:
            found.unreadable.append(Unreadable(file, _cannot_be_read(error)))
            continue
        if ours:
            found.files.append(file)
        else:
            found.skipped += 1


def _candidates(folder: str, complain: Callable[[OSError], None]) -> Iterator[str]:
    for here, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(here) / name)


def _cannot_be_read(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or 'unknown reason').lower()}."


def is_marked(file: str) -> bool:
    """Whether a file says that it is a config of ours, whatever else may be wrong with it."""
    path = Path(file)
    if path.exists() and not path.is_file():  # a pipe or device would keep us waiting
        return False
    with path.open("rb") as stream:
        return _MARKED.search(stream.read(_MARK_WITHIN)) is not None


def _distinct(files: Iterable[str]) -> list[str]:
    """Keep the first name of each file."""
    names: dict[str, str] = {}
    for file in files:
        names.setdefault(os.path.realpath(file), file)
    return list(names.values())
