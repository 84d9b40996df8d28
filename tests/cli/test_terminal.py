"""What the main commands print: on terminals of 80 and 200 columns, coloured and plain, and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hptransfer.cli import progress, screen
from hptransfer.cli.layout import cells
from hptransfer.cli.screen import PIPE_WIDTH
from tests.cli.conftest import Outcome, Run

PROJECT = Path(__file__).resolve().parents[2]
WIDTHS = str(PROJECT / "examples" / "width_sweep.csv")
TARGET = ("--params", "7e9", "--tokens", "1e12")
QUICK = ("--estimator", "near-optimal", "--resamples", "20")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
COPIED = ("next: ", "wrote ", "unchanged ", "  hptransfer ")
"""Lines that are copied, so they are left whole."""

COMMANDS = {  # arguments, and what a reader looks for
    "fit": (("fit", "sweep.csv", *QUICK, "-o", "other.json", "--force"), "params exponent"),
    "doctor": (("doctor", "sweep.csv"), "at batch"),
    "plan": (("plan", "--law", "law.json", *TARGET), "90 % interval"),
    "plan --explain": (("plan", "--law", "step-law", *TARGET, "--explain"), "4,194,304"),
    "backtest": (("backtest", "sweep.csv", *QUICK), "mean excess"),
    "check": (("check", "config.yaml", "edited.yaml"), "HPT"),
    "check --explain": (("check", "--explain", "all"), "HPT101"),
    "laws": (("laws",), "step-law"),
    "laws compare": (("laws", "compare", *TARGET), "4,125,038"),
    "loss": (("loss", "sweep.csv", *TARGET, "--resamples", "0", "--form", "additive"), "Expected loss"),
    "width": (("width", WIDTHS), "usable LRs"),
    "curves": (("curves", "curves.csv", "--predict", "d2z", "--law", "annealing"), "Predicted, best first"),
    "schedule": (("schedule", "wsd", "--steps", "10000", "--warmup-steps", "100"), "1.0000"),
    "schedule compare": (("schedule", "compare", "cosine", "d2z", "--steps", "9000"), "9,000"),
    "schedule list": (("schedule", "list"), "cosine"),
    "convert": (
        ("convert", "config.yaml", "--to", "litgpt", "--world-size", "8", "-o", "l.yaml", "--force"),
        "",
    ),
    "formats": (("formats",), "litgpt"),
    "laws show": (("laws", "show", "kaplan"), "pitfall"),
    "shape": (("shape", "--params", "7e9"), "non-embedding"),
    "shape of a model": (("shape", "--width", "4096", "--depth", "32", "--vocab", "128000"), "total"),
    "design": (("design", "--target", "params=7e9,tokens=1e12", "--budget-flops", "1e20"), "peak LR"),
    "coordcheck": (("coordcheck", str(PROJECT / "examples" / "coordinates.csv")), "trained"),
    "plan by tensor class": (
        (
            "plan",
            "--law",
            "power-scheduler",
            *TARGET,
            "--batch-tokens",
            "2Mi",
            "--parametrization",
            "mup",
            "--base-width",
            "256",
            "--width",
            "4096",
            "--base-weight-decay",
            "0.1",
        ),
        "attention_q",
    ),
    "compare": (("compare", "law.json", "law.json"), "level"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands read."""
    folder = tmp_path_factory.mktemp("terminal")

    def run(*arguments: str) -> None:
        command = [sys.executable, "-m", "hptransfer", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    run("simulate", "-o", "sweep.csv")
    run("simulate", "--curves", "-o", "curves.csv")
    run("fit", "sweep.csv", "--resamples", "20")
    run("plan", "--law", "law.json", *TARGET, "-o", "config.yaml")
    text = (folder / "config.yaml").read_text()
    (folder / "edited.yaml").write_text(re.sub(r"(?m)^peak_lr: .*", "peak_lr: 9.0e-02", text, count=1))
    return folder


@pytest.fixture
def on(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run in that folder on a terminal of `columns` (None: in a pipe), coloured or under NO_COLOR."""

    def call(*arguments: str, columns: int | None, colored: bool) -> Outcome:
        monkeypatch.chdir(made)
        monkeypatch.setattr(screen, "is_terminal", lambda stream: columns is not None)
        monkeypatch.setattr(progress, "PATIENCE_S", 1e9)
        for name, wanted in (("NO_COLOR", not colored), ("FORCE_COLOR", colored)):
            if wanted:
                monkeypatch.setenv(name, "1")
            else:
                monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns or ""))
        monkeypatch.setenv("TERM", "xterm-256color")
        return run(*arguments)

    return call


def too_wide(text: str, columns: int) -> list[str]:
    return [
        line
        for line in ESCAPE.sub("", text).splitlines()
        if cells(line) > columns and not line.startswith(COPIED)
    ]


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_wider_than_the_terminal(on: Run, command: str, columns: int) -> None:
    arguments, expected = COMMANDS[command]
    plain = on(*arguments, columns=columns, colored=False)
    assert plain.code in (0, 1), plain.err
    assert "\x1b" not in plain.out + plain.err
    assert too_wide(plain.out + plain.err, columns) == []
    assert expected in plain.out
    assert [line for line in plain.out.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("command", ["fit", "plan", "laws compare", "schedule compare"])
def test_colour_changes_no_character(on: Run, command: str) -> None:
    arguments, _ = COMMANDS[command]
    plain, colored = (on(*arguments, columns=80, colored=wanted) for wanted in (False, True))
    assert "\x1b[" in colored.out
    assert ESCAPE.sub("", colored.out) == plain.out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_gets_plain_text_without_pictures(on: Run, command: str) -> None:
    arguments, expected = COMMANDS[command]
    piped = on(*arguments, columns=None, colored=False)
    assert expected in piped.out
    assert not re.search("[\x1b█▓▒░▁◆]", piped.out + piped.err)
    tables = piped.out.splitlines() if "plan" in command or "laws" in command else []
    assert too_wide("\n".join(tables), PIPE_WIDTH) == []


def test_a_narrow_terminal_has_all_the_numbers(on: Run) -> None:
    arguments, _ = COMMANDS["laws compare"]
    narrow, wide = (on(*arguments, columns=columns, colored=False).out for columns in (80, 200))
    assert set(re.findall(r"[\d,.e+-]{4,}", wide)) <= set(re.findall(r"[\d,.e+-]{4,}", narrow)) | {""}


def test_fit_and_doctor_draw_cells_and_plan_its_schedule(on: Run) -> None:
    for command, marks in (("fit", "██▓▓◆"), ("doctor", "██▓▓◆"), ("plan", "▁█"), ("schedule compare", "▁█")):
        out = on(*COMMANDS[command][0], columns=80, colored=False).out
        assert all(mark in out for mark in marks), command


@pytest.mark.parametrize("locale", ["ascii", "latin-1"])
def test_other_encodings_get_ascii(made: Path, locale: str) -> None:
    """Tables, pictures and signs of ours are written alike; nothing fails and nothing is escaped."""
    environment = {**os.environ, "PYTHONIOENCODING": locale, "COLUMNS": "80", "NO_COLOR": "1"}
    for arguments in (("laws", "compare", *TARGET), ("plan", "--law", "law.json", *TARGET)):
        command = [sys.executable, "-m", "hptransfer", *arguments]
        done = subprocess.run(command, cwd=made, capture_output=True, check=True, env=environment)
        shown = (done.stdout + done.stderr).decode(locale)
        assert "\\u" not in shown
        assert "------" in shown


def test_a_real_terminal_is_seen(made: Path) -> None:
    """A pseudo-terminal in place of our stand-in; ASCII shades where it speaks Latin 1."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "hptransfer", "doctor", "sweep.csv"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "COLUMNS": "80", "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    running = subprocess.Popen(
        command, cwd=made, stdout=theirs, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert running.wait() == 0
    text = seen.decode("latin-1").replace("\r\n", "\n")
    assert "\x1b[1m" in text
    assert "@@" in text
    assert too_wide(text, 80) == []
