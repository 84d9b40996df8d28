"""YAML as fields with places, by the rules of the parser that most trainers use (PyYAML, YAML 1.1).

Anchors and merges are followed; tags are not. `3e-4` has no dot, so PyYAML takes it for text, and that is
what a field's value then is; loaders that are more generous (jsonargparse, OmegaConf) are `LENIENT_YAML`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ruamel.yaml
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hptransfer.config import yaml_lines, yaml_value
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

MAX_DEPTH = 50
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?)")
_SIGNLESS = re.compile(r"\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?")
_ANY_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_TRUE, _FALSE = frozenset(["yes", "true", "on"]), frozenset(["no", "false", "off"])
_ALIAS = re.compile(r"\s*:\s+(\*[^\s,\]}]+)")
_MERGE = "<<"
_ANCHOR = re.compile(r"&(\S+)\s+")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # anchor and tag, before a value


def resolve(text: str, *, lenient: bool = False) -> Scalar:
    """Take a bare word as PyYAML does: YAML 1.1, floats need a dot and their exponent a sign.

    Args:    lenient: take every decimal number for one.

    >>> resolve("3e-4"), resolve("3.0e-4"), resolve("1_000"), resolve("no"), resolve("~")
    ('3e-4', 0.0003, 1000, False, None)
    """
    if text in ("", "~") or text.lower() == "null":
        return None
    if text.lower() in _TRUE | _FALSE and text in (text.lower(), text.capitalize(), text.upper()):
        return text.lower() in _TRUE
    if _INTEGER.fullmatch(text) and len(text) < 40:
        return int(text.replace("_", ""))
    if _OCTAL.fullmatch(text):
        return int(text.replace("_", ""), 8)
    if any(known.fullmatch(text) for known in ((_ANY_FLOAT,) if lenient else (_FLOAT, _SIGNLESS))):
        return float(text.replace("_", ""))
    return text


class _Walker:
    """Flattens composed nodes."""

    def __init__(self, source: Source, *, lenient: bool) -> None:
        self.source, self.lenient = source, lenient

    def node(self, node: Node, path: str, depth: int, alias: tuple[int, int] | None, *, merged: bool) -> None:
        """Add a node's fields; `alias` is the span of the alias that stands for it, if one does."""
        if depth > MAX_DEPTH:
            raise unusable(self.source.name, _line(node), f"nested more than {MAX_DEPTH} deep.")
        if isinstance(node, ScalarNode):
            self.scalar(node, path, alias, merged=merged)
        elif isinstance(node, SequenceNode):
            for number, item in enumerate(node.value):
                self.node(item, f"{path}.{number}", depth + 1, None, merged=merged or alias is not None)
        elif isinstance(node, MappingNode):
            self.mapping(node, path, depth, merged=merged or alias is not None)
            if alias is not None and not merged:
                self.source.blocks[path] = Block(alias[1], " ", flow=True, alias=alias[0])

    def scalar(self, node: ScalarNode, path: str, alias: tuple[int, int] | None, *, merged: bool) -> None:
        start, end = alias or (node.start_mark.index, node.end_mark.index)
        found = _PROPERTIES.match(self.source.text, start, end)
        start = found.end() if found and not alias else start
        bare = node.style is None
        value = resolve(str(node.value), lenient=self.lenient) if bare else str(node.value)
        line = self.source.line_at(start) if alias else _line(node)
        self.source.add(path, Written(value, line, self.source.text[start:end], start, end, merged))

    def mapping(self, node: MappingNode, path: str, depth: int, *, merged: bool) -> None:
        own: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise unusable(self.source.name, _line(key), "need a plain name before the colon.")
            if key.value == _MERGE and key.style is None:
                continue
            inner = f"{path}.{key.value}" if path else str(key.value)
            if inner in own:
                first = self.source.line_at(self.source.entries[inner].start)
                raise given_twice(self.source, inner, _line(key), first)
            own[inner] = value
            alias = self.alias_after(key, value)
            if not merged:
                self.source.entries[inner] = self.entry(key, value, alias)
            self.node(value, inner, depth + 1, alias, merged=merged)
        for inherited in _merges(node):
            for key, value in inherited.value:
                inner = f"{path}.{key.value}" if path else str(key.value)
                if inner not in own and key.value != _MERGE:
                    own[inner] = value
                    self.node(value, inner, depth + 1, None, merged=True)
        if not merged:
            self.source.blocks[path] = self.block(node)

    def entry(self, key: Node, value: Node, alias: tuple[int, int] | None) -> Entry:
        start, end = int(key.start_mark.index), self.end_of(key, value)
        if alias is not None:
            return Entry(start, alias[0], end)
        begin = int(value.start_mark.index)
        if "\n" in self.source.text[key.end_mark.index : begin] or begin == value.end_mark.index:
            return Entry(start, int(key.end_mark.index), end, lead=": ")
        return Entry(start, begin, end)

    def alias_after(self, key: Node, value: Node) -> tuple[int, int] | None:
        """The span of an alias that stands as a key's value."""
        if value.start_mark.index >= key.end_mark.index and not _is_alias(self.source.text, key):
            return None
        match = _ALIAS.match(self.source.text, key.end_mark.index)
        return None if match is None else match.span(1)

    def block(self, node: MappingNode) -> Block:
        if node.flow_style:
            last = node.value[-1][1].end_mark.index if node.value else node.start_mark.index + 1
            return Block(last, " ", flow=True, empty=not node.value)
        ends = [self.end_of(key, value) for key, value in node.value]
        return Block(max(ends), " " * node.value[0][0].start_mark.column, flow=False)

    def end_of(self, key: Node, value: Node) -> int:
        """Where an entry ends: a block's own end mark lies behind the comments that follow it."""
        if (alias := self.alias_after(key, value)) is not None:
            return alias[1]
        if value.start_mark.index < key.end_mark.index:
            return int(key.end_mark.index)
        if isinstance(value, MappingNode) and not value.flow_style and value.value:
            return max(self.end_of(k, v) for k, v in value.value)
        if isinstance(value, SequenceNode) and not value.flow_style and value.value:
            return self.end_of(key, value.value[-1])
        end = int(value.end_mark.index)
        written = self.source.text[:end].rstrip("\r\n ")
        return max(len(written), int(key.end_mark.index))


