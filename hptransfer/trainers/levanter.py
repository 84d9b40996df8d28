"""Levanter's YAML."""

from __future__ import annotations

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, split_batch
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import LENIENT_YAML

_SCHEDULE, _CLIP = "optimizer.lr_schedule", "optimizer.max_grad_norm"
_CYCLES = tuple(f"optimizer.{name}" for name in ("cycles", "cycle_length", "rewarmup", "haps"))
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
        "optimizer.warmup": _length_field(curve.warmup_steps, recipe.steps),
    }
    if not recipe.grad_clip:
        draft.fields[_CLIP] = None
    draft.note(
        "seq-len", f"set the model's sequence length to {recipe.seq_len}: it is a field of the model's own."
    )
    draft.alone("optimizer.decay", *_CYCLES)
    if curve.name in ("constant", "linear", "cosine"):
        draft.fields[_SCHEDULE] = curve.name
        draft.held.add("schedule")
    elif curve.name == "wsd" and curve.decay in ("linear", "cosine") and curve.decay_steps is not None:
        length = _length_field(curve.decay_steps, recipe.steps)
        draft.fields |= {_SCHEDULE: curve.decay, "optimizer.decay": length}
        draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    fields.put("seq_len", fields.machine.seq_len)
    sequences, seq_len = fields.number("trainer.train_batch_size", 512, whole=True), fields.machine.seq_len
    if sequences is not None and seq_len is not None:
        fields.put("batch_tokens", sequences * seq_len, "trainer.train_batch_size")
    micro = fields.number("trainer.per_device_parallelism", whole=True)
    fields.put("micro_batch", micro if micro and micro > 0 else None, "trainer.per_device_parallelism")
    if _CLIP in fields and fields.source.fields[_CLIP].value is None:
        fields.put("grad_clip", 0.0, _CLIP)
    fields.put("optimizer", "adamw", "optimizer.type")
    steps = fields.reading.number("steps")
    fields.put("warmup_steps", _length(fields, "optimizer.warmup", steps, 0.01), "optimizer.warmup")
    names = (_SCHEDULE, f"{_SCHEDULE}.type")
    shape = fields.text(_SCHEDULE) or fields.text(f"{_SCHEDULE}.type", "cosine")
    if "optimizer.decay" in fields:
        fields.put("schedule", "wsd", *names)
        fields.put("decay", shape, *names)
        fields.put("decay_steps", _length(fields, "optimizer.decay", steps), "optimizer.decay")
    else:
        fields.put("schedule", shape, *names)  # its inv_sqrt, of a fixed timescale, is none of ours
    if shape == "constant":
        fields.put("final_lr_ratio", 1.0, *names)


def _length_field(length: int, steps: int) -> float:
    """A length in steps; one step as a share of the run, of which 1 would be all."""
    return 1.5 / steps if length == 1 else length


def _length(fields: Fields, name: str, steps: float | None, default: float | None = None) -> float | None:
    """Numbers above 1 are steps, others a share of the run, rounded down."""
    value = fields.number(name, default)
    if value is None or value > 1 or not value:
        return value
    if isinstance(value, int):
        fields.trap("whole-run", name, "1 is the whole run, not one step: for one step write a share of it.")
    return None if steps is None else int(value * steps)


LEVANTER = Format(
    name="levanter",
    title="Levanter (YAML)",
    version="levanter 1.2.dev1644",
    syntax=LENIENT_YAML,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("optimizer.learning_rate", "trainer.num_train_steps"), ("trainer.train_batch_size",)),
    fixed={"optimizer.type": "adam"},
    proven={
        "fields": "test_levanter.py::test_every_field_is_one_of_its_records",
        "LR curve": "test_levanter.py::test_its_schedule_gives_the_planned_lr_at_every_step",
    },
    usage="python -m levanter.main.train_lm --config_path FILE",
)
