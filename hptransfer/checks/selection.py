"""Which checks run: selected and ignored by the start of an id, by id or by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hptransfer.checks import CHECKS, SLUGS
from hptransfer.checks.base import Check
from hptransfer.errors import UsageError, did_you_mean, plain


@dataclass(frozen=True)
class Selection:
    """Selected and ignored codes: `HPT` (all), `HPT1` (a family), `HPT101` or `edited` (one).

    The longest code that fits a check decides, so that `--select HPT101 --ignore HPT1` runs HPT101 alone
    of its family; ignoring wins a tie. Selecting nothing selects everything.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __contains__(self, check: Check) -> bool:
        """Whether a check runs."""
        return _fit(check, self.select or ("HPT",)) > _fit(check, self.ignore)


def _fit(check: Check, codes: Iterable[str]) -> int:
    """Length of the longest code that fits; 0 where none does, a name counts as a whole id."""
    lengths = (
        len(check.id) if code == check.slug else len(code) if check.id.startswith(code) else 0
        for code in codes
    )
    return max(lengths, default=0)


def read_codes(codes: Iterable[str], asked_by: str) -> tuple[str, ...]:
    """Read codes, separated by commas within each text; `asked_by` names the option or key.

    Raises:  UsageError for a code that fits no check, with the nearest.
    """
    wanted = [code.strip() for text in codes for code in text.split(",") if code.strip()]
    for code in wanted:
        if code not in SLUGS and not (code and any(check.id.startswith(code) for check in CHECKS)):
            known = [*(check.id for check in CHECKS), *SLUGS]
            hint = did_you_mean(code, known) or did_you_mean(code.upper(), known)
            msg = f"{asked_by}: {plain(code)!r} fits no check.{hint}"
            raise UsageError(f"{msg} `hptransfer check --explain all` lists them.")
    return tuple(wanted)
