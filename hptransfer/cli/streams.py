"""The standard streams as they come: closed, full, or in an encoding that lacks our characters."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Final

LOOK_ALIKE: Final = "hptransfer.look-alike"
_LOOK_ALIKES: Final = {"─": "-", "–": "-", "…": "...", "·": ".", "×": "x", "µ": "u", "±": "+-"}
"""Characters that we print ourselves; those of other people's names are escaped."""


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (_LOOK_ALIKES.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(escaped), error.end


def prepare() -> None:
    """Make the process's streams usable.

    A closed one leads nowhere (a file opened later would take its place, and be written to). Characters
    that the terminal's encoding lacks are written alike in ASCII where they can be, else escaped.
    """
    codecs.register_error(LOOK_ALIKE, _look_alike)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - lives on
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=LOOK_ALIKE)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=LOOK_ALIKE)


def tell(text: str) -> None:
    """Print a line on stderr; when nobody can hear it, go on."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def give_up_stdout() -> None:
    """After a failed write, let what is still buffered go nowhere: it would fail once more on exit."""
    with contextlib.suppress(OSError):  # in-process streams have no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
