"""A neutral JSON with everything a plan says, for training loops of one's own."""

from __future__ import annotations

from dataclasses import asdict

from hptransfer.trainers.base import Draft, Fields, Format, GroupReading, Key, Machine, Value
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import JSON

_KEYS = (
    Key("peak_lr", "peak_lr"),
    Key("weight_decay", "weight_decay"),
    Key("beta1", "beta1"),
    Key("beta2", "beta2"),
    Key("eps", "eps"),
    Key("grad_clip", "grad_clip"),
    Key("batch_tokens", "batch_tokens", whole=True),
    Key("seq_len", "seq_len", whole=True),
    Key("steps", "steps", whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:  # noqa: ARG001 - of no machine
    curve = recipe.curve
    draft.fields |= {
        "optimizer": recipe.optimizer,
        "schedule.name": curve.name,
        "schedule.warmup_steps": curve.warmup_steps,
        "schedule.final_lr_ratio": curve.final_ratio,
    }
    if curve.decay is not None:
        draft.fields |= {"schedule.decay": curve.decay, "schedule.decay_steps": curve.decay_steps}
    for name, value in curve.options.items():
        if isinstance(value, tuple):
            draft.fields |= {f"schedule.{name}.{place}": item for place, item in enumerate(value)}
        else:
            draft.fields[f"schedule.{name}"] = value
    for name, group in (recipe.groups or {}).items():
        draft.fields |= {f"groups.{name}.{key}": value for key, value in asdict(group).items()}
    if recipe.widths is not None:
        draft.fields |= {f"parametrization.{key}": value for key, value in asdict(recipe.widths).items()}
    draft.alone("schedule", "groups", "parametrization")
    draft.held |= {"schedule", "groups", "optimizer"}


def _interpret(fields: Fields) -> None:
    fields.put("optimizer", fields.text("optimizer", "adamw"), "optimizer")
    fields.put("schedule", fields.text("schedule.name"), "schedule.name")
    fields.take("warmup_steps", "schedule.warmup_steps", 0, whole=True)
    fields.take("final_lr_ratio", "schedule.final_lr_ratio")
    fields.put("decay", fields.text("schedule.decay"), "schedule.decay")
    fields.take("decay_steps", "schedule.decay_steps", whole=True)
    fields.put("rule_set", fields.text("parametrization.rule_set"), "parametrization.rule_set")
    for size in ("width", "base_width", "head_dim", "base_head_dim"):
        fields.take(size, f"parametrization.{size}", whole=True)
    for path, written in fields.source.fields.items():
        head, _, rest = path.partition(".")
        name, _, key = rest.rpartition(".")
        if head == "groups" and name:
            before = fields.reading.groups.get(name, GroupReading(name, {})).values
            value = None if isinstance(written.value, bool) else written.value
            values = {**before, key: Value(value, ((path, written),))}
            fields.reading.groups[name] = GroupReading(name, values)


PARAM_GROUPS = Format(
    name="param-groups",
    title="values by tensor class (JSON)",
    version="loops of one's own (torch 2.13.0)",
    syntax=JSON,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("peak_lr", "batch_tokens", "schedule"),),
    holds_groups=True,
    proven={"trained": "test_pytorch.py::test_a_20_step_training_from_the_file_alone_logs_its_lrs"},
    usage="json.load(open(FILE)): lr, weight_decay, eps, init_std and multiplier of every tensor class",
)
