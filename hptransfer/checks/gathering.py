"""Which files a check's paths stand for: files as they are named, and the configs in folders."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hptransfer.files import STANDARD_STREAM
from hptransfer.findings.record import Unreadable

YAML_SUFFIXES = (".yaml", ".yml")
SUFFIXES = (*YAML_SUFFIXES, ".json", ".toml", ".py", ".sh", ".args", ".txt")
PLANNED = b"hptransfer-plan: "  # in the header of trainers' configs that hptransfer wrote
SIDECAR = ".hptransfer.json"  # ends the names of what we write beside trainers' configs
_MARKED = re.compile(rb"^(?:\xef\xbb\xbf)?[{\"' ]{0,4}hptransfer_config[\"']? *:", re.MULTILINE)
_MARK_WITHIN = 2**16  # bytes from the start in which a config's mark must stand


@dataclass
class Found:
    """What searching the paths came across. `skipped` counts files in folders that are no configs."""

    files: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    skipped: int = 0


def gather(paths: Iterable[str], named: Callable[[str], bool]) -> Found:
    """Collect the files that the paths stand for, each once under the first name it was met by.

    In folders a config says that it is one of ours or was written by us, or `named` says so of its name.
    Hidden names and sidecars are left out, symlinked folders not entered, pipes and devices not waited for.
    """
    found = Found()
    for path in paths:
        if path == STANDARD_STREAM or not Path(path).is_dir():
            found.files.append(path)
        else:
            _gather_folder(path, found, named)
    found.files = _distinct(found.files)
    return found


def _gather_folder(folder: str, found: Found, named: Callable[[str], bool]) -> None:
    def complain(error: OSError) -> None:
        found.unreadable.append(Unreadable(str(error.filename), _cannot_be_read(error)))

    for file in _candidates(folder, complain):
        is_yaml = file.lower().endswith(YAML_SUFFIXES)
        try:
            ours = is_marked(file, native=is_yaml) or (_is_file(file) and named(file))
        except OSError as error:
            if is_yaml:  # of other files most are no configs: one that cannot be read is none of ours
                found.unreadable.append(Unreadable(file, _cannot_be_read(error)))
            continue
        if ours:
            found.files.append(file)
        elif is_yaml:
            found.skipped += 1


def _candidates(folder: str, complain: Callable[[OSError], None]) -> Iterator[str]:
    for here, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith(".") and not name.endswith(SIDECAR):
                yield str(Path(here) / name)


def _cannot_be_read(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or 'unknown reason').lower()}."


def is_marked(file: str, *, native: bool) -> bool:
    """Whether a file says that it was written by us, or (`native`) is a config of ours, however broken."""
    if not _is_file(file):
        return False
    with Path(file).open("rb") as stream:
        start = stream.read(_MARK_WITHIN)
    return PLANNED in start or (native and _MARKED.search(start) is not None)


def _is_file(file: str) -> bool:
    """Whether reading ends: a pipe or device would keep us waiting; what is missing may be tried."""
    path = Path(file)
    return path.is_file() or not path.exists()


def is_native(text: str) -> bool:
    """Whether a text says that it is a config of ours."""
    return _MARKED.search(text[:_MARK_WITHIN].encode()) is not None


def _distinct(files: Iterable[str]) -> list[str]:
    """Keep the first name of each file."""
    names: dict[str, str] = {}
    for file in files:
        names.setdefault(os.path.realpath(file), file)
    return list(names.values())
