"""Parquet, as pyarrow wrote it: structs, row numbers, limits, and what to do without pyarrow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from hptransfer.errors import FileError, InputError, UsageError
from hptransfer.readers import read_sweep
from tests.readers.data.runs import simulated_runs
from tests.readers.samples import DATA, opened

NAMES = ("params", "tokens", "lr", "batch_tokens")
COLUMNS = {name: f"config.{name}" for name in NAMES}
SAMPLE = DATA / "runs.parquet"


def write(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_struct_columns_are_read_by_dotted_names() -> None:
    sweep = read_sweep(SAMPLE, columns=COLUMNS)
    for name in (*NAMES, "loss"):
        assert getattr(sweep, name).tolist() == [run[name] for run in simulated_runs()]


def test_entries_are_what_the_text_formats_give(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.parquet",
        {
            "a.b": [1.5, None],
            "flag": [True, None],
            "nest": [{"in": {"x": 1}}, None],
            "n": [1, 2],
            "s": ["x", None],
        },
    )
    found = opened(path)
    assert found.rows == [
        {"a.b": 1.5, "flag": "true", "nest.in.x": 1, "n": 1, "s": "x"},
        {"a.b": "", "flag": "", "nest.in.x": "", "n": 2, "s": ""},
    ]
    assert found.places == ["row 1", "row 2"]


def test_many_row_groups_are_one_table(tmp_path: Path) -> None:
    table = pa.table({"x": list(range(5000))})
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=700)
    assert opened(tmp_path / "x.parquet").column("x") == list(range(5000))


def test_problems_name_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"params": [1e8], "tokens": [1e9], "lr": ["fast"], "loss": [3.0]})
    with pytest.raises(InputError, match=r"x\.parquet, row 1, lr: got 'fast'"):
        read_sweep(path)


def test_the_limits_count_what_the_wanted_columns_decompress_to(tmp_path: Path) -> None:
    n = 100_000
    columns = {name: [float(i) for i in range(1, n + 1)] for name in ("params", "tokens", "lr", "loss")}
    path = write(tmp_path / "x.parquet", {**columns, "note": [f"note {i}" * 9 for i in range(n)]})
    with pytest.raises(FileError, match="--max-bytes"):
        read_sweep(path, max_bytes=1_000_000)
    with pytest.raises(FileError, match="--max-rows"):
        read_sweep(path, max_rows=1000)


@pytest.mark.parametrize("keep", [4, 100])
def test_a_damaged_file_is_a_file_error(tmp_path: Path, keep: int) -> None:
    (tmp_path / "x.parquet").write_bytes(SAMPLE.read_bytes()[:keep])
    with pytest.raises(FileError, match="damaged, or not a Parquet file"):
        opened(tmp_path / "x.parquet")


def test_a_file_without_rows_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"):
        opened(write(tmp_path / "x.parquet", {"lr": pa.array([], pa.float64())}))


def test_without_pyarrow_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'hptransfer\[parquet\]'"):
        opened(SAMPLE)
