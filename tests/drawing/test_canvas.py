"""The door to matplotlib."""

from __future__ import annotations

import sys

import pytest

from hptransfer.drawing import canvas
from hptransfer.errors import UsageError


def _drawn(file_format: str) -> bytes:
    with canvas.styled():
        figure = canvas.new_figure(2.0, 1.5)
        axes = figure.add_subplot()
        axes.plot([1.0, 2.0], [3.0, 4.0])
        return canvas.to_bytes(figure, file_format)


@pytest.mark.parametrize(("file_format", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_figure_gives_the_same_bytes(file_format: str, magic: bytes) -> None:
    first = _drawn(file_format)
    assert first.startswith(magic)
    assert first == _drawn(file_format)


def test_other_endings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"ends in \.png, \.svg or \.pdf"):
        canvas.format_of("figure.jpeg")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'hptransfer\[plot\]'"):
        canvas.require_matplotlib()


@pytest.mark.parametrize(
    ("low", "high"), [(1e-4, 1e-1), (2.1e-3, 2.9e-3), (5.0, 4e13), (1.0, 1.3), (1.001, 1.002)]
)
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = canvas.log_ticks(low, high)
    assert len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)
