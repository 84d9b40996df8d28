"""SQLite databases of trackers, opened so that nothing is ever written, not even beside them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hptransfer.errors import FileError
from hptransfer.readers.streams import MAX_LINE_BYTES

MAGIC = b"SQLite format 3\0"
LOCK_SECONDS = 2.0
_JOURNAL_MODE = 18  # byte of the header: 2 for a write-ahead log
_MAX_STEPS = 10_000_000_000  # of SQLite's virtual machine, so that a crafted file cannot keep it busy
_STEPS_AT_ONCE = 10_000_000


def is_sqlite(start: bytes) -> bool:
    """Whether a file that starts like this is a SQLite database."""
    return start.startswith(MAGIC)


def table_names(path: str) -> frozenset[str]:
    """Return the names of a database's tables; views and virtual tables are left out.

    Raises:  FileError; see `open_database`.
    """
    with open_database(path) as database:
        real = "type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        rows = database.execute(f"SELECT name FROM sqlite_master WHERE {real}")  # noqa: S608 - a constant
        return frozenset(name for (name,) in rows)


@contextmanager
def open_database(path: str) -> Iterator[sqlite3.Connection]:
    """Open a database read-only; rows are tuples.

    A database with a write-ahead log that nobody has open is opened as immutable, because SQLite would
    otherwise create files beside it.

    Raises:  FileError when it is locked, damaged, or cannot be opened without writing; also for what goes
             wrong while the caller reads from it.
    """
    try:
        with closing(sqlite3.connect(_uri(path), uri=True, timeout=LOCK_SECONDS)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LINE_BYTES)
            database.set_progress_handler(_step_limit(), _STEPS_AT_ONCE)
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA query_only = ON")
            yield database
    except sqlite3.Error as error:
        raise FileError(path, _explanation(path, error)) from error
    except UnicodeDecodeError as error:  # SQLite does not check its text
        raise FileError(path, f"the database is damaged: text that is not UTF-8 ({error.reason}).") from error


def _uri(path: str) -> str:
    file = Path(path).resolve()
    log = Path(f"{file}-wal")
    with file.open("rb") as opened:
        has_log_mode = opened.read(_JOURNAL_MODE + 1)[-1:] == b"\2"
    is_log_empty = not log.exists() or log.stat().st_size == 0
    immutable = "&immutable=1" if has_log_mode and is_log_empty else ""
    return f"file:{quote(file.as_posix())}?mode=ro{immutable}"


def _step_limit() -> Any:
    """Return a progress handler that ends a query after `_MAX_STEPS` (a true result interrupts it)."""
    left = iter(range(_MAX_STEPS // _STEPS_AT_ONCE))
    return lambda: next(left, None) is None


def _explanation(path: str, error: sqlite3.Error) -> str:
    """Say what a SQLite error means for the user."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return (
            f"the database is locked by another program (waited {LOCK_SECONDS:g} s). "
            "Wait for it, or fit a copy of the file."
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"the database is damaged or cut off ({error}). Export the runs as CSV, or use a backup."
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_READONLY_RECOVERY}:
        return (
            "the database cannot be opened without writing: another program left unfinished changes "
            f"(see {Path(path).name}-wal or -journal beside it). Open it once with its own program, "
            "or fit a copy of all of these files in a folder of your own."
        )
    if code == sqlite3.SQLITE_TOOBIG:
        return f"holds a value longer than {MAX_LINE_BYTES:,} bytes: not a table of runs."
    return f"cannot be read as a SQLite database: {error}."
