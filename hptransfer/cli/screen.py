"""What the terminal behind a stream can show: how wide it is, whether in colour, whether more than ASCII."""

from __future__ import annotations

import os
import textwrap
from typing import TextIO

PIPE_WIDTH = 200
FALLBACK_WIDTH = 80
INDENT = "  "


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream: not a pipe, a file or a log."""
    return not stream.closed and stream.isatty()


def width(stream: TextIO) -> int:
    """Columns of the terminal (COLUMNS overrides what it says), or those granted to a pipe."""
    if not is_terminal(stream):
        return PIPE_WIDTH
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except OSError:  # no descriptor, or one that has no size
        columns = 0
    return columns or FALLBACK_WIDTH  # some pseudo-terminals say 0


def is_colored(stream: TextIO) -> bool:
    """Whether to style what is printed: not under NO_COLOR, always under FORCE_COLOR, else on a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or _is_screen(stream)


def draws(stream: TextIO) -> bool:
    """Whether small pictures made of blocks can be seen: a terminal (or FORCE_COLOR) that speaks UTF."""
    seen = bool(os.environ.get("FORCE_COLOR")) or _is_screen(stream)
    return seen and speaks_unicode(stream)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding holds every character."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf")


def _is_screen(stream: TextIO) -> bool:
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def fold(text: str, columns: int) -> str:
    """Fold each line between words, indented from its second line on; long words stay whole.

    >>> print(fold("one two three", 9))
    one two
      three
    """
    return "\n".join(_folded(line, columns) for line in text.split("\n"))


def _folded(line: str, columns: int) -> str:
    own = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        width=max(columns, len(own + INDENT) + 1),
        subsequent_indent=own + INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def prose(text: str, stream: TextIO) -> str:
    """Sentences as a stream wants them: folded on a terminal, whole in a pipe, where lines are searched."""
    return fold(text, width(stream)) if is_terminal(stream) else text
