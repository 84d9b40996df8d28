"""`hptransfer report` end to end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.figures.conftest import SHIPPED


@pytest.fixture
def planned(run: Run, tmp_path: Path) -> Path:
    """A sweep, its law and a config in the folder that the program runs in."""
    (tmp_path / "sweep.csv").write_bytes(SHIPPED.read_bytes())
    assert run("fit", "sweep.csv", "--resamples", "20").code == 0
    assert run("plan", "--params", "294912", "--tokens", "3145728", "-o", "config.yaml").code == 0
    return tmp_path


def test_a_page_from_sweep_law_and_plan(run: Run, planned: Path) -> None:
    outcome = run("report", "sweep.csv", "--law", "law.json", "--plan", "config.yaml", "-o", "report.html")
    assert outcome.code == 0
    assert outcome.err.strip().splitlines()[-1] == "next: hptransfer check config.yaml"
    page = (planned / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert len(page.encode()) < 3_000_000
    assert "hptransfer report sweep.csv --law law.json --plan config.yaml -o report.html" in page
    again = run("report", "sweep.csv", "--law", "law.json", "--plan", "config.yaml", "-o", "report.html")
    assert "unchanged report.html" in again.err


def test_the_law_is_the_plans_own_unless_named(run: Run, planned: Path) -> None:
    outcome = run("report", "sweep.csv", "--plan", "config.yaml", "-o", "-")
    assert outcome.code == 0
    assert "law: law.json (config.yaml)" in outcome.err


def test_a_config_edited_by_hand_is_a_finding_on_the_page(run: Run, planned: Path) -> None:
    lines = (planned / "config.yaml").read_text().splitlines(keepends=True)
    edited = ["peak_lr: 9.0e-01\n" if line.startswith("peak_lr:") else line for line in lines]
    (planned / "config.yaml").write_text("".join(edited))
    outcome = run("report", "sweep.csv", "--plan", "config.yaml")
    assert outcome.code == 0
    assert "warning [config-differs]: config.yaml says otherwise than its law in peak_lr" in outcome.err
    page = (planned / "report.html").read_text(encoding="utf-8")
    assert "What check finds in config.yaml" in page
    assert "The config says otherwise in peak_lr" in page


def test_an_input_is_never_replaced(run: Run, planned: Path) -> None:
    outcome = run("report", "sweep.csv", "--plan", "config.yaml", "-o", "config.yaml", "--force")
    assert (outcome.code, "is an input of this command" in outcome.err) == (2, True)


def test_without_matplotlib_the_extra_is_named(
    run: Run, planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run("report", "sweep.csv", "--law", "law.json")
    assert (outcome.code, "pip install 'hptransfer[plot]'" in outcome.err) == (2, True)
