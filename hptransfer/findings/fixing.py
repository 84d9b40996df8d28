"""Fixes that need no judgement: one value on one line, everything else of the file as it was.

A finding that is `fixable` names the value to have; the line keeps its comment, quotes its key
as before, and the file its line ends.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hptransfer.checks.base import Value
from hptransfer.config import number_text
from hptransfer.errors import FileError, plain
from hptransfer.files import STANDARD_STREAM, Written, require_writable, write_text
from hptransfer.findings.record import Finding

_VALUE = r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s#,}\]]+)"


@dataclass(frozen=True)
class Patch:
    """A file's text before and after its fixes."""

    file: str
    before: str
    after: str
    fixed: int = 0  # findings
    word: str = "fixed"  # what became of the file

    def diff(self) -> str:
        """Write a unified diff; foreign text in it is made harmless."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            self.file,
            f"{self.file} ({self.word})",
            lineterm="",
        )
        return "".join(f"{plain(line, limit=1000)}\n" for line in lines)

    def write(self) -> Written:
        """Replace the file.

        Raises:  FileError when it cannot be written, is read-only, or has changed meanwhile.
        """
        require_writable(self.file)
        if _text_of(self.file) != self.before:
            raise FileError(self.file, "has changed while it was checked. Run again.")
        return write_text(self.file, self.after, force=True)


def find_patches(findings: Iterable[Finding]) -> Iterator[Patch]:
    """Make one patch for each file that holds something fixable."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.fixable and finding.line is not None and finding.file != STANDARD_STREAM:
            by_file.setdefault(finding.file, []).append(finding)
    for file, fixable in by_file.items():
        before = _text_of(file)
        lines = before.splitlines(keepends=True)
        fixed: set[tuple[int, str]] = set()
        for finding in sorted(fixable, key=lambda one: one.got is None):  # a new value before a new spelling
            if _fix(lines, finding, fixed):
                fixed.add((finding.line or 0, finding.field))
        if fixed:
            yield Patch(file, before, "".join(lines), len(fixed))


def _fix(lines: list[str], finding: Finding, fixed: set[tuple[int, str]]) -> bool:
    """Change the finding's line in place, once for each field; the first finding's value counts."""
    place = (finding.line or 0) - 1
    if finding.expected is None or not place < len(lines) or (place + 1, finding.field) in fixed:
        return False
    changed = line_with(lines[place], finding.field.split(".")[-1], finding.expected)
    if changed is None:
        return False
    lines[place] = changed
    return True


def line_with(line: str, key: str, value: Value) -> str | None:
    """Put a value in a key's place on a line of YAML, JSON, TOML, Python or flags; None if it is not there.

    >>> line_with("  peak_lr: 3e-4  # tuned", "peak_lr", 0.0003)
    '  peak_lr: 3.0e-04  # tuned'
    >>> line_with('"learning_rate": "abc",', "learning_rate", 0.001), line_with("--lr 1", "lr", 0.5)
    ('"learning_rate": 1.0e-03,', '--lr 0.5')
    """
    name = re.escape(key)
    before = rf"(?:(?<![\w.\"'-])[\"']?{name}[\"']?\s*[:=]\s*|--{name}(?:=|\s+))"
    match = re.search(before + _VALUE, line)
    if match is None or value is None:
        return None
    text = value if isinstance(value, str) else number_text(value)
    start, end = match.span("value")
    return line[:start] + text + line[end:]


def _text_of(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileError(file, "cannot be read again for fixing.") from None
