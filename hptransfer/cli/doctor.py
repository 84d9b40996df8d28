"""`hptransfer doctor`: what a sweep holds, what is wrong with it, what can be fitted, what to add."""

from __future__ import annotations

import typer

from hptransfer.cli.options import Json, ParamsKindOption, Quiet, SeqLen
from hptransfer.cli.sweep_options import (
    BatchUnitOption,
    CellTolerance,
    Column,
    Files,
    LossUnitOption,
    MaxBytes,
    MaxRows,
    SavedMap,
    SourceOption,
    Vary,
    Where,
    reading_of,
)
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer doctor sweep.csv"
EXIT_NOTHING = 2


def command(
    files: Files,
    source: SourceOption = None,
    column: Column = None,
    where: Where = None,
    vary: Vary = None,
    saved_map: SavedMap = None,
    params_kind: ParamsKindOption = None,
    loss_unit: LossUnitOption = None,
    batch_unit: BatchUnitOption = None,
    seq_len: SeqLen = None,
    cell_tolerance: CellTolerance = 0.02,
    max_rows: MaxRows = 1_000_000,
    max_bytes: MaxBytes = 1_000_000_000,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a sweep can support, before fitting it.

    Shows how columns, units and cells were understood, what is wrong (edges, empty corners, mislabelled,
    repeated and unfinished runs, mixed settings, params and tokens that moved together, ...), which law can
    be fitted, the exact fit command, and which runs to add. Never writes anything. Exit code 2 when nothing
    can be fitted.
    """
    from hptransfer.additions import additions
    from hptransfer.cli import doctor_report as report
    from hptransfer.cli.render import print_json
    from hptransfer.diagnosis import Verdict
    from hptransfer.readers.survey import survey

    reading = reading_of(
        saved_map=saved_map,
        column=column,
        where=where,
        vary=vary,
        params_kind=params_kind,
        loss_unit=loss_unit,
        batch_unit=batch_unit,
        seq_len=seq_len,
    )
    seen = survey(
        files, reading, source=source, cell_tolerance=cell_tolerance, max_rows=max_rows, max_bytes=max_bytes
    )
    diagnosis = report.diagnosis_of(seen)
    found = report.Report(files=files, survey=seen, diagnosis=diagnosis)
    if diagnosis is not None:
        found.additions = additions(diagnosis)
        if diagnosis.best.verdict is not Verdict.NOTHING:
            found.fit = report.fit_line(files, seen, diagnosis, source=source)
    if json:
        print_json(report.content(found))
    else:
        report.show(found)
    Talk(quiet=quiet).then(report.next_step(found))
    if found.fit is None:
        raise typer.Exit(EXIT_NOTHING)
