"""JSON Lines: one object a line; nested objects become dotted names (`config.lr`)."""

from __future__ import annotations

from collections.abc import Iterator

from hptransfer.errors import plain
from hptransfer.readers.records import FlatRecord, Record, RecordTable, flat_record, json_value
from hptransfer.readers.streams import TextSource
from hptransfer.readers.tables import ProblemLog

SUFFIXES = (".jsonl", ".ndjson", ".json")
_EMPTY = "empty; need one JSON object a line."


def json_lines_table(source: TextSource, lines: Iterator[str], log: ProblemLog) -> RecordTable:
    """Open a file with one JSON object a line; see `RecordTable`. Lines that hold none are problems."""
    return RecordTable(source.path, _records(source.path, lines, log), log, empty=_EMPTY)


def looks_like_json_lines(source: TextSource, first_line: str) -> bool:
    """Tell by the file's name, or by a text that starts like JSON."""
    name = source.file.lower().removesuffix(".gz")
    return name.endswith(SUFFIXES) or first_line.lstrip()[:1] in {"{", "["}


def _records(path: str, lines: Iterator[str], log: ProblemLog) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield Record(number, flat_object(line))
        except ValueError as error:
            log.add(path, number, None, f"{error}; need one JSON object a line.")


def flat_object(line: str) -> FlatRecord:
    """Parse one line.

    Raises:  ValueError whose message says what is wrong with it.
    """
    parsed = json_value(line)
    if not isinstance(parsed, dict):
        msg = f"got {plain(line.strip(), limit=40)} (an array becomes objects with jq -c '.[]')"
        raise ValueError(msg)  # noqa: TRY004 - wrong content, not a wrong argument
    return flat_record(parsed)
