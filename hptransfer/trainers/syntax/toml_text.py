"""TOML as fields with places. The standard library reads the values, a scan of the lines finds the places."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hptransfer.config import number_text, yaml_value
from hptransfer.errors import plain
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

_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\s*(?:#.*)?")
_TABLE_ITEM = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\]\s*(?:#.*)?")
_TEXT_OR_COMMENT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")
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
        _places(Source(text, name), broken=True)
        at = _LINE_IN_ERROR.search(str(error))
        what = f"not valid TOML ({plain(error, limit=100)})."
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


def _places(source: Source, *, broken: bool = False) -> dict[str, tuple[int, int, int]]:
    """Line and span of the values that stand on one line; fills blocks and entries.

    Args:    broken: the text is no valid TOML.
    Raises:  InputError for a name or a table that is given twice in a broken text.
    """
    places: dict[str, tuple[int, int, int]] = {}
    tables: Counter[str] = Counter()
    table, at, quotes, depth = "", 0, "", 0
    source.blocks[""] = Block(0, "", flow=False)
    for number, line in enumerate(source.text.splitlines(keepends=True), start=1):
        begin, at = at, at + len(line)
        body = line.rstrip("\r\n")
        if quotes or depth:  # inside a text or a list of several lines
            quotes = "" if quotes and quotes in body else quotes
            depth += 0 if quotes else _opened(body)
            source.blocks[table] = Block(begin + len(body), "", flow=False)
            continue
        header, item, entry = _TABLE.fullmatch(body), _TABLE_ITEM.fullmatch(body), _ENTRY.match(body)
        if item is not None:
            name = item.group(1).replace(" ", "")
            table = f"{name}.{tables[name]}"
            tables[name] += 1
        elif header is not None:
            table = header.group(1).replace(" ", "")
        elif entry is None:
            continue
        path = ".".join(filter(None, (table, entry.group(1)))) if entry else table
        if broken and path in source.entries:
            raise given_twice(source, path, number, source.line_at(source.entries[path].start))
        source.blocks[table] = Block(begin + len(body), "", flow=False)
        source.entries[path] = Entry(begin, begin, begin + len(body))
        if entry is not None:
            quotes = next((mark for mark in ('"""', "'''") if body.count(mark) % 2), "")
            depth = 0 if quotes else _opened(body)
            value = _VALUE.match(body, entry.end())
            if value is not None:
                places[path] = (number, begin + value.start(), begin + value.end())
    return places


def _opened(line: str) -> int:
    """How many more brackets a line opens than it closes."""
    bare = _TEXT_OR_COMMENT.sub("", line)
    return sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}")


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


def insert(source: Source, fields: Mapping[str, Scalar], after: int | None) -> list[Edit]:  # noqa: ARG001
    """Add entries at the ends of their tables, and missing tables at the end of the text.

    Raises:  InputError where a value of the same path is there in a way that no edit of a line can change.
    """
    for path in fields:
        table = path.rpartition(".")[0]
        if table not in source.blocks and any(known.startswith(f"{table}.") for known in source.fields):
            msg = f"cannot be edited as it is written here. Write `name = value` lines under [{table}]."
            raise unusable(source.name, None, msg, path)
    newline, homes = source.newline, by_home(source, fields)
    top = homes.pop("", {})
    edits = []
    for table, new in homes.items():
        added = "".join(f"{newline}{name} = {literal(value)}" for name, value in new.items())
        edits.append(Edit(source.blocks[table].tail, source.blocks[table].tail, added))
    if top:
        tables = compose(top, []).strip("\n").replace("\n", newline)
        end = len(source.text.rstrip("\r\n"))
        edits.append(Edit(end, end, newline + newline + tables))
    return edits


def shown(value: Any, lead: str) -> str:  # noqa: ARG001 - on one line, wherever it stands
    """Write a value, lists on one line."""
    return _shown(value)


TOML = Syntax("TOML", (".toml",), parse, compose, insert, literal, shown)
