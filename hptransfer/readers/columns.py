"""Which column of a file is which quantity: canonical names, known headers, `--column NAME=HEADER`."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from hptransfer.errors import InputError, Problem, UsageError, did_you_mean, plain
from hptransfer.sweep import ParamsKind

QUANTITIES = ("params", "tokens", "lr", "batch_tokens", "batch_seqs", "seq_len", "steps", "loss")
"""Columns that hold numbers the fit needs."""

SETTINGS = (
    "schedule", "optimizer", "weight_decay", "parametrization", "dataset", "seq_len", "loss_kind",
    "beta1", "beta2", "epsilon", "grad_clip",
)  # fmt: skip
"""Columns that must not vary inside a sweep unless the user says so."""

LABELS = ("run", "seed", "width", "depth", "diverged")
"""Columns that tell runs apart or mark them; known by name, not needed by the fit."""

CANONICAL = tuple(dict.fromkeys((*QUANTITIES, *SETTINGS, *LABELS)))

_NEEDED = ("params", "lr", "loss")
_SEPARATORS = re.compile(r"[\s_\-]+")
_SAFE_IN_DOUBLE_QUOTES = re.compile(r"[\w \-+=:,./@%()\[\]]+")


@dataclass(frozen=True)
class Meaning:
    """The folded headers that mean one canonical column, the preferred ones and those for want of them."""

    headers: frozenset[str]
    fallback: frozenset[str]


@dataclass(frozen=True)
class ColumnMap:
    """How one file's headers were understood: canonical name -> header."""

    file: str
    headers: tuple[str, ...]
    columns: Mapping[str, str]

    @property
    def params_kind(self) -> ParamsKind:
        """What the header of the params column says it counts."""
        return _kinds().get(fold(self.columns["params"]), "unspecified")

    def header_of(self, column: str) -> str:
        """Return the header a user means by a canonical name or a header.

        Raises:  UsageError naming the file's columns when there is none.
        """
        if column in self.columns:
            return self.columns[column]
        if column in self.headers:
            return column
        known = [*self.columns, *self.headers]
        hint = did_you_mean(column, known)
        msg = f"{plain(self.file)} has no column {plain(column)!r}.{hint} {_listed(self.headers)}"
        raise UsageError(msg)


def fold(header: str) -> str:
    """Return the form in which headers are compared.

    >>> fold("Smooth Loss"), fold("eval/loss"), fold("eval.loss"), fold("D")
    ('smooth_loss', 'eval/loss', 'eval/loss', 'D')
    """
    text = header.strip()
    if len(text) <= 2:  # N, D, lr, ti: too short to be told apart without their case
        return text
    return _SEPARATORS.sub("_", text).lower().replace(".", "/")


def check_column_names(assigned: Mapping[str, str]) -> None:
    """Raise UsageError for `--column NAME=HEADER` with a NAME that is no canonical column."""
    for name in assigned:
        if name not in CANONICAL:
            hint = did_you_mean(name, CANONICAL)
            msg = f"--column: unknown name {plain(name)!r}.{hint} Names: {', '.join(CANONICAL)}."
            raise UsageError(msg)


def map_columns(file: str, headers: Sequence[str], assigned: Mapping[str, str]) -> ColumnMap:
    """Find the column of each canonical name.

    Args:    file: name for messages. headers: as in the file. assigned: canonical name -> header, from
             `--column`; these headers mean nothing else, and nothing else means these names.
    Raises:  UsageError when an assigned header is not in the file; InputError with everything that is
             ambiguous, missing or named twice, and the exact `--column` to add.
    """
    columns = {name: _assigned_header(file, name, header, headers) for name, header in assigned.items()}
    taken = frozenset(columns.values())
    candidates = _candidates([h for h in dict.fromkeys(headers) if h and h not in taken], frozenset(columns))
    columns |= {name: found[0] for name, found in candidates.items() if len(found) == 1}
    messages = [
        *_choices(candidates),
        *_unclear(headers, columns, candidates),
        *_missing(headers, columns, candidates),
        *_repeated(headers, columns),
    ]
    if messages:
        raise InputError([Problem(file, None, None, message) for message in messages])
    return ColumnMap(file=file, headers=tuple(headers), columns=columns)


def is_recognized(header: str) -> bool:
    """Whether a header means, or may mean, a canonical column."""
    return any(fold(header) in meaning.headers | meaning.fallback for meaning in _meanings().values())


