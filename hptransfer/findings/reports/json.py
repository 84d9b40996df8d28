"""A report as JSON: every field of every record."""

from __future__ import annotations

import json

from hptransfer.findings.record import Report, report_to_dict


def write(report: Report) -> str:
    """Write one JSON object."""
    return json.dumps(report_to_dict(report), indent=2, allow_nan=False) + "\n"
