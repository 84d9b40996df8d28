"""`hptransfer plan`: a law and a target in, the hyperparameters to run out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hptransfer.cli import completing
from hptransfer.cli.base_options import BaseOptions
from hptransfer.cli.groups import with_groups
from hptransfer.cli.machine_options import MachineOptions
from hptransfer.cli.options import Force, Json, Quiet, one_of
from hptransfer.cli.scaling_options import ScalingOptions
from hptransfer.cli.schedule_options import ScheduleOptions
from hptransfer.cli.shape_options import ShapeOptions, params_beside
from hptransfer.cli.talk import Talk
from hptransfer.cli.target_options import TargetOptions
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hptransfer.anchoring import Anchor
    from hptransfer.planning import Plan
    from hptransfer.plans.tradeoff import TimeVsCompute
    from hptransfer.project import ResolvedLaw

EXAMPLE = "Example: hptransfer plan --law step-law --params 1e9 --tokens 1e11 -o config.yaml"
ROUNDINGS: tuple[Literal["pow2", "sequences", "none"], ...] = ("pow2", "sequences", "none")
Text = str | None


@with_groups
def command(
    target: TargetOptions,
    described: ShapeOptions,
    scaling: ScalingOptions,
    scheduling: ScheduleOptions,
    trainer: MachineOptions,
    base: BaseOptions,
    law: Annotated[
        Text,
        typer.Option(
            "--law",
            help="Law file, or id of a published law (default: ./law.json, else step-law).",
            autocompletion=completing.laws,
        ),
    ] = None,
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="NAME=VALUE,...",
            help="A tuned model that sets the level: params=1e8,tokens=2e9,lr=3e-3,batch_tokens=262144.",
        ),
    ] = None,
    rounding: Annotated[
        str,
        typer.Option("--round", help="Round the batch to pow2 (2^k or 3*2^k) sequences, sequences, or none."),
    ] = "pow2",
    output: Annotated[
        Text, typer.Option("--output", "-o", help="Config (YAML) to write, - for stdout.")
    ] = None,
    format_name: Annotated[
        Text,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Write a trainer's config; see `hptransfer formats`.",
            autocompletion=completing.formats,
        ),
    ] = None,
    time_vs_compute: Annotated[
        bool,
        typer.Option("--time-vs-compute", help="Steps against tokens for the plan's loss, batch by batch."),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show how every value came about.")] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plan the hyperparameters of a large run from a law, at its own level or at that of tuned models.

    Prints peak LR, batch, steps, warm-up and weight decay with intervals, where each came from and how
    far it extrapolates. With -o writes a config that `hptransfer check` can hold a run to, with --format
    that of a trainer, with --base into one that you have: shown as a diff, changed with --write.
    """
    from hptransfer.cli import render, render_plan
    from hptransfer.cli.plan_format import plan_fitted, write_plan
    from hptransfer.cli.target_options import anchored, read_anchors
    from hptransfer.planning import plan_targets
    from hptransfer.plans.cost import cost_of_being_wrong
    from hptransfer.project import resolve_law

    talk = Talk(quiet=quiet)
    shown = _shown_as(output, format_name, trainer, base, json=json)
    trainer = trainer if format_name is None else base.machine_of(trainer, format_name, talk)
    target = replace(target, seq_len=trainer.seq_len)
    rounded = one_of(rounding, ROUNDINGS, "--round")
    resolved = resolve_law(law)
    target, scaling = _with_shape(target, described, scaling, law_kind=resolved.law.params_kind)
    tuned = read_anchors(anchors or [])
    planned_with = anchored(resolved.law, tuned, target)
    talk.say(f"law: {resolved.origin}" + (f", at the level of {len(tuned)} --anchor" if tuned else ""))
    if target.targets is None:
        one = plan_fitted(planned_with, target.target(), trainer, rounding=rounded)
        planned = scheduling.applied([one])
        plans = [_spread(planned[0], scaling)]
    elif shown != "plan" or explain or time_vs_compute or scaling.parametrization is not None:
        msg = (
            "--targets makes many plans: it goes with --json or a table, not with --output, --format, "
            "--explain, --time-vs-compute or --parametrization."
        )
        raise UsageError(msg)
    else:
        plans = scheduling.applied(plan_targets(planned_with, target.many(target.targets), rounding=rounded))
    plans = [replace(p, warnings=(*resolved.warnings, *p.warnings)) for p in plans]
    costs = [cost_of_being_wrong(p) if target.targets is None else None for p in plans]
    exchange = _exchange(plans[0]) if time_vs_compute else None
    if json:
        render.print_json_lines(
            render_plan.plan_content(p, c, exchange) for p, c in zip(plans, costs, strict=True)
        )
    elif target.targets is not None:
        render_plan.show_plans(plans)
    elif shown != "config":
        render_plan.show_plan(plans[0], explain=explain, cost=costs[0], exchange=exchange)
    if not json:
        talk.warn(render.distinct(note for p in plans for note in p.warnings))
    if format_name is not None:
        write_plan(plans[0], resolved, tuned, format_name, trainer, base, output, force=force, talk=talk)
    elif target.targets is not None and not json:
        talk.then("hptransfer plan --params N --tokens D -o config.yaml, for one of them")
    elif output is None and not json:
        talk.then("add -o config.yaml for a config that `hptransfer check` can hold a run to")
    elif output is not None:
        _write_config(plans[0], resolved, tuned, output, force=force, talk=talk)


