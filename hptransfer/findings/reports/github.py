"""A report as workflow commands: lines that GitHub Actions shows as annotations.

A step shows ten annotations of each type and drops the rest without a word. So the most severe come first,
what is beyond the limit is printed as plain lines of the log, and a notice counts them.
Syntax and limits: docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hptransfer.errors import plain
from hptransfer.findings.record import Finding, Report, Unreadable
from hptransfer.findings.reports.common import relative_path, summary

SHOWN_PER_TYPE = 10


@dataclass(frozen=True)
class Annotation:
    """One annotation: `kind` is error or warning."""

    kind: str
    file: str
    line: int | None
    title: str
    message: str

    def command(self) -> str:
        """Write the workflow command."""
        properties = {"file": relative_path(self.file), "line": self.line, "title": self.title}
        listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value)
        return f"::{self.kind} {listed}::{_data(plain(self.message, limit=2000))}"

    def log_line(self) -> str:
        """Write a line of the log that is no command."""
        place = plain(relative_path(self.file)) + ("" if self.line is None else f":{self.line}")
        return f"{place}: {self.kind} {self.title}: {plain(self.message, limit=2000)}"


def write(report: Report) -> str:
    """Write the lines of a report."""
    errors = [*map(_of_unreadable, report.unreadable), *_of_findings(report.errors)]
    warnings = _of_findings(report.warnings)
    hidden = errors[SHOWN_PER_TYPE:] + warnings[SHOWN_PER_TYPE:]
    text = summary(report)
    if hidden:
        text += f" GitHub shows {SHOWN_PER_TYPE} annotations of a type: {len(hidden)} more are in the log."
    return "\n".join(
        [
            *(one.command() for one in errors[:SHOWN_PER_TYPE]),
            *(one.command() for one in warnings[:SHOWN_PER_TYPE]),
            *(one.log_line() for one in hidden),
            f"::notice title=hptransfer check::{_data(text)}\n",
        ]
    )


def _of_findings(findings: Iterable[Finding]) -> list[Annotation]:
    return [
        Annotation(one.severity, one.file, one.line, f"{one.id} {one.slug}", f"{one.message} Fix: {one.fix}")
        for one in findings
    ]


def _of_unreadable(trouble: Unreadable) -> Annotation:
    return Annotation("error", trouble.file, None, "unreadable", trouble.message)


def _data(text: str) -> str:
    """Escape a message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape the value of a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
