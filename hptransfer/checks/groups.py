"""Checks of values by tensor class: against the rule set, and of the rule set against the law."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hptransfer.checks.base import Check, Deviation, Subject, shown
from hptransfer.errors import HptransferError, did_you_mean, plain
from hptransfer.parametrizations import CLASSES
from hptransfer.parametrizations.grouping import Group, ParamGroups, base_values, param_groups
from hptransfer.parametrizations.scaling import Scaling, require_base_lr, require_consistent

_VALUES = ("lr", "init_std", "multiplier", "weight_decay", "eps", "update_scale")


def _param_groups(subject: Subject) -> Iterator[Deviation]:
    """Groups that are not what their rule set makes of the config's own base values."""
    config = subject.settled
    groups, scaling = config.param_groups, config.plan.scaling
    if groups is None or scaling is None:
        return
    try:
        derived = _derived(subject, scaling)
    except HptransferError as error:
        yield Deviation("plan.scaling", f"the groups cannot be derived again: {error}")
        return
    for name in groups.keys() - CLASSES.keys():
        hint = did_you_mean(name, CLASSES)
        yield Deviation(f"param_groups.{name}", f"{plain(name)!r} is no tensor class.{hint}")
    for value_name in _VALUES:
        yield from _off_rule(value_name, groups, derived.groups, subject.tolerances.edited)


def _derived(subject: Subject, scaling: Scaling) -> ParamGroups:
    config = subject.settled
    base = base_values(scaling, peak_lr=config.peak_lr, weight_decay=config.weight_decay, eps=config.eps)
    return param_groups(scaling, base)


def _off_rule(
    value_name: str, groups: Mapping[str, Group], derived: Mapping[str, Group], tolerance: float
) -> Iterator[Deviation]:
    """One finding for all classes whose value is off."""
    off = [
        name
        for name, one in groups.items()
        if name in derived
        and _differs(getattr(one, value_name), getattr(derived[name], value_name), tolerance)
    ]
    if off:
        got, expected = (getattr(where[off[0]], value_name) for where in (groups, derived))
        also = f" (and {', '.join(off[1:])})" if len(off) > 1 else ""
        text = (
            f"{value_name} of {off[0]}{also} is {shown(got)}, the rules make it {shown(expected)} from the "
            "base values."
        )
        yield Deviation(f"param_groups.{off[0]}.{value_name}", text, expected, got)


def _differs(got: float | None, expected: float | None, tolerance: float) -> bool:
    if got is None or expected is None:
        return got is not expected
    return abs(got - expected) > tolerance * abs(expected)


def _law_and_rules(subject: Subject) -> Iterator[Deviation]:
    """A law whose LR is no base LR of the rule set: the effect of width counted twice, or not at all."""
    scaling, law = subject.settled.plan.scaling, subject.law
    if scaling is None or law is None:
        return
    try:
        require_base_lr(law, require_consistent(scaling), scaling)
    except HptransferError as error:
        yield Deviation("plan.scaling", str(error))


CHECKS = (
    Check(
        id="HPT501",
        slug="param-groups",
        title="Values of a tensor class are not what the rules make of the base values",
        why="A single wrong exponent or a forgotten group quietly ruins the transfer.",
        source="the rule set named in plan.scaling (hptransfer/parametrizations)",
        fix="Plan again, or put the derived value back; say why under `override: {param-groups: reason}`.",
        severity="error",
        needs="config",
        look=_param_groups,
    ),
    Check(
        id="HPT502",
        slug="law-and-parametrization",
        title="The law's LR is no base LR of the parametrization",
        why="A law fitted on SP runs and a muP factor both take the effect of width away.",
        source="arXiv:2407.05872 (exponents of SP's best LR), arXiv:2203.03466",
        fix="Use a law fitted on proxies in this parametrization, such as power-scheduler for muP.",
        severity="error",
        needs="law",
        look=_law_and_rules,
    ),
)
