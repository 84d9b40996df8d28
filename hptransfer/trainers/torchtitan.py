"""torchtitan's two dialects: a TOML job config up to 0.2, Python from 0.3."""

from __future__ import annotations

from dataclasses import replace

from hptransfer.trainers.base import (
    Draft,
    Fields,
    Format,
    Key,
    Machine,
    express_clip,
    interpret_clip,
    split_batch,
)
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import PYTHON, TOML
from hptransfer.trainers.syntax.python_text import with_calls

_DECAYS = {"linear": "linear", "cosine": "cosine", "1-sqrt": "sqrt"}
_RATIO, _TYPE = "lr_scheduler.decay_ratio", "lr_scheduler.decay_type"
_CLIP = "training.max_norm"
_KEYS = (
    Key("peak_lr", "optimizer.lr", 8e-4),
    Key("weight_decay", "optimizer.weight_decay", 0.1),
    Key("beta1", "optimizer.beta1", 0.9),
    Key("beta2", "optimizer.beta2", 0.95),
    Key("eps", "optimizer.eps", 1e-8),
    Key("warmup_steps", "lr_scheduler.warmup_steps", 200, whole=True),
    Key("final_lr_ratio", "lr_scheduler.min_lr_factor", 0.0),
    Key("grad_clip", _CLIP, 1.0),
    Key("seq_len", "training.seq_len", 2048, whole=True),
    Key("steps", "training.steps", 10_000, whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields |= {
        "training.local_batch_size": split.micro_batch,
        "training.global_batch_size": split.sequences,
    }
    express_clip(recipe, draft, _CLIP)
    draft.alone(_RATIO, "lr_scheduler.total_steps")
    if curve.name == "constant":
        draft.fields[_RATIO] = 0.0
        draft.held.add("schedule")
    elif curve.name in ("linear", "cosine"):
        draft.fields[_TYPE] = curve.name
        draft.held.add("schedule")
    elif curve.name == "wsd" and curve.decay in _DECAYS and curve.decay_steps is not None:
        draft.fields |= {_RATIO: curve.decay_steps / recipe.steps, _TYPE: _DECAYS[curve.decay]}
        draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    seq_len, steps = fields.reading.number("seq_len"), fields.reading.number("steps")
    micro = fields.number("training.local_batch_size", 8, whole=True)
    fields.put("micro_batch", micro, "training.local_batch_size")
    sequences = fields.number("training.global_batch_size", -1, whole=True)
    if sequences is not None and sequences < 0:  # no accumulation: what all ranks take at once
        world = fields.machine.world_size
        sequences = None if world is None or micro is None else micro * world
    if sequences is not None and seq_len is not None:
        names = ("training.global_batch_size", "training.local_batch_size")
        fields.put("batch_tokens", sequences * seq_len, *names)
    interpret_clip(fields, _CLIP, 1.0)
    fields.put("optimizer", "adamw", "optimizer.name")
    _interpret_schedule(fields, steps)


def _interpret_schedule(fields: Fields, steps: float | None) -> None:
    shape, ratio = fields.text(_TYPE, "linear") or "linear", fields.number(_RATIO)
    names = {theirs: name for name, theirs in _DECAYS.items()}
    if _RATIO not in fields and shape in ("linear", "cosine"):
        fields.put("schedule", shape, _TYPE)
    elif ratio == 0:
        fields.put("schedule", "constant", _RATIO)
        fields.put("final_lr_ratio", 1.0, _RATIO)
    elif steps is not None:
        warmup = fields.reading.number("warmup_steps") or 0
        length = steps - warmup if ratio is None else min(round(ratio * steps), steps - warmup)
        fields.put("schedule", "wsd", _RATIO)
        fields.put("decay", names.get(shape, shape), _TYPE)
        fields.put("decay_steps", length, _RATIO)


TORCHTITAN_TOML = Format(
    name="torchtitan-toml",
    title="torchtitan (TOML)",
    version="torchtitan 0.2.2",
    syntax=TOML,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(
        ("lr_scheduler.warmup_steps",),
        ("optimizer.lr", "training.steps"),
        ("training.local_batch_size",),
    ),
    fixed={"optimizer.name": "AdamW"},
    differences=("warm-up runs one step ahead: the first step has LR peak / warm-up steps",),
    proven={
        "own parser": "test_torchtitan_toml.py::test_its_classes_take_every_value",
        "LR curve": "test_torchtitan_toml.py::test_its_lr_is_the_planned_one_with_the_warm_up_a_step_ahead",
    },
    usage="torchrun -m torchtitan.train --job.config_file FILE",
)

_CALLS = with_calls(
    {
        "optimizer": "default_adamw",
        "lr_scheduler": "LRSchedulersContainer.Config",
        "training": "TrainingConfig",
    },
    imports=(
        "from torchtitan.components.optimizer import LRSchedulersContainer, default_adamw",
        "from torchtitan.config import TrainingConfig",
    ),
)
_BETAS = {"beta1": "optimizer.betas.0", "beta2": "optimizer.betas.1"}

TORCHTITAN_PY = replace(
    TORCHTITAN_TOML,
    name="torchtitan-py",
    title="torchtitan (Python)",
    version="torchtitan 0.3.0",
    syntax=replace(PYTHON, compose=_CALLS),
    keys=tuple(replace(key, field=_BETAS.get(key.ours, key.field)) for key in _KEYS),
    fixed={},
    proven={
        "own parser": "test_torchtitan.py::test_its_classes_take_every_value",
        "LR curve": "test_torchtitan.py::test_its_scheduler_is_ours_with_the_warm_up_one_step_ahead",
    },
    usage="Trainer.Config(..., optimizer=optimizer, lr_scheduler=lr_scheduler, training=training), from FILE",
)
