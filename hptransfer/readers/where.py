"""`--where COL=VALUE`: which rows of a file belong to the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hptransfer.errors import UsageError, plain
from hptransfer.readers.tables import Value
from hptransfer.readers.values import as_number

_SHOWN_VALUES = 10


class RowFilter:
    """Keeps rows in which every named column has the wanted value, and remembers which values it saw.

    Values are compared as text without surrounding blanks, or as numbers where both are numbers.
    """

    def __init__(self, where: Mapping[str, str]) -> None:
        self._wanted = dict(where)
        self._seen: dict[str, Counter[Value]] = {name: Counter() for name in where}
        self._matches: dict[str, dict[Value, bool]] = {name: {} for name in where}
        self._kept = 0

    @property
    def names(self) -> Sequence[str]:
        """The columns asked about, as the user named them."""
        return list(self._wanted)

    def keep(self, columns: Sequence[Sequence[Value]], n_rows: int) -> list[bool]:
        """Return which rows of a chunk to keep, given one column for each of `names`."""
        kept = [True] * n_rows
        for name, entries in zip(self._wanted, columns, strict=True):
            self._seen[name].update(entries)
            matches = self._matches[name]
            for entry in self._seen[name].keys() - matches.keys():
                matches[entry] = _same(entry, self._wanted[name])
            kept = [before and matches[entry] for before, entry in zip(kept, entries, strict=True)]
        self._kept += sum(kept)
        return kept

    def check_matched(self) -> None:
        """Raise UsageError naming the values that are there when rows were seen but none was kept."""
        if self._wanted and not self._kept:
            asked = " ".join(f"--where {plain(name)}={plain(value)}" for name, value in self._wanted.items())
            present = "; ".join(f"{plain(name)} is {_counts(seen)}" for name, seen in self._seen.items())
            msg = f"{asked} matches no run: {present}."
            raise UsageError(msg)


def _same(entry: Value, wanted: str) -> bool:
    if str(entry).strip() == wanted.strip():
        return True
    try:
        return as_number(entry) == as_number(wanted)
    except (ValueError, OverflowError):
        return False


def _counts(seen: Counter[Value]) -> str:
    shown = [
        f"{plain(value, limit=60) or '(empty)'} ({count} runs)"
        for value, count in seen.most_common(_SHOWN_VALUES)
    ]
    more = f", ... ({len(seen)} values)" if len(seen) > _SHOWN_VALUES else ""
    return ", ".join(shown) + more if shown else "without values"
