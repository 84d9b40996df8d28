"""Draw the figures of the concept pages from the shipped sweep: `python docs/figures.py` (make figures)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from hptransfer import fit, read_sweep
from hptransfer.drawing import canvas
from hptransfer.drawing.cells import draw_cell
from hptransfer.drawing.lines import draw_cost, draw_optimum, draw_schedules
from hptransfer.figures.cells import cell_figures
from hptransfer.figures.losses import cost_figures
from hptransfer.figures.optima import QUANTITIES, cell_points, optimum_figures
from hptransfer.figures.schedules import schedule_figure
from hptransfer.law import Law
from hptransfer.planning import Plan, Target, plan
from hptransfer.schedules import schedule
from hptransfer.sweep import Sweep

ROOT = Path(__file__).resolve().parents[1]
SWEEP = ROOT / "examples/proxies/sweep.csv"
TARGET = Target(params=294_912, tokens=3_145_728, params_kind="non-embedding")
"""Of the tutorial and of the proof: 4 times the params, twice the tokens."""

SHOWN_CELL = (73_728, 786_432)  # params, tokens: searched widely, away from all edges
HALF = (4.2, 3.2)  # inches
_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")

Painter = Callable[[canvas.Figure], None]


def painters(sweep: Sweep, law: Law, planned: Plan) -> Mapping[str, tuple[tuple[float, float], Painter]]:
    """Size in inches and what to paint, by the name of the file."""
    cells = cell_figures(sweep, law)
    cell = next(one for one in cells if (round(one.params), round(one.tokens)) == SHOWN_CELL)
    points = {quantity: cell_points(cells, law, quantity) for quantity in QUANTITIES}
    optima = optimum_figures(cells, law, planned)
    costs = cost_figures(planned)
    shapes = {name: schedule(name, steps=1000, warmup_steps=20, peak_lr=1.0) for name in ("cosine", "wsd")}

    def one_cell(figure: canvas.Figure) -> None:
        draw_cell(figure.subplots(), cell)

    def the_law(figure: canvas.Figure) -> None:
        wanted = [one for one in optima if one.axis == ("params" if one.quantity == "peak_lr" else "tokens")]
        for axes, one in zip(figure.subplots(1, 2), wanted, strict=True):
            draw_optimum(axes, one, points[one.quantity])

    def cost(figure: canvas.Figure) -> None:
        for axes, one in zip(figure.subplots(1, 2), costs, strict=True):
            draw_cost(axes, one)

    def two_schedules(figure: canvas.Figure) -> None:
        draw_schedules(figure.subplots(), schedule_figure(shapes))

    double = (2 * HALF[0], HALF[1])
    return {
        "cell": ((5.0, 4.0), one_cell),
        "law": (double, the_law),
        "cost": (double, cost),
        "schedules": ((5.6, 2.6), two_schedules),
    }


def drawings() -> Mapping[str, str]:
    """Every figure as SVG, by the name of its file."""
    sweep = read_sweep(SWEEP)
    law = fit(sweep)
    drawn = {}
    for name, (size, paint) in painters(sweep, law, plan(law, TARGET)).items():
        with canvas.styled():
            figure = canvas.new_figure(*size, layout="constrained")
            paint(figure)
            svg = canvas.to_bytes(figure, "svg").decode()
        drawn[name] = _LONG_NUMBER.sub(lambda number: f"{float(number.group()):.2f}", svg)
    return drawn


def main() -> None:
    """Write the figures beside the pages that show them."""
    for name, svg in drawings().items():
        path = ROOT / "docs/concepts" / f"{name}.svg"
        path.write_text(svg, encoding="utf-8")
        print(f"wrote docs/concepts/{name}.svg ({len(svg) // 1000} kB)")


if __name__ == "__main__":
    main()
