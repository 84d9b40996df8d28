"""TOML as fields with places. The standard library reads the values, a scan of the lines finds the places."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hptransfer.config import number_text, yaml_value
from hptransfer.errors import plain
from hptransfer.trainers.syntax.source import (
    Block,
    Scalar,
    Source,
    Syntax,
    Written,
    by_home,
    nested,
    unusable,
)

_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\s*(?:#.*)?")
_ENTRY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=\s*")
_VALUE = re.compile(r"""\"(?:\\.|[^"\\])*\"|'[^']*'|[^#\s\[{"'][^#\n]*?(?=\s*(?:#|$))""")
_LINE_IN_ERROR = re.compile(r"line (\d+)")


def parse(text: str, name: str) -> Source:
    """Read TOML.

    Raises:  InputError with the line when it is not, which includes names that are given twice.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _LINE_IN_ERROR.search(str(error))
        what = f"not valid TOML ({plain(error, limit=100)}). Is a name given twice?"
        raise unusable(name, int(at.group(1)) if at else None, what) from None
    except RecursionError:
        raise unusable(name, None, "not valid TOML: nested too deep.") from None
    source = Source(text, name)
    places = _places(source)
    for path, value in _flat(content):
        line, start, end = places.get(path, (0, 0, 0))
        source.add(path, Written(value, line, text[start:end], start, end, merged=not line))
    return source


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Scalar]]:
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if items is None:
        yield path, value if isinstance(value, float | int | str) else str(value)
        return
    for name, below in items:
        yield from _flat(below, f"{path}.{name}" if path else str(name))


def _places(source: Source) -> dict[str, tuple[int, int, int]]:
    """Line and span of the values that stand on one line; fills the blocks."""
    places: dict[str, tuple[int, int, int]] = {}
    table, at, quotes = "", 0, ""
    source.blocks[""] = Block(0, "", flow=False)
    for number, line in enumerate(source.text.splitlines(keepends=True), start=1):
        begin, at = at, at + len(line)
        body = line.rstrip("\r\n")
        if quotes:  # inside a text of several lines
            quotes = "" if quotes in body else quotes
            continue
        quotes = next((mark for mark in ('"""', "'''") if body.count(mark) % 2), "")
        header, entry = _TABLE.fullmatch(body), _ENTRY.match(body)
        if header is not None:
            table = header.group(1).replace(" ", "")
            source.blocks[table] = Block(begin + len(body), "", flow=False)
        elif entry is not None:
            source.blocks[table] = Block(begin + len(body), "", flow=False)
            value = _VALUE.match(body, entry.end())
            if value is not None:
                path = f"{table}.{entry.group(1)}" if table else entry.group(1)
                places[path] = (number, begin + value.start(), begin + value.end())
    return places


def literal(value: Scalar) -> str:
    """Write a value as TOML."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return number_text(value)
    return yaml_value(value) if isinstance(value, bool) else '"' + _escaped(str(value)) + '"'


def _escaped(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)


def compose(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:
    """Write fields as tables."""
    lines = [f"# {line}".rstrip() for line in comments]
    for table, content in nested(fields).items():
        if isinstance(content, dict):
            lines += ["", f"[{table}]", *(f"{name} = {_shown(value)}" for name, value in content.items())]
        else:
            lines.append(f"{table} = {_shown(content)}")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else literal(value)


def insert(source: Source, fields: Mapping[str, Scalar]) -> str:
    """Add entries at the ends of their tables, and missing tables at the end of the text."""
    text, newline = source.text, source.newline
    homes = by_home(source, fields)
    top = homes.pop("", {})
    for table in sorted(homes, key=lambda path: source.blocks[path].tail, reverse=True):
        at = source.blocks[table].tail
        added = "".join(f"{newline}{name} = {literal(value)}" for name, value in homes[table].items())
        text = text[:at] + added + text[at:]
    if top:
        text = text if text.endswith("\n") or not text else text + newline
        text += newline + compose(top, []).strip("\n").replace("\n", newline) + newline
    return text


TOML = Syntax("TOML", (".toml",), parse, compose, insert, literal)
