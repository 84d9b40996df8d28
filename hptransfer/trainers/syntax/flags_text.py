"""Command-line flags as fields with places: an array in a shell script, or arguments a line.

`--min-lr 1e-5` and `--min-lr=1e-5` give the field `min-lr`, a flag without value is true. Nothing is
expanded: `--lr $LR` is the text `$LR`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
    given_twice,
    unusable,
)

ARRAY = "HPTRANSFER_ARGS"
_WORD = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|\\.|[^\s"'()#;&|\\]|(?<=\S)#)+""")
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*")
_FLAG = re.compile(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)
_INTEGER = re.compile(r"[-+]?\d+")


def _words(text: str) -> Iterator[tuple[str, int]]:
    """Words of a text and their offsets, comments left out."""
    at = 0
    while at < len(text):
        comment = _COMMENT.match(text, at)
        word = None if comment else _WORD.match(text, at)
        if word is not None and word.group() != "\\\n":
            yield word.group(), at
        found = comment or word
        at = found.end() if found else at + 1


def _value(text: str) -> Scalar:
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
    if _INTEGER.fullmatch(bare) and len(bare) < 40:
        return int(bare)
    try:
        return float(bare)
    except ValueError:
        return bare


def parse(text: str, name: str) -> Source:
    """Read flags.

    Raises:  InputError for a flag that is given twice, and for a text without any.
    """
    source = Source(text, name)
    words = list(_words(text))
    number = 0
    tail = 0
    while number < len(words):
        word, at = words[number]
        number += 1
        flag = _FLAG.fullmatch(word)
        if flag is None:
            continue
        field, value, start = flag.group(1), flag.group(2), at + len(word) - len(flag.group(2) or "")
        if value is None and _follows(text, words, number):
            (value, start), number = words[number], number + 1
        if field in source.fields:
            raise given_twice(source, field, source.line_at(at))
        end = at + len(word) if value is None else start + len(value)
        scalar = True if value is None else _value(value)
        shown = word if value is None else value
        source.add(field, Written(scalar, source.line_at(at), shown, at if value is None else start, end))
        while _follows(text, words, number) and not isinstance(_value(words[number][0]), str):
            end, number = words[number][1] + len(words[number][0]), number + 1  # a flag of several numbers
        source.entries[field] = Entry(at, end if value is None else start, end)
        tail = end
    if not source.fields:
        raise unusable(name, None, "holds no flags such as --lr 3.0e-4.")
    source.blocks[""] = Block(tail, "    ", flow=False)
    return source


def _follows(text: str, words: Sequence[tuple[str, int]], number: int) -> bool:
    """Whether a word belongs to the flag before it: no flag itself, and nothing but space in between."""
    if number >= len(words) or _FLAG.fullmatch(words[number][0]):
        return False
    before, at = words[number - 1]
    between = text[at + len(before) : words[number][1]]
    return not between.strip(" \t\r\n\\") and ("\n" not in between or "\\" in between)


def literal(value: Scalar) -> str:
    """Write a value as a word of a shell command."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return number_text(value)
    return str(value)


def _flag_text(name: str, value: Scalar) -> str:
    return f"--{name}" if value is True else f"--{name} {literal(value)}"


def compose(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:
    """Write fields as an array of a shell script, a flag a line; false flags are left out."""
    flags = [f"    {_flag_text(name, value)}" for name, value in fields.items() if value is not False]
    return "\n".join([*(f"# {line}".rstrip() for line in comments), f"{ARRAY}=(", *flags, ")"]) + "\n"


def insert(source: Source, fields: Mapping[str, Scalar], after: int | None) -> list[Edit]:
    """Add flags behind a flag, on lines of their own where it has one that is continued or in an array.

    Raises:  InputError where a flag stands in quotes, so that it cannot be told from text.
    """
    for name in fields:
        _refuse_quoted(source, name)
    tail = source.blocks[""].tail if after is None else after
    flags = [_flag_text(name, value) for name, value in fields.items()]
    start = max(entry.start for entry in source.entries.values() if entry.start < tail)
    lead, end = source.lead(start), source.line_end(tail)
    rest = source.text[tail:end].strip()
    if lead != " " and rest == "\\":
        return [Edit(end, end, "".join(f"{lead}{flag} \\" for flag in flags))]
    if lead != " " and (not rest or rest.startswith("#")) and _in_array(source, tail):
        return [Edit(end, end, "".join(f"{lead}{flag}" for flag in flags))]
    return [Edit(tail, tail, "".join(f" {flag}" for flag in flags))]


def _in_array(source: Source, at: int) -> bool:
    """Whether a place is in round brackets, those in comments and quotes aside."""
    code = source.text[:at]
    for word, start in _words(source.text[:at]):
        code = code[:start] + "x" * len(word) + code[start + len(word) :]
    bare = _COMMENT.sub("", code)
    return bare.count("(") > bare.count(")")


def _refuse_quoted(source: Source, name: str) -> None:
    for word, at in _words(source.text):
        if word[-1] in "\"'" and re.search(rf"--{re.escape(name)}(?![\w-])", word):
            msg = (
                "stands in quotes here, which cannot be edited. Write the flags as an array: ARGS=(--lr ...)."
            )
            raise unusable(source.name, source.line_at(at), msg, f"--{name}")


def shown(value: Any, lead: str) -> str:  # noqa: ARG001 - flags have nothing below them
    """Write a value."""
    return literal(value)


FLAGS = Syntax("flags", (".sh", ".args", ".txt"), parse, compose, insert, literal, shown)
