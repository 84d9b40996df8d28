"""Values by tensor class as trainers take them: by patterns of parameter names, those of dense transformers.

Classes with the same values are one group. Reading asks which group takes an example of each class, so that
groups that somebody else wrote are understood as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from hptransfer.trainers.base import Draft, GroupReading, Value, plain_groups
from hptransfer.trainers.recipe import Recipe, TensorGroup

OPTIONS = ("lr", "weight_decay", "eps")
"""What an optimizer's group says of its tensors; init std and multipliers are the model's."""
_GENERAL = {"final_norm": "vector"}  # classes that a rule set may leave to another; matrices to hidden


@dataclass(frozen=True)
class TensorName:
    """How a trainer calls the tensors of a class: one of them, and patterns that take all and no others."""

    example: str
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Override:
    """Patterns of names, and the values of the tensors that they take."""

    patterns: tuple[str, ...]
    values: TensorGroup


def group_of(groups: Mapping[str, TensorGroup], tensor_class: str) -> TensorGroup | None:
    """The values of a class, or of the more general one where it has none of its own."""
    return groups.get(tensor_class) or groups.get(_GENERAL.get(tensor_class, "hidden"))


def overrides(
    groups: Mapping[str, TensorGroup], names: Mapping[str, TensorName], *, rest: TensorGroup
) -> list[Override]:
    """Groups by patterns, for classes whose values differ from those that the rest of the tensors has."""
    by_values: dict[TensorGroup, tuple[str, ...]] = {}
    for tensor_class, name in names.items():
        found = group_of(groups, tensor_class)
        if found is not None and not is_same(found, rest):
            values = _of_optimizer(found)
            by_values[values] = (*by_values.get(values, ()), *name.patterns)
    return [Override(patterns, values) for values, patterns in by_values.items()]


def is_same(one: TensorGroup, other: TensorGroup) -> bool:
    """Whether an optimizer treats two groups alike."""
    return _of_optimizer(one) == _of_optimizer(other)


def _of_optimizer(group: TensorGroup) -> TensorGroup:
    return replace(group, init_std=None, multiplier=1.0)


def base_group(recipe: Recipe) -> TensorGroup:
    """A recipe's base values as those of a group."""
    return TensorGroup(lr=recipe.peak_lr, weight_decay=recipe.weight_decay, eps=recipe.eps)


def lose_what_is_the_models(recipe: Recipe, draft: Draft, title: str, names: Iterable[str]) -> None:
    """Say what groups of an optimizer leave out: init std, multipliers, classes without a name."""
    groups = recipe.groups or {}
    if plain_groups(groups, recipe):
        return
    multiplied = [f"{name} {g.multiplier:g}" for name, g in groups.items() if g.multiplier != 1]
    multipliers = f" and multipliers ({', '.join(multiplied)})" if multiplied else ""
    draft.lose(
        f"{title} takes LR, weight decay and epsilon by tensor class; init std{multipliers} are the model's "
        "own: set them there (see the sidecar, or --format param-groups)."
    )
    known = {*names, "hidden", "readout_bias"}
    unnamed = [name for name, g in groups.items() if name not in known and not is_same(g, base_group(recipe))]
    if unnamed:
        draft.lose(f"{title} has no names here for {', '.join(unnamed)} tensors, which keep the base values.")


def read_groups(
    names: Mapping[str, TensorName], values_of: Callable[[str], GroupReading | None]
) -> dict[str, GroupReading]:
    """The values of each class; `values_of` gives the group that takes a tensor's name, None for no own."""
    found = {}
    for tensor_class, name in names.items():
        group = values_of(name.example)
        if group is not None:
            found[tensor_class] = replace(group, name=tensor_class)
    if found and "attention_q" in found:
        found["hidden"] = replace(found["attention_q"], name="hidden")
    return found


def made_of(readings: Mapping[str, GroupReading], base: TensorGroup) -> dict[str, TensorGroup] | None:
    """Groups of what was read, base values where a group says nothing; None where nothing was."""
    made = {}
    for name, reading in readings.items():
        given = {key: _number(reading.values[key]) for key in reading.values}
        own = {key: value for key, value in given.items() if value is not None and key in _NUMBERS}
        made[name] = replace(base, **own)
    return made or None


_NUMBERS = (*OPTIONS, "init_std", "multiplier")


def _number(value: Value) -> float | None:
    return None if value.value is None or isinstance(value.value, str) else float(value.value)
