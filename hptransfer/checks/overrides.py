"""Checks of `override`: a reason must be given for something that exists."""

from __future__ import annotations

from collections.abc import Iterator

from hptransfer.checks.base import Check, Deviation, Subject
from hptransfer.config import RUN_FIELDS
from hptransfer.errors import did_you_mean, plain


def _unknown_override(subject: Subject) -> Iterator[Deviation]:
    """Names under `override` that are neither a value to run nor the slug of a check."""
    from hptransfer.checks import SLUGS  # the whole table, which this entry is part of

    known = [*RUN_FIELDS, *sorted(SLUGS)]
    for name in subject.settled.override:
        if name not in known:
            text = f"override names {plain(name, limit=60)!r}, no value to run and no check."
            yield Deviation(f"override.{name}", text + did_you_mean(name, known))


CHECKS = (
    Check(
        id="HPT005",
        slug="unknown-override",
        title="An override of nothing",
        why="A misspelled override does not override, and looks as if it did.",
        source="hptransfer's config schema",
        fix="Name a value to run (peak_lr), or the slug of a check (off-law-lr).",
        severity="error",
        needs="config",
        look=_unknown_override,
    ),
)
