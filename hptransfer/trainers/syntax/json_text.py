"""JSON as fields with places."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed lacks it
from typing import Any

from hptransfer.config import number_text
from hptransfer.trainers.syntax.source import (
    Block,
    Edit,
    Entry,
    Scalar,
    Source,
    Syntax,
    Written,
    by_home,
    given_twice,
    nested,
    unusable,
)

MAX_DEPTH = 100
_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|-?Infinity|NaN")


class _Parser:
    """Walks a JSON text once."""

    def __init__(self, source: Source) -> None:
        self.source, self.text, self.at = source, source.text, 0

    def skip(self) -> str:
        """Skip space; return the next character, or nothing at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = self.at if match is None else match.end()
        return self.text[self.at : self.at + 1]

    def fail(self, what: str) -> Exception:
        line = self.source.line_at(self.at)
        return unusable(self.source.name, line, f"not valid JSON: need {what}.")

    def value(self, path: str, depth: int) -> None:
        first = self.skip()
        if depth > MAX_DEPTH:
            raise self.fail(f"at most {MAX_DEPTH} levels")
        if first == "{":
            self.container(path, depth, "{", "}")
        elif first == "[":
            self.container(path, depth, "[", "]")
        else:
            self.scalar(path, first)

    def container(self, path: str, depth: int, opening: str, closing: str) -> None:
        self.at += len(opening)
        tail, indent, count = self.at, "", 0
        while (found := self.skip()) != closing:
            if count:
                if found != ",":
                    raise self.fail(f"a comma or {closing}")
                self.at += 1
                self.skip()
            start = self.at
            name = self.key() if opening == "{" else str(count)
            inner = f"{path}.{name}" if path else name
            if inner in self.source.fields or inner in self.source.entries:
                first = self.source.line_at(self.source.entries[inner].start)
                raise given_twice(self.source, inner, self.source.line_at(start), first)
            self.skip()
            begin = self.at
            self.value(inner, depth + 1)
            self.source.entries[inner] = Entry(start, begin, self.at)
            tail, indent, count = self.at, self.source.lead(start), count + 1
        self.at += 1
        if opening == "{":
            self.source.blocks[path] = Block(tail, indent, flow=True, empty=not count)

    def key(self) -> str:
        if self.skip() != '"':
            raise self.fail("a name in double quotes")
        name = self.string()
        if self.skip() != ":":
            raise self.fail("a colon")
        self.at += 1
        return name

    def string(self) -> str:
        try:
            text, self.at = scanstring(self.text, self.at + 1, True)
        except ValueError:
            raise self.fail("the end of a text in double quotes") from None
        return str(text)

    def scalar(self, path: str, first: str) -> None:
        start = self.at
        value: Any
        if first == '"':
            value = self.string()
        else:
            match = _PLAIN.match(self.text, start)
            if match is None:
                raise self.fail("a value")
            self.at = match.end()
            value = json.loads(match.group())
        written = Written(value, self.source.line_at(start), self.text[start : self.at], start, self.at)
        self.source.add(path, written)


def parse(text: str, name: str) -> Source:
    """Read a JSON object.

    Raises:  InputError with the line for anything else, and for a name that is given twice.
    """
    source = Source(text, name)
    parser = _Parser(source)
    if parser.skip() != "{":
        raise unusable(name, 1, "need a JSON object.")
    parser.value("", 0)
    if parser.skip():
        raise parser.fail("nothing after the object")
    return source


def literal(value: Scalar) -> str:
    """Write a value as JSON."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)


def compose(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:  # noqa: ARG001 - JSON has none
    """Write fields as an indented JSON object."""
    return shown(nested(fields), "\n") + "\n"


def shown(value: Any, lead: str) -> str:
    """Write nested values: on one line where lead is " ", else entries and mappings in lists on their own."""
    inner = lead if lead == " " else lead + "  "
    if isinstance(value, dict):
        rows = [f"{json.dumps(name)}: {shown(below, inner)}" for name, below in value.items()]
        return _enclosed("{", rows, "}", inner, lead)
    if isinstance(value, list):
        rows = [shown(item, inner) for item in value]
        flat = not any(isinstance(item, dict) for item in value)
        return _enclosed("[", rows, "]", " ", " ") if flat else _enclosed("[", rows, "]", inner, lead)
    return literal(value)


def _enclosed(opening: str, rows: Sequence[str], closing: str, inner: str, lead: str) -> str:
    if inner == " " or not rows:
        return opening + ", ".join(rows) + closing
    return opening + inner + ("," + inner).join(rows) + lead + closing


def insert(source: Source, fields: Mapping[str, Scalar], after: int | None) -> list[Edit]:  # noqa: ARG001
    """Add fields at the ends of their objects, indented like their neighbours."""
    edits = []
    for above, new in by_home(source, fields).items():
        block, tree = source.blocks[above], nested(new)
        lead = block.indent or " "
        rows = [f"{json.dumps(name)}: {shown(value, lead)}" for name, value in tree.items()]
        between = "," + lead
        edits.append(Edit(block.tail, block.tail, ("" if block.empty else between) + between.join(rows)))
    return edits


JSON = Syntax("JSON", (".json",), parse, compose, insert, literal, shown, comments=False)
