"""What a command says beside its data: law, warnings, what was written, what to do next; all on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hptransfer.cli import screen
from hptransfer.cli.streams import tell
from hptransfer.errors import plain
from hptransfer.files import STANDARD_STREAM, Written

if TYPE_CHECKING:
    from hptransfer.law import Note


class Talk:
    """Talk on stderr, silent with --quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def say(self, text: str) -> None:
        """Say something, after the data that was printed before it: folded on a terminal, else one line."""
        self._tell(screen.prose(text, sys.stderr))

    def _tell(self, line: str) -> None:
        """Say a line that may be copied, so whole: a command, a path."""
        if not self._quiet:
            sys.stdout.flush()
            tell(line)

    def warn(self, notes: Iterable[Note]) -> None:
        """Say coded warnings, a line each."""
        for note in notes:
            self.say(f"warning [{note.code}]: {plain(note.message, limit=600)}")

    def wrote(self, written: Written, path: str) -> None:
        """Say what happened to an output file."""
        if path != STANDARD_STREAM:
            self._tell(f"{written.value} {plain(path)}")

    def then(self, command: str) -> None:
        """Name the next command."""
        self._tell(f"next: {command}")
