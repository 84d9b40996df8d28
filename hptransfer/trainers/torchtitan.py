"""torchtitan's two dialects: a TOML job config up to 0.2, Python from 0.3."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hptransfer.trainers.base import (
    Draft,
    Fields,
    Format,
    GroupReading,
    Key,
    Machine,
    express_clip,
    interpret_clip,
    plain_groups,
    split_batch,
)
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import PYTHON, TOML, Scalar
from hptransfer.trainers.syntax.python_text import with_imports
from hptransfer.trainers.syntax.source import nested
from hptransfer.trainers.tensor_names import (
    OPTIONS,
    Override,
    TensorName,
    group_of,
    lose_what_is_the_models,
    overrides,
    read_groups,
)

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
        "own parser": "test_torchtitan_toml.py::test_its_parser_takes_every_value",
        "LR curve": "test_torchtitan_toml.py::test_its_lr_is_the_planned_one_with_the_warm_up_a_step_ahead",
    },
    usage="torchrun -m torchtitan.train --job.config_file FILE",
)

_BETAS = {"beta1": "optimizer.betas.0", "beta2": "optimizer.betas.1"}
LINE = "\n"
_GROUPS = "optimizer.param_groups"
_OPTIONS = "optimizer_kwargs"
_CALLS = {
    "optimizer": "default_adamw",
    "lr_scheduler": "LRSchedulersContainer.Config",
    "training": "TrainingConfig",
}
_IMPORTS = {
    "torchtitan.components.optimizer": (
        "LRSchedulersContainer",
        "OptimizersContainer",
        "ParamGroupConfig",
        "default_adamw",
    ),
    "torchtitan.config": ("TrainingConfig",),
}


def _in_layers(name: str, pattern: str) -> TensorName:
    return TensorName(f"layers.0.{name}.weight", (pattern,))


NAMES = {
    "embedding": TensorName("tok_embeddings.weight", (r"^tok_embeddings\.",)),
    "attention_q": _in_layers("attention.qkv_linear.wq", r"\.attention\.qkv_linear\.wq\."),
    "attention_k": _in_layers("attention.qkv_linear.wk", r"\.attention\.qkv_linear\.wk\."),
    "attention_v": _in_layers("attention.qkv_linear.wv", r"\.attention\.qkv_linear\.wv\."),
    "attention_o": _in_layers("attention.wo", r"\.attention\.wo\."),
    "mlp_up": _in_layers("feed_forward.w1", r"\.feed_forward\.w[13]\."),
    "mlp_down": _in_layers("feed_forward.w2", r"\.feed_forward\.w2\."),
    "final_norm": TensorName("norm.weight", (r"^norm\.",)),
    "readout": TensorName("lm_head.weight", (r"^lm_head\.",)),
    "vector": TensorName("layers.0.attention_norm.weight", (".*",)),
}
"""Tensors of torchtitan's dense transformers. A pattern that takes none is an error there, and the first one
counts: what all others leave are norms and biases.
"""


def _express_py(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    _express(recipe, machine, draft)
    rest = None if recipe.groups is None else group_of(recipe.groups, "vector")
    if recipe.groups is None or rest is None or plain_groups(recipe.groups, recipe):
        return
    for ours in ("peak_lr", "weight_decay", "eps", "beta1", "beta2"):
        del draft.fields[next(key.field for key in _PY_KEYS if key.ours == ours)]
    draft.whole("optimizer")
    named = overrides(recipe.groups, NAMES, rest=rest)
    for place, override in enumerate([*named, Override(NAMES["vector"].patterns, rest)]):
        at = f"{_GROUPS}.{place}"
        values = {name: getattr(override.values, name) for name in OPTIONS}
        values |= {"betas.0": recipe.beta1, "betas.1": recipe.beta2}
        draft.fields |= {f"{at}.pattern": "|".join(override.patterns), f"{at}.optimizer_name": "AdamW"}
        draft.fields |= {f"{at}.{_OPTIONS}.{name}": value for name, value in values.items()}
    draft.held.add("groups")
    lose_what_is_the_models(recipe, draft, "torchtitan", NAMES)


def _interpret_py(fields: Fields) -> None:
    _interpret(fields)
    groups: list[GroupReading] = []
    while f"{_GROUPS}.{len(groups)}.pattern" in fields:
        at = f"{_GROUPS}.{len(groups)}"
        groups.append(fields.group(fields.text(f"{at}.pattern") or "", f"{at}.{_OPTIONS}", OPTIONS))
    if not groups:
        return

    def taken_by(tensor: str) -> GroupReading | None:
        return next((group for group in groups if _takes(group.pattern or "", tensor)), None)

    fields.reading.groups |= read_groups(NAMES, taken_by)
    rest = fields.reading.groups.get("vector", groups[-1])
    at = f"{_GROUPS}.{groups.index(replace(rest, name=rest.pattern or ''))}.{_OPTIONS}"
    for ours, name in (("peak_lr", "lr"), ("weight_decay", "weight_decay"), ("eps", "eps")):
        fields.take(ours, f"{at}.{name}")
    fields.take("beta1", f"{at}.betas.0", 0.9)
    fields.take("beta2", f"{at}.betas.1", 0.999)
    if "optimizer.lr" in fields:
        fields.trap("two-fields", "optimizer.lr", "does not go with param_groups: torchtitan refuses both.")


def _takes(pattern: str, tensor: str) -> bool:
    try:
        return re.search(pattern, tensor) is not None
    except (re.error, RecursionError):
        return False


def _shown_call(value: Any, lead: str) -> str:
    """An optimizer with groups as its calls, a group a line; anything else as Python writes it."""
    if not isinstance(value, dict) or "param_groups" not in value:
        return PYTHON.shown(value, lead)
    lead = LINE if lead == " " else lead
    inner = f"{lead}            "
    groups = []
    for one in value["param_groups"]:
        rows = "".join(f"{inner}{name}={PYTHON.shown(below, lead)}," for name, below in one.items())
        groups.append(f"{lead}        ParamGroupConfig({rows}{lead}        ),")
    return f"OptimizersContainer.Config({lead}    param_groups=[{''.join(groups)}{lead}    ],{lead})"


def _compose(fields: Mapping[str, Scalar], comments: Sequence[str]) -> str:
    """Assignments of calls, with their imports."""
    parts = [f"# {line}".rstrip() for line in comments]
    for name, values in nested(fields).items():
        rows = "".join(f"\n    {key}={PYTHON.shown(value, ' ')}," for key, value in values.items())
        whole = "param_groups" in values
        parts += ["", f"{name} = {_shown_call(values, LINE) if whole else f'{_CALLS[name]}({rows}{LINE})'}"]
    return with_imports(LINE.join(parts) + LINE, _IMPORTS)


_PY_KEYS = tuple(replace(key, field=_BETAS.get(key.ours, key.field)) for key in _KEYS)
TORCHTITAN_PY = replace(
    TORCHTITAN_TOML,
    name="torchtitan-py",
    title="torchtitan (Python)",
    version="torchtitan 0.3.0",
    syntax=replace(
        PYTHON, compose=_compose, shown=_shown_call, finish=lambda text: with_imports(text, _IMPORTS)
    ),
    keys=_PY_KEYS,
    express=_express_py,
    interpret=_interpret_py,
    fixed={},
    holds_groups=True,
    proven={
        "own parser": "test_torchtitan.py::test_its_classes_take_every_value",
        "LR curve": "test_torchtitan.py::test_its_scheduler_is_ours_with_the_warm_up_one_step_ahead",
        "tensor classes": "test_tensor_classes.py::test_torchtitans_optimizer_has_every_tensor_classs_values",
    },
    usage="Trainer.Config(..., optimizer=optimizer, lr_scheduler=lr_scheduler, training=training), from FILE",
)
