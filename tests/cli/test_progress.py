"""The progress bar: on a terminal only, and only for work that takes more than a moment."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

from hptransfer.checking import check
from hptransfer.cli import progress
from hptransfer.cli.progress import progress_bar
from hptransfer.fitting import fit
from hptransfer.readers import read_sweep
from hptransfer.stages import part_of
from tests.cli.conftest import Run


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_bar_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar("fitting", wanted=True) as report:
        assert report is None


def test_no_bar_when_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Terminal())
    with progress_bar("fitting", wanted=False) as report:
        assert report is None


def test_no_bar_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Terminal())
    monkeypatch.setenv("TERM", "dumb")
    with progress_bar("fitting", wanted=True) as report:
        assert report is None


@pytest.mark.parametrize(("patience", "shown"), [(0.01, True), (1000.0, False)], ids=["long", "short"])
@pytest.mark.parametrize("steps", [0, 3], ids=["no steps", "steps"])
def test_a_bar_appears_on_a_terminal_when_the_work_takes_long(
    monkeypatch: pytest.MonkeyPatch, patience: float, shown: bool, steps: int
) -> None:
    """Also while nothing is reported, and it is gone in the end."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "PATIENCE_S", patience)
    with progress_bar("fitting", wanted=True) as report:
        assert report is not None
        for done in range(steps):
            report(done + 1, steps)
        if shown:
            time.sleep(0.3)
    assert ("fitting" in terminal.getvalue()) is shown
    assert terminal.getvalue().endswith("\x1b[2K") is shown


def test_parts_add_up() -> None:
    """Two stages of different numbers of steps: the share done never falls."""
    seen: list[float] = []
    for part, steps in enumerate((5, 20)):
        report = part_of(lambda done, of: seen.append(done / of), part, 2)
        assert report is not None
        for done in range(steps):
            report(done + 1, steps)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert part_of(None, 0, 2) is None


def test_fitting_and_checking_say_how_far_they_are(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    run("plan", "--params", "1e9", "--tokens", "1e11", "-o", "config.yaml")
    seen: list[tuple[int, int]] = []
    fit(read_sweep(["sweep.csv"]), resamples=20, progress=lambda *step: seen.append(step))
    shares = [done / steps for done, steps in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    seen.clear()
    check(["config.yaml", "config.yaml"], progress=lambda *step: seen.append(step))
    assert seen[0][0] == 0
