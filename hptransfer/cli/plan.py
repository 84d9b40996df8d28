"""`hptransfer plan`: a law and a target in, the hyperparameters to run out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hptransfer.cli.options import Force, Json, ParamsKindOption, Quiet, SeqLen, one_of
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from hptransfer.planning import Plan
    from hptransfer.project import ResolvedLaw

EXAMPLE = "Example: hptransfer plan --law step-law --params 1e9 --tokens 1e11 -o config.yaml"
ROUNDINGS: tuple[Literal["pow2", "sequences", "none"], ...] = ("pow2", "sequences", "none")
Text = str | None


def command(
    law: Annotated[
        Text,
        typer.Option(
            "--law", help="Law file, or id of a published law (default: ./law.json, else step-law)."
        ),
    ] = None,
    params: Annotated[Text, typer.Option("--params", help="Parameters of the target: 7e9, 7B.")] = None,
    tokens: Annotated[Text, typer.Option("--tokens", help="Training tokens of the target: 1e12, 1T.")] = None,
    flops: Annotated[
        Text, typer.Option("--flops", help="Compute in place of --params or --tokens, by C = 6 N D.")
    ] = None,
    targets: Annotated[
        Text, typer.Option("--targets", help="CSV of targets: params,tokens[,batch_tokens]; - is stdin.")
    ] = None,
    batch_tokens: Annotated[
        Text, typer.Option("--batch-tokens", help="Pin the batch: tokens per optimizer step.")
    ] = None,
    seq_len: SeqLen = None,
    width: Annotated[
        int | None, typer.Option("--width", min=1, help="Model width (laws in compute).")
    ] = None,
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="Layers (laws in compute).")] = None,
    params_kind: ParamsKindOption = None,
    rounding: Annotated[
        str,
        typer.Option("--round", help="Round the batch to pow2 (2^k or 3*2^k) sequences, sequences, or none."),
    ] = "pow2",
    output: Annotated[
        Text, typer.Option("--output", "-o", help="Config (YAML) to write, - for stdout.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show how every value came about.")] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plan the hyperparameters of a large run from a law.

    Prints peak LR, batch, steps, warm-up and weight decay with intervals, where each came from and how
    far it extrapolates. With -o writes a config that `hptransfer check` can hold a run to.
    """
    from hptransfer.cli import render
    from hptransfer.cli.wanted import Wanted
    from hptransfer.planning import plan, plan_targets
    from hptransfer.project import resolve_law

    talk = Talk(quiet=quiet)
    wanted = Wanted(params, tokens, flops, batch_tokens, seq_len, width, depth, params_kind)
    rounded = one_of(rounding, ROUNDINGS, "--round")
    resolved = resolve_law(law)
    talk.say(f"law: {resolved.origin}")
    if targets is None:
        plans = [plan(resolved.law, wanted.target(), rounding=rounded)]
    elif output is not None or explain:
        msg = "--targets makes many plans: it goes with --json or a table, not with --output or --explain."
        raise UsageError(msg)
    else:
        plans = plan_targets(resolved.law, wanted.targets(targets), rounding=rounded)
    plans = [replace(p, warnings=(*resolved.warnings, *p.warnings)) for p in plans]
    if json:
        render.print_json_lines(render.plan_content(p) for p in plans)
    elif targets is not None:
        render.show_plans(plans)
    elif output != "-":
        render.show_plan(plans[0], explain=explain)
    if not json:
        talk.warn(render.distinct(note for p in plans for note in p.warnings))
    if output is None and not json:
        talk.then("add -o config.yaml for a config that `hptransfer check` can hold a run to")
    elif output is not None:
        _write_config(plans[0], resolved, output, force=force, talk=talk)


def _write_config(planned: Plan, law: ResolvedLaw, output: str, *, force: bool, talk: Talk) -> None:
    from hptransfer.config import config_from_plan, config_to_yaml
    from hptransfer.files import write_text

    text = config_to_yaml(config_from_plan(planned, law.reference_from(output)))
    talk.wrote(write_text(output, text, force=force, inputs=law.files), output)
    if output != "-":
        talk.then(f"hptransfer check {output}")
