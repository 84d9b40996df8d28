"""Which column of a file is which quantity: canonical names, known headers, `--column NAME=HEADER`."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import cast

from hptransfer.errors import InputError, Problem, UsageError, did_you_mean, plain
from hptransfer.sweep import LossUnit, ParamsKind

SHAPE = ("width", "depth", "ffn_width", "vocab_size")
"""Columns of a model's shape, from which params are counted where no column holds them."""

BATCH_PARTS = ("micro_batch_seqs", "grad_accumulation", "world_size")
"""Columns whose product is the batch in sequences, used where no column holds the batch."""

QUANTITIES = (
    "params", "tokens", "planned_tokens", "lr", "batch_tokens", "batch_seqs", "batch", *BATCH_PARTS,
    "seq_len", "steps", "planned_steps", "loss", *SHAPE,
)  # fmt: skip
"""Columns that hold numbers the fit needs."""

SETTINGS = (
    "schedule", "decay_type", "cooldown_fraction", "optimizer", "weight_decay", "parametrization", "dataset",
    "seq_len", "loss_kind", "beta1", "beta2", "epsilon", "grad_clip",
)  # fmt: skip
"""Columns that must not vary inside a sweep unless the user says so."""

RECORDED = ("warmup_fraction", "final_lr_ratio")
"""Columns with shares from 0 to 1 that plans take over where all runs agree; they may vary."""

LABELS = ("run", "seed", "diverged", "state")
"""Columns that tell runs apart or mark them; known by name, not needed by the fit."""

CANONICAL = tuple(dict.fromkeys((*QUANTITIES, *SETTINGS, *RECORDED, *LABELS)))

NEEDED = ("params", "tokens", "lr", "loss")
"""Columns that a sweep cannot do without; tokens and params may also come from others."""

_STATED_BATCH = ("batch_tokens", "batch_seqs", "batch")
_SEPARATORS = re.compile(r"[\s_\-]+")
_PART_ENDS = re.compile(r"[./]")
_SHORT = 2
_SHOWN_CHOICES = 8
_SAFE_IN_DOUBLE_QUOTES = re.compile(r"[\w \-+=:,./@%()\[\]]+")


class _Match(IntEnum):
    """How well a header matches a canonical name; the better ones are smaller."""

    WHOLE = 0
    NESTED = 1  # without its leading parts
    FALLBACK = 2


@dataclass(frozen=True)
class ColumnMap:
    """How one file's headers were understood: canonical name -> header."""

    file: str
    headers: tuple[str, ...]
    columns: Mapping[str, str]

    @property
    def used(self) -> Mapping[str, str]:
        """The mapped columns without quantities that a more direct column makes superfluous."""
        superfluous = _superfluous(self.columns)
        return {
            name: header
            for name, header in self.columns.items()
            if name not in superfluous and name not in ("run",)
        }

    @property
    def params_kind(self) -> ParamsKind:
        """What the header of the params column says it counts; a shape gives params without embeddings."""
        if "params" not in self.columns:
            return "non-embedding"
        kinds = cast(Mapping[str, ParamsKind], _stated("params", "kinds"))
        return next((kinds[form] for form in _forms(self.columns["params"]) if form in kinds), "unspecified")

    @property
    def loss_unit(self) -> LossUnit | None:
        """What the header of the loss column says of its unit."""
        units = cast(Mapping[str, LossUnit], _stated("loss", "units"))
        return next((units[form] for form in _forms(self.columns["loss"]) if form in units), None)

    @property
    def has_last_lr(self) -> bool:
        """Whether the LR comes from a column in which trackers log the schedule's current LR."""
        found = recognize(self.columns["lr"])
        return found is not None and found == ("lr", _Match.FALLBACK)

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


@dataclass(frozen=True)
class Question:
    """A canonical name that several headers of a file can mean, the likeliest first."""

    file: str
    name: str
    headers: tuple[str, ...]

    def __str__(self) -> str:
        """Ask which header is meant, with one `--column` for each."""
        shown = self.headers[:_SHOWN_CHOICES]
        more = f" (and {len(self.headers) - len(shown)} more)" if len(shown) < len(self.headers) else ""
        listed = ", ".join(repr(plain(h)) for h in shown)
        options = " or ".join(column_option(self.name, header) for header in shown)
        return f"{len(self.headers)} columns can be {self.name}: {listed}{more}. Say which: {options}"


