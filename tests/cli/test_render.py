"""What people see: nothing wider than a terminal of 80 columns where it matters, no trailing blanks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hptransfer.cli import render, screen
from tests.cli.conftest import Run

PLAN = ("plan", "--params", "7e9", "--tokens", "1e12")


@pytest.mark.parametrize("law", ["law.json", "step-law"])
def test_a_plan_fits_80_columns(run: Run, law: str) -> None:
    run("simulate", "-o", "sweep.csv")
    run("fit", "sweep.csv")
    lines = run(*PLAN, "--law", law).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("peak_lr") and line.endswith("the law") for line in lines)
    assert any(line.startswith("beta2") and line.endswith("default") for line in lines)


def test_a_pinned_batch_is_the_users_word(run: Run) -> None:
    lines = run(*PLAN, "--law", "step-law", "--batch-tokens", "4Mi").out.splitlines()
    assert any(line.startswith("batch_tokens") and line.endswith("you") for line in lines)


def test_no_line_ends_in_blanks(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,tokens\n7e9,1e12\n")
    run("simulate", "-o", "sweep.csv")
    printed = [
        run("fit", "sweep.csv").out,
        run(*PLAN, "--explain", "-o", "config.yaml").out,
        run("plan", "--targets", "t.csv").out,
        run("check", "config.yaml").out,
        run("check", "--explain", "all").out,
    ]
    assert all(printed)
    assert [line for text in printed for line in text.splitlines() if line != line.rstrip()] == []


def test_a_plan_names_the_next_command(run: Run) -> None:
    assert run(*PLAN).err.splitlines()[-1].startswith("next: add -o config.yaml")


def test_numbers_stay_whole_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words fold, digits don't."""
    monkeypatch.setattr(screen, "PIPE_WIDTH", 24)
    stream = io.StringIO()
    render.table("", ("name", "a_long_heading#"), [("some words that fold", "1,234,567")], stream)
    assert "1,234,567" in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 24


def test_a_count_known_to_decades_has_no_false_digits_or_mixed_suffixes() -> None:
    wide, narrow = (3.32, 4.55e14), (416.0, 1250.0)
    assert render.count_interval(wide) == "3.3e+00 to 4.6e+14"
    assert render.count_interval(narrow) == "416 to 1.25K"
    assert render.count_interval(None) == "-"
    assert render.estimated_count(38_867_123.0, wide) == "3.9e+07"
    assert render.estimated_count(558.2, narrow) == "558"
    assert render.estimated_count(38_867_123.0, None) == "38,867,123"
    assert render.estimated_count(None, wide) == "-"
