"""What every syntax speaks of: fields with their places in a text, and the blocks that hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hptransfer.errors import InputError, Problem, plain

Scalar: TypeAlias = float | int | str | bool | None

MAX_FIELDS = 100_000  # aliases of aliases unfold without end


@dataclass(frozen=True)
class Written:
    """A field as it stands in a text: value as the trainer's parser takes it, 1-based line, and its span.

    `shared`: the text of the value stands elsewhere too (a YAML anchor), so that replacing it changes more
    than this field; `merged`: it came from another mapping (`<<`), so that it can only be overridden.
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
    fields, `flow` whether it is written in braces.
    """

    tail: int
    indent: str
    flow: bool
    empty: bool = False


@dataclass
class Source:
    """A parsed text: fields and blocks by dotted path ("" is the whole)."""

    text: str
    name: str  # the file as the user gave it
    fields: dict[str, Written] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)

    def add(self, path: str, written: Written) -> None:
        """Add a field.

        Raises:  InputError beyond `MAX_FIELDS`.
        """
        if len(self.fields) >= MAX_FIELDS:
            raise unusable(self.name, None, f"more than {MAX_FIELDS:,} fields.")
        self.fields[path] = written

    def line_at(self, offset: int) -> int:
        """1-based line of an offset."""
        return self.text.count("\n", 0, offset) + 1

    @property
    def newline(self) -> str:
        """The line end that the text uses."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def line_end(self, offset: int) -> int:
        """Offset of the end of the line at `offset`, before its line end."""
        end = self.text.find("\n", offset)
        if end < 0:
            return len(self.text)
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end


@dataclass(frozen=True)
class Syntax:
    """How one kind of text is read, made and added to.

    `parse(text, name)`; `compose(fields, comments)`; `insert(source, fields)` gives the whole text with new
    fields; `literal` writes a value. All keep to `Source`'s dotted paths.
    """

    name: str
    suffixes: tuple[str, ...]
    parse: Callable[[str, str], Source]
    compose: Callable[[Mapping[str, Scalar], Sequence[str]], str]
    insert: Callable[[Source, Mapping[str, Scalar]], str]
    literal: Callable[[Scalar], str]
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
            if blocking is not None:
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


def given_twice(source: Source, path: str, line: int) -> InputError:
    """The error for a field that is written twice."""
    first = source.fields[path].line if path in source.fields else None
    before = "" if first is None else f" (first in line {first})"
    return unusable(source.name, line, f"is given twice{before}. Keep one.", plain(path))