def column_option(name: str, header: str) -> str:
    """Write the option that settles a column, quoted for a shell.

    >>> column_option("loss", "smooth loss"), column_option("loss", "loss")
    ('--column "loss=smooth loss"', '--column loss=loss')
    """
    value = f"{name}={plain(header)}"
    quoted = shlex.quote(value)
    if quoted != value and _SAFE_IN_DOUBLE_QUOTES.fullmatch(value):
        quoted = f'"{value}"'
    return f"--column {quoted}"


def _assigned_header(file: str, name: str, header: str, headers: Sequence[str]) -> str:
    """Return the header as the file spells it (surrounding blanks do not count), or raise UsageError."""
    if header.strip() in headers:
        return header.strip()
    msg = (
        f"{column_option(name, header)}: {plain(file)} has no such column."
        f"{did_you_mean(header, headers)} {_listed(headers)}"
    )
    raise UsageError(msg)


def _candidates(headers: Sequence[str], settled: frozenset[str]) -> dict[str, list[str]]:
    """Return the headers that mean each canonical name that is not settled yet, ambiguous ones left out."""
    found: dict[str, list[str]] = {}
    for name, meaning in _meanings().items():
        if name in settled:
            continue
        own = [h for h in headers if fold(h) in meaning.headers and fold(h) not in _shared()]
        found[name] = own or [h for h in headers if fold(h) in meaning.fallback]
    return found


def _choices(candidates: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which canonical names have several columns, with one `--column` for each."""
    return [
        f"{len(found)} columns can be {name}: {', '.join(repr(plain(h)) for h in found)}. Say which: "
        + " or ".join(column_option(name, header) for header in found)
        for name, found in candidates.items()
        if len(found) > 1
    ]


def _unclear(
    headers: Sequence[str], columns: Mapping[str, str], candidates: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say which headers can mean several canonical names, none of which has a column of its own."""
    messages = []
    for header in dict.fromkeys(headers):
        names = _shared().get(fold(header), ())
        if not names or header in columns.values() or any(n in columns or candidates.get(n) for n in names):
            continue
        options = " or ".join(column_option(name, header) for name in names)
        messages.append(f"column {plain(header)!r} can be {' or '.join(names)}. Say which: {options}")
    return messages


def _missing(
    headers: Sequence[str], columns: Mapping[str, str], candidates: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say which needed canonical names have no column. Tokens can do without: steps x batch settles them."""
    has_steps = "steps" in columns and ("batch_tokens" in columns or "batch_seqs" in columns)
    needed = _NEEDED if has_steps else (*_NEEDED, "tokens")
    return [
        f"no column for {name}.{did_you_mean(name, headers)} {_listed(headers)} "
        f"If one of them holds it, add --column {name}=HEADER."
        for name in CANONICAL
        if name in needed and name not in columns and not candidates.get(name)
    ]


def _repeated(headers: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """Say which columns in use have a header that occurs more than once."""
    return [
        f"{headers.count(header)} columns are named {plain(header)!r} (read as {name}). "
        "Rename all but the one that is meant."
        for name, header in columns.items()
        if headers.count(header) > 1
    ]


def _listed(headers: Iterable[str], limit: int = 30) -> str:
    names = [plain(header, limit=60) for header in headers]
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return f"Its columns: {', '.join(names[:limit])}{more}."


@cache
def _table() -> Mapping[str, Mapping[str, object]]:
    return tomllib.loads(files(__package__).joinpath("synonyms.toml").read_text(encoding="utf-8"))


@cache
def _meanings() -> Mapping[str, Meaning]:
    """Canonical name -> headers that mean it, from synonyms.toml."""

    def folded(name: str, key: str) -> list[str]:
        return [fold(header) for header in cast(Sequence[str], _table().get(name, {}).get(key, ()))]

    return {
        name: Meaning(frozenset([name, *folded(name, "headers")]), frozenset(folded(name, "fallback")))
        for name in CANONICAL
    }


@cache
def _shared() -> Mapping[str, tuple[str, ...]]:
    """Folded header -> canonical names, for headers that can mean several."""
    names: dict[str, list[str]] = {}
    for name, meaning in _meanings().items():
        for header in meaning.headers:
            names.setdefault(header, []).append(name)
    return {header: tuple(claims) for header, claims in names.items() if len(claims) > 1}


@cache
def _kinds() -> Mapping[str, ParamsKind]:
    """Folded header of a params column -> what it counts."""
    kinds = cast(Mapping[str, ParamsKind], _table()["params"]["kinds"])
    return {fold(header): kind for header, kind in kinds.items()}
