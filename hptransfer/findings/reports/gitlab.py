"""A report as GitLab's code quality artifact: a JSON list of issues that a merge request shows in its diff.

Fields: docs.gitlab.com, "Code Quality", implementing a custom tool. Paths must be relative and without `./`.
"""

from __future__ import annotations

import json
from typing import Any

from hptransfer.findings.record import Report, Unreadable
from hptransfer.findings.reports.common import digest, fingerprints, most_severe_first, relative_path

_SEVERITY = {"error": "major", "warning": "minor"}


def write(report: Report) -> str:
    """Write one JSON list; a file that cannot be read is a blocker."""
    findings = most_severe_first(report)
    issues = [_unreadable(trouble) for trouble in report.unreadable]
    issues += [
        {
            "description": f"{finding.message} Fix: {finding.fix}",
            "check_name": f"{finding.id} {finding.slug}",
            "fingerprint": fingerprint,
            "severity": _SEVERITY[finding.severity],
            "location": {"path": relative_path(finding.file), "lines": {"begin": finding.line or 1}},
        }
        for finding, fingerprint in zip(findings, fingerprints(findings), strict=True)
    ]
    return json.dumps(issues, indent=2) + "\n"


def _unreadable(trouble: Unreadable) -> dict[str, Any]:
    path = relative_path(trouble.file)
    return {
        "description": trouble.message,
        "check_name": "unreadable",
        "fingerprint": digest(path, "unreadable", trouble.message),
        "severity": "blocker",
        "location": {"path": path, "lines": {"begin": 1}},
    }
