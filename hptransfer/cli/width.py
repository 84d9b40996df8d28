"""`hptransfer width`: does the best LR stay where it is when the model gets wider?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hptransfer.cli.options import Force, Json, Quiet, pairs
from hptransfer.cli.plotting import Plot, require_plot, save_plot
from hptransfer.cli.sweep_options import Column, Vary, Where
from hptransfer.cli.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hptransfer.parametrizations.widths import Transfer

EXAMPLE = "Example: hptransfer width examples/width_sweep.csv"


def command(
    file: Annotated[str, typer.Argument(metavar="SWEEP", help="CSV or JSON Lines; - is stdin.")],
    column: Column = None,
    where: Where = None,
    vary: Vary = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Drift (log2 LR per doubling) that still transfers.")
    ] = 0.1,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit how the best LR moves with width (and depth), per parametrization, with 90 % intervals.

    Needs columns width, lr and loss; uses parametrization and depth. Verdicts: transfers, drifts,
    undecided, not-enough-usable-runs.
    """
    import dataclasses

    from hptransfer.cli import render, render_width
    from hptransfer.law import Note
    from hptransfer.parametrizations.widths import width_transfer
    from hptransfer.readers.width_sweeps import read_width_sweep

    talk = Talk(quiet=quiet)
    require_plot(plot)
    sweep = read_width_sweep(
        file,
        columns=pairs(column or [], "--column"),
        where=pairs(where or [], "--where"),
        vary=tuple(vary or ()),
    )
    found = width_transfer(sweep, tolerance=tolerance)
    if json:
        render.print_json([dataclasses.asdict(one) for one in found])
    else:
        render_width.show_transfer(found)
    if plot is not None:
        from hptransfer.drawing.plots import width_plot
        from hptransfer.figures.widths import width_panels

        save_plot(width_plot(width_panels(sweep, found)), plot, force=force, inputs=[file], talk=talk)
    talk.warn(Note(code=code, message=message) for code, message in sweep.warnings)
    talk.then(_next_step(found, file))


def _next_step(found: Sequence[Transfer], file: str) -> str:
    """Plan with what transfers, else with the drift that was measured; without either, more runs."""
    from hptransfer.readers.columns import quoted

    for verdict in ("transfers", "drifts"):
        for one in found:
            if one.verdict != verdict:
                continue
            name = quoted(one.parametrization) if one.parametrization else "NAME"
            drift = f"--lr-width-exponent {one.drifts[0].per_doubling:.2f}"
            rest = "--base-width W0 --width W" if verdict == "transfers" else drift
            return f"hptransfer plan ... --parametrization {name} {rest}"
    return f"add widths or LRs, then hptransfer width {quoted(file)}"
