"""Comments in a config that silence findings, each with its reason.

    peak_lr: 3.0e-03  # hptransfer: ignore[HPT101] the LR range test of 12 May
    # hptransfer: ignore[off-law-lr] as above: a comment of its own line holds for the next
    # hptransfer: ignore-file[HPT405] the target is far out, and we know

Codes are whole ids or names of checks: there is no comment that silences everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = re.compile(
    r"(?:^|\s)#\s*hptransfer:\s*(?P<verb>[\w-]*)\s*(?:\[(?P<codes>[^\]]*)\])?(?P<reason>.*)"
)


@dataclass(frozen=True)
class Suppression:
    """One comment. `holds_for` is the line whose findings it silences, None for the whole file."""

    line: int  # 1-based, of the comment
    holds_for: int | None
    codes: tuple[str, ...]  # ids or slugs, as written
    reason: str
    verb: str  # ignore, ignore-file, or what somebody wrote in their place

    def silences(self, *, line: int | None, names: tuple[str, ...]) -> bool:
        """Whether it silences a finding at a line, by the id and the slug of its check."""
        here = self.holds_for is None or (line is not None and line == self.holds_for)
        return here and any(code in names for code in self.codes)


def read_suppressions(text: str) -> tuple[Suppression, ...]:
    """Find the comments in a file, whether they make sense or not.

    >>> [(s.line, s.codes, s.reason) for s in read_suppressions("a: 1 # hptransfer: ignore[HPT101] why")]
    [(1, ('HPT101',), 'why')]
    """
    return tuple(_suppressions(text.splitlines()))


def _suppressions(lines: list[str]) -> Iterator[Suppression]:
    for number, line in enumerate(lines, start=1):
        if "hptransfer:" not in line or (match := _COMMENT.search(line)) is None:
            continue
        codes = tuple(code.strip() for code in (match["codes"] or "").split(",") if code.strip())
        holds_for: int | None = number
        if match["verb"] == "ignore-file":
            holds_for = None
        elif not line[: match.start()].strip():
            holds_for = _next_line(lines, number)
        yield Suppression(number, holds_for, codes, match["reason"].strip(" :-"), match["verb"])


def _next_line(lines: list[str], number: int) -> int:
    """The next line after 1-based `number` that holds more than a comment."""
    for later, line in enumerate(lines[number:], start=number + 1):
        if line.strip() and not line.lstrip().startswith("#"):
            return later
    return number
