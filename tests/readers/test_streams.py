"""Files as text: what cannot be text is a FileError, whatever went wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hptransfer.errors import FileError
from hptransfer.readers.streams import MAX_BLANK_BYTES, MAX_LINE_BYTES, ByteBudget, open_text


def read_lines(path: Path | str, limit: int = 10**8) -> list[str]:
    with open_text(str(path), budget=ByteBudget(limit)) as source:
        return list(source.lines)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1\x00\x15", "a Parquet file"),
        (b"PK\x03\x04abc", "a zip archive or a spreadsheet"),
        (b"\x28\xb5\x2f\xfdabc", "zstandard"),
        (b"lr,loss\n\x00\x00", "not a text file"),
        (gzip.compress(b"lr,loss\n" * 999)[:-9], "damaged or cut off"),
        (b"\x1f\x8b" + b"x" * 50, "damaged or cut off"),
        (gzip.compress(b"lr,loss\n" * 999)[:15] + b"\xff" * 40, "damaged or cut off"),
        (b"x" * (MAX_LINE_BYTES + 2), "line longer than"),
        (b"lr,loss\n" + b"\n" * (MAX_BLANK_BYTES + 2**17), "bytes of blank lines"),
    ],
)
def test_what_is_not_text_is_a_file_error(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_bytes(data)
    with pytest.raises(FileError, match=message):
        read_lines(path)


def test_folders_missing_files_and_impossible_names_are_file_errors(tmp_path: Path) -> None:
    for name in (tmp_path, tmp_path / "none.csv", "a\0b"):
        with pytest.raises(FileError, match="cannot be read"):
            read_lines(name)


def test_a_compressed_bomb_is_stopped_at_the_byte_limit(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv.gz"
    path.write_bytes(gzip.compress(b"lr,loss\n" * 1_000_000))
    with pytest.raises(FileError, match="more than 1,000,000 bytes"):
        read_lines(path, limit=1_000_000)


def test_long_files_of_short_lines_pass(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_bytes(b"abc\r" * MAX_LINE_BYTES)
    assert len(read_lines(path)) == MAX_LINE_BYTES
