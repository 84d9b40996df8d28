"""Sweeps as they arrive: every one gives a clear message, exit code 2 and no law, or is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.simulation import simulate_csv
from tests.cli.conftest import Run

GOOD = simulate_csv(seed=0)
HEADER, *ROWS = GOOD.splitlines()
COLUMNS = HEADER.split(",")
SCALE = [COLUMNS.index("params"), COLUMNS.index("tokens")]
ONE_CELL = [
    row for row in ROWS if [row.split(",")[i] for i in SCALE] == [ROWS[0].split(",")[i] for i in SCALE]
]


def with_cell(row: int, column: str, text: str) -> bytes:
    cells = ROWS[row].split(",")
    cells[COLUMNS.index(column)] = text
    return "\n".join([HEADER, *ROWS[:row], ",".join(cells), *ROWS[row + 1 :]]).encode()


BAD = {
    "empty": (b"", "empty"),
    "header only": (HEADER.encode() + b"\n", "no run"),
    "one cell": ("\n".join([HEADER, *ONE_CELL]).encode(), "cell"),
    "text in a number column": (with_cell(5, "lr", "fast"), "line 7, lr"),
    "negative LR": (with_cell(5, "lr", "-1e-3"), "line 7, lr"),
    "zero LR": (with_cell(5, "lr", "0"), "line 7, lr"),
    "missing column": (GOOD.replace("lr,", "rate_of_learning,", 1).encode(), "lr"),
    "duplicate headers": (GOOD.replace("tokens,", "params,", 1).encode(), "params"),
    "binary": (bytes(range(256)) * 20, "sweep.csv"),
}


@pytest.mark.parametrize("name", BAD)
def test_clear_refusals(run: Run, tmp_path: Path, name: str) -> None:
    content, match = BAD[name]
    (tmp_path / "sweep.csv").write_bytes(content)
    outcome = run("fit", "sweep.csv")
    assert outcome.code == 2
    assert match.lower() in outcome.err.lower()
    assert not (tmp_path / "law.json").exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="BOM"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(GOOD.replace(",", ";").encode(), id="semicolons"),
        pytest.param(GOOD.replace(",", "\t").encode(), id="tabs"),
        pytest.param(GOOD.replace("simulated-", "simul\xe9-", 1).encode("latin-1"), id="latin-1"),
    ],
)
def test_shapes_that_are_read(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sweep.csv").write_bytes(content)
    outcome = run("fit", "sweep.csv")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "law.json").exists()


def test_all_bad_rows_are_reported_at_once(run: Run, tmp_path: Path) -> None:
    cells = [row.split(",") for row in ROWS]
    for i in (3, 5, 8):
        cells[i][COLUMNS.index("lr")] = "oops"
    (tmp_path / "sweep.csv").write_text("\n".join([HEADER, *(",".join(c) for c in cells)]))
    err = run("fit", "sweep.csv").err
    assert [f"line {i + 2}, lr" in err for i in (3, 5, 8)] == [True] * 3
