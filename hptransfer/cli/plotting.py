"""`--plot FILE`: the main figure of a command, as PNG, SVG or PDF by the file's ending."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hptransfer.cli.talk import Talk
    from hptransfer.drawing.plots import Draw

Plot = Annotated[
    str | None,
    typer.Option("--plot", metavar="FILE", help="Draw it: a PNG, SVG or PDF (extra `plot`: matplotlib)."),
]


def require_plot(path: str | None) -> None:
    """Refuse a figure that could not be drawn before the work that it shows is done.

    Raises:  UsageError for another ending, or without matplotlib.
    """
    if path is not None:
        from hptransfer.drawing.canvas import format_of, require_matplotlib

        format_of(path)
        require_matplotlib()


def save_plot(draw: Draw, path: str, *, force: bool, inputs: Iterable[str], talk: Talk) -> None:
    """Draw a figure and write it, as every output file is written."""
    from hptransfer.drawing.canvas import format_of
    from hptransfer.files import write_bytes

    talk.wrote(write_bytes(path, draw(format_of(path)), force=force, inputs=inputs), path)
