"""Targets from CSV: columns params, tokens and optionally batch_tokens, one target a row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hptransfer.errors import InputError, Problem, did_you_mean, plain
from hptransfer.planning import Target
from hptransfer.quantities import parse_number

NEEDED = ("params", "tokens")
OPTIONAL = ("batch_tokens",)


def read_targets(lines: Iterable[str], name: str, common: Target) -> list[Target]:
    """Read targets in the order of the rows; what the file does not give is taken from `common`.

    Raises:  InputError with every bad row for a missing or unknown column or a value that is no positive
             number.
    """
    rows = csv.reader(lines)
    header = [cell.strip().lstrip("\ufeff") for cell in next(rows, [])]
    problems = list(_header_problems(header, name))
    if problems:
        raise InputError(
            problems, way_out="Targets need the header params,tokens or params,tokens,batch_tokens."
        )
    targets = []
    for line, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            problems.append(Problem(name, line, None, f"got {len(row)} cells, the header has {len(header)}."))
            continue
        values: dict[str, float] = {}
        for column, cell in zip(header, row, strict=True):
            if cell.strip() or column in NEEDED:
                value = _positive(cell)
                if value is None:
                    problems.append(
                        Problem(name, line, column, f"got {plain(cell)!r}, need a positive number.")
                    )
                else:
                    values[column] = value
        if not problems:
            targets.append(
                replace(
                    common,
                    params=values["params"],
                    tokens=values["tokens"],
                    batch_tokens=values.get("batch_tokens", common.batch_tokens),
                )
            )
    if problems:
        raise InputError(problems)
    if not targets:
        raise InputError([Problem(name, None, None, "holds no targets.")])
    return targets


def _header_problems(header: list[str], name: str) -> Iterator[Problem]:
    known = (*NEEDED, *OPTIONAL)
    for column in NEEDED:
        if column not in header:
            yield Problem(name, 1, column, "this column is missing.")
    for column in header:
        if column not in known:
            yield Problem(name, 1, column, f"is no column of targets.{did_you_mean(column, known)}")
        elif header.count(column) > 1:
            yield Problem(name, 1, column, "appears more than once.")


def _positive(text: str) -> float | None:
    try:
        value = parse_number(text)
    except ValueError:
        return None
    return value if value > 0 else None
