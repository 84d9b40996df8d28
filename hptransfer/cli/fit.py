"""`hptransfer fit`: proxy runs in, a law with its evidence out."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from hptransfer.cli.options import (
    Force,
    Json,
    NoProgress,
    ParamsKindOption,
    Quiet,
    SeqLen,
    one_of,
    pairs,
    params_kind_of,
)
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer fit sweep.csv -o law.json"
LOSS_UNITS: tuple[Literal["nats", "bits", "bpb", "perplexity"], ...] = ("nats", "bits", "bpb", "perplexity")


def command(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="CSV or JSON Lines; - is stdin.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Law to write, - for stdout.")] = "law.json",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="NAME=HEADER", help='Read NAME from HEADER, e.g. loss="smooth loss".'
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COL=VALUE", help="Use only rows where COL is VALUE."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="COL", help="Let setting COL vary inside the sweep."),
    ] = None,
    estimator: Annotated[
        str, typer.Option("--estimator", help="surface, or near-optimal (the recipe of the Step Law paper).")
    ] = "surface",
    prior: Annotated[str, typer.Option("--prior", help="weak, none or the id of a published law.")] = "weak",
    threshold: Annotated[
        float, typer.Option("--threshold", help="near-optimal: keep runs within this relative excess loss.")
    ] = 0.0025,
    batch_on: Annotated[
        str, typer.Option("--batch-on", help="near-optimal: the batch law's inputs, tokens or params,tokens.")
    ] = "tokens",
    params_kind: ParamsKindOption = None,
    loss_unit: Annotated[
        str | None,
        typer.Option("--loss-unit", help="nats, bits, bpb or perplexity."),
    ] = None,
    seq_len: SeqLen = None,
    cell_tolerance: Annotated[
        float,
        typer.Option("--cell-tolerance", min=0.0, max=0.5, help="Runs this close in scale share a cell."),
    ] = 0.02,
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Refuse longer inputs.")] = 1_000_000,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", min=1, help="Refuse larger inputs (decompressed bytes).")
    ] = 1_000_000_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the resampling.")] = 0,
    resamples: Annotated[
        int, typer.Option("--resamples", help="Bootstrap resamples; 0 for no intervals.")
    ] = 1000,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - nothing here takes long enough for a bar yet
) -> None:
    """Fit a law to a sweep of finished proxy runs.

    Needs columns params, tokens, lr (the peak), batch_tokens (or batch_seqs and seq_len) and loss.
    Writes the law as JSON; shows the fitted law, its intervals, and what was set aside and why.
    """
    from hptransfer.cli import render
    from hptransfer.files import write_text
    from hptransfer.fitting import fit
    from hptransfer.law import law_to_json
    from hptransfer.readers import read_sweep

    talk = Talk(quiet=quiet)
    sweep = read_sweep(
        files,
        columns=pairs(column or [], "--column"),
        where=pairs(where or [], "--where"),
        vary=tuple(vary or ()),
        params_kind=params_kind_of(params_kind),
        loss_unit=None if loss_unit is None else one_of(loss_unit, LOSS_UNITS, "--loss-unit"),
        seq_len=seq_len,
        cell_tolerance=cell_tolerance,
        max_rows=max_rows,
        max_bytes=max_bytes,
    )
    inputs = one_of(batch_on, ("tokens", "params,tokens"), "--batch-on").split(",")
    law = fit(
        sweep,
        estimator=estimator,
        prior=prior,
        seed=seed,
        resamples=resamples,
        threshold=threshold,
        batch_on=tuple(inputs),
    )
    written = write_text(output, law_to_json(law), force=force, inputs=files)
    to_stdout = output == "-"
    if json and not to_stdout:
        render.print_json(render.law_content(law))
    else:
        render.show_law(law, stream=sys.stderr if to_stdout else sys.stdout)
    talk.warn(law.warnings)
    talk.wrote(written, output)
    if not to_stdout:
        talk.then(f"hptransfer plan --law {output} --params 7e9 --tokens 1e12 -o config.yaml")
