"""DeepSpeed's JSON config, where DeepSpeed itself makes optimizer and scheduler."""

from __future__ import annotations

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, split_batch
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import JSON, Scalar

_ADAM, _OPTIONS = "optimizer.params", "scheduler.params"
_TYPES = {"cosine": "WarmupCosineLR", "linear": "WarmupDecayLR", "constant": "WarmupLR"}
SHORTEST_WARMUP = 2  # what DeepSpeed makes of 1; it refuses 0
_KEYS = (
    Key("peak_lr", f"{_ADAM}.lr", 1e-3),
    Key("weight_decay", f"{_ADAM}.weight_decay", 0.0),
    Key("beta1", f"{_ADAM}.betas.0", 0.9),
    Key("beta2", f"{_ADAM}.betas.1", 0.999),
    Key("eps", f"{_ADAM}.eps", 1e-8),
    Key("grad_clip", "gradient_clipping", 0.0),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields |= {
        "train_batch_size": split.sequences,
        "train_micro_batch_size_per_gpu": split.micro_batch,
        "gradient_accumulation_steps": split.accumulation,
    }
    draft.note("seq-len", f"the data has to come in sequences of {recipe.seq_len} tokens: no field says so.")
    held = curve.name in _TYPES and not (curve.name == "linear" and curve.final_ratio)
    if curve.name == "constant" or not held:
        draft.lose(f"no field for steps without a decay: stop after {recipe.steps} steps yourself.")
    if not held:
        return
    if curve.warmup_steps < SHORTEST_WARMUP:
        draft.lose(
            f"DeepSpeed's warm-up takes {SHORTEST_WARMUP} steps at least, the plan's {curve.warmup_steps}."
        )
    warmup = max(SHORTEST_WARMUP, curve.warmup_steps)
    options: dict[str, Scalar] = {"warmup_num_steps": warmup, "warmup_type": "linear"}
    if curve.name != "constant":
        options["total_num_steps"] = recipe.steps
    if curve.name == "cosine":
        options |= {"warmup_min_ratio": 0.0, "cos_min_ratio": curve.final_ratio}
    else:
        options |= {"warmup_min_lr": 0.0, "warmup_max_lr": recipe.peak_lr}
    draft.alone(_OPTIONS)
    draft.fields["scheduler.type"] = _TYPES[curve.name]
    draft.fields |= {f"{_OPTIONS}.{name}": value for name, value in options.items()}
    draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    seq_len = fields.machine.seq_len
    fields.put("seq_len", seq_len)
    sequences = fields.number("train_batch_size", whole=True)
    fields.take("micro_batch", "train_micro_batch_size_per_gpu", whole=True)
    if sequences is not None and seq_len is not None:
        fields.put("batch_tokens", sequences * seq_len, "train_batch_size")
    fields.put("optimizer", "adamw", "optimizer.type")
    kind = fields.text("scheduler.type")
    ours = {theirs: name for name, theirs in _TYPES.items()}.get(kind or "")
    if ours is None:
        return
    fields.put("schedule", ours, "scheduler.type")
    fields.take("steps", f"{_OPTIONS}.total_num_steps", whole=True)
    fields.take("warmup_steps", f"{_OPTIONS}.warmup_num_steps", 1000, whole=True)
    if ours == "cosine":
        fields.take("final_lr_ratio", f"{_OPTIONS}.cos_min_ratio", 0.0001)
    else:
        fields.put("final_lr_ratio", 1.0 if ours == "constant" else 0.0, "scheduler.type")
    if fields.text(f"{_OPTIONS}.warmup_type", "log") == "log":
        fields.trap("warmup-shape", f"{_OPTIONS}.warmup_type", "warms up by the logarithm; write linear.")


DEEPSPEED = Format(
    name="deepspeed",
    title="DeepSpeed (JSON)",
    version="deepspeed 0.19.8",
    syntax=JSON,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("optimizer.params.lr", "train_micro_batch_size_per_gpu"), ("scheduler.params.warmup_num_steps",)),
    fixed={"optimizer.type": "AdamW"},
    needs=("world_size",),
    differences=("a step has the LR of the step before, the first two 0; with a cosine only in the warm-up",),
    proven={
        "own parser": "test_deepspeed.py::test_its_config_takes_every_value",
        "LR curve": "test_deepspeed.py::test_its_lr_is_the_planned_one_of_the_step_before",
    },
    usage="deepspeed train.py --deepspeed_config FILE",
)
