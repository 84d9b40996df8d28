"""What can go wrong, said once: what, where, what was expected, how to fix it.

Library code raises these; only `hptransfer.cli` catches them. Every one of them ends the program with
exit code 2. An exception carries its values as attributes, so that callers need not parse messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHOWN_IN_FULL = 5


class HptransferError(Exception):
    """Base of all errors whose message is meant for the user."""


class UsageError(HptransferError):
    """An option or argument that cannot be what was meant."""


class FileError(HptransferError):
    """A file that cannot be read or written; `path` is the name as the user gave it."""

    def __init__(self, path: object, message: str) -> None:
        self.path = str(path)
        super().__init__(f"{plain(self.path)}: {message}")


class RefusalError(HptransferError):
    """The input is readable, but an honest answer cannot be given from it."""


@dataclass(frozen=True)
class Problem:
    """One unusable place in an input: file, line (1-based, the header is line 1), column, and what to do.

    `place` stands for the line where the input has none: `run lr3e-3`, `row 17`.
    """

    file: str
    line: int | None
    column: str | None
    message: str
    place: str = ""

    def __str__(self) -> str:
        """Render as `file, line N, column: message`."""
        where = [plain(self.file)]
        if self.line is not None:
            where.append(self.place or f"line {self.line}")
        if self.column is not None:
            where.append(plain(self.column))
        return f"{', '.join(where)}: {self.message}"


class InputError(HptransferError):
    """Unusable input: all problems at once, the first few in full."""

    def __init__(self, problems: Sequence[Problem], *, way_out: str = "") -> None:
        self.problems = tuple(problems)
        lines = [str(p) for p in self.problems[:SHOWN_IN_FULL]]
        hidden = len(self.problems) - len(lines)
        if hidden:
            lines.append(f"... and {hidden} more of this kind")
        if way_out:
            lines.append(way_out)
        super().__init__("\n".join(lines))


def plain(text: object, *, limit: int = 200) -> str:
    """Return foreign text as harmless single-line text: no control characters, no workflow commands.

    >>> plain("a\\x1b[31mred\\n::error::x")
    'a?[31mred?: :error: :x'
    """
    shown = "".join(c if c.isprintable() else "?" for c in str(text)).replace("::", ": :")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, or an empty string.

    >>> did_you_mean("tokns", ["params", "tokens"])
    " Did you mean 'tokens'?"
    """
    from difflib import get_close_matches  # only errors need it, and start-up is dear

    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
