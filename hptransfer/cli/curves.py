"""`hptransfer curves`: loss curves in; a law of loss against the LRs seen, and predictions, out."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli import completing
from hptransfer.cli.options import Force, Json, NoProgress, Quiet, one_of, pairs
from hptransfer.cli.plotting import Plot, require_plot, save_plot
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError

EXAMPLE = (
    "Example: hptransfer simulate --curves -o curves.csv && "
    "hptransfer curves curves.csv --fit cosine --fit constant --predict d2z --predict wsd"
)


def command(
    file: Annotated[
        str, typer.Argument(metavar="CURVES.csv", help="Columns run, step, lr, loss; - is stdin.")
    ],
    fit: Annotated[
        list[str] | None, typer.Option("--fit", metavar="RUN", help="Fit on these runs only. [default: all]")
    ] = None,
    law: Annotated[
        str,
        typer.Option(
            "--law",
            help="multi-power or annealing.",
            autocompletion=completing.one_of(("multi-power", "annealing")),
        ),
    ] = "multi-power",
    warmup_steps: Annotated[
        int | None,
        typer.Option(
            "--warmup-steps", min=0, help="Of the runs, where the file begins after it; 0 for none."
        ),
    ] = None,
    predict: Annotated[
        list[str] | None,
        typer.Option(
            "--predict",
            metavar="SPEC",
            help="A schedule to predict, as in `schedule show`.",
            autocompletion=completing.schedules,
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of predicted schedules. [default: the longest run]")
    ] = None,
    unfinished: Annotated[
        str | None,
        typer.Option("--unfinished", metavar="RUN", help="Extrapolate this run; --predict says how it ends."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=HEADER", help="Read NAME from HEADER, e.g. loss=val_loss."),
    ] = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Take the LR as a straight line across gaps.")
    ] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="CSV of whole predicted curves; - is stdout.")
    ] = None,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Refuse longer inputs.")] = 5_000_000,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit a law of loss against the learning rates seen, and predict other schedules.

    Fits the Multi-Power Law and, beside it, the LR-annealing law on the runs of --fit; tests both on the
    other runs in the file; ranks the schedules of --predict by their final loss at the same peak LR.
    """
    from hptransfer.cli import render_curves
    from hptransfer.cli.progress import progress_bar
    from hptransfer.curves.laws import LAW_NAMES
    from hptransfer.curves.record import refuse_gaps
    from hptransfer.curves.study import study_curves
    from hptransfer.files import write_text
    from hptransfer.readers.columns import quoted
    from hptransfer.readers.curves import read_curves

    talk = Talk(quiet=quiet)
    require_plot(plot)
    if unfinished is not None and len(predict or []) != 1:
        msg = "--unfinished: needs one --predict SPEC, the schedule that the run follows to its end."
        raise UsageError(msg)
    curves = read_curves(file, columns=pairs(column or [], "--column"), max_rows=max_rows)
    for curve in curves:
        refuse_gaps(curve, warmup_steps=warmup_steps, allow_gaps=allow_gaps)
    chosen = one_of(law, LAW_NAMES, "--law")
    with progress_bar("fitting", wanted=not (quiet or no_progress)):
        study = study_curves(
            curves,
            fit_on=fit or [],
            law=chosen,
            warmup_steps=warmup_steps or 0,
            specs=predict or [],
            steps=steps,
            unfinished=unfinished,
        )
    if output is not None:
        talk.wrote(write_text(output, render_curves.csv_text(study), force=force, inputs=[file]), output)
    if json:
        render_curves.print_study(study)
    elif output != "-":
        render_curves.show_study(study)
    if plot is not None:
        from hptransfer.drawing.plots import curves_plot
        from hptransfer.figures.curves import curves_figure

        save_plot(curves_plot(curves_figure(curves, study)), plot, force=force, inputs=[file], talk=talk)
    talk.warn(study.warnings)
    talk.then(f"hptransfer curves {quoted(file)} --predict cosine --predict wsd:decay=1-sqrt --predict d2z")