def fold(header: str) -> str:
    """Return the form in which headers are compared.

    >>> fold("Smooth Loss"), fold("eval/loss"), fold("eval.loss"), fold("D"), fold("config.N")
    ('smooth_loss', 'eval/loss', 'eval/loss', 'D', 'config/N')
    """
    return "/".join(_fold_part(part) for part in _PART_ENDS.split(header.strip()))


def _fold_part(part: str) -> str:
    """Fold one part; N, D, lr, ti are too short to be told apart without their case."""
    return part if len(part) <= _SHORT else _SEPARATORS.sub("_", part).lower()


def check_column_names(assigned: Mapping[str, str]) -> None:
    """Raise UsageError for `--column NAME=HEADER` with a NAME that is no canonical column."""
    for name in assigned:
        if name not in CANONICAL:
            hint = did_you_mean(name, CANONICAL)
            msg = f"--column: unknown name {plain(name)!r}.{hint} Names: {', '.join(CANONICAL)}."
            raise UsageError(msg)


def map_columns(
    file: str, headers: Sequence[str], assigned: Mapping[str, str], *, needed: Sequence[str] = NEEDED
) -> ColumnMap:
    """Find the column of each canonical name.

    Args:    file: name for messages. headers: as in the file. assigned: canonical name -> header, from
             `--column`; these headers mean nothing else, and nothing else means these names. needed: names
             that must have a column, or others that settle them.
    Raises:  UsageError when an assigned header is not in the file; InputError with everything that is
             ambiguous, missing or named twice, and the exact `--column` to add.
    """
    mapped, questions = guess_columns(file, headers, assigned)
    asked = {question.name for question in questions}
    settled = {name: header for name, header in mapped.columns.items() if name not in asked}
    messages = [
        *map(str, questions),
        *missing_columns(mapped, needed=needed),
        *_repeated(headers, settled),
    ]
    if messages:
        raise InputError([Problem(file, None, None, message) for message in messages])
    return mapped


def guess_columns(
    file: str, headers: Sequence[str], assigned: Mapping[str, str]
) -> tuple[ColumnMap, list[Question]]:
    """Find the column of each canonical name, the likeliest where several can be meant.

    Returns: the mapping, and what a person should be asked; columns that are not needed are never asked
             about, and left out where they are ambiguous.
    Raises:  UsageError when an assigned header is not in the file.
    """
    columns = {name: _assigned_header(file, name, header, headers) for name, header in assigned.items()}
    taken = frozenset(columns.values())
    candidates = _candidates([h for h in dict.fromkeys(headers) if h and h not in taken], frozenset(columns))
    beside_the_point = {*_superfluous({**columns, **candidates}), *LABELS}
    questions = []
    for name, found in candidates.items():
        if len(found) == 1 or name in LABELS or name not in beside_the_point:
            columns[name] = found[0]
        if len(found) > 1 and name not in beside_the_point:
            questions.append(Question(file, name, tuple(found)))
    return ColumnMap(file=file, headers=tuple(headers), columns=columns), questions


def missing_columns(mapped: ColumnMap, *, needed: Sequence[str] = NEEDED) -> list[str]:
    """Say which needed canonical names have no column, where no other columns settle them either.

    Steps and a batch settle tokens; width and depth settle params.
    """
    columns = mapped.columns
    has_steps = bool({"steps", "planned_steps"} & columns.keys())
    has_batch = bool({*_STATED_BATCH, "micro_batch_seqs"} & columns.keys())
    instead = {
        "tokens": "planned_tokens" in columns or (has_steps and has_batch),
        "params": {"width", "depth"} <= columns.keys(),
    }
    return [
        f"no column for {name}.{did_you_mean(name, mapped.headers)} {_listed(mapped.headers)} "
        f"If one of them holds it, add --column {name}=HEADER."
        for name in needed
        if name not in columns and not instead.get(name)
    ]


def is_recognized(header: str) -> bool:
    """Whether a header means, or may mean, a canonical column."""
    return recognize(header) is not None


