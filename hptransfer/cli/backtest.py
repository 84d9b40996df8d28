"""`hptransfer backtest`: what plans would have cost at the largest scales of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hptransfer.cli import completing
from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Force, Json, NoProgress, Quiet
from hptransfer.cli.plotting import Plot, require_plot, save_plot
from hptransfer.cli.sweep_options import Files, SweepOptions, fit_line
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from hptransfer.evidence.backtesting import Selection

EXAMPLE = "Example: hptransfer backtest sweep.csv"


@with_groups
def command(
    files: Files,
    options: SweepOptions,
    estimator: Annotated[
        str | None,
        typer.Option(
            "--estimator",
            help="Estimator to test (default: the one fit uses).",
            autocompletion=completing.estimators,
        ),
    ] = None,
    prior: Annotated[
        str,
        typer.Option(
            "--prior", help="weak, none or the id of a published law.", autocompletion=completing.priors
        ),
    ] = "weak",
    law: Annotated[
        list[str] | None,
        typer.Option(
            "--law",
            help="Published law to price beside it (default: step-law).",
            autocompletion=completing.laws,
        ),
    ] = None,
    choose: Annotated[
        bool,
        typer.Option("--select-form", help="Compare the forms that fit offers, and name the one to use."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the resampling.")] = 0,
    resamples: Annotated[int, typer.Option("--resamples", help="Bootstrap resamples of each fit.")] = 1000,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Hold out the largest scales of a sweep, fit on the rest, and price the plans there.

    Holds out by params, tokens, compute and tokens per param. Prices are excess loss at the held-out cells,
    read from their own runs, beside Step Law's recipe, published laws and keeping the proxy's best.
    """
    from hptransfer.cli import render, render_loss
    from hptransfer.cli.progress import progress_bar
    from hptransfer.evidence.backtesting import PUBLISHED, backtest, backtest_to_dict, select_form
    from hptransfer.fitting import DEFAULT_ESTIMATOR

    talk = Talk(quiet=quiet)
    require_plot(plot)
    sweep = options.sweep(files)
    if choose and plot is not None:
        msg = "--plot draws the backtest of one estimator: leave out --select-form, or --plot."
        raise UsageError(msg)
    if choose:
        with progress_bar("comparing forms", wanted=not (quiet or no_progress)) as report:
            selection = select_form(sweep, seed=seed, progress=report)
        _show_selection(selection, json=json)
        best = selection.chosen
        forms = (f"--estimator {best.estimator}", f"--prior {best.prior}")
        talk.then(fit_line(files, options.reading(), *forms))
        return
    with progress_bar("holding out the largest scales", wanted=not (quiet or no_progress)) as report:
        result = backtest(
            sweep,
            estimator=estimator or DEFAULT_ESTIMATOR,
            prior=prior,
            seed=seed,
            resamples=resamples,
            published=tuple(law or PUBLISHED),
            progress=report,
        )
    if json:
        render.print_json(backtest_to_dict(result))
    else:
        render_loss.show_backtest(result)
    if plot is not None:
        from hptransfer.drawing.plots import backtest_plot

        save_plot(backtest_plot(result), plot, force=force, inputs=options.inputs(files), talk=talk)
    tested = [] if estimator is None else [f"--estimator {estimator}"]
    tested += [] if prior == "weak" else [f"--prior {prior}"]
    talk.then(fit_line(files, options.reading(), *tested))


def _show_selection(selection: Selection, *, json: bool) -> None:
    """Compare forms."""
    from dataclasses import asdict

    from hptransfer.cli import render, render_loss

    if json:
        render.print_json(asdict(selection))
    else:
        render_loss.show_selection(selection)
