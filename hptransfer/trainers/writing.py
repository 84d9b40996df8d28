"""A recipe as a trainer's config, with everything said that the format cannot express."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hptransfer import __version__
from hptransfer.law import Note
from hptransfer.trainers.base import NOT_EXPRESSED, Draft, Format, Machine, plain_groups, require_machine
from hptransfer.trainers.recipe import Curve, Recipe

SIDECAR = ".hptransfer.json"
"""What a sidecar's name adds to the config's."""


@dataclass(frozen=True)
class Output:
    """A config as text, the notes on it, and what stands beside it (None: nothing needs to)."""

    text: str
    notes: tuple[Note, ...]
    sidecar: str | None


def draft_of(recipe: Recipe, form: Format, machine: Machine) -> Draft:
    """The fields that a recipe has in a format, and the notes on what they leave out.

    Raises:  UsageError when the machine is not known well enough, or the batch does not divide.
    """
    require_machine(form.name, machine, form.needs)
    draft = Draft()
    values = plain_values(recipe)
    draft.fields |= form.fixed
    draft.fields |= {key.field: values[key.ours] for key in form.keys}
    form.express(recipe, machine, draft)
    if "schedule" not in draft.held:
        draft.lose(
            f"{form.title} has no schedule like the plan's ({in_words(recipe.curve, recipe.steps)}): it runs "
            "its own. Take a format that has it, or plan with a schedule that this one has."
        )
    if recipe.optimizer != "adamw" and "optimizer" not in draft.held:
        draft.lose(
            f"the plan is for {recipe.optimizer}; these are AdamW's fields. Set the optimizer yourself."
        )
    if "groups" not in draft.held and not plain_groups(recipe.groups, recipe):
        draft.lose(_one_for_all(recipe, form))
    if "groups" not in draft.held and recipe.groups is None and recipe.widths is not None:
        draft.lose(
            f"the values by tensor class come from the rules of {recipe.widths.rule_set}, and the sizes that "
            f"they scale with are not known: {form.title} has the base values here for all tensors."
        )
    for name, own in form.lacks.items():
        if values[name] != own:
            draft.lose(f"{form.title} has no field for {name}: the plan says {values[name]}, it uses {own}.")
    return draft


def _one_for_all(recipe: Recipe, form: Format) -> str:
    lost = (
        f"{form.title} has one LR and weight decay for all tensors here: the plan's differ by class "
        "(see the sidecar, or --format param-groups)."
    )
    if form.own_rules is None:
        return lost
    planned = "" if recipe.widths is None else f", not by {recipe.widths.rule_set}"
    rules = f"It scales by its own rules only{planned}: plan with --parametrization {form.own_rules}."
    return f"{lost} {rules}"


def write_config(
    recipe: Recipe, form: Format, machine: Machine, *, provenance: Mapping[str, Any] | None = None
) -> Output:
    """Write a recipe in a format; `provenance` goes into the header or the sidecar. Errors as `draft_of`."""
    draft = draft_of(recipe, form, machine)
    header = _header(form, draft.notes, provenance or {})
    text = form.syntax.compose(draft.fields, header)
    notes = tuple(draft.notes)
    lossy = any(note.code == NOT_EXPRESSED for note in notes)
    wanted = lossy or not form.syntax.comments
    return Output(text, notes, sidecar_of(recipe, form, notes, provenance or {}) if wanted else None)


def plain_values(recipe: Recipe) -> dict[str, Any]:
    """A recipe's values by the names that readers use."""
    curve = recipe.curve
    return {
        "peak_lr": recipe.peak_lr,
        "schedule": curve.name,
        "warmup_steps": curve.warmup_steps,
        "final_lr_ratio": curve.final_ratio,
        "decay": curve.decay,
        "decay_steps": curve.decay_steps,
        "steps": recipe.steps,
        "batch_tokens": recipe.batch_tokens,
        "seq_len": recipe.seq_len,
        "weight_decay": recipe.weight_decay,
        "beta1": recipe.beta1,
        "beta2": recipe.beta2,
        "eps": recipe.eps,
        "grad_clip": recipe.grad_clip,
        "optimizer": recipe.optimizer,
    }


def in_words(curve: Curve, steps: int) -> str:
    """A curve in words.

    >>> in_words(Curve("wsd", 10, 0.1, decay="1-sqrt", decay_steps=200), 1000)
    'wsd, 10 steps of warm-up, 1-sqrt decay over the last 200 of 1000 steps, to 0.1 of the peak'
    """
    decay = f"{curve.decay} decay over the last {curve.decay_steps} of {steps} steps, " if curve.decay else ""
    return f"{curve.name}, {curve.warmup_steps} steps of warm-up, {decay}to {curve.final_ratio:g} of the peak"


MARK = "hptransfer-plan: "


def _header(form: Format, notes: Sequence[Note], provenance: Mapping[str, Any]) -> list[str]:
    made = f"Written by hptransfer {__version__} for {form.title}, {form.version}."
    use = [f"Use: {form.usage}"] if form.usage else []
    plan = [MARK + json.dumps(provenance)] if provenance else []
    return [made, *use, *plan, *(f"{note.code}: {note.message}" for note in notes)]


def sidecar_of(recipe: Recipe, form: Format, notes: Sequence[Note], provenance: Mapping[str, Any]) -> str:
    """All values of a recipe and the notes on a config, as JSON beside it."""
    content: dict[str, Any] = {
        "hptransfer_version": __version__,
        "format": form.name,
        "made_for": form.version,
        "plan": dict(provenance),
        "notes": [{"code": note.code, "message": note.message} for note in notes],
        "values": plain_values(recipe) | {"schedule_options": dict(recipe.curve.options)},
    }
    if recipe.groups is not None:
        content["param_groups"] = {name: asdict(group) for name, group in recipe.groups.items()}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
