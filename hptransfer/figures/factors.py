"""What a rule set of the muP family multiplies base values by, tensor class by tensor class."""

from __future__ import annotations

from dataclasses import dataclass

from hptransfer.parametrizations.grouping import ParamGroups

SHOWN = ("lr", "init_std", "multiplier", "weight_decay", "eps")


@dataclass(frozen=True)
class FactorFigure:
    """Factors by value and class; None where a class has none. `classes` keep the rule set's order."""

    rule_set: str
    classes: tuple[str, ...]
    factors: dict[str, tuple[float | None, ...]]  # lr, init_std, ... -> one a class
    formulas: dict[str, tuple[str, ...]]


def factor_figure(groups: ParamGroups) -> FactorFigure:
    """Factors of all classes, without the values that no class has."""
    members = groups.groups
    used = [name for name in SHOWN if any(one.factors.get(name) is not None for one in members.values())]
    return FactorFigure(
        rule_set=groups.model.rule_set,
        classes=tuple(members),
        factors={name: tuple(one.factors.get(name) for one in members.values()) for name in used},
        formulas={name: tuple(one.formulas.get(name, "") for one in members.values()) for name in used},
    )
