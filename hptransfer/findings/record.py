"""What checking configs found, as records: findings, what silenced some of them, what could not be read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from hptransfer.checks.base import Severity, Value

SilencedBy = Literal["override", "comment", "baseline"]


@dataclass(frozen=True)
class Finding:
    """What is wrong at one place. Ids and slugs are stable."""

    id: str
    slug: str
    severity: Severity
    file: str
    line: int | None
    field: str
    message: str
    expected: Value
    got: Value
    fix: str
    fixable: bool = False  # by putting `expected` in the field's place


@dataclass(frozen=True)
class Overridden:
    """A finding that decides no exit code: overridden by its config, in a comment or by a baseline."""

    finding: Finding
    reason: str
    by: SilencedBy = "override"


@dataclass(frozen=True)
class Unreadable:
    """A file, or the law of a file, that could not be used."""

    file: str
    message: str


@dataclass(frozen=True)
class Report:
    """What checking found. `skipped` counts a folder's files that are no configs."""

    findings: tuple[Finding, ...]
    overridden: tuple[Overridden, ...]
    unreadable: tuple[Unreadable, ...]
    checked: tuple[str, ...]
    skipped: int

    @property
    def exit_code(self) -> int:
        """0 clean (warnings allowed), 1 errors found, 2 something unreadable or nothing to check."""
        if self.unreadable or not self.checked:
            return 2
        return int(any(finding.severity == "error" for finding in self.findings))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that fail a check."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that do not."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")


def report_to_dict(report: Report) -> dict[str, Any]:
    """Turn a report into plain values for JSON."""
    return {"exit_code": report.exit_code, **asdict(report)}


def silence(report: Report, silenced: dict[Finding, str], by: SilencedBy) -> Report:
    """Move findings to what decides no exit code, each with its reason."""
    return replace(
        report,
        findings=tuple(finding for finding in report.findings if finding not in silenced),
        overridden=report.overridden
        + tuple(Overridden(finding, reason, by) for finding, reason in silenced.items()),
    )
