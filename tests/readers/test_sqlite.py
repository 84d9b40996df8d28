"""SQLite databases are never written, and what cannot be read is explained."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hptransfer.errors import FileError
from hptransfer.readers import sqlite
from tests.readers.samples import opened, unpacked


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return unpacked("optuna.db", tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_locked_database_is_explained(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.05)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(FileError, match=r"optuna\.db: the database is locked by another program"):
        opened(database)
    other.close()


def test_a_closed_database_with_a_write_ahead_log_leaves_nothing_behind(database: Path) -> None:
    other = sqlite3.connect(database)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("UPDATE trials SET state = 'FAIL' WHERE number = 1")
    other.commit()
    other.close()
    before = database.read_bytes()
    assert opened(database).column("state")[:2] == ["COMPLETE", "FAIL"]
    assert names(database.parent) == ["optuna.db"]
    assert database.read_bytes() == before


def test_a_write_ahead_log_in_use_is_read_too(database: Path) -> None:
    other = sqlite3.connect(database)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("UPDATE trials SET state = 'FAIL' WHERE number = 1")
    other.commit()
    assert opened(database).column("state")[:2] == ["COMPLETE", "FAIL"]
    other.close()


def test_an_unfinished_change_that_cannot_be_rolled_back_is_explained(database: Path) -> None:
    """A hot rollback journal needs writing; a hand-made one is enough to show it."""
    page = database.read_bytes()[:4096]
    header = bytes.fromhex("d9d505f920a163d7") + (1).to_bytes(4, "big") + bytes(4)
    header += (len(database.read_bytes()) // 4096).to_bytes(4, "big") + (512).to_bytes(4, "big")
    header += (4096).to_bytes(4, "big")
    record = (1).to_bytes(4, "big") + page
    checksum = sum(page[i] for i in range(4096 - 200, 0, -200)) & 0xFFFFFFFF
    Path(f"{database}-journal").write_bytes(header.ljust(512, b"\0") + record + checksum.to_bytes(4, "big"))
    with pytest.raises(FileError, match="cannot be opened without writing"):
        opened(database)


@pytest.mark.parametrize("keep", [100, 5000, 20_000])
def test_a_damaged_database_is_explained(database: Path, keep: int) -> None:
    database.write_bytes(database.read_bytes()[:keep] + b"\xff" * 3000)
    with pytest.raises(FileError, match=r"optuna\.db: .*(damaged|SQLite)"):
        opened(database)


def test_another_programs_database_is_named_by_its_tables(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as other:
        other.execute("CREATE TABLE birds (name TEXT)")
        other.execute(
            "CREATE VIEW runs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n"
        )
    other.close()
    with pytest.raises(FileError, match=r"neither MLflow nor Optuna \(its tables: birds\)"):
        opened(tmp_path / "x.db")


def test_a_huge_value_is_refused(database: Path) -> None:
    with sqlite3.connect(database) as other:
        other.execute("UPDATE studies SET study_name = ?", ("x" * 2_000_000,))
    other.close()
    with pytest.raises(FileError, match="a value longer than"):
        opened(database)
