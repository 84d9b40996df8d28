"""`hptransfer init`: a starter mapping for sweeps that look like this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Force, Quiet
from hptransfer.cli.sweep_options import Files, InputOptions
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer init sweep.csv -o sweep.map.toml"


@with_groups
def command(
    files: Files,
    options: InputOptions,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Mapping to write, - for stdout (default: SWEEP.map.toml)."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a starter mapping: how the columns of a sweep are read, what was guessed, what is open.

    The mapping (TOML) is for `fit --map` and `doctor --map`. Edit it, and keep it beside the sweeps.
    """
    from hptransfer.cli.doctor_report import diagnosis_of, reading_of_part
    from hptransfer.cli.options import pairs
    from hptransfer.evidence.diagnosis import Verdict
    from hptransfer.files import STANDARD_STREAM, write_text
    from hptransfer.readers.columns import quoted
    from hptransfer.readers.mapping import Reading
    from hptransfer.readers.starter import starter_map
    from hptransfer.readers.survey import survey

    reading = Reading(source=options.source, columns=pairs(options.column or [], "--column"))
    seen = survey(files, reading, cell_tolerance=options.cell_tolerance, **options.limits())
    diagnosis = diagnosis_of(seen)
    chosen = seen.reading if diagnosis is None else reading_of_part(seen, diagnosis.best)
    target = output or _beside(files[0])
    talk = Talk(quiet=quiet)
    talk.wrote(write_text(target, starter_map(seen, chosen), force=force, inputs=files), target)
    if target != STANDARD_STREAM:
        can_fit = diagnosis is not None and diagnosis.best.verdict is not Verdict.NOTHING
        command = ["hptransfer", "fit" if can_fit else "doctor", *files, "--map", target]
        talk.then(" ".join(map(quoted, command)))


def _beside(file: str) -> str:
    """Name the mapping after the sweep, in the working folder; stdout for stdin."""
    return "-" if file == "-" else f"{Path(file).name.split('.')[0] or 'sweep'}.map.toml"
