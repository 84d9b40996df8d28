"""Levanter's YAML."""

from __future__ import annotations

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, split_batch
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import LENIENT_YAML

_SCHEDULE, _CLIP = "optimizer.lr_schedule", "optimizer.max_grad_norm"
_KEYS = (
    Key("peak_lr", "optimizer.learning_rate", 6e-4),
    Key("weight_decay", "optimizer.weight_decay", 0.1),
    Key("beta1", "optimizer.beta1", 0.9),
    Key("beta2", "optimizer.beta2", 0.95),
    Key("eps", "optimizer.epsilon", 1e-8),
    Key("grad_clip", _CLIP, 1.0),
    Key("final_lr_ratio", "optimizer.min_lr_ratio", 0.1),
    Key("steps", "trainer.num_train_steps", 400_000, whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields |= {
        "trainer.train_batch_size": split.sequences,
        "trainer.per_device_parallelism": split.micro_batch,
        "optimizer.warmup": curve.warmup_steps,
    }
    if not recipe.grad_clip:
        draft.fields[_CLIP] = None
    draft.note(
        "seq-len", f"set the model's sequence length to {recipe.seq_len}: it is a field of the model's own."
    )
    if curve.name in ("constant", "linear", "cosine"):
        draft.fields[_SCHEDULE] = curve.name
        draft.held.add("schedule")
    elif curve.name == "wsd" and curve.decay in ("linear", "cosine"):
        draft.fields |= {_SCHEDULE: curve.decay, "optimizer.decay": curve.decay_steps}
        draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    fields.put("seq_len", fields.machine.seq_len)
    sequences, seq_len = fields.number("trainer.train_batch_size", 512, whole=True), fields.machine.seq_len
    if sequences is not None and seq_len is not None:
        fields.put("batch_tokens", sequences * seq_len, "trainer.train_batch_size")
    if _CLIP in fields and fields.source.fields[_CLIP].value is None:
        fields.put("grad_clip", 0.0, _CLIP)
    fields.put("optimizer", "adamw", "optimizer.type")
    steps = fields.reading.number("steps")
    fields.put("warmup_steps", _length(fields, "optimizer.warmup", steps, 0.01), "optimizer.warmup")
    shape = fields.text(_SCHEDULE, "cosine")
    if "optimizer.decay" in fields:
        fields.put("schedule", "wsd", _SCHEDULE)
        fields.put("decay", shape, _SCHEDULE)
        fields.put("decay_steps", _length(fields, "optimizer.decay", steps), "optimizer.decay")
    else:
        fields.put("schedule", {"inv_sqrt": "inverse-sqrt"}.get(shape or "", shape), _SCHEDULE)
    if shape == "constant":
        fields.put("final_lr_ratio", 1.0, _SCHEDULE)


def _length(fields: Fields, name: str, steps: float | None, default: float | None = None) -> float | None:
    """Whole numbers are steps, others a share of the run."""
    value = fields.number(name, default)
    if value is None or isinstance(value, int):
        return value
    return None if steps is None else int(value * steps)


LEVANTER = Format(
    name="levanter",
    title="Levanter (YAML)",
    version="Levanter in marin, 2026",
    syntax=LENIENT_YAML,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("optimizer.learning_rate", "trainer.num_train_steps"), ("trainer.train_batch_size",)),
    fixed={"optimizer.type": "adam"},
    usage="python -m levanter.main.train_lm --config_path FILE",
)
