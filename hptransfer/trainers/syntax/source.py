"""What every syntax speaks of: fields with their places in a text, and the blocks that hold them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from hptransfer.errors import InputError, Problem, plain

Scalar: TypeAlias = float | int | str | bool | None

MAX_FIELDS = 100_000  # aliases of aliases unfold without end


@dataclass(frozen=True)
class Written:
    """A field as it stands in a text: value as the trainer's parser takes it, 1-based line, and its span.

    `merged`: it came from another mapping (`<<`, or an alias of the whole): it can only be overridden.
    """

    value: Scalar
    line: int
    text: str
    start: int
    end: int
    merged: bool = False


@dataclass(frozen=True)
class Block:
    """A mapping that fields can be added to.

    `tail` is where its last field ends (its opening where it has none), `indent` the text before its
    fields, `flow` whether it is written in braces. `alias`: where an alias starts that stands for it.
    """

    tail: int
    indent: str
    flow: bool
    empty: bool = False
    alias: int | None = None


@dataclass(frozen=True)
class Entry:
    """A name with its value, as one thing to take out or to write anew: offsets of its start, value and end.

    `lead` goes before a new value: a block below its name starts where the name ends, and wants a colon.
    """

    start: int
    value: int
    end: int
    lead: str = ""


class Edit(NamedTuple):
    """A span of a text and what to put in its place."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Iterable[Edit]) -> str:
    """Make edits that do not overlap; those at one place keep their order."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join(parts) + text[at:]


@dataclass
class Source:
    """A parsed text: fields, blocks and entries by dotted path ("" is the whole)."""

    text: str
    name: str  # the file as the user gave it
    fields: dict[str, Written] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    repeated: dict[str, tuple[int, int]] = field(default_factory=dict)  # lines of what was set before

    def add(self, path: str, written: Written) -> None:
        """Add a field.

        Raises:  InputError beyond `MAX_FIELDS`.
        """
        if len(self.fields) >= MAX_FIELDS:
            raise unusable(self.name, None, f"more than {MAX_FIELDS:,} fields.")
        if path in self.fields:
            self.repeated[path] = (self.fields[path].line, written.line)
        self.fields[path] = written

    @cached_property
    def _line_ends(self) -> list[int]:
        return [at for at, character in enumerate(self.text) if character == "\n"]

    def line_at(self, offset: int) -> int:
        """1-based line of an offset."""
        return bisect_left(self._line_ends, offset) + 1

    @property
    def newline(self) -> str:
        """The line end that the text uses."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def lead(self, start: int) -> str:
        """The line break and space before what starts its line at an offset, else one space."""
        begin = self.text.rfind("\n", 0, start) + 1
        before = self.text[begin:start]
        return " " if before.strip(" \t") or not begin else self.newline + before

    def line_end(self, offset: int) -> int:
        """Offset of the end of the line at `offset`, before its line end."""
        end = self.text.find("\n", offset)
        if end < 0:
            return len(self.text)
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end


@dataclass(frozen=True)
class Syntax:
    """How one kind of text is read, made and edited.

    `parse(text, name)`; `compose(fields, comments)`. `insert(source, fields, after)` gives the edits that add
    new fields, behind the offset `after` where the order is free. `literal` writes a value, `shown(value,
    lead)` one with all below it, `lead` being the line break and space before its name. `release(source,
    paths)` gives the edits after which nothing else hangs on what stands there, `finish(text)` the text with
    what it needs besides, such as imports. All keep to dotted paths.
    """

    name: str
    suffixes: tuple[str, ...]
    parse: Callable[[str, str], Source]
    compose: Callable[[Mapping[str, Scalar], Sequence[str]], str]
    insert: Callable[[Source, Mapping[str, Scalar], int | None], list[Edit]]
    literal: Callable[[Scalar], str]
    shown: Callable[[Any, str], str]
    release: Callable[[Source, Collection[str]], list[Edit]] = lambda source, paths: []  # noqa: ARG005
    finish: Callable[[str], str] = lambda text: text
    comments: bool = True  # whether comments can be written


def nested(fields: Mapping[str, Scalar]) -> Any:
    """Unfold dotted paths into mappings, and numbered ones into lists.

    >>> nested({"a.lr": 0.1, "a.betas.0": 0.9, "a.betas.1": 0.95})
    {'a': {'lr': 0.1, 'betas': [0.9, 0.95]}}
    """
    tree: dict[str, Any] = {}
    for path, value in fields.items():
        *above, last = path.split(".")
        into = tree
        for name in above:
            into = into.setdefault(name, {})
        into[last] = value
    return _with_lists(tree)


def _with_lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(name.isdecimal() for name in tree):
        return [_with_lists(value) for value in tree.values()]
    return {name: _with_lists(value) for name, value in tree.items()}


def home(path: str, blocks: Mapping[str, Block]) -> tuple[str, str]:
    """The deepest block that a new field can be added to, and the rest of its path below it."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = ".".join(parts[:length])
        if above in blocks:
            return above, ".".join(parts[length:])
    return "", path


def by_home(source: Source, fields: Mapping[str, Scalar]) -> dict[str, dict[str, Scalar]]:
    """New fields by the block that they are added to.

    Raises:  InputError where a plain value stands in the way (`optimizer: adamw` when optimizer.lr is new).
    """
    homes: dict[str, dict[str, Scalar]] = {}
    for path, value in fields.items():
        above, rest = home(path, source.blocks)
        first = f"{above}.{rest}" if above else rest
        parts = first.split(".")
        for length in range(1, len(parts)):
            blocking = source.fields.get(".".join(parts[:length]))
            if blocking is not None and not (blocking.merged and blocking.value is None):
                msg = (
                    f"holds {plain(blocking.text, limit=60)!r}, and {plain(path)} goes below it. "
                    "Take this line out first."
                )
                raise unusable(source.name, blocking.line, msg, ".".join(parts[:length]))
        homes.setdefault(above, {})[rest] = value
    return homes


def unusable(name: str, line: int | None, message: str, column: str | None = None) -> InputError:
    """The error for a text that cannot be used."""
    return InputError([Problem(name, line, column, message)])


def given_twice(source: Source, path: str, line: int, first: int | None = None) -> InputError:
    """The error for a field that is written twice; `first` is the other line, if it is not a field's."""
    first = source.fields[path].line if first is None and path in source.fields else first
    before = "" if first is None else f" (first in line {first})"
    return unusable(source.name, line, f"is given twice{before}. Keep one.", plain(path))
