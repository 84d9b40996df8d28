"""`hptransfer plan`: a law and a target in, the hyperparameters to run out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hptransfer.cli import scaling, shape_options
from hptransfer.cli.options import (
    ActiveRatio,
    Batch,
    Depth,
    Experts,
    FlopsPerToken,
    Force,
    Json,
    Loss,
    ParamsKindOption,
    Quiet,
    SeqLen,
    Width,
    one_of,
)
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hptransfer.anchoring import Anchor
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
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="NAME=VALUE,...",
            help="A tuned model that sets the level: params=1e8,tokens=2e9,lr=3e-3,batch_tokens=262144.",
        ),
    ] = None,
    batch_tokens: Batch = None,
    seq_len: SeqLen = None,
    width: Width = None,
    depth: Depth = None,
    loss: Loss = None,
    active_ratio: ActiveRatio = None,
    flops_per_token: FlopsPerToken = None,
    heads: shape_options.Heads = None,
    kv_heads: shape_options.KvHeads = None,
    vocab: shape_options.Vocab = None,
    experts: Experts = None,
    active_experts: shape_options.ActiveExperts = None,
    model_config: shape_options.ModelConfig = None,
    parametrization: scaling.ParametrizationOption = None,
    base_width: scaling.BaseWidth = None,
    base_depth: scaling.BaseDepth = None,
    head_dim: scaling.HeadDim = None,
    base_head_dim: scaling.BaseHeadDim = None,
    ffn: scaling.Ffn = None,
    base_ffn: scaling.BaseFfn = None,
    fan: scaling.Fan = None,
    rule: scaling.Rule = None,
    optimizer: scaling.OptimizerOption = None,
    base_init_std: scaling.BaseInitStd = None,
    base_eps: scaling.BaseEps = None,
    base_weight_decay: scaling.BaseWeightDecay = None,
    lr_width_exponent: scaling.LrWidthExponent = None,
    base_tokens: scaling.BaseTokens = None,
    base_batch_tokens: scaling.BaseBatchTokens = None,
    proxy_parametrization: scaling.ProxyParametrization = None,
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
    """Plan the hyperparameters of a large run from a law, at its own level or at that of tuned models.

    Prints peak LR, batch, steps, warm-up and weight decay with intervals, where each came from and how
    far it extrapolates. With -o writes a config that `hptransfer check` can hold a run to.
    """
    from hptransfer.cli import render
    from hptransfer.cli.wanted import Wanted, anchored, read_anchors
    from hptransfer.planning import plan, plan_targets
    from hptransfer.project import resolve_law

    talk = Talk(quiet=quiet)
    described = shape_options.ShapeOptions(
        width,
        depth,
        heads,
        head_dim,
        kv_heads,
        ffn,
        vocab,
        experts,
        active_experts,
        model_config,
        parametrized=parametrization is not None,
    )
    shape = described.shape()
    if shape is not None and described.describes_a_model:
        width, depth = shape.width, shape.depth
        if parametrization is not None:
            head_dim, ffn = shape.head_dim, ffn if base_ffn is None else shape.ffn
    wanted_scaling = scaling.WantedScaling(
        parametrization,
        width,
        base_width,
        depth,
        base_depth,
        head_dim,
        base_head_dim,
        ffn,
        base_ffn,
        fan,
        rule,
        optimizer,
        base_init_std,
        base_eps,
        base_weight_decay,
        lr_width_exponent,
        base_tokens,
        base_batch_tokens,
        proxy_parametrization,
    )
    rounded = one_of(rounding, ROUNDINGS, "--round")
    resolved = resolve_law(law)
    if shape is not None and targets is None:
        checked = described.describes_a_model or parametrization is not None
        params, params_kind = shape_options.params_beside(
            shape,
            params=params,
            kind=params_kind,
            law_kind=resolved.law.params_kind,
            wanted=flops is None or tokens is None,
            checked=checked,
        )
    wanted = Wanted(
        params=params,
        tokens=tokens,
        flops=flops,
        batch_tokens=batch_tokens,
        seq_len=seq_len,
        width=width,
        depth=depth,
        params_kind=params_kind,
        loss=loss,
        active_ratio=active_ratio,
        experts=experts,
        flops_per_token=flops_per_token,
    )
    tuned = read_anchors(anchors or [])
    planned_with = anchored(resolved.law, tuned, wanted)
    talk.say(f"law: {resolved.origin}" + (f", at the level of {len(tuned)} --anchor" if tuned else ""))
    if targets is None:
        planned = plan(planned_with, wanted.target(), rounding=rounded)
        plans = [_spread(planned, wanted_scaling)]
    elif output is not None or explain or parametrization is not None:
        msg = (
            "--targets makes many plans: it goes with --json or a table, not with --output, --explain or "
            "--parametrization."
        )
        raise UsageError(msg)
    else:
        plans = plan_targets(planned_with, wanted.targets(targets), rounding=rounded)
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
        _write_config(plans[0], resolved, tuned, output, force=force, talk=talk)


def _spread(planned: Plan, wanted: scaling.WantedScaling) -> Plan:
    """Add values by tensor class where a parametrization is asked for."""
    asked = wanted.scaling(
        tokens=planned.target.tokens,
        batch_tokens=planned.rounded.batch_tokens,
        optimizer=str(planned.recipe["optimizer"].value),
    )
    if asked is None:
        return planned
    from hptransfer.spreading import with_param_groups

    return with_param_groups(planned, asked)


def _write_config(
    planned: Plan, law: ResolvedLaw, anchors: Sequence[Anchor], output: str, *, force: bool, talk: Talk
) -> None:
    from hptransfer.config import config_from_plan, config_to_yaml
    from hptransfer.files import write_text

    text = config_to_yaml(config_from_plan(planned, law.reference_from(output), anchors=anchors))
    talk.wrote(write_text(output, text, force=force, inputs=law.files), output)
    if output != "-":
        talk.then(f"hptransfer check {output}")
