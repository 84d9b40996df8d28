"""GPT-NeoX's YAML; its names may have dashes or underscores, its warm-up is a fraction of the run."""

from __future__ import annotations

from collections.abc import Mapping

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, floor_ratio, split_batch
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import YAML

_PARAMS = "optimizer.params"
_KEYS = (
    Key("peak_lr", f"{_PARAMS}.lr"),
    Key("beta1", f"{_PARAMS}.betas.0", 0.9),
    Key("beta2", f"{_PARAMS}.betas.1", 0.999),
    Key("eps", f"{_PARAMS}.eps", 1e-8),
    Key("weight_decay", "weight_decay", 0.1),
    Key("grad_clip", "gradient_clipping", 1.0),
    Key("seq_len", "seq_length", whole=True),
    Key("steps", "train_iters", whole=True),
)
_STYLES: Mapping[str, str] = {"constant": "constant", "linear": "linear", "cosine": "cosine"}


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields |= {
        "train_micro_batch_size_per_gpu": split.micro_batch,
        "gradient_accumulation_steps": split.accumulation,
        "lr_decay_iters": recipe.steps,
        "warmup": curve.warmup_steps / recipe.steps,
        "min_lr": recipe.final_lr,
    }
    draft.alone("train_batch_size", "lr_decay_fraction", "train_epochs")
    draft.note("world-size", f"the batch of {recipe.batch_tokens} tokens needs {split.world_size} ranks.")
    cut_off = curve.name == "linear" and curve.final_ratio > 0  # min_lr would cut a decay to 0 off
    if curve.name in _STYLES and not curve.options and not cut_off:
        draft.fields["lr_decay_style"] = _STYLES[curve.name]
        draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    for name in fields.source.fields:
        if "-" in name:
            fields.trap("dashed-name", name, "is read with underscores only: write it so.")
    kind = (fields.text("optimizer.type", "Adam") or "").lower()
    fields.put("optimizer", "adamw" if kind == "adam" else kind, "optimizer.type")
    names = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    micro, accumulation = fields.number(names[0], whole=True), fields.number(names[1], 1, whole=True)
    fields.put("micro_batch", micro, names[0])
    world, seq_len = fields.machine.world_size, fields.reading.number("seq_len")
    if micro is not None and accumulation is not None and world is not None and seq_len is not None:
        fields.put("batch_tokens", micro * accumulation * world * seq_len, *names)
    steps, share = fields.reading.number("steps"), fields.number("warmup", 0.01)
    horizon = fields.number("lr_decay_iters", steps, whole=True)
    if share is not None and horizon is not None:
        fields.put("warmup_steps", round(share * horizon), "warmup")
    if steps is not None and horizon is not None and horizon != steps:
        fields.trap(
            "decay-not-run", "lr_decay_iters", f"the run has {steps:g} steps, the schedule ends then."
        )
    style = fields.text("lr_decay_style", "linear") or "linear"
    fields.put(
        "schedule", {theirs: ours for ours, theirs in _STYLES.items()}.get(style, style), "lr_decay_style"
    )
    if fields.text("lr_decay_style") == "linear" and fields.number("min_lr", 0.0):
        fields.trap("floor-cuts", "min_lr", "does not end a linear decay but cuts a decay to 0 off there.")
    floor = floor_ratio(fields.number("min_lr", 0.0), fields.reading.number("peak_lr"))
    fields.put("final_lr_ratio", 1.0 if style == "constant" else floor, "min_lr")


GPT_NEOX = Format(
    name="gpt-neox",
    title="GPT-NeoX (YAML)",
    version="gpt-neox ea7aefd",
    syntax=YAML,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("train_micro_batch_size_per_gpu", "optimizer"), ("lr_decay_iters", "train_iters")),
    fixed={"optimizer.type": "Adam"},
    needs=("world_size",),
    proven={
        "field list": "test_gpt_neox.py::test_every_field_is_in_its_argument_records",
        "LR formula": "test_gpt_neox.py::test_its_lr_is_the_planned_one_at_every_step",
    },
    usage="python deepy.py train.py FILE, beside model and data",
)
