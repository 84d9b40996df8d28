"""Figures of amounts: who is named in the key."""

from __future__ import annotations

from hptransfer.drawing import canvas
from hptransfer.drawing.bars import draw_backtest
from hptransfer.evidence.backtesting import Backtest, CellResult, MethodResult, SplitResult


def _priced(name: str) -> MethodResult:
    return MethodResult(name, (CellResult(1e6, 1e8, 0.002, False, None, None),))


def test_the_key_names_priced_methods_only() -> None:
    """One is refused everywhere, one at the first split only."""
    never, later = MethodResult("never", (), "too few cells"), MethodResult("later", (), "too few cells")
    splits = (
        SplitResult("params from 1M", 5, (_priced("always"), never, later)),
        SplitResult("tokens from 1B", 5, (_priced("always"), never, _priced("later"))),
    )
    with canvas.styled():
        axes = canvas.new_figure(6.0, 3.0).add_subplot()
        draw_backtest(axes, Backtest(splits, "verdict"))
        key = axes.get_legend()
        assert key is not None
        assert [text.get_text() for text in key.get_texts()] == ["always", "later"]
        assert [text.get_text() for text in axes.texts] == [" refused"]
