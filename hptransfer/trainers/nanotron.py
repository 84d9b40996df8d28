"""nanotron's YAML."""

from __future__ import annotations

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, floor_ratio, split_batch
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import YAML

_LR, _ADAM, _CLIP = "optimizer.learning_rate_scheduler", "optimizer.optimizer_factory", "optimizer.clip_grad"
_SHAPES = ("linear", "cosine", "1-sqrt")
_KEYS = (
    Key("peak_lr", f"{_LR}.learning_rate"),
    Key("weight_decay", "optimizer.weight_decay"),
    Key("beta1", f"{_ADAM}.adam_beta1"),
    Key("beta2", f"{_ADAM}.adam_beta2"),
    Key("eps", f"{_ADAM}.adam_eps"),
    Key("grad_clip", _CLIP, 0.0),
    Key("warmup_steps", f"{_LR}.lr_warmup_steps", 0, whole=True),
    Key("seq_len", "tokens.sequence_length", whole=True),
    Key("steps", "tokens.train_steps", whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields |= {
        "tokens.micro_batch_size": split.micro_batch,
        "tokens.batch_accumulation_per_replica": split.accumulation,
        "parallelism.dp": split.world_size,
    }
    if not recipe.grad_clip:
        draft.fields[_CLIP] = None
    length = recipe.steps - curve.warmup_steps if curve.name in _SHAPES else curve.decay_steps
    shape = curve.name if curve.name in _SHAPES else curve.decay
    if length is None or shape not in _SHAPES:
        return
    draft.fields |= {
        f"{_LR}.lr_decay_style": shape,
        f"{_LR}.lr_decay_starting_step": recipe.steps - length,
        f"{_LR}.lr_decay_steps": length,
        f"{_LR}.min_decay_lr": recipe.final_lr,
    }
    draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    micro = fields.number("tokens.micro_batch_size", whole=True)
    accumulation = fields.number("tokens.batch_accumulation_per_replica", 1, whole=True)
    world = fields.number("parallelism.dp", fields.machine.world_size, whole=True)
    fields.put("micro_batch", micro, "tokens.micro_batch_size")
    fields.put("world_size", world, "parallelism.dp")
    seq_len = fields.reading.number("seq_len")
    if micro is not None and accumulation is not None and world is not None and seq_len is not None:
        names = ("tokens.micro_batch_size", "tokens.batch_accumulation_per_replica", "parallelism.dp")
        fields.put("batch_tokens", micro * accumulation * world * seq_len, *names)
    fields.put("optimizer", "adamw", f"{_ADAM}.name")
    _interpret_schedule(fields)


def _interpret_schedule(fields: Fields) -> None:
    """Without lr_decay_steps the decay takes the rest of the run, wherever it is said to start."""
    steps, warmup = fields.reading.number("steps"), fields.reading.number("warmup_steps")
    shape = fields.text(f"{_LR}.lr_decay_style")
    if shape is None or steps is None or warmup is None:
        return
    rest = steps - warmup
    length = fields.number(f"{_LR}.lr_decay_steps", rest, whole=True)
    if f"{_LR}.lr_decay_steps" not in fields and f"{_LR}.lr_decay_starting_step" in fields:
        fields.trap("ignored-field", f"{_LR}.lr_decay_starting_step", "is ignored without lr_decay_steps.")
    if f"{_LR}.lr_warmup_style" not in fields:
        fields.trap("missing-field", f"{_LR}.lr_warmup_style", "has to be given: its default is refused.")
    if length == rest and shape in ("linear", "cosine"):
        fields.put("schedule", shape, f"{_LR}.lr_decay_style")
    else:
        fields.put("schedule", "wsd", f"{_LR}.lr_decay_style")
        fields.put("decay", shape, f"{_LR}.lr_decay_style")
        fields.put("decay_steps", length, f"{_LR}.lr_decay_steps")
    floor = fields.number(f"{_LR}.min_decay_lr", 0.0)
    fields.put("final_lr_ratio", floor_ratio(floor, fields.reading.number("peak_lr")), f"{_LR}.min_decay_lr")


NANOTRON = Format(
    name="nanotron",
    title="nanotron (YAML)",
    version="nanotron main, April 2026 (released: nanotron 0.4)",
    syntax=YAML,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=((f"{_LR}.learning_rate",), ("tokens.batch_accumulation_per_replica",)),
    fixed={f"{_LR}.lr_warmup_style": "linear", f"{_ADAM}.name": "adamW"},
    needs=("world_size",),
    differences=(
        "without a warm-up the first step has LR 0",
        "1-sqrt is in its main branch only, the other shapes also in 0.4 on PyPI",
    ),
    proven={
        "field list": "test_nanotron.py::test_every_field_is_in_its_main_branchs_records",
        "LR curve": "test_nanotron.py::test_its_scheduler_gives_the_planned_lr_at_every_step",
        "LR formula": "test_nanotron.py::test_its_1_sqrt_decay_gives_the_planned_lr_at_every_step",
    },
    usage="torchrun ... run_train.py --config-file YOURS, which has FILE in it (or plan with --base YOURS)",
)
