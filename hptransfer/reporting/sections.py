"""The sections of a report, in the order they are read: the answer first, then what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

import numpy as np

from hptransfer.comparison.at_target import Comparison
from hptransfer.drawing.bars import priced_methods
from hptransfer.drawing.cells import runs_beyond
from hptransfer.evidence.additions import Addition
from hptransfer.evidence.backtesting import Backtest
from hptransfer.figures.cells import CellFigure
from hptransfer.figures.evaluating import Quantity
from hptransfer.figures.losses import LossFigure
from hptransfer.figures.optima import Points
from hptransfer.planning import Plan
from hptransfer.reporting import legends, pictures, words
from hptransfer.reporting.gathering import Material
from hptransfer.reporting.markup import Markup, element, folded, joined, listing, table
from hptransfer.reporting.pictures import Picture

CELLS_AT_ONCE: Final = 24
"""Panels shown before the rest is folded away."""

NAMES: Final[dict[Quantity, str]] = {"peak_lr": "peak LR", "batch_tokens": "batch"}


@dataclass(frozen=True)
class Section:
    """A part of the page; `short` is its name in the contents."""

    key: str
    title: str
    short: str
    body: Markup


def subject(material: Material) -> str:
    """What the page is about."""
    if material.plan is None:
        return f"Law {material.law.id} and its runs"
    target = material.plan.target
    return f"{words.short(target.params)} params on {words.short(target.tokens)} tokens"


def subtitle(material: Material) -> str:
    """What it was made from."""
    names = words.listed(PurePath(source.file).name for source in material.sweep.sources) or "a sweep"
    runs = f"{words.count(material.sweep.n_runs)} runs in {material.sweep.n_cells} cells"
    return f"From {names}: {runs}, law {material.law.id}"


# --- the answer ----------------------------------------------------------------------------------------


def answer(material: Material) -> Section:
    """Values to run, how sure they are, and what would make them surer."""
    plan = material.plan
    if plan is None:
        lead = [element("p", "No target was given: add --plan CONFIG to see hyperparameters.", class_="lead")]
    else:
        lead = [
            element("p", _lead(plan), class_="lead"),
            *_contradicted(material),
            _facts(plan),
            _values(plan),
        ]
    body = joined([*lead, element("h3", "How far to trust it"), listing(_trust(material))])
    surer = list(_surer(material))
    if surer:
        body = joined([body, element("h3", "What would make it surer"), listing(surer)])
    return Section("answer", "What to run" if plan else "What this shows", "Answer", body)


def _contradicted(material: Material) -> Iterator[Markup]:
    """Fields in which the config says something else than the plan above, before anybody trusts either."""
    errors = [finding for finding in material.findings if finding.severity == "error"]
    if errors:
        fields = words.listed(list(dict.fromkeys(finding.field for finding in errors)))
        text = f"The config says otherwise in {fields}: this page shows the plan, not what the config holds."
        yield element("p", text, class_="warning")


def _lead(plan: Plan) -> str:
    run = plan.rounded
    schedule = plan.recipe["schedule"].value
    parts = [f"Train with peak LR {words.lr(run.peak_lr)}" if run.peak_lr else "Train"]
    if run.batch_tokens is not None:
        parts.append(f"batches of {words.count(run.batch_tokens)} tokens")
    if plan.weight_decay is not None:
        parts.append(f"weight decay {words.plain_number(plan.weight_decay, 3)}")
    steps = "" if run.steps is None else f", {words.count(run.steps)} steps"
    return f"{words.listed(parts)}, on a {schedule} schedule{steps}."


def _facts(plan: Plan) -> Markup:
    run = plan.rounded
    facts = [
        ("Peak LR", words.lr(run.peak_lr), _interval(words.lr_span(plan.peak_lr_interval))),
        (
            "Batch, tokens",
            words.count(run.batch_tokens),
            _interval(words.short_span(plan.batch_tokens_interval)),
        ),
        ("Weight decay", words.plain_number(plan.weight_decay, 3), "decoupled, as AdamW in PyTorch takes it"),
        _expected_loss(plan),
    ]
    return element(
        "dl",
        joined(
            element("div", element("dt", name), element("dd", value), element("dd", below))
            for name, value, below in facts
        ),
        class_="facts",
    )


def _expected_loss(plan: Plan) -> tuple[str, str, str]:
    """Loss of the run, or of the optimum where nobody knows what the run loses to it."""
    if plan.run_loss is None:
        loss, bounds = plan.loss, plan.loss_interval
        name = "Expected loss" if loss is None else "Expected loss at the optimum"
    else:
        name, loss, bounds = "Expected loss", plan.run_loss, plan.run_loss_interval
    return name, words.plain_number(loss, 4), _interval(words.number_span(bounds))


def _interval(text: str) -> str:
    return "no interval" if text == words.DASH else f"90 %: {text}"


def _values(plan: Plan) -> Markup:
    run = plan.rounded

    def whence(name: str) -> str:
        origin = plan.origins.get(name)
        return words.DASH if origin is None else f"{origin.formula} ({origin.source})"

    rows = [
        (
            "peak LR",
            words.lr(run.peak_lr),
            words.lr(plan.peak_lr),
            words.lr_span(plan.peak_lr_interval),
            whence("peak_lr"),
        ),
        (
            "batch, tokens",
            words.count(run.batch_tokens),
            words.count(plan.batch_tokens),
            words.short_span(plan.batch_tokens_interval),
            whence("batch_tokens"),
        ),
        ("steps", words.count(run.steps), "", "", whence("steps")),
        ("warm-up, steps", words.count(run.warmup_steps), "", "", whence("warmup_fraction")),
        ("weight decay", words.plain_number(plan.weight_decay), "", "", whence("weight_decay")),
        ("last LR / peak LR", words.plain_number(plan.final_lr_ratio), "", "", whence("final_lr_ratio")),
        *(
            (name, item.value, "", "", f"{item.origin.formula} ({item.origin.source})")
            for name, item in plan.recipe.items()
            if name not in ("warmup_fraction", "final_lr_ratio")
        ),
        (
            "expected loss",
            words.plain_number(plan.run_loss),
            words.plain_number(plan.loss),
            words.number_span(plan.run_loss_interval or plan.loss_interval),
            whence("loss"),
        ),
    ]
    columns = ("", "to run#", "optimum#", "90 % interval#", "where it comes from")
    return folded("All values, and where each comes from", table("Values of the plan", columns, rows))


def _trust(material: Material) -> Iterator[object]:
    if material.plan is not None:
        yield _reach(material.plan)
    if material.backtest is not None:
        yield f"Track record: {material.backtest.verdict}"
    elif material.law.fit is not None and material.law.fit.track_record is not None:
        yield f"Track record: {material.law.fit.track_record.verdict}"
    else:
        yield (
            "Track record: none was made. Add --backtest to see what plans lose at the largest scales, held "
            "out."
        )
    if material.plan is not None and material.plan.excess is not None:
        pinned = material.plan.target.batch_tokens is not None
        run = "this pinned batch with its LR" if pinned else "these rounded values"
        yield (
            f"Running {run} in place of the optimum is expected to cost "
            f"{words.percent(material.plan.excess, 3)} of the loss."
        )
    if material.findings:
        yield joined(
            [
                f"{words.several(len(material.findings), 'finding')} in the config, ",
                element("a", "listed below", href="#warnings"),
                ".",
            ]
        )


def _reach(plan: Plan) -> str:
    outside = [
        f"{name} {words.times(reach.factor)} beyond {words.short(reach.low)} to {words.short(reach.high)}"
        for name, reach in plan.reach.items()
        if reach.factor > 1
    ]
    if not plan.reach:
        return "Extrapolation: the law does not say what it was fitted on."
    if not outside:
        return "Extrapolation: none, the target lies inside the fitted range."
    return f"Extrapolation: {words.listed(outside)}."


def _surer(material: Material) -> Iterator[str]:
    largest = (
        max((reach.factor for reach in material.plan.reach.values()), default=1.0) if material.plan else 1.0
    )
    if largest > 3:
        yield f"A cell nearer to the target: it now lies {words.times(largest)} beyond the runs."
    for extra in material.additions:
        yield _addition(extra)


def _addition(extra: Addition) -> str:
    batches = ", ".join(map(words.short, extra.batch_tokens))
    rates = ", ".join(map(words.lr, extra.lr))
    return (
        f"Runs of {words.short(extra.params)} params on {words.short(extra.tokens)} tokens at LR {rates}"
        f"{f' and batch {batches}' if batches else ''}: {extra.why}"
    )


# --- figures -------------------------------------------------------------------------------------------


def _figure(picture: Picture) -> Markup:
    words_below = [element("strong", picture.title)]
    if picture.caption:
        words_below += [Markup(" · "), element("span", picture.caption)]
    if picture.warning:
        words_below += [Markup("<br>"), element("span", picture.warning, class_="warning")]
    return element(
        "figure",
        element("figcaption", joined(words_below)),
        element("div", Markup(picture.svg), class_="drawing"),
        class_="wide" if picture.wide else None,
        id=f"figure-{picture.key}",
    )


def _halves(drawn: Sequence[Picture]) -> Markup:
    return element("div", joined(_figure(picture) for picture in drawn), class_="halves")


def cells(material: Material) -> Section:
    """Loss over (LR, batch), a panel a cell."""
    drawn = pictures.cell_pictures(material.cells)
    panels = [_figure(picture) for picture in drawn]
    body = [
        element(
            "p",
            "Each panel is one model size and one length of run. A dot is a run, coloured by how much worse "
            "it is than the best of its cell; lines join points of equal loss as fitted, the tinted area is "
            "within 0.25 % of the optimum. Point at a dot, or focus a panel and use the arrow keys, to see "
            "the run.",
        ),
        legends.runs(beyond=any(map(runs_beyond, material.cells))),
        element("div", joined(panels[:CELLS_AT_ONCE]), class_="cells"),
    ]
    if len(panels) > CELLS_AT_ONCE:
        rest = element("div", joined(panels[CELLS_AT_ONCE:]), class_="cells")
        body.append(folded(f"{len(panels) - CELLS_AT_ONCE} smaller cells", rest))
    columns = (
        "params",
        "tokens#",
        "runs#",
        "diverged#",
        "best loss#",
        "at LR#",
        "at batch#",
        "law: LR#",
        "law: batch#",
        "on the edge",
    )
    body.append(folded("The cells as a table", table("Cells", columns, map(_cell_row, material.cells))))
    return Section("cells", "The runs: loss over learning rate and batch", "Runs", joined(body))


def _cell_row(cell: CellFigure) -> tuple[object, ...]:
    best, law = cell.best, cell.optimum
    return (
        words.short(cell.params),
        words.short(cell.tokens),
        len(cell.lr),
        int(cell.diverged.sum()),
        words.DASH if best is None else f"{cell.loss[best]:.4f}",
        words.DASH if best is None else words.lr(cell.lr[best]),
        words.DASH if best is None or cell.batch_tokens is None else words.short(cell.batch_tokens[best]),
        words.lr(None if law is None else law.peak_lr),
        words.short(None if law is None else law.batch_tokens),
        ", ".join(cell.edges) or words.DASH,
    )


def optima(material: Material) -> Section | None:
    """Optima against params and tokens, published laws, residuals."""
    drawn = pictures.optimum_pictures(material)
    if not drawn:
        return None
    body: list[object] = [
        element(
            "p",
            "How the best learning rate and batch move with model size and length of run. Dots are what "
            "each cell shows by itself, with the range of its runs within 0.25 % of the best; lines are the "
            "law at the cells' sizes. The dashed line leads to the target with its 90 % interval; published "
            "laws are dotted beside it.",
        ),
        legends.optima(material),
        _halves(drawn),
    ]
    if material.published:
        body.append(_published(material.published))
    residuals = pictures.residual_pictures(material)
    if residuals:
        about = "Each cell's own optimum over the law's value: a trend here is a bend the law misses."
        body += [element("h3", "How straight the line is"), element("p", about), _halves(residuals)]
    body += [_own_optima(quantity, points) for quantity, points in material.points.items()]
    return Section("optima", "The law: how the optimum moves with scale", "Law", joined(body))


def _published(comparisons: Sequence[Comparison]) -> Markup:
    columns = ("law", "peak LR#", "batch#", "differs from Step Law's setting in")
    rows = (
        (one.law.title, words.lr(one.peak_lr), words.short(one.batch_tokens), one.lacks or one.differs)
        for one in comparisons
    )
    return table("Published laws at the target", columns, rows)


def _own_optima(quantity: Quantity, points: Points) -> Markup:
    name = NAMES[quantity]
    columns = ("params", "tokens#", f"own best {name}#", "runs within 0.25 %#", "over the law#")
    rows = table(f"Best {name}", columns, _point_rows(quantity, points))
    return folded(f"Best {name} of each cell as a table", rows)


def _point_rows(quantity: Quantity, points: Points) -> Iterator[tuple[str, ...]]:
    write = words.lr if quantity == "peak_lr" else words.short
    for i in range(len(points.value)):
        yield (
            words.short(points.params[i]),
            words.short(points.tokens[i]),
            write(points.value[i]),
            f"{write(points.low[i])} to {write(points.high[i])}",
            f"{points.ratio[i]:.2f}x" if np.isfinite(points.ratio[i]) else words.DASH,
        )


def loss(material: Material) -> Section | None:
    """Loss against compute."""
    if material.loss is None:
        return None
    about = (
        "The best loss of each cell. Lines are the loss law at the cells' sizes, dashed at the target's."
        if material.loss.predicted is not None
        else "The best loss of each cell. There is no loss law to extend it."
    )
    columns = ("params", "compute, FLOP#", "best loss#", "loss law#")
    rows = _loss_rows(material.loss)
    body = joined(
        [
            element("p", about),
            _figure(pictures.loss_picture(material.loss)),
            folded("Loss as a table", table("Best loss of each cell", columns, rows)),
        ]
    )
    return Section("loss", "Loss against compute", "Loss", body)


def _loss_rows(figure: LossFigure) -> Iterator[tuple[str, ...]]:
    for i in range(len(figure.loss)):
        predicted = words.DASH if figure.predicted is None else f"{figure.predicted[i]:.4f}"
        yield (words.short(figure.params[i]), f"{figure.compute[i]:.2e}", f"{figure.loss[i]:.4f}", predicted)


def costs(material: Material) -> Section | None:
    """What being wrong costs at the target."""
    drawn = pictures.cost_pictures(material.costs)
    if not drawn:
        return None
    columns = ("off by", "excess loss#", "90 % interval#", "compute wasted#")
    tables = [
        folded(
            f"Cost of another {NAMES[figure.quantity]} as a table",
            table(f"Cost of another {NAMES[figure.quantity]}", columns, pictures.cost_rows(figure)),
        )
        for figure in material.costs
    ]
    about = (
        "Excess loss at the target of other values than those to run. The line holds if the optimum is where "
        "the plan says, the band is over where it may be (90 %). The diamond is the plan with its 90 % "
        "interval, the bar at the bottom what costs less than 0.25 %. Dashed: beyond the law's runs, where "
        "the cost is at least what is drawn. Along the batch each point has the best LR for it."
    )
    body = joined([element("p", about), _halves(drawn), *tables])
    return Section("costs", "What being wrong costs", "Being wrong", body)


def schedule(material: Material) -> Section | None:
    """The LR over the run."""
    drawn = pictures.schedule_picture(material)
    if drawn is None:
        return None
    return Section("schedule", "The learning rate over the run", "Schedule", _figure(drawn))


def factors(material: Material) -> Section | None:
    """Values by tensor class."""
    drawn, plan = pictures.factor_picture(material), material.plan
    if drawn is None or material.factors is None or plan is None or plan.param_groups is None:
        return None
    figure = material.factors
    columns = ("class", *(f"{name}#" for name in figure.factors))
    rows = [
        (name, *(_factor(figure.factors[value][i], figure.formulas[value][i]) for value in figure.factors))
        for i, name in enumerate(figure.classes)
    ]
    about = f"What {figure.rule_set} multiplies the proxy's values by, tensor class by tensor class."
    body = joined(
        [element("p", about), _figure(drawn), table(f"Factors of {figure.rule_set}", columns, rows)]
    )
    return Section("factors", "Values by tensor class", "Tensor classes", body)


def _factor(factor: float | None, formula: str) -> str:
    if factor is None:
        return words.DASH
    return f"{factor:.4g}" + (f" = {formula}" if formula not in ("", "1") else "")


def track_record(material: Material) -> Section | None:
    """What plans lost where the truth is known."""
    drawn = pictures.backtest_picture(material)
    if drawn is None or material.backtest is None:
        return None
    about = (
        "The largest scales of the sweep are held out, a law is fitted to the rest, and its plans are priced "
        "with the held-out runs themselves."
    )
    columns = ("held out", "method", "mean excess#", "worst#", "cells#")
    rows = _backtest_rows(material.backtest)
    body = joined(
        [
            element("p", about),
            element("p", element("strong", material.backtest.verdict)),
            legends.methods(priced_methods(material.backtest)),
            _figure(drawn),
            folded("The track record as a table", table("Excess loss at held-out scales", columns, rows)),
        ]
    )
    return Section("backtest", "Track record", "Track record", body)


def _backtest_rows(result: Backtest) -> Iterator[tuple[object, ...]]:
    for split in result.splits:
        for method in split.methods:
            mean, worst = words.percent(method.mean_excess), words.percent(method.worst_excess)
            yield split.name, method.method, mean, worst, method.refused or len(method.cells)


# --- what it rests on ----------------------------------------------------------------------------------


def warnings(material: Material) -> Section | None:
    """Warnings in plain words, findings of `check`, what was set aside."""
    notes = [
        joined(
            [
                element("dt", words.meaning(note) or note.code, " ", element("code", note.code)),
                element("dd", note.message, dir="auto"),
            ]
        )
        for note in material.notes
    ]
    body: list[Markup] = []
    if notes:
        body.append(element("dl", joined(notes), class_="notes"))
    if material.findings:
        rows = [(f"{one.id} {one.slug}", one.field, one.message, one.fix) for one in material.findings]
        columns = ("check", "field", "finding", "way out")
        body.append(table(f"What check finds in {material.config}", columns, rows))
    if material.sweep.set_aside:
        body += [element("h3", "Runs that were set aside"), _set_aside(material)]
    if not body:
        return None
    return Section("warnings", "Warnings, in plain words", "Warnings", joined(body))


def _set_aside(material: Material) -> Markup:
    by_reason: dict[str, list[str]] = {}
    for one in material.sweep.set_aside:
        by_reason.setdefault(one.reason, []).append(
            f"{one.file}, {one.place or f'line {one.line}'}: {one.message}"
        )
    rows = [(reason, len(found), found[0]) for reason, found in by_reason.items()]
    return table("Set aside", ("why", "runs#", "for example"), rows)


def provenance(material: Material) -> Section:
    """Files by content, the law, its setting, and the commands that make this page."""
    law = material.law
    rows = [
        *(("sweep", source.file, f"sha256 {source.sha256}") for source in material.sweep.sources),
        ("law", f"{law.id}: {law.title}", law.digest()),
    ]
    if law.fit is not None:
        options = f"prior {law.fit.prior}, seed {law.fit.seed}, {law.fit.resamples} resamples"
        rows.append(
            ("fit", f"estimator {law.fit.estimator}, {law.fit.runs_used} of {law.fit.runs} runs", options)
        )
    if material.config is not None:
        rows.append(("config", material.config, ""))
    setting = list(material.sweep.setting.items())
    body = [table("What this page was made from", ("", "what", "how it is told apart"), rows)]
    if setting:
        body.append(table("The same in all runs", ("setting", "value"), setting))
    if material.commands:
        body += [
            element("h3", "Make it again"),
            element("pre", element("code", Markup("\n".join(map(_line, material.commands)))), tabindex="0"),
        ]
    return Section("provenance", "Where it comes from", "Provenance", joined(body))


def _line(command: str) -> Markup:
    return joined(["$ ", command])


ALL: Final[tuple[Callable[[Material], Section | None], ...]] = (
    answer,
    cells,
    optima,
    loss,
    costs,
    schedule,
    factors,
    track_record,
    warnings,
    provenance,
)
"""Sections in their order; each is left out where its material is missing."""
