"""Words and tables for people, JSON for programs. Knows records, computes nothing.

rich is imported where a table is drawn: JSON must not wait for it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from hptransfer.errors import plain
from hptransfer.loss_law import loss_formula
from hptransfer.quantities import scientific, short_count

if TYPE_CHECKING:
    from rich.console import Console

    from hptransfer.backtesting import Backtest
    from hptransfer.checking import Report
    from hptransfer.cli.talk import Talk
    from hptransfer.coordinates import CoordinateCheck
    from hptransfer.grouping import Alternative, Group, ParamGroups
    from hptransfer.law import Choices, Fit, Law, LossLaw, Note, PowerLaw, Uncertainty
    from hptransfer.loss_fitting import LossBacktest
    from hptransfer.loss_law import Forecast
    from hptransfer.planning import Plan
    from hptransfer.widths import Transfer

PIPE_WIDTH = 200
SHORT_SOURCES = {  # how `plan` says in a word whose value it is; --explain gives sources in full
    "definition": "definition",
    "default": "default",
    "the user": "you",
}


def console(stream: TextIO | None = None) -> Console:
    """A console on a stream: colours and the terminal's width there, plain and wide in a pipe."""
    from rich.console import Console

    stream = sys.stdout if stream is None else stream
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], stream: TextIO | None = None
) -> None:
    """Print a table; cells are text, never markup.

    Columns whose name ends in `#` hold numbers: right-aligned, and whole however narrow the terminal.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    stream = sys.stdout if stream is None else stream
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    cells = [list(row) for row in rows]
    for i, column in enumerate(columns):
        if column.endswith("#"):
            widest = max((len(row[i]) for row in cells), default=0)
            grid.add_column(Text(column[:-1]), justify="right", overflow="fold", min_width=widest)
        else:
            grid.add_column(Text(column), overflow="fold")
    for row in cells:
        grid.add_row(*map(Text, row))
    painter = console(stream)
    with painter.capture() as captured:
        painter.print(Text(title, style="bold"))
        painter.print(grid)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), end="\n\n", file=stream)


def print_json(content: Any) -> None:
    """Print strict JSON, indented."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_json_lines(contents: Iterable[Any]) -> None:
    """Print strict JSON, one object a line."""
    for content in contents:
        print(json.dumps(content, allow_nan=False))


def distinct(notes: Iterable[Note]) -> list[Note]:
    """Notes without repetitions, in order."""
    return list(dict.fromkeys(notes))


def law_content(law: Law) -> dict[str, Any]:
    """A law as JSON content without its bootstrap draws."""
    return law.model_dump(mode="json", exclude={"fit": {"draws"}})


