"""Checks of the values to run: against the plan as recorded, and against the law as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hptransfer.checks.base import Check, Deviation, Subject, Value, beyond, shown, times
from hptransfer.config import RUN_FIELDS, TrainConfig
from hptransfer.errors import plain
from hptransfer.planning import Plan
from hptransfer.plans.cost import cost_of_being_wrong
from hptransfer.plans.derivation import OptionValue
from hptransfer.plans.prediction import predicted_excess


def _edited(subject: Subject) -> Iterator[Deviation]:
    """Values that differ from the recorded plan by more than the tolerance (text: at all)."""
    config = subject.settled
    for name, got, planned in _run_values(config):
        if _differs(got, planned, subject.tolerances.edited):
            factor = ""
            if isinstance(got, int | float) and isinstance(planned, int | float) and planned != 0:
                factor = f" ({times(got, planned)})"
            text = f"{name} was edited: planned {plain(shown(planned))}, now {plain(shown(got))}{factor}."
            yield Deviation(name, text, planned, got)


def _run_values(config: TrainConfig) -> Iterator[tuple[str, Value, Value]]:
    """Each value to run by its name, as it is now and as it was planned."""
    for name in RUN_FIELDS:
        if name != "schedule_options":
            yield name, getattr(config, name), getattr(config.planned, name)
    now, planned = config.schedule_options, config.planned.schedule_options
    for name in dict.fromkeys([*planned, *now]):
        yield f"schedule_options.{name}", _one_value(now.get(name)), _one_value(planned.get(name))


def _one_value(value: OptionValue | None) -> Value:
    """An option's value for comparing and showing: lists as text."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _differs(got: Value, planned: Value, tolerance: float) -> bool:
    if isinstance(got, int | float) and isinstance(planned, int | float):
        return abs(got - planned) > tolerance * abs(planned)
    return got != planned


def _off_law_lr(subject: Subject) -> Iterator[Deviation]:
    """The LR against the law's conditional optimum at the batch that the config runs."""
    plan, config, factor = subject.at_own_batch, subject.settled, subject.tolerances.lr_factor
    expected = None if plan is None else plan.rounded.peak_lr
    if expected and config.peak_lr and beyond(config.peak_lr, expected, factor):
        batch = "" if config.batch_tokens is None else f" at batch {shown(config.batch_tokens)}"
        deviation = _off("peak_lr", config.peak_lr, expected, factor, where=batch)
        yield replace(deviation, message=deviation.message + _price(plan, config, "LR: "))


def _price(plan: Plan | None, config: TrainConfig, about: str) -> str:
    """What LR and batch of a config are predicted to lose, and which side is safer; empty where unknown."""
    if plan is None or config.peak_lr is None or config.batch_tokens is None:
        return ""
    lost = predicted_excess(
        plan.law,
        params=config.target.params,
        tokens=config.target.tokens,
        peak_lr=config.peak_lr,
        batch_tokens=config.batch_tokens,
    )
    cost = None if lost is None else cost_of_being_wrong(plan)
    if cost is None:
        return ""
    advice = next(text for text in cost.summary if text.startswith(about))
    return f" LR and batch together are predicted to lose {lost:.2%} of the loss. {advice}"


def _costly(subject: Subject) -> Iterator[Deviation]:
    """The loss that LR and batch are predicted to lose, beyond what the plan gives up for its batch."""
    config, plan = subject.settled, subject.as_asked
    if plan is None or config.peak_lr is None or config.batch_tokens is None:
        return
    cost = predicted_excess(
        plan.law,
        params=config.target.params,
        tokens=config.target.tokens,
        peak_lr=config.peak_lr / plan.lr_factor,
        batch_tokens=config.batch_tokens,
    )
    limit = subject.tolerances.excess
    if cost is not None and cost - (plan.excess or 0.0) > limit:
        text = (
            f"peak_lr {shown(config.peak_lr)} with batch {shown(config.batch_tokens)} is predicted to lose "
            f"{cost:.2%} of the loss, the plan {plan.excess or 0.0:.2%} (allowed {limit:.2%} more)."
        )
        yield Deviation("peak_lr", text, plan.rounded.peak_lr, config.peak_lr)


def _off_law(
    name: str, planned_again: Callable[[Subject], Plan | None], expected: Callable[[Plan], float | None]
) -> Callable[[Subject], Iterator[Deviation]]:
    """Compare a field with what the law says; tolerance `<field>_factor`."""

    def look(subject: Subject) -> Iterator[Deviation]:
        plan = planned_again(subject)
        law_value = None if plan is None else expected(plan)
        got = getattr(subject.settled, name)
        factor = getattr(subject.tolerances, f"{name.removesuffix('_tokens')}_factor")
        if law_value and got and beyond(got, law_value, factor):
            deviation = _off(name, got, law_value, factor)
            price = _price(plan, subject.settled, "Batch: ") if name == "batch_tokens" else ""
            yield replace(deviation, message=deviation.message + price)

    return look


def _off(name: str, got: float, expected: float, factor: float, *, where: str = "") -> Deviation:
    text = (
        f"{name} {shown(got)} is {times(got, expected)} the law's {shown(expected)}{where} "
        f"(allowed x{factor:g} either way)."
    )
    return Deviation(name, text, expected, got)


CHECKS = (
    Check(
        id="HPT101",
        slug="edited",
        title="A value is not the planned one",
        why="An edit without a reason cannot be told from an accident.",
        source="hptransfer's contract: more than 1 % from the recorded plan",
        fix="Put the planned value back, or say why under `override: {FIELD: reason}`.",
        severity="error",
        needs="recorded",
        look=_edited,
        fixable=True,
    ),
    Check(
        id="HPT102",
        slug="off-law-lr",
        title="Peak LR off the law",
        why="On Step Law's grid an LR 2x off its optimum costs 0.4 to 0.7 % of loss.",
        source="released grid of arXiv:2503.04715; the limit is hptransfer's own",
        fix="Plan again at this batch (`hptransfer plan --batch-tokens`), or use a law for this set-up.",
        severity="error",
        needs="plan",
        look=_off_law_lr,
        fixable_in_trainers=True,
    ),
    Check(
        id="HPT103",
        slug="off-law-batch",
        title="Batch off the law",
        why="On Step Law's grid a batch 2x off costs 0.25 to 0.4 % of loss even with the LR adapted to it.",
        source="released grid of arXiv:2503.04715; the limit is hptransfer's own",
        fix="Plan again; a batch that hardware dictates is pinned with `hptransfer plan --batch-tokens`.",
        severity="error",
        needs="plan",
        look=_off_law("batch_tokens", lambda s: s.as_asked, lambda plan: plan.rounded.batch_tokens),
    ),
    Check(
        id="HPT104",
        slug="off-law-weight-decay",
        title="Weight decay off the law",
        why="The LR optimum was measured at the law's weight decay; AdamW's timescale moves with it.",
        source="Power Lines, arXiv:2505.13738",
        fix="Plan again, or fit a sweep run at this weight decay.",
        severity="warning",
        needs="plan",
        look=_off_law("weight_decay", lambda s: s.at_own_batch, lambda plan: plan.weight_decay),
        fixable_in_trainers=True,
    ),
    Check(
        id="HPT105",
        slug="off-law-loss",
        title="LR and batch together cost loss",
        why="LR and batch can each be near the law's while the pair lies off its valley, or far along it.",
        source="the bowl of the fitted law; the limit is hptransfer's own",
        fix="Plan again at this batch (`hptransfer plan --batch-tokens`).",
        severity="error",
        needs="plan",
        look=_costly,
    ),
)
