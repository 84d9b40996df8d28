"""Gradient norms of a finished run, one a line."""

from __future__ import annotations

from hptransfer.errors import InputError, Problem, plain
from hptransfer.files import read_text
from hptransfer.quantities import parse_number


def read_norms(path: str) -> tuple[float, ...]:
    """Read one number a line; blank lines, and a first line that is a header, are skipped.

    Raises:  InputError naming every line that is no number.
    """
    norms, problems = [], []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            norms.append(parse_number(text.strip().rstrip(",")))
        except ValueError:
            if line > 1:
                problems.append(Problem(path, line, None, f"got {plain(text)!r}, need one gradient norm."))
    if problems:
        raise InputError(problems)
    return tuple(norms)
