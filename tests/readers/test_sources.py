"""Formats are recognized by content, forced by name, and what is none of them is explained."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from hptransfer.errors import FileError, InputError, UsageError
from hptransfer.readers import folders, read_sweep
from hptransfer.readers.sources import SOURCES
from tests.readers.samples import DATA, opened, unpacked
from tests.strategies import csv_text, grid_columns

TEXT = csv_text(grid_columns())


def test_every_source_has_a_name_of_its_own() -> None:
    assert len(set(SOURCES)) == len(SOURCES)


def test_a_forced_source_is_used(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(TEXT)
    with pytest.raises(InputError, match="not valid JSON"):
        read_sweep(tmp_path / "runs.json")
    assert read_sweep(tmp_path / "runs.json", source="csv").n_cells == 6
    assert read_sweep("-", source="csv", stdin=io.BytesIO(TEXT.encode())).n_cells == 6


def test_a_forced_source_that_is_something_else_is_explained(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(TEXT)
    with pytest.raises(UsageError, match=r"runs\.csv is not a Parquet file, which --source parquet says"):
        read_sweep(tmp_path / "runs.csv", source="parquet")
    with pytest.raises(UsageError, match="not from standard input"):
        read_sweep("-", source="parquet", stdin=io.BytesIO(b""))
    with pytest.raises(UsageError, match="Did you mean 'parquet'"):
        read_sweep(tmp_path / "runs.csv", source="parkuet")


def test_binary_formats_are_not_read_compressed_or_from_standard_input(tmp_path: Path) -> None:
    packed = tmp_path / "optuna.db.gz"
    packed.write_bytes(gzip.compress(unpacked("optuna.db", tmp_path).read_bytes()))
    with pytest.raises(
        FileError, match="a SQLite database; this format is read from an uncompressed file only"
    ):
        opened(packed)
    with pytest.raises(FileError, match="a Parquet file; this format is read from an uncompressed file only"):
        read_sweep("-", stdin=io.BytesIO((DATA / "runs.parquet").read_bytes()))


def test_a_folder_that_is_not_recognized_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"a folder without runs that are recognized .*mlruns"):
        opened(tmp_path)
    (tmp_path / "a.csv").write_text(TEXT)
    with pytest.raises(FileError, match=r"hptransfer fit .*a\.csv \.\.\."):
        opened(tmp_path)


def test_very_deep_and_very_full_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 3)
    for i in range(4):
        (tmp_path / f"{i}.json").write_text("{}")
    with pytest.raises(FileError, match="more than 3 files"):
        opened(tmp_path)
    deep = tmp_path / "deep" / "/".join("a" * 20)
    deep.mkdir(parents=True)
    with pytest.raises(FileError, match="nested deeper"):
        opened(tmp_path / "deep")


def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text('[{"lr": 1}]')
    (tmp_path / "again").symlink_to(tmp_path)
    assert opened(tmp_path).column("lr") == [1]


def test_a_wandb_panel_is_told_from_the_table_of_runs(tmp_path: Path) -> None:
    header = '"Step","a - eval/loss","a - eval/loss__MIN","a - eval/loss__MAX"\n1,3,3,3\n'
    (tmp_path / "wandb.csv").write_text(header)
    with pytest.raises(InputError, match="an export of a W&B panel, which has one row a step"):
        opened(tmp_path / "wandb.csv")
