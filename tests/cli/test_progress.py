"""The progress bar: on a terminal only, and only for work that takes more than a moment."""

from __future__ import annotations

import io
import sys

import pytest

from hptransfer.cli import progress
from hptransfer.cli.progress import progress_bar


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


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (1000.0, False)], ids=["long", "short"])
def test_a_bar_appears_on_a_terminal_when_the_work_takes_long(
    monkeypatch: pytest.MonkeyPatch, patience: float, shown: bool
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE_S", patience - 1e-9)
    with progress_bar("fitting", wanted=True) as report:
        assert report is not None
        for done in (1, 2, 3):
            report(done, 3)
    assert ("fitting" in terminal.getvalue()) is shown
