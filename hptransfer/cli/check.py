"""`hptransfer check`: configs held to their plan and their law, for people and for CI."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError

EXAMPLE = "Example: hptransfer plan --params 1e9 --tokens 1e11 -o config.yaml && hptransfer check config.yaml"


def command(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH...", help="Configs, or folders of them; - is stdin.")
    ] = None,
    law: Annotated[
        str | None, typer.Option("--law", help="Law file or id, in place of what the configs say.")
    ] = None,
    edited: Annotated[
        float | None, typer.Option("--edited-tolerance", help="Relative change that is an edit [0.01].")
    ] = None,
    lr_factor: Annotated[
        float | None, typer.Option("--lr-factor", help="Allowed factor from the law's LR [1.25].")
    ] = None,
    batch_factor: Annotated[
        float | None, typer.Option("--batch-factor", help="Allowed factor from the law's batch [1.5].")
    ] = None,
    weight_decay_factor: Annotated[
        float | None,
        typer.Option("--weight-decay-factor", help="Allowed factor from the law's weight decay [2]."),
    ] = None,
    excess: Annotated[
        float | None,
        typer.Option("--excess", help="Allowed predicted excess loss over the plan's own [0.0025]."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="CODE", help="Run these checks only: HPT1, HPT101, edited."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="CODE", help="Leave these checks out; the longer code wins."),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="ID", help="Describe one check and exit; `all` lists them."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check that configs are still what their plan and law say.

    Exit code 0 when clean (warnings allowed), 1 with findings, 2 when something cannot be read or no
    config was found.
    """
    from hptransfer.cli import render, render_check

    if explain is not None:
        render_check.show_checks(explain)
        return 0
    if not paths:
        msg = "nothing to check: name a config or a folder, such as `hptransfer check configs/`."
        raise UsageError(msg)

    from hptransfer.checking import check
    from hptransfer.findings import report_to_dict

    limits = {
        "edited": edited,
        "lr_factor": lr_factor,
        "batch_factor": batch_factor,
        "weight_decay_factor": weight_decay_factor,
        "excess": excess,
    }
    report = check(
        paths,
        law=law,
        tolerances={name: value for name, value in limits.items() if value is not None},
        select=select or (),
        ignore=ignore or (),
    )
    if json:
        render.print_json(report_to_dict(report))
    else:
        render_check.show_report(report, Talk(quiet=quiet))
    return report.exit_code
