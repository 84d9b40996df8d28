"""Fields set in a text that somebody wrote, with everything else left as it is.

Only the spans of values that change are replaced: comments, order, quotes, indentation and line ends stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hptransfer.trainers.syntax.source import (
    Edit,
    Entry,
    Scalar,
    Source,
    Syntax,
    applied,
    given_twice,
    nested,
)


def with_fields(
    source: Source, syntax: Syntax, values: Mapping[str, Scalar], *, wholes: Collection[str] = ()
) -> str:
    """The text with fields set: those that are there in their place, others beside their neighbours.

    Args:    wholes: lists or calls that hold nothing but the fields below them, and are written as one.
    Raises:  InputError for a field that is written twice, and where a field cannot be set.
    """
    for path in values:
        if path in source.repeated:
            first, second = source.repeated[path]
            raise given_twice(source, path, second, first)
    differing = [path for path in wholes if path in source.entries and _differs(source, path, values)]
    rewritten = [*differing, *_containers_to_rewrite(source, values, differing)]
    own = {path: value for path, value in values.items() if not _is_below(path, rewritten)}
    new = {path: value for path, value in own.items() if not _is_own(source, path)}
    changed = {
        path: value for path, value in own.items() if path not in new and not _is_same(source, path, value)
    }
    there = [source.entries[path].end for path in values if path in source.entries]
    edits = [
        *syntax.release(source, changed),
        *(_replaced(source, syntax, path, value) for path, value in changed.items()),
        *(_rewritten(source, syntax, path, values, keep=path not in differing) for path in rewritten),
        *(syntax.insert(source, new, max(there, default=None)) if new else ()),
    ]
    return syntax.finish(applied(source.text, edits))


def without(source: Source, path: str) -> str:
    """The text without an entry and all below it, and without the comma or the line that it leaves."""
    entry, text = source.entries[path], source.text
    above = path.rpartition(".")[0]
    if above in source.blocks and source.blocks[above].flow:
        return _without_item(text, entry)
    begin, end = text.rfind("\n", 0, entry.start) + 1, source.line_end(entry.end)
    before, rest = text[begin : entry.start], text[entry.end : end].strip()
    if before.strip():  # other words on the line, as flags have
        return text[: entry.start].rstrip(" \t") + text[entry.end :]
    if rest not in ("", "\\") and not rest.startswith("#"):
        return text[: entry.start] + text[entry.end :].lstrip(" \t")
    if not text[:begin].rstrip().endswith("\\") or rest == "\\":
        return text[:begin] + text[end:].removeprefix("\r").removeprefix("\n")
    return text[:begin].rstrip().removesuffix("\\").rstrip() + text[entry.end :]


def _without_item(text: str, entry: Entry) -> str:
    """An item between commas."""
    before, after = text[: entry.start], text[entry.end :]
    if not after.lstrip().startswith(","):
        head = before.rstrip()
        return head.removesuffix(",") + after if head.endswith(",") else before + after
    after = after.lstrip()[1:]
    line, line_break, below = after.partition("\n")
    if not before.rpartition("\n")[2].strip() and (not line.strip() or line.lstrip().startswith("#")):
        return before.rstrip(" \t") + below if line_break else before + line
    return before + after.lstrip(" \t")


def _is_own(source: Source, path: str) -> bool:
    """Whether a field stands in the text itself, not in something that it takes over."""
    return path in source.fields and not source.fields[path].merged


def _is_same(source: Source, path: str, value: Scalar) -> bool:
    """Whether a field is a value already; a whole number written as 1e3 is not."""
    there = source.fields[path].value
    if isinstance(value, bool) or isinstance(there, bool) or value is None or isinstance(value, str):
        return type(there) is type(value) and there == value
    return there == value and not (isinstance(value, int) and isinstance(there, float))


def _is_below(path: str, containers: Iterable[str]) -> bool:
    return any(path == above or path.startswith(f"{above}.") for above in containers)


def _differs(source: Source, path: str, values: Mapping[str, Scalar]) -> bool:
    """Whether something else stands below a path than the fields to write there."""
    there = {name for name in source.fields if _is_below(name, [path])}
    wanted = {name for name in values if _is_below(name, [path])}
    return there != wanted or not all(_is_same(source, name, values[name]) for name in wanted)


def _containers_to_rewrite(source: Source, values: Mapping[str, Scalar], known: Collection[str]) -> list[str]:
    """Lists that do not have the items to set, mappings that are null, blocks that become one value."""
    found: dict[str, None] = {}
    for path in values:
        if _is_below(path, known):
            continue
        parts = path.split(".")
        above = [".".join(parts[:length]) for length in range(1, len(parts))]
        empty = [p for p in above if _is_own(source, p) and source.fields[p].value is None]
        lists = [
            p for p, name in zip(above, parts[1:], strict=True) if name.isdecimal() and p in source.entries
        ]
        is_block = path in source.blocks and path in source.entries
        if empty:
            found[empty[0]] = None
        elif lists and not _is_own(source, path):
            found[lists[0]] = None
        elif is_block:
            found[path] = None
    return list(found)


def _replaced(source: Source, syntax: Syntax, path: str, value: Scalar) -> Edit:
    """A new value in the place of an old one, in the same quotes if it had some."""
    written = source.fields[path]
    if written.start == written.end:
        entry = source.entries[path]
        return Edit(entry.value, entry.end, entry.lead + syntax.literal(value))
    quote, text = written.text[:1], syntax.literal(value)
    if isinstance(value, str) and quote in ("'", '"') and value.replace("-", "").replace("_", "").isalnum():
        text = f"{quote}{value}{quote}"
    return Edit(written.start, written.end, text)


def _rewritten(
    source: Source, syntax: Syntax, path: str, values: Mapping[str, Scalar], *, keep: bool
) -> Edit:
    """A whole list, mapping or block written anew; `keep`: with its old items where none are given."""
    entry = source.entries[path]
    old = {name: written.value for name, written in source.fields.items() if name.startswith(f"{path}.")}
    new = {name: value for name, value in values.items() if _is_below(name, [path])}
    tree: Any = new[path] if path in new else nested(_below(path, {**old, **new} if keep else new))
    return Edit(entry.value, entry.end, entry.lead + syntax.shown(tree, source.lead(entry.start)))


def _below(path: str, fields: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name.removeprefix(f"{path}."): value for name, value in fields.items()}


def stale(source: Source, values: Collection[str], only: Collection[str]) -> list[str]:
    """What stands below `only` beside the fields to write: as few entries as hold nothing else.

    A list that holds something else as well is one entry.
    """
    found: dict[str, None] = {}
    for path, written in source.fields.items():
        if path in values or written.value is None or not _is_below(path, only):
            continue
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            above = ".".join(parts[:length])
            is_list = length < len(parts) and parts[length].isdecimal()
            is_alias = above in source.blocks and source.blocks[above].alias is not None
            holds_more = any(_is_below(value, [above]) for value in values)
            if above in source.entries and _is_below(above, only) and (is_list or is_alias or not holds_more):
                found[above] = None
                break
    return list(found)


def inherited(source: Source, values: Collection[str], only: Collection[str]) -> list[str]:
    """What a mapping takes over (`<<`) below `only` beside the fields to write: it can only be overridden.

    A mapping that is taken over whole, and holds a field to write, is replaced by one of its own.
    """
    found: dict[str, None] = {}
    for path, written in source.fields.items():
        if path in values or not written.merged or written.value is None or not _is_below(path, only):
            continue
        parts = path.split(".")
        own = max(n for n in range(len(parts)) if ".".join(parts[:n]) in source.blocks)
        above = ".".join(parts[: own + 1])
        if _is_below(above, only) and not any(_is_below(value, [above]) for value in values):
            found[above] = None
    return list(found)
