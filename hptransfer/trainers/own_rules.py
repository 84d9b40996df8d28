"""Values by tensor class in trainers that scale by rules of their own, from what their files say."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hptransfer.errors import UsageError
from hptransfer.trainers.base import Reading
from hptransfer.trainers.recipe import TensorGroup, Widths, tensor_groups
from hptransfer.trainers.tensor_names import made_of

MOST_PARTS = 10**6  # of a width ratio that is no whole number


def widths_from(reading: Reading) -> Widths | None:
    """The sizes that a file's rules scale by, as far as it says them; None where it names no rules."""
    rule_set = reading.get("rule_set")
    if rule_set is None:
        return None
    width, base_width = _whole(reading, "width"), _whole(reading, "base_width")
    ratio = reading.number("width_ratio")
    if ratio is not None and ratio > 0:
        width, base_width = Fraction(ratio).limit_denominator(MOST_PARTS).as_integer_ratio()
    head_dim, base_head_dim = _whole(reading, "head_dim"), _whole(reading, "base_head_dim")
    return Widths(str(rule_set), width, base_width, head_dim, base_head_dim)


def _whole(reading: Reading, name: str) -> int | None:
    value = reading.number(name)
    return None if value is None else int(value)


def groups_from(reading: Reading, base: TensorGroup) -> dict[str, TensorGroup] | None:
    """Values by tensor class: those of the file, else those of its rules; None where neither is known."""
    widths = widths_from(reading)
    if reading.groups or widths is None or widths.width is None:
        return made_of(reading.groups, base)
    from hptransfer.parametrizations.grouping import BASE_INIT_STD, Base, param_groups
    from hptransfer.parametrizations.scaling import Scaling

    init_std = reading.number("base_init_std") or BASE_INIT_STD
    values = Base(lr=base.lr, init_std=init_std, weight_decay=base.weight_decay, eps=base.eps)
    try:
        scaling = Scaling(
            rule_set=widths.rule_set,
            width=widths.width,
            base_width=widths.base_width,
            head_dim=widths.head_dim,
            base_head_dim=widths.base_head_dim,
            depth=1,  # on which only init stds depend in these rules
            base_depth=1,
        )
        planned = param_groups(scaling, values).groups
        groups = tensor_groups(planned, eps=base.eps)
        deep = [name for name, group in planned.items() if "L" in group.formulas.get("init_std", "")]
        return groups | {name: replace(groups[name], init_std=None) for name in deep}
    except (UsageError, ValueError):  # sizes that the rules cannot be worked out for
        return None
