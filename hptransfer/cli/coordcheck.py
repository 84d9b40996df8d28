"""`hptransfer coordcheck`: do activations keep their size as the model gets wider?"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from hptransfer.cli.options import Json, Quiet, one_of, pairs
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer coordcheck examples/coordinates.csv"
LOGGED: tuple[Literal["auto", "before", "after"], ...] = ("auto", "before", "after")


def command(
    file: Annotated[str, typer.Argument(metavar="LOG", help="CSV or JSON Lines; - is stdin.")],
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="HEADER", help="Column of a layer's activations.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COL=VALUE", help="Use only rows where COL is VALUE."),
    ] = None,
    limit: Annotated[
        float, typer.Option("--limit", min=0.0, help="Exponent of width up to which a layer is stable.")
    ] = 0.15,
    readout_logged: Annotated[
        str,
        typer.Option("--readout-logged", help="Before or after its multiplier; auto lets the loss decide."),
    ] = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a coordinate check: exponents of width of activations, per layer and step.

    Needs columns width, step and one a layer (or mup's long form: module, t, l1, width); uses
    parametrization and loss. Says per layer and overall whether muP holds, and what seems to be missing.
    """
    import dataclasses

    from hptransfer.cli import render, render_width
    from hptransfer.parametrizations.coordinates import coordinate_check
    from hptransfer.readers.activations import read_activation_log

    log = read_activation_log(file, layers=layer or (), where=pairs(where or [], "--where"))
    logged = one_of(readout_logged, LOGGED, "--readout-logged")
    found = coordinate_check(log, limit=limit, readout_logged=logged)
    if json:
        render.print_json([dataclasses.asdict(one) for one in found])
    else:
        render_width.show_coordinates(found)
    Talk(quiet=quiet).then("hptransfer width SWEEP, an LR sweep over widths: the test that decides")
