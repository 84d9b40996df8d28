"""YAML as fields with places, by the rules of the parser that most trainers use (PyYAML, YAML 1.1).

Anchors and merges are followed; tags are not. `3e-4` has no dot, so PyYAML takes it for text, and that is
what a field's value then is; loaders that are more generous (jsonargparse, OmegaConf) are `LENIENT_YAML`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ruamel.yaml
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hptransfer.config import yaml_lines, yaml_value
from hptransfer.errors import plain
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

MAX_DEPTH = 50
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?)")
_SIGNLESS = re.compile(r"\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?")
_ANY_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
_TRUE, _FALSE = frozenset(["yes", "true", "on"]), frozenset(["no", "false", "off"])
_ALIAS = re.compile(r"\s*:\s+(\*[^\s,\]}]+)")
_MERGE = "<<"


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

    def scalar(self, node: ScalarNode, path: str, alias: tuple[int, int] | None, *, merged: bool) -> None:
        start, end = alias or (node.start_mark.index, node.end_mark.index)
        bare = node.style is None
        value = resolve(str(node.value), lenient=self.lenient) if bare else str(node.value)
        line = self.source.line_at(start) if alias else _line(node)
        self.source.add(path, Written(value, line, self.source.text[start:end], start, end, merged))

    def mapping(self, node: MappingNode, path: str, depth: int, *, merged: bool) -> None:
        own = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise unusable(self.source.name, _line(key), "need a plain name before the colon.")
            if key.value == _MERGE and key.style is None:
                continue
            inner = f"{path}.{key.value}" if path else str(key.value)
            if inner in own:
                raise given_twice(self.source, inner, _line(key))
            own[inner] = value
            alias = self.alias_after(key, value)
            self.node(value, inner, depth + 1, alias, merged=merged)
        for inherited in _merges(node):
            for key, value in inherited.value:
                inner = f"{path}.{key.value}" if path else str(key.value)
                if inner not in own and key.value != _MERGE:
                    own[inner] = value
                    self.node(value, inner, depth + 1, None, merged=True)
        if not merged:
            self.source.blocks[path] = self.block(node)

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
        return Block(max(ends), " " * node.start_mark.column, flow=False)

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


def insert(source: Source, fields: Mapping[str, Scalar]) -> str:
    """Add fields at the ends of their mappings, indented like their neighbours."""
    text = source.text
    homes = by_home(source, fields)
    for above in sorted(homes, key=lambda path: source.blocks[path].tail, reverse=True):
        block, tree = source.blocks[above], nested(homes[above])
        text = _with_block(source, text, block, tree)
    return text


def _with_block(source: Source, text: str, block: Block, tree: dict[str, Any]) -> str:
    if block.flow:
        added = ", ".join(f"{name}: {yaml_value(value)}" for name, value in tree.items())
        return text[: block.tail] + ("" if block.empty else ", ") + added + text[block.tail :]
    at = source.line_end(block.tail)
    lines = [source.newline + line for line in yaml_lines(tree, block.indent)]
    return text[:at] + "".join(lines) + text[at:]


YAML = Syntax("YAML", (".yaml", ".yml"), parse, compose, insert, literal)
LENIENT_YAML = replace(YAML, name="lenient YAML", parse=partial(parse, lenient=True))
