"""Two laws side by side, in tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hptransfer.cli.render import count, count_interval, interval, number, say, table
from hptransfer.comparison.two_laws import where
from hptransfer.errors import plain
from hptransfer.quantities import short_count

if TYPE_CHECKING:
    from hptransfer.comparison.two_laws import Difference, LawComparison, Planned


def show_law_comparison(found: LawComparison) -> None:
    """Print coefficients with z, crossings, what each plans, caveats and the verdict."""
    title = f"A: {plain(found.a)}, B: {plain(found.b)} (level at {where(found.middle)})"
    table(
        title,
        ("", "term", "A#", "B#", "std of difference#", "z#", ""),
        (_row(one) for one in found.differences),
    )
    if found.planned:
        columns = ("", "A#", "90 %", "B#", "90 %", "B / A#")
        table("Planned for the target", columns, (_planned_row(one) for one in found.planned))
    for crossing in found.crossings:
        fixed = ", ".join(f"{short_count(value)} {name}" for name, value in crossing.fixed.items())
        say(f"{crossing.quantity}: equal at {short_count(crossing.at)} {crossing.along} ({fixed}).")
    for caveat in found.caveats:
        say(f"Differs or unknown: {plain(caveat, limit=300)}")
    say(plain(found.verdict, limit=1000))


def _row(one: Difference) -> tuple[str, ...]:
    a, b = (f"{value:.4f}" for value in (one.a, one.b))
    if one.term == "level":
        write = number if one.quantity == "peak_lr" else count
        a, b = (write(math.exp(value)) for value in (one.a, one.b))
    return (
        one.quantity,
        one.term if one.term == "level" else f"{one.term} exponent",
        a,
        b,
        "-" if one.std is None else f"{one.std:.3f}",
        "-" if one.z is None else f"{one.z:+.1f}",
        "differs" if one.is_clear else "",
    )


def _planned_row(one: Planned) -> tuple[str, ...]:
    write = number if one.quantity == "peak_lr" else count
    spans = (
        interval(span) if one.quantity == "peak_lr" else count_interval(span)
        for span in (one.a_interval, one.b_interval)
    )
    first, second = spans
    ratio = "-" if one.ratio is None else f"{one.ratio:.3g}"
    return (one.quantity, write(one.a), first, write(one.b), second, ratio)
