"""A saved mapping (`--map FILE`): how the columns of one group's sweeps are to be read, as TOML or YAML."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from hptransfer.document import read_document
from hptransfer.errors import InputError, Problem, did_you_mean, plain
from hptransfer.files import read_text
from hptransfer.readers.columns import CANONICAL
from hptransfer.readers.sources import SOURCES
from hptransfer.readers.units import BatchUnit
from hptransfer.sweep import LossUnit, ParamsKind

MAX_BYTES = 2**20
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Reading:
    """How the columns of a sweep are to be read; the arguments of `read_sweep` of the same names."""

    source: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    without: tuple[tuple[str, str], ...] = ()
    vary: tuple[str, ...] = ()
    params_kind: ParamsKind | None = None
    loss_unit: LossUnit | None = None
    batch_unit: BatchUnit | None = None
    seq_len: int | None = None
    skip_bad_rows: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for `read_sweep`."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def over(self, other: Reading) -> Reading:
        """Return this reading where it says something, else the other; tables are merged entry by entry."""
        merged: dict[str, Any] = {
            "columns": {**other.columns, **self.columns},
            "where": {**other.where, **self.where},
            "without": (*other.without, *self.without),
            "vary": (*other.vary, *self.vary),
            "skip_bad_rows": self.skip_bad_rows or other.skip_bad_rows,
        }
        own = {name: value for name, value in self.arguments().items() if value is not None}
        return replace(other, **{**own, **merged})


def read_map(path: str) -> Reading:
    """Read a saved mapping; YAML by its suffix, else TOML.

    Raises:  FileError when it cannot be read; InputError with everything in it that means nothing.
    """
    text = read_text(path, max_bytes=MAX_BYTES)
    content = read_document(text, path).content if path.lower().endswith(_YAML) else _toml(text, path)
    problems = [Problem(path, None, None, message) for message in _problems(content)]
    if problems:
        raise InputError(problems)
    return Reading(
        columns=dict(content.get("columns") or {}),
        where={name: _text(value) for name, value in (content.get("where") or {}).items()},
        without=tuple(
            (name, _text(value))
            for name, values in (content.get("without") or {}).items()
            for value in values
        ),
        vary=tuple(content.get("vary") or ()),
        **{name: content[name] for name in _SCALARS if content.get(name) is not None},
    )


_CHOICES: Mapping[str, Collection[str]] = {
    "source": tuple(SOURCES),
    "params_kind": get_args(ParamsKind),
    "loss_unit": get_args(LossUnit),
    "batch_unit": get_args(BatchUnit),
}
_SCALARS = (*_CHOICES, "seq_len", "skip_bad_rows")
_KEYS = tuple(item.name for item in fields(Reading))


def _toml(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError([Problem(path, None, None, f"not valid TOML ({plain(error)}).")]) from None


def _problems(content: Mapping[str, Any]) -> list[str]:
    """Say what a mapping's content holds that means nothing."""
    messages = [
        f"unknown key {plain(key)!r}.{did_you_mean(key, _KEYS)} Known: {', '.join(_KEYS)}."
        for key in content
        if key not in _KEYS
    ]
    for table in ("columns", "where"):
        entries = content.get(table) or {}
        if not isinstance(entries, dict) or not all(_is_plain(value) for value in entries.values()):
            messages.append(f"{table}: need a table of NAME = VALUE.")
    columns = content.get("columns")
    for name, header in columns.items() if isinstance(columns, dict) else ():
        if name not in CANONICAL:
            hint = did_you_mean(name, CANONICAL)
            messages.append(f"columns: unknown name {plain(name)!r}.{hint} Names: {', '.join(CANONICAL)}.")
        elif not isinstance(header, str):
            messages.append(f"columns: {name}: need the header as text.")
    without = content.get("without") or {}
    if not isinstance(without, dict) or not all(_is_plain_list(values) for values in without.values()):
        messages.append("without: need a table of NAME = [VALUE, ...].")
    vary = content.get("vary") or []
    if not _is_plain_list(vary):
        messages.append("vary: need a list of settings.")
    for name, known in _CHOICES.items():
        if content.get(name) is not None and content[name] not in known:
            hint = did_you_mean(str(content[name]), known)
            messages.append(f"{name}: got {plain(content[name])!r}, need one of {', '.join(known)}.{hint}")
    if not isinstance(content.get("skip_bad_rows", False), bool):
        messages.append("skip_bad_rows: need true or false.")
    seq_len = content.get("seq_len")
    if seq_len is not None and (not isinstance(seq_len, int) or isinstance(seq_len, bool) or seq_len <= 0):
        messages.append(f"seq_len: got {plain(seq_len)!r}, need a positive number of tokens per sequence.")
    return messages


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_plain_list(values: object) -> bool:
    return isinstance(values, list) and all(_is_plain(value) for value in values)


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
