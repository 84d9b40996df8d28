"""The table of checks. The program, `--explain` and docs/checks.md all read these entries.

A new check is an entry beside a pure function in the file of its family; a new family is one file, which
is named here.
"""

from __future__ import annotations

from hptransfer.checks import (
    arithmetic,
    fields,
    groups,
    overrides,
    provenance,
    suppressing,
    trainer,
    units,
    values,
)
from hptransfer.checks.base import Check
from hptransfer.errors import UsageError, did_you_mean, plain

CHECKS: tuple[Check, ...] = (
    *fields.CHECKS,
    *overrides.CHECKS,
    *suppressing.CHECKS,
    *values.CHECKS,
    *arithmetic.CHECKS,
    *units.CHECKS,
    *provenance.CHECKS,
    *groups.CHECKS,
    *trainer.CHECKS,
)
SLUGS = frozenset(check.slug for check in CHECKS)

_PAGE_HEAD = """\
# Checks

What `hptransfer check` looks for, generated from the table in `hptransfer/checks`. An *error* makes the
exit code 1, a *warning* does not. `hptransfer check --explain ID` shows one entry.

Each is silenced in one config by `override: {slug: reason}`; *edited* also field by field, by
`override: {field: reason}`. An override of a field says that the edit is meant. It does not say that the
law agrees: *off the law* stays until its own slug is overridden or the law is fitted anew. Overridden
findings are listed apart and decide no exit code. Findings that follow from a slip of units are not
repeated beside it. A comment (`# hptransfer: ignore[HPT101] reason`) or a baseline silences as well:
[ci.md](ci.md).
"""


def find_check(name: str) -> Check:
    """Find a check by id or slug.

    Raises:  UsageError with the nearest name.
    """
    for check in CHECKS:
        if name.upper() == check.id or name == check.slug:
            return check
    known = [*(check.id for check in CHECKS), *SLUGS]
    msg = f"no check is called {plain(name)!r}.{did_you_mean(name, known)}"
    raise UsageError(msg)


def explanation(check: Check) -> str:
    """Describe one check in full, as Markdown."""
    return (
        f"## {check.id} {check.slug}: {check.title}\n\n"
        f"{check.why}\n\n"
        f"- Severity: {check.severity}\n- Fix: {check.fix}{' (`--fix` does it)' if check.fixable else ''}\n"
        f"- Source: {check.source}\n"
    )


def checks_page() -> str:
    """Write docs/checks.md."""
    rows = (
        f"| {check.id} | `{check.slug}` | {check.severity} | {'yes' if check.fixable else ''} "
        f"| {check.title} |"
        for check in CHECKS
    )
    table = "\n".join(["| id | name | severity | `--fix` | what |", "|---|---|---|---|---|", *rows, ""])
    return "\n".join([_PAGE_HEAD, table, *(explanation(check) for check in CHECKS)])
