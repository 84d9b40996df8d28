"""What several report formats need: paths as CI systems name them, and fingerprints that survive edits."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from hptransfer.files import STANDARD_STREAM
from hptransfer.findings.record import Finding, Report


def relative_path(file: str) -> str:
    """Name a file relative to the working directory, with / between folders; `../` where it lies outside.

    >>> relative_path("./configs//a.yaml")
    'configs/a.yaml'
    """
    return file if file == STANDARD_STREAM else Path(os.path.relpath(file)).as_posix()


def most_severe_first(report: Report) -> tuple[Finding, ...]:
    """Errors, then warnings, each in the order found."""
    return (*report.errors, *report.warnings)


def summary(report: Report) -> str:
    """One sentence: how many configs, errors, warnings, silenced findings and unreadable files."""
    parts = [
        _counted(len(report.checked), "config") + " checked",
        _counted(len(report.errors), "error"),
        _counted(len(report.warnings), "warning"),
    ]
    if report.overridden:
        parts.append(f"{len(report.overridden)} silenced")
    if report.unreadable:
        parts.append(f"{len(report.unreadable)} unreadable")
    if report.skipped:
        parts.append(f"{_counted(report.skipped, 'other file')} skipped")
    return ", ".join(parts) + "."


def _counted(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"


def fingerprints(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a name for each finding that stays when lines move: file, check and field, and its repetition."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for finding in findings:
        key = (relative_path(finding.file), finding.id, finding.field)
        yield digest(*key, str(seen[key]))
        seen[key] += 1


def digest(*parts: str) -> str:
    """Hash texts into 32 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
