"""`hptransfer fit`: proxy runs in, a law with its evidence out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hptransfer.cli import completing
from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Force, Json, NoProgress, Quiet, one_of
from hptransfer.cli.plotting import Plot, require_plot, save_plot
from hptransfer.cli.sweep_options import Files, SweepOptions
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from hptransfer.drawing.plots import Draw
    from hptransfer.law import Law
    from hptransfer.sweep import Sweep

EXAMPLE = "Example: hptransfer fit sweep.csv -o law.json"


@with_groups
def command(
    files: Files,
    options: SweepOptions,
    output: Annotated[str, typer.Option("--output", "-o", help="Law to write, - for stdout.")] = "law.json",
    estimator: Annotated[
        str,
        typer.Option(
            "--estimator",
            help="surface, near-optimal (the Step Law paper's recipe) or power-scheduler.",
            autocompletion=completing.estimators,
        ),
    ] = "surface",
    prior: Annotated[
        str,
        typer.Option(
            "--prior", help="weak, none or the id of a published law.", autocompletion=completing.priors
        ),
    ] = "weak",
    threshold: Annotated[
        float, typer.Option("--threshold", help="near-optimal: keep runs within this relative excess loss.")
    ] = 0.0025,
    batch_on: Annotated[
        str, typer.Option("--batch-on", help="near-optimal: the batch law's inputs, tokens or params,tokens.")
    ] = "tokens",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the resampling.")] = 0,
    resamples: Annotated[
        int, typer.Option("--resamples", help="Bootstrap resamples; 0 for no intervals.")
    ] = 1000,
    convention: Annotated[
        str,
        typer.Option(
            "--weight-decay-convention",
            metavar="NAME",
            help="The sweep's weight decay: pytorch (times the LR), independent of it, or composer.",
        ),
    ] = "pytorch",
    with_backtest: Annotated[
        bool, typer.Option("--backtest", help="Also hold out the largest scales; the law keeps the result.")
    ] = False,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit a law to a sweep of finished proxy runs.

    Needs columns params, tokens, lr (the peak), batch_tokens (or batch_seqs and seq_len) and loss.
    Writes the law as JSON; shows the fitted law, its intervals, and what was set aside and why.
    """
    from hptransfer.cli import render, render_law
    from hptransfer.cli.blocks import show_heat
    from hptransfer.cli.progress import progress_bar
    from hptransfer.evidence.backtesting import with_track_record
    from hptransfer.files import write_text
    from hptransfer.fitting import fit
    from hptransfer.law import law_to_json
    from hptransfer.plans.decay_conventions import CONVENTIONS, counted_as
    from hptransfer.plans.prediction import asks_for_batch
    from hptransfer.readers.columns import quoted

    talk = Talk(quiet=quiet)
    require_plot(plot)
    if plot is not None and estimator == "power-scheduler":
        msg = "--plot draws LR and batch against params and tokens; a law of LR / batch has no such curves."
        raise UsageError(msg)
    counted = one_of(convention, tuple(CONVENTIONS), "--weight-decay-convention")
    sweep = counted_as(options.sweep(files), counted)
    inputs = one_of(batch_on, ("tokens", "params,tokens"), "--batch-on").split(",")
    with progress_bar("fitting", wanted=not (quiet or no_progress)) as report:
        law = fit(
            sweep,
            estimator=estimator,
            prior=prior,
            seed=seed,
            resamples=resamples,
            threshold=threshold,
            batch_on=tuple(inputs),
            progress=report,
        )
    if with_backtest:
        with progress_bar("holding out the largest scales", wanted=not (quiet or no_progress)) as report:
            law = with_track_record(law, sweep, progress=report)
    written = write_text(output, law_to_json(law), force=force, inputs=options.inputs(files))
    to_stdout = output == "-"
    if json and not to_stdout:
        render.print_json(render_law.law_content(law))
    else:
        shown_on = sys.stderr if to_stdout else sys.stdout
        render_law.show_law(law, stream=shown_on)
        show_heat(sweep, shown_on)
    talk.warn(law.warnings)
    talk.wrote(written, output)
    if plot is not None:
        save_plot(_drawing(sweep, law), plot, force=force, inputs=[*options.inputs(files), output], talk=talk)
    if not to_stdout:
        batch = " --batch-tokens 4Mi" if asks_for_batch(law) else ""
        talk.then(f"hptransfer plan --law {quoted(output)} --params 7e9 --tokens 1e12{batch} -o config.yaml")


def _drawing(sweep: Sweep, law: Law) -> Draw:
    """Optima of the cells, and the law through them."""
    from hptransfer.drawing.plots import fit_plot
    from hptransfer.figures.cells import cell_figures
    from hptransfer.figures.evaluating import QUANTITIES
    from hptransfer.figures.optima import cell_points, optimum_figures

    cells = cell_figures(sweep, law)
    points = {name: found for name in QUANTITIES if (found := cell_points(cells, law, name)) is not None}
    return fit_plot(optimum_figures(cells, law, None), points)
