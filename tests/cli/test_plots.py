"""`--plot FILE` on every command that has one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from hptransfer.drawing.palette import LIGHT
from tests.cli.conftest import Run

PROJECT = Path(__file__).resolve().parents[2]
WIDTHS = str(PROJECT / "examples" / "width_sweep.csv")
MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}

COMMANDS = {
    "fit": ("fit", "sweep.csv", "--estimator", "near-optimal", "--resamples", "20"),
    "backtest": ("backtest", "sweep.csv", "--estimator", "near-optimal", "--resamples", "20"),
    "width": ("width", WIDTHS),
    "curves": ("curves", "curves.csv", "--fit", "cosine", "--predict", "d2z"),
    "schedule": ("schedule", "cosine", "--steps", "1000"),
    "schedule compare": ("schedule", "compare", "cosine", "wsd", "--steps", "1000"),
}


@pytest.fixture
def files(run: Run) -> None:
    run("simulate", "-o", "sweep.csv")
    run("simulate", "--curves", "-o", "curves.csv")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_figure_is_written_and_replaced_only_with_force(
    run: Run, files: None, tmp_path: Path, command: str
) -> None:
    arguments = COMMANDS[command]
    done = run(*arguments, "--plot", "figure.svg")
    assert done.code == 0, done.err
    assert "wrote figure.svg" in done.err
    text = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    colors = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", text))
    assert colors <= set(LIGHT.values()), "a colour that nobody checked for colour-blind readers"
    assert len(re.findall("<path", text)) > 10
    (tmp_path / "figure.svg").write_text("mine")
    assert run(*arguments, "--plot", "figure.svg").code == 2
    assert (tmp_path / "figure.svg").read_text() == "mine"
    assert run(*arguments, "--plot", "figure.svg", "--force").code == 0


@pytest.mark.parametrize("ending", MAGIC)
def test_the_ending_chooses_the_format(run: Run, tmp_path: Path, ending: str) -> None:
    assert run("width", WIDTHS, "--plot", f"figure.{ending}").code == 0
    assert (tmp_path / f"figure.{ending}").read_bytes().startswith(MAGIC[ending])


@pytest.mark.parametrize("command", COMMANDS)
def test_another_ending_is_refused_before_any_work(
    run: Run, files: None, tmp_path: Path, command: str
) -> None:
    done = run(*COMMANDS[command], "--plot", "figure.jpg")
    assert (done.code, "ends in .png, .svg or .pdf" in done.err) == (2, True)
    assert not (tmp_path / "law.json").exists()


def test_without_matplotlib_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("width", WIDTHS, "--plot", "figure.png")
    assert (done.code, "pip install 'hptransfer[plot]'" in done.err) == (2, True)


def test_foreign_names_are_drawn_as_text(run: Run, tmp_path: Path) -> None:
    """A dollar sign is no formula, an angle bracket no markup."""
    name = "$\\frac{1}{0}$<b>"
    lines = Path(WIDTHS).read_text().splitlines()
    rows = [lines[0], *(line.replace("mup,", f"{name},") for line in lines[1:])]
    (tmp_path / "odd.csv").write_text("\n".join(rows) + "\n")
    assert run("width", "odd.csv", "--plot", "figure.svg").code == 0
    text = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "$\\frac{1}{0}$&lt;b&gt;" in text
