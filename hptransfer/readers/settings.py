"""Settings of a sweep: what must be the same in all its runs, and what it was."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.readers.columns import RECORDED, SETTINGS, ColumnMap, quoted
from hptransfer.readers.runs import RawRuns
from hptransfer.readers.values import LabelColumn
from hptransfer.sweep import FloatArray

_SHOWN_VALUES = 10


def varying_settings(vary: Iterable[str], maps: Iterable[ColumnMap]) -> frozenset[str]:
    """Return the settings that `--vary` names, by canonical name or header.

    Raises:  UsageError for a name that is no setting.
    """
    name_of_header = {h: name for columns in maps for name, h in columns.columns.items() if name in SETTINGS}
    varying = {name_of_header.get(name, name) for name in vary}
    for name in sorted(varying - set(SETTINGS)):
        hint = did_you_mean(name, SETTINGS)
        msg = f"--vary: {plain(name)!r} is no setting.{hint} Settings: {', '.join(SETTINGS)}."
        raise UsageError(msg)
    return frozenset(varying)


def constant_settings(runs: RawRuns, *, vary: Collection[str]) -> dict[str, str | float]:
    """Return each setting's one value, for settings that have one and are not in `vary`.

    Those of `columns.RECORDED` are left out where they vary or are no share from 0 to 1.

    Raises:  RefusalError naming all settings that vary, their values with counts, and the way out.
    """
    constant = {}
    complaints = []
    for name in SETTINGS:
        if name in vary or name not in runs.codes:
            continue
        present = _present(runs, name)
        if len(present) > 1:
            complaints.append(_complaint(name, present))
        elif present:
            constant[name] = next(iter(present))
    if complaints:
        raise RefusalError("\n".join(complaints))
    return constant | _recorded(runs)


def _present(runs: RawRuns, name: str) -> dict[str | float, int]:
    """Return the values of a setting with the number of runs that have each."""
    codes = runs.codes[name]
    counts = np.bincount(codes[codes != LabelColumn.UNKNOWN], minlength=len(runs.labels[name]))
    return {value: int(n) for value, n in zip(runs.labels[name], counts, strict=True) if n}


def _recorded(runs: RawRuns) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for name in RECORDED:
        values = list(_present(runs, name)) if name in runs.codes else []
        if len(values) == 1 and isinstance(values[0], float) and 0 <= values[0] <= 1:
            found[name] = values[0]
    return found


def unknown_settings(runs: RawRuns, constant: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Warn where a setting that is known for some runs is unknown for others."""
    partly = {
        name: n_unknown
        for name in constant
        if (n_unknown := int((runs.codes[name] == LabelColumn.UNKNOWN).sum()))
    }
    if not partly:
        return ()
    listed = ", ".join(f"{name} in {count} of {len(runs)} runs" for name, count in partly.items())
    return (("setting-unknown", f"not said, and taken to be as in the other runs: {listed}."),)


def label_numbers(runs: RawRuns, name: str) -> FloatArray | None:
    """Return a setting as numbers, (n_rows,), NaN where it is unknown or no number; None without a column."""
    if name not in runs.codes:
        return None
    numbers = [value if isinstance(value, float) else np.nan for value in runs.labels[name]]
    return np.array([*numbers, np.nan])[runs.codes[name]]  # unknown is code -1, the last entry


def _complaint(name: str, present: dict[str | float, int]) -> str:
    by_count = sorted(present.items(), key=lambda item: (-item[1], str(item[0])))
    shown = [f"{_text(value)} ({count} runs)" for value, count in by_count[:_SHOWN_VALUES]]
    more = f", ... ({len(present)} values)" if len(present) > _SHOWN_VALUES else ""
    example = quoted(f"{name}={_text(by_count[0][0])}")
    return (
        f"{name} varies inside the sweep: {', '.join(shown)}{more}. "
        f"Keep one with --where {example}, or add --vary {name} where the varying is the point."
    )


def _text(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else plain(value, limit=60)
