"""The plot of the trained proof is what its script draws from the shipped runs."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

from hptransfer.parametrizations.widths import width_transfer
from hptransfer.readers.width_sweeps import read_width_sweep

ROOT = Path(__file__).parents[1]


def test_the_plot_in_the_docs_is_fresh_and_marks_every_optimum() -> None:
    sweep = read_width_sweep(ROOT / "examples/width_sweep.csv")
    transfers = width_transfer(sweep)
    drawn = runpy.run_path(str(ROOT / "examples/plot_width.py"))["drawing"](sweep, transfers)
    assert (ROOT / "docs/width_sweep.svg").read_text(encoding="utf-8") == drawn
    marks = ET.fromstring(drawn).findall("{http://www.w3.org/2000/svg}polygon")
    assert len(marks) == sum(at.lr is not None for one in transfers for at in one.widths) == 8
