"""A report as SARIF 2.1.0, for code scanning and editors.

Schema and words: docs.oasis-open.org/sarif/sarif/v2.1.0. Silenced findings are results with a suppression,
files that cannot be read are notifications of an invocation that did not succeed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hptransfer import __version__
from hptransfer.checks import CHECKS
from hptransfer.checks.base import Check
from hptransfer.files import STANDARD_STREAM
from hptransfer.findings.record import Finding, Overridden, Report, Unreadable
from hptransfer.findings.reports.common import fingerprints, most_severe_first, relative_path

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "hptransferFinding/v1"
KINDS = {"override": "inSource", "comment": "inSource", "baseline": "external"}


def write(report: Report) -> str:
    """Write one SARIF log with one run."""
    run = {
        "tool": {
            "driver": {
                "name": "hptransfer",
                "semanticVersion": __version__,
                "rules": [_rule(check) for check in CHECKS],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not report.unreadable,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": [_notification(trouble) for trouble in report.unreadable],
            }
        ],
        "results": list(_results(report)),
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "name": check.slug,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {"text": f"{check.fix} Source: {check.source}."},
        "defaultConfiguration": {"level": check.severity},
    }


def _results(report: Report) -> Iterator[dict[str, Any]]:
    """Findings, most severe first, then silenced ones; fingerprints count through both."""
    findings: Iterable[Finding] = [*most_severe_first(report), *(o.finding for o in report.overridden)]
    silenced: list[Overridden | None] = [None] * len(report.findings) + list(report.overridden)
    places = {check.id: place for place, check in enumerate(CHECKS)}
    for finding, by, fingerprint in zip(findings, silenced, fingerprints(findings), strict=True):
        result = {
            "ruleId": finding.id,
            "ruleIndex": places[finding.id],
            "level": finding.severity,
            "message": {"text": f"{finding.message} Fix: {finding.fix}"},
            "locations": [_location(finding.file, finding.line)],
            "partialFingerprints": {FINGERPRINT: fingerprint},
        }
        if by is not None:
            result["suppressions"] = [{"kind": KINDS[by.by], "justification": by.reason}]
        yield result


def _notification(trouble: Unreadable) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": f"{trouble.file}: {trouble.message}"},
        "locations": [_location(trouble.file, None)],
    }


def _location(file: str, line: int | None) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _artifact(file)}
    if line is not None:
        place["region"] = {"startLine": line}
    return {"physicalLocation": place}


def _artifact(file: str) -> dict[str, str]:
    """A file inside the working directory relative to the sources' root, others by their absolute name."""
    if file == STANDARD_STREAM:
        return {"uri": "stdin"}
    relative = relative_path(file)
    if relative.startswith("../"):
        return {"uri": Path(os.path.abspath(file)).as_uri()}  # noqa: PTH100 - symlinks stay as they are
    return {"uri": quote(relative), "uriBaseId": "%SRCROOT%"}
