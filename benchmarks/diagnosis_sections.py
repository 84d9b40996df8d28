"""Evidence on diagnostics: planted faults and sound sweeps."""

from __future__ import annotations

from collections.abc import Iterator

import planted_faults

SOUND, FAULTY = 100, 25


def diagnostics() -> Iterator[tuple[str, str, str]]:
    """Each diagnostic fires where it must and is silent on sound sweeps."""
    for planted, fired, besides in planted_faults.table(SOUND, FAULTY):
        yield (
            f"planted: {planted}",
            f"{fired} (besides: {besides})",
            "fires; silent where nothing is planted",
        )
