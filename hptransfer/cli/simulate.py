"""`hptransfer simulate`: a labelled, made-up sweep to try everything on."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli.options import Force, Quiet
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer simulate -o sweep.csv && hptransfer fit sweep.csv -o law.json"


def command(
    output: Annotated[str, typer.Option("--output", "-o", help="CSV to write, - for stdout.")] = "-",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the noise.")] = 0,
    curves: Annotated[bool, typer.Option("--curves", help="Loss curves of four runs instead.")] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a simulated sweep (CSV). It is labelled simulated in every row: no training run stands behind it.

    The truth behind it is not the form that `fit` assumes: the bowl is skewed, noise grows with excess
    loss, labels are rounded, some runs diverge, some are missing, and one cell has its optimum on the
    edge of its grid.
    """
    from hptransfer.files import write_text

    talk = Talk(quiet=quiet)
    if curves:
        from hptransfer.curves.simulation import simulate_curves_csv

        text, next_command = simulate_curves_csv(seed=seed), f"hptransfer curves {output} --predict d2z"
    else:
        from hptransfer.simulation import simulate_csv

        text, next_command = simulate_csv(seed=seed), f"hptransfer fit {output} -o law.json"
    talk.wrote(write_text(output, text, force=force), output)
    if output != "-":
        talk.then(next_command)
