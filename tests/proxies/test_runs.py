"""Plan files: what comes back is what was asked for, and what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.proxies.grid import designed, first_pass, mup, second_pass
from examples.proxies.runs import COLUMNS, Run, read_plan, write_plan

RUN = Run(parametrization="sp", width=24, tokens=4096, batch_tokens=64, lr=0.008, seed=0)


def test_a_plan_file_gives_back_its_runs(tmp_path: Path) -> None:
    runs = [*first_pass(), *second_pass(), *designed(), *mup()]
    write_plan(tmp_path / "plan.csv", runs)
    assert read_plan(tmp_path / "plan.csv") == runs


def test_runs_that_differ_have_names_that_differ() -> None:
    runs = [*first_pass(), *second_pass(), *designed(), *mup()]
    assert len({run.name for run in runs}) == len(set(runs)) == len(runs)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("sp,24,4096,64,0.008,0", "line 3: sp-w24-t4096-b64-lr0.008-s0 was asked for above"),
        ("sp,24,4096,96,0.008,0", "line 3: .* no whole number of batches of 96"),
        ("sp,24,4096,64,fast,0", "line 3: could not convert"),
        ("sp,24,4096,64,0.008", "line 3: "),
        ("sp,24,4096,64,-0.008,0", "line 3: .* have to be positive"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    plan = tmp_path / "plan.csv"
    write_plan(plan, [RUN])
    plan.write_text(plan.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        read_plan(plan)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text(",".join(c for c in COLUMNS if c != "seed") + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no column seed"):
        read_plan(plan)
