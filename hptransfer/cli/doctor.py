"""`hptransfer doctor`: what a sweep holds, what is wrong with it, what can be fitted, what to add."""

from __future__ import annotations

import typer

from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.sweep_options import Files, ReadingOptions, fit_line
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer doctor sweep.csv"
EXIT_NOTHING = 2


@with_groups
def command(
    files: Files,
    options: ReadingOptions,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a sweep can support, before fitting it.

    Shows how columns, units and cells were understood, what is wrong (edges, empty corners, mislabelled,
    repeated and unfinished runs, mixed settings, params and tokens that moved together, ...), which law can
    be fitted, the exact fit command, and which runs to add. Never writes anything. Exit code 2 when nothing
    can be fitted.
    """
    from hptransfer.cli import doctor_report as report
    from hptransfer.cli.render import print_json
    from hptransfer.evidence.additions import additions
    from hptransfer.evidence.diagnosis import Verdict
    from hptransfer.readers.survey import survey

    seen = survey(files, options.reading(), cell_tolerance=options.cell_tolerance, **options.limits())
    diagnosis = report.diagnosis_of(seen)
    found = report.Report(files=files, survey=seen, diagnosis=diagnosis)
    if diagnosis is not None:
        found.additions = additions(diagnosis)
        if diagnosis.best.verdict is not Verdict.NOTHING:
            found.fit = fit_line(files, report.reading_of_part(seen, diagnosis.best))
    if json:
        print_json(report.content(found))
    else:
        report.show(found)
    Talk(quiet=quiet).then(report.next_step(found))
    if found.fit is None:
        raise typer.Exit(EXIT_NOTHING)
