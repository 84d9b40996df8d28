"""A report of `check` in the formats that CI systems read; one file a format, each a function to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.findings.record import Report

FORMATS: Mapping[str, str] = {
    "json": "hptransfer's own, everything there is",
    "github": "annotations of a GitHub Actions step",
    "sarif": "SARIF 2.1.0: code scanning, editors",
    "junit": "JUnit XML: Jenkins, GitLab, Azure, ...",
    "gitlab": "GitLab's code quality report",
}
"""Modules of this package, and what each is for."""


def report_writer(name: str) -> Callable[[Report], str]:
    """Find the function that writes a report in a format.

    Raises:  UsageError for an unknown format.
    """
    if name not in FORMATS:
        msg = f"--output-format: got {plain(name)!r}, need text, {', '.join(FORMATS)}."
        raise UsageError(f"{msg}{did_you_mean(name, FORMATS)}")
    writer: Callable[[Report], str] = import_module(f"hptransfer.findings.reports.{name}").write
    return writer
