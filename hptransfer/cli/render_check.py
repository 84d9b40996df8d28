"""Findings of `check`, and the checks themselves, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hptransfer.cli.render import say, table
from hptransfer.errors import plain

if TYPE_CHECKING:
    from hptransfer.cli.talk import Talk
    from hptransfer.findings.record import Report


_SILENCED = {"override": "overridden", "comment": "silenced"}


def show_report(report: Report, talk: Talk) -> None:
    """Print findings a line each, unreadable files and a summary."""
    from hptransfer.findings.reports.common import summary

    for finding in report.findings:
        place = plain(finding.file) + ("" if finding.line is None else f":{finding.line}")
        say(f"{place}: {finding.severity} {finding.id} {finding.slug}: {plain(finding.message, limit=600)}")
        say(f"    fix: {plain(finding.fix, limit=600)}")
    for item in report.overridden:
        if item.by != "baseline":  # which may hold thousands: they are counted
            found = item.finding
            say(f"{plain(found.file)}: {_SILENCED[item.by]} {found.id} {found.slug} ({plain(item.reason)})")
    for trouble in report.unreadable:
        say(f"{plain(trouble.file)}: unreadable: {plain(trouble.message, limit=600)}")
    print(summary(report))
    if not report.checked and not report.unreadable:
        talk.say("no config was found. A config comes from `hptransfer plan ... -o CONFIG.yaml`.")
    elif report.findings:
        first = min(report.findings, key=lambda finding: finding.severity != "error")
        talk.then(f"hptransfer check --explain {first.id}")
    elif report.checked:
        talk.then("train; keep `hptransfer check` in CI, so that it stays so (docs/ci.md)")


def show_checks(name: str) -> None:
    """Print one check in full, or the table of all of them."""
    from hptransfer.checks import CHECKS, explanation, find_check

    if name == "all":
        table(
            "Checks",
            ("id", "name", "severity", "what~"),
            ((c.id, c.slug, c.severity, c.title) for c in CHECKS),
        )
    else:
        say(explanation(find_check(name)).strip())
