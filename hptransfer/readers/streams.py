"""Files as text: gzip, byte order marks, odd encodings, standard input; in bounded memory, hashed."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from hptransfer.errors import FileError

STDIN = "-"
MAX_LINE_BYTES = 1 << 20
MAX_BLANK_BYTES = 1 << 24
_BUFFER_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_FOREIGN_FORMATS = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\x28\xb5\x2f\xfd": "zstandard-compressed",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"SQLite format 3\0": "a SQLite database",
}
_PATH_ONLY = (b"PAR1", b"SQLite format 3\0")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_NEED_TEXT = "need CSV or JSON, plain or gzip-compressed"
_LATIN_1_WHERE_NOT_UTF_8 = "hptransfer.latin-1"


def _decode_as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that are not UTF-8 as Latin-1 (a codec error handler: text and where to go on)."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN_1_WHERE_NOT_UTF_8, _decode_as_latin_1)


class ByteBudget:
    """How many decompressed bytes may still be read, over all files of one sweep."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    def spend(self, count: int, path: str) -> None:
        """Take `count` bytes off, or raise FileError naming the limit and its flag."""
        self.left -= count
        if self.left < 0:
            msg = f"more than {self.limit:,} bytes (decompressed); raise the limit with --max-bytes."
            raise FileError(path, msg)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _HashingReader(io.RawIOBase):
    """Pass the bytes of a file as it is stored through, and hash them."""

    def __init__(self, source: _Readable, path: str) -> None:
        self._source = source
        self._path = path
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the source; see `io.RawIOBase`."""
        with readable(self._path):
            data = self._source.read(len(buffer))
        self.sha256.update(data)
        buffer[: len(data)] = data
        return len(data)


class _BoundedReader(io.RawIOBase):
    """Pass decompressed bytes through; bound their number, the length of a line and the blank stretches.

    The lines are bounded here, block by block, because whoever reads them pays for every single one.
    """

    def __init__(self, source: _Readable, path: str, budget: ByteBudget) -> None:
        self._source = source
        self._path = path
        self._budget = budget
        self._line_bytes = 0  # of the line that the last block ended in
        self._blank_bytes = 0  # of blocks that hold nothing else

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the source; see `io.RawIOBase`."""
        with readable(self._path):
            data = self._source.read(len(buffer))
        self._budget.spend(len(data), self._path)
        self._blank_bytes += len(data) if data.isspace() else 0
        if self._blank_bytes > MAX_BLANK_BYTES:
            msg = f"has more than {MAX_BLANK_BYTES:,} bytes of blank lines: not a table of runs."
            raise FileError(self._path, msg)
        last_end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        self._line_bytes = len(data) + (self._line_bytes if last_end < 0 else -last_end - 1)
        if self._line_bytes > MAX_LINE_BYTES:
            msg = f"has a line longer than {MAX_LINE_BYTES:,} bytes: not a table of runs."
            raise FileError(self._path, msg)
        buffer[: len(data)] = data
        return len(data)


@dataclass(frozen=True)
class TextSource:
    """An open text input. `path` is the name as the user gave it, `file` the same without its folder.

    `lines` yields the lines with their ends untranslated, as `csv.reader` wants them; it raises FileError
    for what cannot be read and for what is over a limit.
    """

    path: str
    file: str
    lines: Iterator[str]
    _raw: _HashingReader

    def sha256(self) -> str:
        """Read what is left of the file as it is stored and return the digest of all its bytes."""
        while self._raw.read(_BUFFER_BYTES):
            pass
        return self._raw.sha256.hexdigest()


@contextmanager
def open_text(path: str, *, budget: ByteBudget, stdin: BinaryIO | None = None) -> Iterator[TextSource]:
    """Open a file, or standard input for `-`, as text.

    Gzip is recognized by its content. The text is UTF-8 or, by its byte order mark, UTF-16; bytes that are
    not UTF-8 are taken as Latin-1, which matters in names only.

    Raises:  FileError when the file cannot be opened, is a folder, or is not text.
    """
    with ExitStack() as stack:
        with readable(path):
            source = _open_bytes(path, stdin, stack)
        raw = _HashingReader(source, path)
        stored = io.BufferedReader(raw, _BUFFER_BYTES)
        is_gzip = stored.peek(2).startswith(_GZIP_MAGIC)
        content = stack.enter_context(gzip.GzipFile(fileobj=stored)) if is_gzip else stored
        bounded = io.BufferedReader(_BoundedReader(content, path, budget), _BUFFER_BYTES)
        encoding = _encoding(bounded.peek(_BUFFER_BYTES), path)
        text = io.TextIOWrapper(bounded, encoding=encoding, errors=_LATIN_1_WHERE_NOT_UTF_8, newline="")
        yield TextSource(path=path, file=path if path == STDIN else Path(path).name, lines=text, _raw=raw)


def first_bytes(path: str, count: int = 512) -> bytes:
    """Return the first bytes of a file as it is stored.

    Raises:  FileError when it cannot be read.
    """
    with readable(path), Path(path).open("rb") as file:
        return file.read(count)


def file_sha256(path: str) -> str:
    """Return the digest of a file that another library reads.

    Raises:  FileError when it cannot be read.
    """
    with readable(path), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def spend_file(path: str, budget: ByteBudget) -> None:
    """Count a whole file, which another library is going to read, against the budget.

    Raises:  FileError when it cannot be read or is over the limit.
    """
    with readable(path):
        budget.spend(Path(path).stat().st_size, path)


def _open_bytes(path: str, stdin: BinaryIO | None, stack: ExitStack) -> BinaryIO:
    if path == STDIN:
        return sys.stdin.buffer if stdin is None else stdin
    return stack.enter_context(Path(path).open("rb"))


def _encoding(start: bytes, path: str) -> str:
    """Tell the encoding by the first bytes, or raise FileError when they are not text."""
    for mark, encoding in _ENCODINGS.items():
        if start.startswith(mark):
            return encoding
    if _PICKLE.match(start) or (start.startswith(b"PK\x03\x04") and b"data.pkl" in start):
        what = "a pickle, which could run any code when opened, so it never is"
        raise FileError(path, f"{what}; write what it holds as JSON or CSV.")
    for magic, what in _FOREIGN_FORMATS.items():
        if start.startswith(magic):
            only_as_file = (
                "; this format is read from an uncompressed file only" if magic in _PATH_ONLY else ""
            )
            raise FileError(path, f"{what}{only_as_file}; {_NEED_TEXT}.")
    if b"\0" in start:
        raise FileError(path, f"not a text file; {_NEED_TEXT}.")
    return "utf-8"


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn the ways in which reading fails into a FileError that names the path."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(path, f"the compressed data is damaged or cut off ({error}).") from error
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL byte in the name
        raise FileError(path, f"cannot be read: {error}.") from error
