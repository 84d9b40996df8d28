"""`hptransfer loss`: what loss to expect, from (params, tokens, loss) points without any search over LR."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Json, NoProgress, Quiet
from hptransfer.cli.sweep_options import Files, SweepOptions
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer loss points.csv --params 7e9 --tokens 1e12 --hold-out 4"


@with_groups
def command(
    files: Files,
    options: SweepOptions,
    params: Annotated[str | None, typer.Option("--params", help="Parameters of a target: 7e9, 7B.")] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="Tokens of a target: 1e12, 1T.")] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(
            "--hold-out",
            metavar="FACTOR",
            help="Also fit without the runs within FACTOR of the largest compute, and price that fit there.",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--form", help="auto, additive, outer-exponent or varying-exponent.")
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the resampling.")] = 0,
    resamples: Annotated[
        int, typer.Option("--resamples", min=0, max=100_000, help="Bootstrap resamples; 0 for no intervals.")
    ] = 400,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit a loss law to finished, well-tuned runs: columns params, tokens and loss.

    Prints floor, coefficients and exponents with 90 % intervals and the form that held-out compute wants;
    with --params and --tokens the loss to expect there and its interval.
    """
    from hptransfer.cli import render, render_loss
    from hptransfer.cli.progress import progress_bar
    from hptransfer.errors import UsageError
    from hptransfer.law import Note
    from hptransfer.losses.fitting import backtest_loss, fit_loss_law
    from hptransfer.losses.law import forecast
    from hptransfer.quantities import parse_positive
    from hptransfer.readers import read_loss_points
    from hptransfer.readers.columns import quoted

    if (params is None) != (tokens is None):
        msg = "a target needs both --params and --tokens, such as --params 7e9 --tokens 1e12."
        raise UsageError(msg)
    talk = Talk(quiet=quiet)
    points, warnings = read_loss_points(files, options.reading(), **options.limits())
    backtest = None
    with progress_bar("fitting", wanted=not (quiet or no_progress)):
        law, found = fit_loss_law(points, form=form, seed=seed, resamples=resamples)
        if hold_out is not None:
            backtest = backtest_loss(points, factor=hold_out, form=form, seed=seed, resamples=resamples)
    notes = [*(Note(code=code, message=message) for code, message in warnings), *found]
    target = None
    if params is not None and tokens is not None:
        at = {"params": parse_positive(params, "--params"), "tokens": parse_positive(tokens, "--tokens")}
        target = forecast(law, **at)
    if json:
        render.print_json(render_loss.loss_content(law, warnings=notes, target=target, backtest=backtest))
    else:
        render_loss.show_loss_law(law, target=target, backtest=backtest)
    talk.warn(notes)
    names = " ".join(map(quoted, files))
    if target is None:
        talk.then(f"hptransfer loss {names} --params 7e9 --tokens 1e12")
    elif backtest is None:
        talk.then(f"hptransfer loss {names} --hold-out 4")
    else:
        talk.then(f"hptransfer doctor {names}, for a law of the LR and the batch as well")
