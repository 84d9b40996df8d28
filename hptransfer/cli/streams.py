"""The standard streams as they come: closed, full, or in an encoding that lacks our characters."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path


def prepare() -> None:
    """Make the process's streams usable.

    A closed one leads nowhere (a file opened later would take its place, and be written to). Characters
    that the terminal's encoding lacks are escaped.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - lives on
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


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