def _is_alias(text: str, key: Node) -> bool:
    return _ALIAS.match(text, key.end_mark.index) is not None


def _merges(node: MappingNode) -> Iterator[MappingNode]:
    """Mappings that a mapping takes its missing fields from, the first one winning."""
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == _MERGE and key.style is None:
            candidates = value.value if isinstance(value, SequenceNode) else [value]
            for candidate in candidates:
                if isinstance(candidate, MappingNode):
                    yield candidate
                    yield from _merges(candidate)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def parse(text: str, name: str, *, lenient: bool = False) -> Source:
    """Read a YAML mapping; `lenient` as in `resolve`.

    Raises:  InputError with the line for anything else, and for a name that is given twice.
    """
    source = Source(text, name)
    try:
        node = ruamel.yaml.YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise unusable(name, line, f"not valid YAML ({plain(error.problem, limit=80)}).") from None
    except (YAMLError, ValueError, IndexError):
        raise unusable(name, None, "not valid YAML.") from None
    except RecursionError:
        raise unusable(name, None, f"nested more than {MAX_DEPTH} deep.") from None
    if not isinstance(node, MappingNode):
        raise unusable(name, 1, "need a mapping of `name: value` lines.")
    _Walker(source, lenient=lenient).node(node, "", 0, None, merged=False)
    return source


def literal(value: Scalar) -> str:
    """Write a value so that YAML 1.1 and 1.2 take it for the same."""
    return yaml_value(value)


def compose(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:
    """Write fields as block mappings, lists on one line."""
    return "\n".join([*(f"# {line}".rstrip() for line in comments), *yaml_lines(nested(fields), "")]) + "\n"


def insert(source: Source, fields: Mapping[str, Scalar], after: int | None) -> list[Edit]:  # noqa: ARG001
    """Add fields at the ends of their mappings, indented like their neighbours.

    A mapping that is an alias becomes one that merges it, so that the anchor's own fields stay.
    """
    homes = by_home(source, fields)
    inner_first = sorted(homes, key=_depth, reverse=True)  # several may end at one place
    return [_addition(source, source.blocks[above], nested(homes[above])) for above in inner_first]


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _in_flow(tree: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {yaml_value(value)}" for name, value in tree.items())


def _addition(source: Source, block: Block, tree: dict[str, Any]) -> Edit:
    if block.alias is not None:
        whole = source.text[block.alias : block.tail]
        return Edit(block.alias, block.tail, f"{{{_MERGE}: {whole}, {_in_flow(tree)}}}")
    if block.flow:
        return Edit(block.tail, block.tail, ("" if block.empty else ", ") + _in_flow(tree))
    at = source.line_end(block.tail)
    lines = [source.newline + line for line in yaml_lines(tree, block.indent)]
    return Edit(at, at, "".join(lines))


def shown(value: Any, lead: str) -> str:  # noqa: ARG001 - on one line, wherever it stands
    """Write a value on one line."""
    return yaml_value(value)


def release(source: Source, paths: Collection[str]) -> list[Edit]:
    """Move the anchors of values that are about to change to the first place that uses them."""
    edits = []
    for path in paths:
        if path not in source.entries:
            continue
        written, entry = source.fields[path], source.entries[path]
        anchor = _ANCHOR.search(source.text, entry.value, written.start)
        if anchor is None:
            continue
        uses = [span for name, span in _aliases(source.text) if name == anchor.group(1)]
        if uses:
            start, end = uses[0]
            edits += [Edit(*anchor.span(), ""), Edit(start, end, f"&{anchor.group(1)} {written.text}")]
    return edits


def _aliases(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every alias with its span, in the order of the text."""
    for event in ruamel.yaml.YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, AliasEvent):
            yield str(event.anchor), (event.start_mark.index, event.end_mark.index)


YAML = Syntax("YAML", (".yaml", ".yml"), parse, compose, insert, literal, shown, release)
LENIENT_YAML = replace(YAML, name="lenient YAML", parse=partial(parse, lenient=True))
