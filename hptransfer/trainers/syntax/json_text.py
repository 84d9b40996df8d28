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
_INDENT = re.compile(r"[ \t]*")


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
            if inner in self.source.fields or inner in self.source.blocks:
                raise given_twice(self.source, inner, self.source.line_at(start))
            self.value(inner, depth + 1)
            tail, indent, count = self.at, self.indent_of(start), count + 1
        self.at += 1
        if opening == "{":
            self.source.blocks[path] = Block(tail, indent, flow=True, empty=not count)

    def indent_of(self, start: int) -> str:
        """The line break and space before a key that starts its line, else a space."""
        begin = self.text.rfind("\n", 0, start) + 1
        match = _INDENT.match(self.text, begin)
        own_line = begin and match is not None and match.end() >= start
        return self.source.newline + self.text[begin:start] if own_line else " "

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
    return _shown(nested(fields), "\n") + "\n"


def _shown(value: Any, newline: str) -> str:
    """Write nested values, a mapping's entries on lines of their own."""
    if isinstance(value, dict):
        inner = newline + "  "
        rows = [f"{json.dumps(name)}: {_shown(below, inner)}" for name, below in value.items()]
        return "{" + inner + ("," + inner).join(rows) + newline + "}" if rows else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item, newline) for item in value) + "]"
    return literal(value)


def insert(source: Source, fields: Mapping[str, Scalar]) -> str:
    """Add fields at the ends of their objects."""
    text = source.text
    homes = by_home(source, fields)
    for above in sorted(homes, key=lambda path: source.blocks[path].tail, reverse=True):
        block, tree = source.blocks[above], nested(homes[above])
        lead = block.indent or " "
        rows = [f"{lead}{json.dumps(name)}: {_shown(value, lead)}" for name, value in tree.items()]
        added = ",".join(rows)
        text = text[: block.tail] + ("" if block.empty else ",") + added + text[block.tail :]
    return text


JSON = Syntax("JSON", (".json",), parse, compose, insert, literal, comments=False)
