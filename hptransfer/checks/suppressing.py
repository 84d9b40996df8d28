"""Checks of the comments that silence findings: codes that exist, a reason, and something to silence."""

from __future__ import annotations

from collections.abc import Iterator

from hptransfer.checks.base import Check, Deviation, Subject
from hptransfer.errors import did_you_mean, plain
from hptransfer.findings.suppressions import Suppression

FORM = "`# hptransfer: ignore[HPT101] reason`, or ignore-file for the whole file"


def trouble_with(comment: Suppression) -> str | None:
    """Say why a comment silences nothing; None where it makes sense."""
    from hptransfer.checks import CHECKS, SLUGS  # the whole table, which these entries are part of

    if comment.verb not in ("ignore", "ignore-file"):
        return f"{plain(comment.verb, limit=60)!r} is no instruction: write {FORM}."
    if not comment.codes:
        return f"it names no check: write {FORM}."
    known = [*(check.id for check in CHECKS), *SLUGS]
    for code in comment.codes:
        if code not in known:
            return f"{plain(code, limit=60)!r} is no check's id or name.{did_you_mean(code, known)}"
    return None if comment.reason else f"it gives no reason: write {FORM}."


def _bad_suppression(subject: Subject) -> Iterator[Deviation]:
    for comment in subject.suppressions:
        trouble = trouble_with(comment)
        if trouble is not None:
            yield Deviation("", f"this comment silences nothing: {trouble}", line=comment.line)


def _unused_suppression(subject: Subject) -> Iterator[Deviation]:
    for comment in subject.unused or ():
        text = f"nothing is found that {', '.join(comment.codes)} would silence here."
        yield Deviation("", text, line=comment.line)


CHECKS = (
    Check(
        id="HPT006",
        slug="bad-suppression",
        title="A comment that silences nothing",
        why="A misspelled suppression looks as if it worked, and one without a reason cannot be reviewed.",
        source="hptransfer's own syntax",
        fix=f"Write {FORM}, with whole ids or names of checks.",
        severity="error",
        needs="document",
        look=_bad_suppression,
    ),
    Check(
        id="HPT007",
        slug="unused-suppression",
        title="A comment with nothing left to silence",
        why="It would hide the next finding of its kind, which nobody has looked at.",
        source="hptransfer's own syntax",
        fix="Remove the comment.",
        severity="warning",
        needs="suppressions",
        look=_unused_suppression,
    ),
)
