"""A small YAML document as plain values that remember their lines.

Configs come from strangers (a pull request, a download), so only what a config needs is understood:
mappings, lists and plain values by YAML 1.2's core schema. Anchors, tags, repeated keys, a second
document and deep nesting are errors with a line. Nothing is ever constructed from a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from hptransfer.errors import InputError, Problem, plain

MAX_DEPTH = 16
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None} | {
    spelling: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spelling in (word, word.capitalize(), word.upper())
}
_WORDS |= {f"{sign}.{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")}
_WORDS |= {f".{word}": float("nan") for word in ("nan", "NaN", "NAN")}


@dataclass
class Document:
    """A mapping read from YAML. `lines` and `texts` are by dotted path, such as `target.tokens`."""

    content: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # 1-based line of the key
    texts: dict[str, str] = field(default_factory=dict)  # numbers exactly as they are written


class _UnusableError(Exception):
    def __init__(self, event: Event, message: str) -> None:
        self.line = event.start_mark.line + 1
        super().__init__(message)


def read_document(text: str, name: str) -> Document:
    """Read a YAML mapping; `name` is the file as the user gave it.

    Raises:  InputError with the line for anything but one plain mapping.
    """
    try:
        return _read(YAML(typ="safe", pure=True).parse(text))
    except _UnusableError as error:
        problem = Problem(name, error.line, None, str(error))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        problem = Problem(name, line, None, f"not valid YAML ({plain(error.problem, limit=80)}).")
    except YAMLError:
        problem = Problem(name, None, None, "not YAML text: it holds control characters.")
    except (ValueError, IndexError):  # ruamel on escapes that are no character
        problem = Problem(name, None, None, "not valid YAML.")
    raise InputError([problem])


def _read(events: Iterator[Event]) -> Document:
    document = Document()
    first = next(event for event in events if not isinstance(event, StreamStartEvent | DocumentStartEvent))
    if not isinstance(first, MappingStartEvent):
        raise _UnusableError(first, "need a mapping of `name: value` lines.")
    document.content = _value(first, events, document, "", 0)
    for event in events:
        if not isinstance(event, DocumentEndEvent | StreamEndEvent):
            raise _UnusableError(event, "a second YAML document starts here; a file holds one.")
    return document


def _value(event: Event, events: Iterator[Event], document: Document, path: str, depth: int) -> Any:
    """Build the value that `event` starts; nested values are consumed from `events`."""
    if not isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent) or event.anchor:
        raise _UnusableError(event, "anchors and aliases (& and *) are not used here. Write the value out.")
    if event.tag is not None:
        raise _UnusableError(event, "tags (!) are not used here. Write the value without one.")
    if depth > MAX_DEPTH:
        raise _UnusableError(event, f"nested more than {MAX_DEPTH} deep.")
    if isinstance(event, ScalarEvent):
        return _scalar(event, document, path)
    if isinstance(event, SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(item := next(events), SequenceEndEvent):
            items.append(_value(item, events, document, f"{path}.{len(items)}", depth + 1))
        return items
    return _mapping(events, document, path, depth)


def _mapping(events: Iterator[Event], document: Document, path: str, depth: int) -> dict[str, Any]:
    content: dict[str, Any] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        key = _key(event)
        if key in content:
            raise _UnusableError(event, f"{plain(key, limit=60)} is given twice. Keep one.")
        inner = f"{path}.{key}" if path else key
        document.lines[inner] = event.start_mark.line + 1
        content[key] = _value(next(events), events, document, inner, depth + 1)
    return content


def _key(event: Event) -> str:
    if not isinstance(event, ScalarEvent) or event.anchor or event.tag is not None:
        what = "a name" if isinstance(event, NodeEvent) else "a value"
        raise _UnusableError(event, f"need {what} before the colon, as plain text.")
    return str(event.value)


def _scalar(event: ScalarEvent, document: Document, path: str) -> Any:
    """Resolve a value by YAML 1.2's core schema (decimal numbers only); quoted text stays text."""
    text = str(event.value)
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if not _FLOAT.fullmatch(text):
        return text
    document.texts[path] = text
    if _INTEGER.fullmatch(text) and len(text) < 40:
        return int(text)
    return float(text)
