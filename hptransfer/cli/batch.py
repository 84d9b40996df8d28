"""`hptransfer batch`: what the runs say of the batch: how the LR follows it, and where it stops paying."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.sweep_options import Files, SweepOptions, fit_line
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer batch sweep.csv"


@with_groups
def command(
    files: Files,
    options: SweepOptions,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned",
            help="Every row is a run with its best LR: needs a batch, tokens or steps, and loss only.",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Test how the best LR moves with the batch, and fit the critical batch.

    From a sweep over LR and batch at several tokens: the exponent of the batch in the best LR (is it linear,
    square root, neither?), and McCandlish's hyperbola of steps against tokens for one loss, each with a 90 %
    interval or with what the sweep lacks. With --tuned from a table of (batch, steps, loss).
    """
    from hptransfer.cli import render, render_batch
    from hptransfer.law import Note

    talk = Talk(quiet=quiet)
    if tuned:
        from hptransfer.batches.study import study_tuned_runs
        from hptransfer.readers import read_tuned_runs

        points, warnings = read_tuned_runs(files, options.reading(), **options.limits())
        study = study_tuned_runs(points)
    else:
        from hptransfer.batches.study import study_sweep

        sweep = options.sweep(files)
        study, warnings = study_sweep(sweep), sweep.warnings
    notes = [*(Note(code=code, message=message) for code, message in warnings), *study.notes]
    if json:
        render.print_json(render_batch.batch_content(study, notes))
    else:
        render_batch.show_study(study)
    talk.warn(notes)
    if study.critical is not None and not tuned:
        talk.then(fit_line(files, options.reading()))
