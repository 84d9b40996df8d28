"""The text of a starter mapping (TOML): what was understood, what was guessed, what is open."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from hptransfer.errors import plain
from hptransfer.readers.columns import missing_columns
from hptransfer.readers.mapping import Reading
from hptransfer.readers.survey import Survey


def starter_map(survey: Survey, reading: Reading) -> str:
    """Write a mapping that reads the surveyed files as `reading` says, with comments on what to settle.

    `read_map` reads it back as the same reading, recognized columns spelled out.
    """
    files = ", ".join(plain(mapped.file) for mapped in survey.maps)
    lines = [
        f"# How to read {files}: hptransfer fit SWEEP --map THIS_FILE",
        "# Written by hptransfer init. Options on the command line count over this file.",
        "",
        *_open_questions(survey),
        *_scalars(survey, reading),
        "",
        *_columns(survey, reading),
        "",
        *_selection(reading),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _open_questions(survey: Survey) -> Iterator[str]:
    if survey.questions:
        yield "# Open; what stands below is a guess:"
        yield from (f"# - {plain(question, limit=500)}" for question in survey.questions)
    for mapped in survey.maps:
        yield from (
            f"# Missing in {plain(mapped.file)}: {plain(m, limit=500)}" for m in missing_columns(mapped)
        )


def _scalars(survey: Survey, reading: Reading) -> Iterator[str]:
    kind = reading.params_kind or (survey.sweep.params_kind if survey.sweep else "unspecified")
    yield "# The files' format, where it is not recognized by content."
    yield f"source = {_quoted(reading.source)}" if reading.source else '# source = "csv"'
    yield "# What params counts: non-embedding, total or active."
    yield f"params_kind = {_quoted(kind)}" if kind != "unspecified" else '# params_kind = "non-embedding"'
    yield "# In what the loss is: nats (per token), bits, bpb or perplexity."
    yield f"loss_unit = {_quoted(survey.sweep.loss_unit if survey.sweep else 'nats')}"
    yield "# What a batch column counts whose name does not say it: tokens or sequences."
    unit = reading.batch_unit
    yield f"batch_unit = {_quoted(unit)}" if unit else '# batch_unit = "sequences"'
    yield "# Tokens per sequence, where no column says it."
    yield f"seq_len = {reading.seq_len}" if reading.seq_len else "# seq_len = 2048"
    yield "# Whether rows that cannot be read are set aside, instead of refusing the sweep."
    yield f"skip_bad_rows = {str(reading.skip_bad_rows).lower()}"
    yield "# Settings that may vary inside the sweep because the varying is the point."
    yield f"vary = [{', '.join(map(_quoted, reading.vary))}]"


def _columns(survey: Survey, reading: Reading) -> Iterator[str]:
    """The columns that mean the same in all files; they are read by these names."""
    yield "[columns]"
    first, *rest = (mapped.used for mapped in survey.maps)
    for name, header in first.items():
        if all(other.get(name) == header for other in rest):
            guessed = "  # a guess, see above" if name in reading.columns else ""
            yield f"{name} = {_quoted(header)}{guessed}"
        else:
            yield f"# {name}: {plain(header)!r} in the first file only; recognized in each file by itself"


def _selection(reading: Reading) -> Iterator[str]:
    yield "# Only rows with these values are read."
    yield from _table("where", {name: _quoted(value) for name, value in reading.where.items()})
    yield ""
    yield "# Rows with any of these values are left out."
    unwanted: dict[str, list[str]] = {}
    for name, value in reading.without:
        unwanted.setdefault(name, []).append(_quoted(value))
    yield from _table("without", {name: f"[{', '.join(values)}]" for name, values in unwanted.items()})


def _table(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    yield f"[{title}]"
    yield from (f"{_quoted(name)} = {value}" for name, value in entries.items())


def _quoted(text: str) -> str:
    """Write a TOML basic string.

    >>> _quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