def _shown_as(
    output: str | None, format_name: str | None, trainer: MachineOptions, base: BaseOptions, *, json: bool
) -> Literal["plan", "both", "config"]:
    """What stdout shows: the plan alone, the plan while its config goes to a file, or the config alone.

    A trainer's config, or what changes in one, goes to stdout unless that holds the plan.
    """
    if format_name is None:
        from hptransfer.cli.plan_format import require_format

        require_format(trainer, base)
        return "plan" if output is None else "config" if output == "-" else "both"
    from hptransfer.trainers import find_format

    find_format(format_name)
    base.require_consistent(output)
    to_file = base.write or output not in (None, "-")
    if json and output is None and not base.write:
        way_out = "-o FILE" if base.base is None else "--write or -o FILE"
        msg = f"--format writes a trainer's config, and --json prints the plan on stdout: add {way_out}."
        raise UsageError(msg)
    return "both" if to_file else "config"


def _with_shape(
    target: TargetOptions, described: ShapeOptions, scaling: ScalingOptions, *, law_kind: str
) -> tuple[TargetOptions, ScalingOptions]:
    """Let a model's shape say what it knows: params, width and depth, head and feed-forward size."""
    parametrized = scaling.parametrization is not None
    shape = described.shape(parametrized=parametrized)
    if shape is None:
        return target, scaling
    whole = described.describes_a_model(parametrized=parametrized)
    if target.targets is None:
        params, kind = params_beside(
            shape,
            params=target.params,
            kind=target.params_kind,
            law_kind=law_kind,
            wanted=target.flops is None or target.tokens is None,
            checked=whole or parametrized,
        )
        target = replace(target, params=params, params_kind=kind)
    if whole:
        target = replace(target, width=shape.width, depth=shape.depth)
        scaling = replace(scaling, width=shape.width, depth=shape.depth)
        if parametrized:
            ffn = scaling.ffn if scaling.base_ffn is None else shape.ffn
            scaling = replace(scaling, head_dim=shape.head_dim, ffn=ffn)
    return target, scaling


def _exchange(planned: Plan) -> TimeVsCompute:
    from hptransfer.plans.tradeoff import time_vs_compute

    return time_vs_compute(planned)


def _spread(planned: Plan, wanted: ScalingOptions) -> Plan:
    """Add values by tensor class where a parametrization is asked for."""
    asked = wanted.scaling(
        tokens=planned.target.tokens,
        batch_tokens=planned.rounded.batch_tokens,
        optimizer=str(planned.recipe["optimizer"].value),
    )
    if asked is None:
        return planned
    from hptransfer.parametrizations.spreading import with_param_groups

    return with_param_groups(planned, asked)


def _write_config(
    planned: Plan, law: ResolvedLaw, anchors: Sequence[Anchor], output: str, *, force: bool, talk: Talk
) -> None:
    from hptransfer.config import config_from_plan, config_to_yaml, with_editor_hint
    from hptransfer.files import write_text
    from hptransfer.project import schema_from

    config = config_from_plan(planned, law.reference_from(output), anchors=anchors)
    text = with_editor_hint(config_to_yaml(config), schema_from(output))
    talk.wrote(write_text(output, text, force=force, inputs=law.files), output)
    if output != "-":
        talk.then(f"hptransfer check {output}")
