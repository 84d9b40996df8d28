"""`--where COL=VALUE` and `--where COL!=VALUE`: which rows of a file belong to the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from hptransfer.errors import UsageError, plain
from hptransfer.readers.tables import Value
from hptransfer.readers.values import as_number

_SHOWN_VALUES = 10


class RowFilter:
    """Keeps rows in which every named column has the wanted value, and none has an unwanted one.

    Values are compared as text without surrounding blanks, or as numbers where both are numbers. The values
    seen are remembered, for the message when nothing is kept.
    """

    def __init__(self, where: Mapping[str, str], without: Collection[tuple[str, str]] = ()) -> None:
        self._conditions = [(name, value, True) for name, value in where.items()]
        self._conditions += [(name, value, False) for name, value in without]
        self._seen: dict[str, Counter[Value]] = {name: Counter() for name in self.names}
        self._same: list[dict[Value, bool]] = [{} for _ in self._conditions]
        self._kept = 0

    @property
    def names(self) -> Sequence[str]:
        """The columns asked about, as the user named them."""
        return list(dict.fromkeys(name for name, _, _ in self._conditions))

    def keep(self, columns: Sequence[Sequence[Value]], n_rows: int) -> list[bool]:
        """Return which rows of a chunk to keep, given one column for each of `names`."""
        by_name = dict(zip(self.names, columns, strict=True))
        for name, entries in by_name.items():
            self._seen[name].update(entries)
        kept = [True] * n_rows
        for (name, value, wanted), same in zip(self._conditions, self._same, strict=True):
            for entry in self._seen[name].keys() - same.keys():
                same[entry] = _same(entry, value)
            kept = [
                before and same[entry] == wanted for before, entry in zip(kept, by_name[name], strict=True)
            ]
        self._kept += sum(kept)
        return kept

    def check_matched(self) -> None:
        """Raise UsageError naming the values that are there when rows were seen but none was kept."""
        if self._conditions and not self._kept:
            asked = " ".join(
                f"--where {plain(name)}{'=' if wanted else '!='}{plain(value)}"
                for name, value, wanted in self._conditions
            )
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
