"""Plans in tables and as JSON."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hptransfer.batches.following import sentence
from hptransfer.cli.render import (
    count,
    count_interval,
    estimated_count,
    folded,
    interval,
    number,
    ratio,
    say,
    table,
)
from hptransfer.errors import plain
from hptransfer.plans.cost import LEAST_BOUND
from hptransfer.plans.derivation import is_power_scheduler
from hptransfer.quantities import scientific, short_count

if TYPE_CHECKING:
    from hptransfer.batches.sizes import ThreeBatches
    from hptransfer.law import Law
    from hptransfer.parametrizations.grouping import Alternative, Group, ParamGroups
    from hptransfer.planning import Plan
    from hptransfer.plans.cost import Cost, CostOfBeingWrong
    from hptransfer.plans.tradeoff import TimeVsCompute


SHORT_SOURCES = {  # how `plan` says in a word whose value it is; --explain gives sources in full
    "definition": "definition",
    "default": "default",
    "the user": "you",
}


_OPTION_ORIGINS = {"decay_steps": "decay_steps", "final_ratio": "final_lr_ratio"}  # else the schedule's

_POWER_LRS = (
    "Power schedule: the run's LR is where the warm-up ends, its highest; the optimum's is the law's at the "
    "last token, where the phase of constant exponent would end without the decay."
)


def plan_content(
    plan: Plan, cost: CostOfBeingWrong | None = None, exchange: TimeVsCompute | None = None
) -> dict[str, Any]:
    """A plan as JSON content: optima at the top, the values to run under `rounded`."""
    record = None if plan.law.fit is None else plan.law.fit.track_record
    return {
        "params": plan.target.params,
        "tokens": plan.target.tokens,
        "peak_lr": plan.peak_lr,
        "peak_lr_interval": plan.peak_lr_interval,
        "batch_tokens": plan.batch_tokens,
        "batch_tokens_interval": plan.batch_tokens_interval,
        "weight_decay": plan.weight_decay,
        "weight_decay_interval": plan.weight_decay_interval,
        "weight_decay_timescale": plan.weight_decay_timescale,
        "weight_decay_independent": plan.weight_decay_independent,
        "steps": plan.rounded.steps,
        "excess": plan.excess,
        "loss": plan.loss,
        "loss_interval": plan.loss_interval,
        "run_loss": plan.run_loss,
        "run_loss_interval": plan.run_loss_interval,
        "loss_slope": plan.loss_slope,
        "excess_flops": plan.excess_flops,
        "plateaus": plan.plateaus,
        "batches": None if plan.batches is None else dataclasses.asdict(plan.batches),
        "final_lr_ratio": plan.final_lr_ratio,
        **{name: settled.value for name, settled in plan.recipe.items() if name != "final_lr_ratio"},
        "schedule_options": dict(plan.schedule_options),
        "schedule_lr_factor": plan.lr_factor,
        "lr_follows_batch": None if plan.lr_follows is None else dataclasses.asdict(plan.lr_follows),
        "seq_len": plan.seq_len,
        "rounded": dataclasses.asdict(plan.rounded),
        "law": plan.law.id,
        "law_digest": plan.law.digest(),
        "origin": {name: dataclasses.asdict(origin) for name, origin in plan.origins.items()},
        "reach": {name: dataclasses.asdict(reach) for name, reach in plan.reach.items()},
        **groups_content(plan),
        "track_record": None if record is None else record.model_dump(mode="json"),
        "cost_of_being_wrong": None if cost is None else dataclasses.asdict(cost),
        "time_vs_compute": None if exchange is None else dataclasses.asdict(exchange),
        "warnings": [{"code": note.code, "message": note.message} for note in plan.warnings],
    }


def groups_content(plan: Plan) -> dict[str, Any]:
    """Values by tensor class as JSON content; empty where no parametrization was asked for."""
    if plan.param_groups is None:
        return {}
    groups = plan.param_groups
    return {
        "parametrization": {
            **groups.model.model_dump(mode="json"),
            "scaling": groups.scaling.model_dump(mode="json", exclude_none=True),
            "alternatives": [item.model_dump(mode="json") for item in groups.alternatives],
        },
        "param_groups": {name: one.model_dump(mode="json") for name, one in groups.groups.items()},
    }


def show_plan(
    plan: Plan,
    *,
    explain: bool,
    cost: CostOfBeingWrong | None = None,
    exchange: TimeVsCompute | None = None,
) -> None:
    """Print one plan as a table; with `explain` also the derivation of every value."""
    from hptransfer.cli.blocks import show_planned_course  # JSON needs no pictures

    target = plan.target
    title = f"Plan for {short_count(target.params)} params, {short_count(target.tokens)} tokens"
    table(
        f"{title} (law {plain(plan.law.id)})",
        ("", "run#", "optimum#", "90 % interval", "from"),
        _plan_rows(plan),
    )
    if plan.recipe["schedule"].value == "power" and is_power_scheduler(plan.law):
        print(f"{folded(_POWER_LRS)}\n")
    if plan.batches is not None:
        show_batches(plan.batches)
    show_planned_course(plan)
    outside = [f"{name} {r.factor:.3g}x" for name, r in plan.reach.items() if r.factor > 1]
    inside = "inside the law's fitted range" if plan.reach else "the law states no fitted range"
    how_far = f"{', '.join(outside)} beyond the fitted range" if outside else f"no, {inside}"
    print(folded(f"Extrapolates: {how_far}."))
    if plan.lr_follows is not None and not (target.batch_tokens is None and target.batch_rule is None):
        print(folded(sentence(plan.lr_follows)))
    record = None if plan.law.fit is None else plan.law.fit.track_record
    if record is not None:
        print(folded(f"Track record: {plain(record.verdict, limit=1000)}"))
    if cost is not None or plan.param_groups is not None or explain:
        print()
    if cost is not None:
        show_cost(cost)
    if exchange is not None:
        show_exchange(exchange)
    if plan.param_groups is not None:
        show_param_groups(plan.param_groups)
    if explain:
        rows = ((name, origin.formula, origin.source) for name, origin in plan.origins.items())
        table("How each value came about", ("value", "formula", "source~"), rows)
        if plan.weight_decay_independent is not None:
            independent = scientific(plan.weight_decay_independent)
            print(
                folded(
                    "Weight decay is PyTorch's: a weight shrinks by LR * weight decay. Where the optimizer "
                    f"leaves the LR out (Composer's DecoupledAdamW): peak LR * weight decay = {independent}."
                )
            )


def show_batches(batches: ThreeBatches) -> None:
    """Print optimal, acceptable and critical batch, where the law knows more than the first."""
    rows = []
    if batches.optimal_tokens is not None:
        bounds = batches.optimal_interval
        optimal = (estimated_count(batches.optimal_tokens, bounds), count_interval(bounds))
        rows.append(("optimal", *optimal, "lowest loss at this scale"))
    if batches.acceptable_tokens is not None:
        span = count_interval(batches.acceptable_tokens)
        low, high = batches.acceptable_open or (False, False)
        beyond = {(True, False): "; or less", (False, True): "; or more", (True, True): "; or beyond"}
        meaning = f"within {batches.acceptable_excess:.2%} of it{beyond.get((low, high), '')}"
        rows.append(("acceptable", span, "-", meaning))
    if batches.critical_tokens is not None:
        bounds = batches.critical_interval
        critical = (estimated_count(batches.critical_tokens, bounds), count_interval(bounds))
        rows.append(
            ("critical", *critical, f"{1 + batches.critical_overhead:g}x the fewest tokens for a loss")
        )
    if len(rows) > 1:
        table("Batches, in tokens per step", ("", "batch#", "90 % interval", "what it is"), rows)


def show_cost(cost: CostOfBeingWrong) -> None:
    """Print what other LRs and batches cost at the target, and which side is safer."""
    rows = (
        (
            name if k == 0 else "",
            f"x{one.factor:.3g}",
            number(one.value) if name == "peak_lr" else count(one.value),
            *_cost_cells(one),
            count(one.steps) if one.steps is not None else "",
        )
        for name, curve in (("peak_lr", cost.peak_lr), ("batch_tokens", cost.batch_tokens))
        for k, one in enumerate(curve)
    )
    columns = ("", "factor#", "value#", "excess#", "90 % interval", "FLOPs#", "steps#")
    table("Cost of being wrong by a factor: excess loss, FLOPs it wastes", columns, rows)
    for line in cost.summary:
        print(folded(line))


def _cost_cells(one: Cost) -> tuple[str, str, str]:
    """Excess, its interval, FLOPs: bounds (`>=`) are open above, and a dash stands where nothing is known."""
    if not one.is_known:
        return "-", "-", "" if one.excess_flops is None else "-"
    bound = ">= " if one.at_least else ""
    flops = "" if one.excess_flops is None else f"{one.excess_flops:.1%}"
    spread = interval(one.interval, "{:.2%}".format)
    if one.at_least and one.interval is not None:
        spread = f">= {one.interval[0]:.2%}" if one.interval[0] >= LEAST_BOUND else "-"
    return f"{bound}{one.excess:.2%}", spread, flops


def show_exchange(exchange: TimeVsCompute) -> None:
    """Print the front of steps against tokens, and what each doubling of the batch costs and saves."""
    reached = "the loss of this plan" if exchange.loss is None else f"loss {exchange.loss:.4f}"
    rows = (
        (
            f"{count(one.batch_tokens)}{' *' if one.is_plan else ''}",
            count(one.steps),
            short_count(one.tokens),
            count_interval(one.tokens_interval),
            "" if one.more_tokens is None else f"{one.more_tokens:+.1%}",
            "" if one.fewer_steps is None else f"{-one.fewer_steps:+.1%}",
        )
        for one in exchange.front
    )
    columns = ("batch#", "steps#", "tokens#", "90 % interval", "doubling: tokens#", "steps#")
    table(f"Steps against tokens for {reached} (* this plan)", columns, rows)
    for line in exchange.summary:
        print(folded(line))


def show_param_groups(groups: ParamGroups) -> None:
    """Print values by tensor class with their factors, and what other choices would change."""
    model = groups.model
    fields = ("lr", "init_std", "multiplier", "weight_decay", "eps", "update_scale")
    used = [name for name in fields if any(name in one.formulas for one in groups.groups.values())]
    rows = (
        (class_name, *(_value(one, name) for name in used), _formulas(one, used))
        for class_name, one in groups.groups.items()
    )
    table(
        f"Tensor classes ({model.rule_set}; {model.source})",
        ("class", *(f"{n}#" for n in used), "where~"),
        rows,
    )
    say(f"Attention logits: {_equation(model.attention_scale, model.attention_scale_formula)}.")
    say(f"Residual branch: {_equation(model.residual_multiplier, model.residual_formula)}.\n")
    chosen = ", ".join(f"{name}={choice}" for name, choice in model.chosen.items())
    if groups.alternatives:
        others = (row for item in groups.alternatives for row in _alternative_rows(item))
        columns = ("--rule", "field", "value#", "classes~", "said by~")
        table(f"Other choices (chosen: {chosen})", columns, others)


def _alternative_rows(item: Alternative) -> Iterable[tuple[str, ...]]:
    """One row a value that another choice gives, with the classes that share it."""
    classes: dict[tuple[str, str], list[str]] = {}
    for class_name, values in item.values.items():
        for name, value in values.items():
            classes.setdefault((name, ratio(value)), []).append(class_name)
    for (name, text), sharing in classes.items():
        yield (f"{item.option}={item.choice}", name, text, ", ".join(sharing), item.said_by)


def _value(group: Group, name: str) -> str:
    return ratio(getattr(group, name)) if name in group.formulas else "-"


def _formulas(group: Group, names: Iterable[str]) -> str:
    """What the values of a class were multiplied by, where by anything."""
    said = {name: group.formulas[name] for name in names if group.formulas.get(name, "1") != "1"}
    return ", ".join(f"{name} x {formula}" for name, formula in said.items())


def _equation(value: float | None, formula: str) -> str:
    """A value and its formula, as far as there are two things to say."""
    return formula if value is None or ratio(value) == formula else f"{ratio(value)} = {formula}"


def _plan_rows(plan: Plan) -> Iterable[tuple[str, ...]]:
    run = plan.rounded

    def whose(name: str) -> str:
        return _whose(plan.origins[name].source, plan.law) if name in plan.origins else ""

    lr, batch = interval(plan.peak_lr_interval), count_interval(plan.batch_tokens_interval)
    optimal = estimated_count(plan.batch_tokens, plan.batch_tokens_interval)
    yield ("peak_lr", number(run.peak_lr), number(plan.peak_lr), lr, whose("peak_lr"))
    yield ("batch_tokens", count(run.batch_tokens), optimal, batch, whose("batch_tokens"))
    decay = plan.weight_decay_interval
    around = {} if decay is None else {"weight_decay": interval(decay)}
    simple = {
        "steps": (count(run.steps), "steps"),
        "warmup_steps": (count(run.warmup_steps), "warmup_fraction"),
        "warmup_tokens": (short_count(run.warmup_tokens), "warmup_fraction"),
        "weight_decay": (ratio(plan.weight_decay), "weight_decay"),
        "final_lr_ratio": (ratio(plan.final_lr_ratio), "final_lr_ratio"),
    }
    for name, (value, origin) in simple.items():
        yield (name, value, "", around.get(name, ""), whose(origin))
    for name, option in plan.schedule_options.items():
        text = ratio(option) if isinstance(option, float) else plain(option)
        text = count(option) if name == "decay_steps" and isinstance(option, float) else text
        yield (name, text, "", "", whose(_OPTION_ORIGINS.get(name, "schedule")))
    for name, settled in plan.recipe.items():
        if name not in ("warmup_fraction", "final_lr_ratio"):
            yield (name, plain(settled.value), "", "", _whose(settled.origin.source, plan.law))
    if plan.loss is not None:
        run_loss = "-" if plan.run_loss is None else f"{plan.run_loss:.4f}"
        bounds = interval(plan.run_loss_interval or plan.loss_interval, "{:.4f}".format)
        yield ("expected loss", run_loss, f"{plan.loss:.4f}", bounds, "the law")
    if plan.excess is not None and plan.excess_flops is not None:
        yield ("excess loss", f"{plan.excess:+.2%}", "", "", "the law")
        yield ("FLOPs it wastes", f"{plan.excess_flops:.1%}", "", "", "the law")


def _whose(source: str, law: Law) -> str:
    """Say in a word or two on whose word a value is."""
    if source in SHORT_SOURCES:
        return SHORT_SOURCES[source]
    powers = [power for power in (law.peak_lr, law.batch_tokens, law.tau_ema) if power is not None]
    if source == f"law {law.id}" or source in {power.source for power in powers}:
        return "the law"
    if source == f"as in the runs behind law {law.id}":
        return "the law's runs"
    paper = re.search(r"arXiv:[0-9.]+[0-9]", source)
    return paper.group() if paper else plain(source, limit=20)


def show_plans(plans: Iterable[Plan]) -> None:
    """Print what to run at many targets, a row each, in their order; intervals are the optima's."""
    rows = (
        (
            short_count(p.target.params),
            short_count(p.target.tokens),
            number(p.rounded.peak_lr),
            interval(p.peak_lr_interval),
            count(p.rounded.batch_tokens),
            count_interval(p.batch_tokens_interval),
            count(p.rounded.steps),
            ratio(p.weight_decay),
        )
        for p in plans
    )
    columns = ("params#", "tokens#", "peak_lr#", "90 %", "batch_tokens#", "90 %", "steps#", "weight_decay#")
    table("Plans: what to run, with the optimum's 90 % intervals", columns, rows)
