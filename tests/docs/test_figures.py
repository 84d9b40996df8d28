"""The figures of the concept pages show the shipped sweep as the program draws it now."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

KILOBYTES = 1000
DOCS = Path(__file__).parents[2] / "docs"


def labels(svg: str) -> list[str]:
    """Every text of a figure: axes, ticks, names, contours. Independent of how matplotlib writes lines."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_figures_are_current_and_small() -> None:
    for name, drawn in runpy.run_path(str(DOCS / "figures.py"))["drawings"]().items():
        shipped = (DOCS / "concepts" / f"{name}.svg").read_text(encoding="utf-8")
        assert labels(drawn), name
        assert labels(shipped) == labels(drawn), "run `make figures`"
        assert len(shipped) < 80 * KILOBYTES


def test_the_readmes_picture_is_small() -> None:
    assert (DOCS / "report.png").stat().st_size < 200 * KILOBYTES