def plan_content(plan: Plan) -> dict[str, Any]:
    """A plan as JSON content: optima at the top, the values to run under `rounded`."""
    return {
        "params": plan.target.params,
        "tokens": plan.target.tokens,
        "peak_lr": plan.peak_lr,
        "peak_lr_interval": plan.peak_lr_interval,
        "batch_tokens": plan.batch_tokens,
        "batch_tokens_interval": plan.batch_tokens_interval,
        "weight_decay": plan.weight_decay,
        "weight_decay_timescale": plan.weight_decay_timescale,
        "steps": plan.rounded.steps,
        "excess": plan.excess,
        "loss": plan.loss,
        "loss_interval": plan.loss_interval,
        "loss_slope": plan.loss_slope,
        "excess_flops": plan.excess_flops,
        "plateaus": plan.plateaus,
        "final_lr_ratio": plan.final_lr_ratio,
        **{name: settled.value for name, settled in plan.recipe.items() if name != "final_lr_ratio"},
        "seq_len": plan.seq_len,
        "rounded": dataclasses.asdict(plan.rounded),
        "law": plan.law.id,
        "law_digest": plan.law.digest(),
        "origin": {name: dataclasses.asdict(origin) for name, origin in plan.origins.items()},
        "reach": {name: dataclasses.asdict(reach) for name, reach in plan.reach.items()},
        **groups_content(plan),
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


def show_plan(plan: Plan, *, explain: bool) -> None:
    """Print one plan as a table; with `explain` also the derivation of every value."""
    target = plan.target
    title = f"Plan for {short_count(target.params)} params, {short_count(target.tokens)} tokens"
    table(
        f"{title} (law {plain(plan.law.id)})",
        ("", "run#", "optimum#", "90 % interval", "from"),
        _plan_rows(plan),
    )
    outside = [f"{name} {r.factor:.3g}x" for name, r in plan.reach.items() if r.factor > 1]
    inside = "inside the law's fitted range" if plan.reach else "the law states no fitted range"
    print(f"Extrapolates: {', '.join(outside) + ' beyond the fitted range' if outside else 'no, ' + inside}.")
    if plan.param_groups is not None:
        show_param_groups(plan.param_groups)
    if explain:
        rows = ((name, origin.formula, origin.source) for name, origin in plan.origins.items())
        table("How each value came about", ("value", "formula", "source"), rows)


def show_param_groups(groups: ParamGroups) -> None:
    """Print values by tensor class with their factors, and what other choices would change."""
    model = groups.model
    fields = ("lr", "init_std", "multiplier", "weight_decay", "eps", "update_scale")
    used = [name for name in fields if any(name in one.formulas for one in groups.groups.values())]
    rows = (
        (class_name, *(_with_formula(one, name) for name in used))
        for class_name, one in groups.groups.items()
    )
    table(f"Tensor classes ({model.rule_set}; {model.source})", ("class", *(f"{n}#" for n in used)), rows)
    print(f"Attention logits: {_ratio(model.attention_scale)} = {model.attention_scale_formula}.")
    print(f"Residual branch: {_ratio(model.residual_multiplier)} = {model.residual_formula}.")
    chosen = ", ".join(f"{name}={choice}" for name, choice in model.chosen.items())
    if groups.alternatives:
        others = (row for item in groups.alternatives for row in _alternative_rows(item))
        columns = ("--rule", "field", "value#", "classes", "said by")
        table(f"Other choices (chosen: {chosen})", columns, others)


def _alternative_rows(item: Alternative) -> Iterable[tuple[str, ...]]:
    """One row a value that another choice gives, with the classes that share it."""
    classes: dict[tuple[str, str], list[str]] = {}
    for class_name, values in item.values.items():
        for name, value in values.items():
            classes.setdefault((name, _ratio(value)), []).append(class_name)
    for (name, text), sharing in classes.items():
        yield (f"{item.option}={item.choice}", name, text, ", ".join(sharing), item.said_by)


def _with_formula(group: Group, name: str) -> str:
    if name not in group.formulas:
        return "-"
    formula = group.formulas[name]
    value = _ratio(getattr(group, name))
    return value if formula == "1" else f"{value} ({formula})"


def _plan_rows(plan: Plan) -> Iterable[tuple[str, ...]]:
    run = plan.rounded

    def whose(name: str) -> str:
        return _whose(plan.origins[name].source, plan.law) if name in plan.origins else ""

    lr, batch = interval(plan.peak_lr_interval), interval(plan.batch_tokens_interval, short_count)
    yield ("peak_lr", number(run.peak_lr), number(plan.peak_lr), lr, whose("peak_lr"))
    yield ("batch_tokens", count(run.batch_tokens), count(plan.batch_tokens), batch, whose("batch_tokens"))
    simple = {
        "steps": (count(run.steps), "steps"),
        "warmup_steps": (count(run.warmup_steps), "warmup_fraction"),
        "warmup_tokens": (short_count(run.warmup_tokens), "warmup_fraction"),
        "weight_decay": (_ratio(plan.weight_decay), "weight_decay"),
        "final_lr_ratio": (_ratio(plan.final_lr_ratio), "final_lr_ratio"),
    }
    for name, (value, origin) in simple.items():
        yield (name, value, "", "", whose(origin))
    for name, settled in plan.recipe.items():
        if name not in ("warmup_fraction", "final_lr_ratio"):
            yield (name, plain(settled.value), "", "", _whose(settled.origin.source, plan.law))
    if plan.loss is not None:
        bounds = interval(plan.loss_interval, "{:.4f}".format)
        yield ("expected loss", "", f"{plan.loss:.4f}", bounds, "the law")
    if plan.excess is not None and plan.excess_flops is not None:
        waste = f"{plan.excess_flops:.1%} of the FLOPs"
        yield ("excess loss", f"{plan.excess:+.2%}", "", waste, "the law")


def _whose(source: str, law: Law) -> str:
    """Say in a word or two on whose word a value is."""
    if source in SHORT_SOURCES:
        return SHORT_SOURCES[source]
    powers = [power for power in (law.peak_lr, law.batch_tokens) if power is not None]
    if source == f"law {law.id}" or source in {power.source for power in powers}:
        return "the law"
    if source == f"as in the runs behind law {law.id}":
        return "the law's runs"
    paper = re.search(r"arXiv:[0-9.]+[0-9]", source)
    return paper.group() if paper else plain(source, limit=20)


def show_plans(plans: Iterable[Plan]) -> None:
    """Print many plans, a row each, in their order."""
    rows = (
        (
            short_count(p.target.params),
            short_count(p.target.tokens),
            number(p.peak_lr),
            interval(p.peak_lr_interval),
            count(p.batch_tokens),
            interval(p.batch_tokens_interval, short_count),
            count(p.rounded.steps),
            _ratio(p.weight_decay),
        )
        for p in plans
    )
    columns = ("params#", "tokens#", "peak_lr#", "90 %", "batch_tokens#", "90 %", "steps#", "weight_decay#")
    table("Plans", columns, rows)


def show_law(law: Law, *, stream: TextIO) -> None:
    """Print a fitted law: its formulas with intervals, the cells behind it, what was set aside and why."""
    laws = {"peak_lr": law.peak_lr, "batch_tokens": law.batch_tokens}
    rows = [
        row for name, power in laws.items() if power is not None for row in _coefficient_rows(name, power)
    ]
    table(f"Law {plain(law.id)}: {plain(law.title)}", ("", "term", "value#", "90 % interval"), rows, stream)
    if law.loss is not None:
        print(f"Loss of a well-tuned run = {loss_formula(law.loss)}", file=stream)
    if law.fit is None:
        return
    cells = (
        (
            short_count(c.params),
            short_count(c.tokens),
            str(c.runs),
            str(c.diverged),
            f"{c.best_loss:.4f}",
            scientific(c.best_lr, 3),
            count(c.best_batch_tokens),
            ", ".join(c.edges) or "-",
        )
        for c in law.fit.cells
    )
    columns = ("params#", "tokens#", "runs#", "diverged#", "best loss#", "at lr#", "at batch#", "on the edge")
    table("Cells", columns, cells, stream)
    if law.fit.data_share:
        _show_shares(law.fit, stream)
    if law.fit.choices is not None:
        _show_choices(law.fit.choices, stream)
    if law.fit.set_aside:
        aside = ((item.reason, str(item.runs), plain(item.example)) for item in law.fit.set_aside)
        table("Set aside", ("why", "runs#", "for example"), aside, stream)


def _show_shares(record: Fit, stream: TextIO) -> None:
    """Print what the data and the prior brought to each exponent, and how the cells' optima bend."""
    rows = []
    for name, share in record.data_share.items():
        bend = record.bend.get(name)
        bent = "-" if bend is None else f"{bend.value:+.3f} +- {bend.std:.3f}"
        rows.append((name, f"{share:.0%}", f"{1 - share:.0%}", bent))
    columns = ("exponent", "from data#", "from prior#", "bend per e-fold")
    table(f"Exponents (prior {plain(record.prior)})", columns, rows, stream)


def _show_choices(choices: Choices, stream: TextIO) -> None:
    """Print what was averaged and how it did on cells left out of its fit."""
    rows = (
        (m.family, scientific(m.fade, 2), f"{100 * math.expm1(min(m.excess, 1.0)):.3f} %", f"{m.weight:.0%}")
        for m in choices.members
    )
    scatter = ", ".join(f"{name} {value:.0%}" for name, value in choices.offset_std.items())
    title = (
        f"Averaged (noise {100 * choices.noise_std:.2g} % of the loss; cells off the law by {scatter}; "
        f"backtest on {choices.runs} runs)"
    )
    table(title, ("fit", "fade#", "lost on left-out cells#", "weight#"), rows, stream)


def _coefficient_rows(name: str, power: PowerLaw) -> Iterable[tuple[str, ...]]:
    stds: list[float | None] = [None] * (1 + len(power.exponents))
    quantile = 0.0
    if power.uncertainty is not None:
        stds = [math.sqrt(row[i]) for i, row in enumerate(power.uncertainty.covariance)]
        quantile = _quantile(power.uncertainty)
    yield (
        name,
        "coefficient",
        scientific(math.exp(power.log_coefficient)),
        _spread(power, 0, exponential=True),
    )
    for i, (term, exponent) in enumerate(power.exponents.items(), start=1):
        std = stds[i]
        text = "-" if std is None else f"{exponent - quantile * std:.3f} to {exponent + quantile * std:.3f}"
        yield ("", f"{term} exponent", f"{exponent:.4f}", text)


def _quantile(spread: Uncertainty) -> float:
    """95 % quantile of a coefficient's own error."""
    from hptransfer.prediction import student_95

    return spread.quantile if spread.cell_df is None else float(student_95(spread.cell_df))


def _spread(power: PowerLaw, i: int, *, exponential: bool) -> str:
    spread = power.uncertainty
    if spread is None or not exponential:
        return "-"
    half = _quantile(spread) * math.sqrt(spread.covariance[i][i])
    if half > 600:
        return "not determined"
    return f"{math.exp(power.log_coefficient - half):.3g} to {math.exp(power.log_coefficient + half):.3g}"


def show_transfer(found: Iterable[Transfer]) -> None:
    """Print the best LR of each width and the verdict, per parametrization."""
    for one in found:
        rows = (
            (
                f"{at.width:g}",
                _ratio(at.depth),
                str(at.runs),
                str(at.usable_lrs),
                _ratio(at.best_loss),
                number(at.lr),
                plain(at.excluded or ""),
            )
            for at in one.widths
        )
        columns = ("width#", "depth#", "runs#", "usable LRs#", "best loss#", "best lr#", "left out because")
        name = plain(one.parametrization or "all runs")
        table(name, columns, rows)
        for drift in one.drifts[1:]:
            interval_text = f"90 % {drift.low:+.3f} to {drift.high:+.3f}"
            print(f"{name}: {drift.per_doubling:+.3f} log2 per doubling of {drift.of} ({interval_text}).")
        print(f"{name}: {one.verdict}. {one.message}")


def show_shapes(contents: Sequence[dict[str, Any]], *, seq_len: int) -> None:
    """Print shapes with their parameters and training FLOPs per token, a row each."""
    rows = (
        (
            *(str(one[name]) for name in ("width", "depth", "heads", "kv_heads", "head_dim", "ffn")),
            f"{one['aspect']:.3g}",
            *(
                "-" if one["params"][name] is None else f"{one['params'][name]:,}"
                for name in ("non_embedding", "total", "active")
            ),
            f"{one['flops_per_token']:.4g}",
        )
        for one in contents
    )
    sizes = ("width#", "depth#", "heads#", "kv heads#", "head dim#", "ffn#", "aspect#")
    counted = ("non-embedding#", "total#", "active#", "FLOP per token#")
    table(f"Shapes (biases not counted; FLOP at {seq_len} tokens a sequence)", (*sizes, *counted), rows)


def show_coordinates(found: Iterable[CoordinateCheck]) -> None:
    """Print the exponents of width of every layer and the verdict, per parametrization."""
    for one in found:
        rows = (
            (
                layer.name,
                layer.kind,
                layer.quantity,
                _signed(layer.first),
                _signed(layer.trained),
                layer.verdict,
                layer.note,
            )
            for layer in one.layers
        )
        name = plain(one.parametrization or "all rows")
        columns = ("layer", "kind", "of", "first#", "trained#", "verdict", "")
        table(f"{name}: exponents of width", columns, rows)
        print(f"{name}: {one.verdict}. {one.looks_like}")


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def number(value: float | None) -> str:
    """A learning rate, or a dash."""
    return "-" if value is None else scientific(value, 4)


def _rough(value: float) -> str:
    """A learning rate as the end of an interval."""
    return scientific(value, 3)


def count(value: float | None) -> str:
    """A count with digits grouped, or a dash."""
    return "-" if value is None else f"{round(value):,}"


def interval(bounds: tuple[float, float] | None, write: Callable[[float], str] = _rough) -> str:
    """Low to high, or a dash."""
    return "-" if bounds is None else f"{write(bounds[0])} to {write(bounds[1])}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def show_report(report: Report, talk: Talk) -> None:
    """Print findings a line each, unreadable files and a summary."""
    for finding in report.findings:
        place = plain(finding.file) + ("" if finding.line is None else f":{finding.line}")
        print(f"{place}: {finding.severity} {finding.id} {finding.slug}: {plain(finding.message, limit=600)}")
        print(f"    fix: {plain(finding.fix, limit=600)}")
    for item in report.overridden:
        found = item.finding
        print(f"{plain(found.file)}: overridden {found.id} {found.slug} ({plain(item.reason)})")
    for trouble in report.unreadable:
        print(f"{plain(trouble.file)}: unreadable: {plain(trouble.message, limit=600)}")
    errors = sum(finding.severity == "error" for finding in report.findings)
    parts = [
        _counted(len(report.checked), "config") + " checked",
        _counted(errors, "error"),
        _counted(len(report.findings) - errors, "warning"),
    ]
    if report.unreadable:
        parts.append(f"{len(report.unreadable)} unreadable")
    if report.skipped:
        parts.append(f"{_counted(report.skipped, 'other YAML file')} skipped")
    print(", ".join(parts) + ".")
    if not report.checked and not report.unreadable:
        talk.say("no config was found. A config comes from `hptransfer plan ... -o CONFIG.yaml`.")
    elif report.findings:
        talk.then(f"hptransfer check --explain {report.findings[0].id}")


def _counted(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"


def show_checks(name: str) -> None:
    """Print one check in full, or the table of all of them."""
    from hptransfer.checks import CHECKS, explanation, find_check

    if name == "all":
        table(
            "Checks",
            ("id", "name", "severity", "what"),
            ((c.id, c.slug, c.severity, c.title) for c in CHECKS),
        )
    else:
        print(explanation(find_check(name)).strip())


def show_backtest(result: Backtest) -> None:
    """Print one row a split and method, and the verdict."""
    rows = []
    for split in result.splits:
        for i, method in enumerate(split.methods):
            held = [
                c for cell in method.cells for c in (cell.lr_covered, cell.batch_covered) if c is not None
            ]
            rows.append(
                (
                    f"{split.name} ({split.training_cells} cells left)" if i == 0 else "",
                    plain(method.method),
                    str(len(method.cells)),
                    _percent(method.mean_excess),
                    _percent(method.worst_excess),
                    str(sum(cell.clamped for cell in method.cells)),
                    f"{sum(held)} of {len(held)}" if held else "-",
                )
            )
            if method.refused is not None:
                rows.append(("", plain(method.refused, limit=120), "", "", "", "", ""))
    columns = ("held out", "plans by", "cells#", "mean excess#", "worst#", "off grid#", "90 % held#")
    table("Excess loss at held-out scales", columns, rows)
    print(result.verdict)


def loss_content(
    law: LossLaw, *, warnings: Iterable[Note], target: Forecast | None, backtest: LossBacktest | None
) -> dict[str, Any]:
    """A loss law, what it predicts and how it did on held-out compute, as JSON content."""
    return {
        "law": law.model_dump(mode="json"),
        "target": None if target is None else dataclasses.asdict(target),
        "hold_out": None if backtest is None else dataclasses.asdict(backtest),
        "warnings": [{"code": note.code, "message": note.message} for note in warnings],
    }


def show_loss_law(law: LossLaw, *, target: Forecast | None, backtest: LossBacktest | None) -> None:
    """Print a loss law: its formula, coefficients with intervals, the evidence and a forecast."""
    fit = law.fit
    rows = [("floor", "", f"{law.floor:.4g}", "floor")]
    for term in law.terms:
        name = term.input
        rows.append((f"{name} term", "coefficient", f"{term.coefficient:.4g}", f"{name}_term"))
        rows.append(("", "exponent", f"{term.exponent:.4f}", f"{name}_exponent"))
    if law.outer_exponent != 1.0:
        rows.append(("both terms", "outer exponent", f"{law.outer_exponent:.4f}", "outer_exponent"))
    if law.interaction is not None:
        rows.append(
            ("tokens term", "level exponent", f"{law.interaction.level_exponent:.4f}", "level_exponent")
        )
        rows.append(("", "growth of exponent", f"{law.interaction.growth:.4f}", "growth"))
    intervals = {} if fit is None else fit.intervals
    cells = ((a, b, value, interval(intervals.get(key), "{:.4g}".format)) for a, b, value, key in rows)
    print(f"Loss = {loss_formula(law)}")
    table("Coefficients", ("", "", "value#", "90 % interval"), cells)
    if fit is not None:
        held = "-" if fit.held_out_error is None else f"{fit.held_out_error:.2%}"
        print(
            f"{fit.points} points, form {fit.form}; 90 % of losses lie within {1.645 * fit.residual_std:.2%} "
            f"of the fit; mean error at larger compute held out: {held}."
        )
    if backtest is not None:
        print(_loss_backtest(backtest))
    if target is not None:
        where = f"{short_count(target.params)} params, {short_count(target.tokens)} tokens"
        far = "inside" if target.beyond == 0 else f"{math.exp(target.beyond):.3g}x beyond"
        print(
            f"Expected loss at {where}: {target.loss:.4f}, 90 % interval "
            f"{interval(target.interval, '{:.4f}'.format)} ({far} the points); "
            f"10 % more compute is worth {-math.log(1.1) * target.slope:.4f}."
        )


def _loss_backtest(result: LossBacktest) -> str:
    covered = "-" if result.covered is None else f"{result.covered:.0%}"
    return (
        f"Largest compute held out: {result.held_out} points predicted from {result.fitted} (form "
        f"{result.form}), mean error {result.mean_error:+.2%}, RMS {result.rms_error:.2%}, inside their 90 % "
        f"interval: {covered}."
    )


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.3%}"
