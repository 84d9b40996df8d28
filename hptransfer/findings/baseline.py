"""A baseline: findings that a project has accepted, so that `check` fails for new ones only.

An entry is a file, a check, a field and the value found there. A value that changes is found again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, ValidationError

from hptransfer.errors import InputError, Problem, plain
from hptransfer.files import STANDARD_STREAM, read_text
from hptransfer.findings.record import Finding, Report, silence
from hptransfer.law import Record

MAX_BASELINE_BYTES = 64 * 2**20
WAY_OUT = "Write it anew: hptransfer check PATH --baseline FILE --write-baseline."


class Accepted(Record):
    """One accepted finding; `file` is relative to the baseline, with / between folders."""

    model_config = ConfigDict(strict=True)

    file: str
    id: str
    field: str
    got: float | str | None


class Baseline(Record):
    """A whole baseline file."""

    model_config = ConfigDict(strict=True)

    hptransfer_baseline: Literal[1]
    findings: tuple[Accepted, ...]


def read_baseline(path: str) -> Baseline:
    """Read a baseline file.

    Raises:  FileError when it cannot be read, InputError when it is no baseline.
    """
    text = read_text(path, max_bytes=MAX_BASELINE_BYTES)
    try:
        return Baseline.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = plain(".".join(map(str, first["loc"])) or "all of it")
        raise InputError(
            [Problem(path, None, place, f"not a baseline ({plain(first['msg'])}).")], way_out=WAY_OUT
        ) from None


def apply_baseline(report: Report, baseline: Baseline, path: str) -> tuple[Report, int]:
    """Silence what a baseline accepts; and count its entries for the checked files that are gone."""
    accepted = set(baseline.findings)
    keys = {finding: _accepted(finding, path) for finding in report.findings}
    known = {finding: "accepted in the baseline" for finding, key in keys.items() if key in accepted}
    checked = {_relative(file, path) for file in report.checked}
    gone = {entry for entry in accepted - set(keys.values()) if entry.file in checked}
    return silence(report, known, "baseline"), len(gone)


def baseline_to_json(findings: Iterable[Finding], path: str) -> str:
    """Write findings as a baseline that will lie at `path`; one finding a line, in the order of files."""
    entries = {_accepted(finding, path) for finding in findings}
    ordered = sorted(entries, key=lambda entry: (entry.file, entry.id, entry.field, str(entry.got)))
    lines = [f"    {json.dumps(_content(entry), allow_nan=False)}" for entry in ordered]
    body = "[\n" + ",\n".join(lines) + "\n  ]" if lines else "[]"
    return f'{{\n  "hptransfer_baseline": 1,\n  "findings": {body}\n}}\n'


def _content(entry: Accepted) -> dict[str, Any]:
    return entry.model_dump(mode="json")


def _accepted(finding: Finding, path: str) -> Accepted:
    got = finding.got if finding.got is None or isinstance(finding.got, str) else float(finding.got)
    return Accepted(file=_relative(finding.file, path), id=finding.id, field=finding.field, got=got)


def _relative(file: str, path: str) -> str:
    """Name a config as its baseline does: relative to the baseline's folder."""
    if file == STANDARD_STREAM:
        return file
    return Path(os.path.relpath(file, Path(path).parent)).as_posix()