def recognize(header: str) -> tuple[str, _Match] | None:
    """Return the canonical name a header means, and how well it matches."""
    for number, form in enumerate(_forms(header)):
        found = _index().get(form)
        if found is not None:
            name, is_fallback = found
            asks = bool(_table().get(name, {}).get("ask"))
            nested = _Match.NESTED if number and not asks else _Match.WHOLE
            return name, _Match.FALLBACK if is_fallback else nested
    return None


def column_option(name: str, header: str) -> str:
    """Write the option that settles a column, quoted for a shell.

    >>> column_option("loss", "smooth loss"), column_option("loss", "loss")
    ('--column "loss=smooth loss"', '--column loss=loss')
    """
    return f"--column {quoted(f'{name}={plain(header)}')}"


def quoted(value: str) -> str:
    """Quote an option's value for a shell, in double quotes where that is enough.

    >>> quoted("schedule=wsd"), quoted("schedule=cosine (to 10%)"), quoted("params!=7e9")
    ('schedule=wsd', '"schedule=cosine (to 10%)"', "'params!=7e9'")
    """
    safe = shlex.quote(value)
    return f'"{value}"' if safe != value and _SAFE_IN_DOUBLE_QUOTES.fullmatch(value) else safe


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
    """Return the headers that match each canonical name best, the likeliest first; no entry for none."""
    found: dict[str, list[tuple[_Match, int, str]]] = {}
    for header in headers:
        recognized = recognize(header)
        if recognized is not None and recognized[0] not in settled:
            name, match = recognized
            found.setdefault(name, []).append((match, _rank(name, header), header))
    best = {name: min(matches)[0] for name, matches in found.items()}
    return {
        name: [
            h for match, _, h in sorted(found[name], key=lambda item: item[:2]) if match == best[name]
        ]
        for name in CANONICAL
        if name in found
    }  # fmt: skip


def _superfluous(columns: Mapping[str, object]) -> set[str]:
    """Return the quantities that say nothing new, given the others: a shape beside params, say."""
    superfluous = set()
    if "params" in columns:
        superfluous |= set(SHAPE)
    if any(name in columns for name in ("batch_tokens", "batch_seqs")):
        superfluous |= {"batch", *BATCH_PARTS}
    return superfluous


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


def _forms(header: str) -> Iterator[str]:
    """Yield a folded header whole, then without what trackers write in front of it, longest first.

    A last part of two characters or fewer counts only behind a known container: `D/N` is no N.
    """
    whole = fold(header)
    yield whole
    prefixes = cast(Mapping[str, Sequence[str]], _table()["prefixes"])
    for prefix in prefixes["joined"]:
        if whole.startswith(prefix):
            yield whole.removeprefix(prefix)
    parts = whole.split("/")
    for start in range(1, len(parts)):
        form = "/".join(parts[start:])
        if len(form) > _SHORT or parts[start - 1] in prefixes["containers"]:
            yield form


def _rank(name: str, header: str) -> int:
    """Return a header's place in the list of synonyms, smaller is preferred."""
    ranks = _ranks(name)
    return min((ranks[form] for form in _forms(header) if form in ranks), default=len(ranks))


@cache
def _table() -> Mapping[str, Mapping[str, object]]:
    return tomllib.loads(files(__package__).joinpath("synonyms.toml").read_text(encoding="utf-8"))


@cache
def _ranks(name: str) -> Mapping[str, int]:
    """Folded header -> its place in the list; the canonical name is first where the list lacks it."""
    listed = [fold(header) for header in _headers(name, "headers")]
    return {
        form: place for place, form in enumerate(dict.fromkeys(listed if name in listed else [name, *listed]))
    }


@cache
def _index() -> Mapping[str, tuple[str, bool]]:
    """Folded header -> canonical name, and whether it is for want of a better one only."""
    index: dict[str, tuple[str, bool]] = {}
    for name in CANONICAL:
        for form in _ranks(name):
            index[form] = (name, False)
        for header in _headers(name, "fallback"):
            index.setdefault(fold(header), (name, True))
    return index


def _headers(name: str, key: str) -> Sequence[str]:
    return cast(Sequence[str], _table().get(name, {}).get(key, ()))


@cache
def _stated(name: str, key: str) -> Mapping[str, str]:
    """Folded header -> what it says beside its name: what it counts, or its unit."""
    return {fold(header): value for header, value in cast(Mapping[str, str], _table()[name][key]).items()}
