"""Checks of the file itself: names, missing fields, values that cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hptransfer.checks.base import Check, Deviation, Subject
from hptransfer.errors import plain

_NUMBER_EVERYWHERE = re.compile(r"[-+]?(0|[1-9][0-9]*|[0-9]*\.[0-9]*([eE][-+][0-9]+)?)")


def _problems(kind: str) -> Callable[[Subject], Iterator[Deviation]]:
    def look(subject: Subject) -> Iterator[Deviation]:
        yield from (Deviation(p.field, f"{p.field}: {p.message}") for p in subject.problems if p.kind == kind)

    return look


def _number_as_text(subject: Subject) -> Iterator[Deviation]:
    """Numbers such as 3e-4, which YAML 1.1 readers (PyYAML, so most trainers) take as text."""
    for path, text in subject.document.texts.items():
        if not _NUMBER_EVERYWHERE.fullmatch(text):
            message = (
                f"{plain(path)} is written {plain(text, limit=40)}, which YAML 1.1 readers do not take so."
            )
            yield Deviation(path, message, expected=float(text))


CHECKS = (
    Check(
        id="HPT001",
        slug="unknown-field",
        title="A field that does not exist",
        why="A misspelled field is silently without effect in most trainers.",
        source="hptransfer's config schema",
        fix="Correct the name, or remove the line.",
        severity="error",
        needs="document",
        look=_problems("unknown"),
    ),
    Check(
        id="HPT002",
        slug="missing-field",
        title="A field that is needed and missing",
        why="Without it the trainer's default decides, and nothing can be compared with the law.",
        source="hptransfer's config schema",
        fix="Add FIELD again, or write the config anew with `hptransfer plan`.",
        severity="error",
        needs="document",
        look=_problems("missing"),
    ),
    Check(
        id="HPT003",
        slug="bad-value",
        title="A value that cannot be",
        why="Text in place of a number, or a number out of its range, ends a run late or never.",
        source="hptransfer's config schema",
        fix="Correct the value of FIELD.",
        severity="error",
        needs="document",
        look=_problems("bad-value"),
    ),
    Check(
        id="HPT004",
        slug="number-as-text",
        title="A number that some YAML readers take as something else",
        why="YAML 1.1 wants a point in the mantissa and a sign in the exponent: PyYAML reads 3e-4 as text, "
        "and 010 as eight.",
        source="yaml.org/type/float.html against YAML 1.2.2, chapter 10.2",
        fix="Write 3.0e-04 for 3e-4, and no leading zeros.",
        severity="warning",
        needs="document",
        look=_number_as_text,
        fixable=True,
    ),
)
