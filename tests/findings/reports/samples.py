"""Reports with everything in them that a format has to cope with."""

from __future__ import annotations

from typing import Any

from hptransfer.findings.record import Finding, Overridden, Report, Unreadable

NASTY = 'a: 50% of "it", 1 < 2 & more\n::error::no command'


def finding(**changes: Any) -> Finding:
    content: dict[str, Any] = {
        "id": "HPT102",
        "slug": "off-law-lr",
        "severity": "error",
        "file": "configs/a b.yaml",
        "line": 7,
        "field": "peak_lr",
        "message": NASTY,
        "expected": 1e-3,
        "got": 2e-3,
        "fix": "Plan again.",
    }
    return Finding(**(content | changes))


def everything() -> Report:
    """Errors, warnings, silenced findings of every kind, unreadable files, a clean file, odd names."""
    return Report(
        findings=(
            finding(id="HPT404", slug="experimental-law", severity="warning", line=None, field="law"),
            finding(),
            finding(),
            finding(file="../outside/b,c:d.yaml", id="HPT201", slug="steps-tokens"),
            finding(file="-", id="HPT201", slug="steps-tokens"),
        ),
        overridden=(
            Overridden(finding(field="steps"), "because", "override"),
            Overridden(finding(field="eps"), "because & so", "comment"),
            Overridden(finding(field="beta1"), "accepted", "baseline"),
        ),
        unreadable=(Unreadable("configs/ä.yaml", "is not UTF-8 text."),),
        checked=("configs/a b.yaml", "../outside/b,c:d.yaml", "-", "configs/clean.yaml"),
        skipped=3,
    )
