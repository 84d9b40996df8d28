"""Hugging Face `TrainingArguments` as JSON, and the names that LLaMA-Factory and axolotl share with it."""

from __future__ import annotations

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, floor_ratio, split_batch
from hptransfer.trainers.recipe import Curve, Recipe, inverse_sqrt_ratio
from hptransfer.trainers.syntax import JSON, Scalar

DECAYS = ("linear", "cosine", "1-sqrt")
KWARGS = "lr_scheduler_kwargs"

OPTIMIZER_KEYS = (
    Key("peak_lr", "learning_rate", 5e-5),
    Key("weight_decay", "weight_decay", 0.0),
    Key("beta1", "adam_beta1", 0.9),
    Key("beta2", "adam_beta2", 0.999),
    Key("eps", "adam_epsilon", 1e-8),
    Key("grad_clip", "max_grad_norm", 1.0),
)


def schedule_fields(recipe: Recipe, kind: str = "lr_scheduler_type") -> dict[str, Scalar] | None:
    """The scheduler's fields, None where transformers has none for the curve."""
    curve = recipe.curve
    made = _scheduler(recipe, curve)
    if made is None:
        return None
    name, options = made
    return {kind: name, **{f"{KWARGS}.{option}": value for option, value in options.items()}}


def _scheduler(recipe: Recipe, curve: Curve) -> tuple[str, dict[str, Scalar]] | None:
    floor = curve.final_ratio
    if curve.name == "constant":
        return "constant_with_warmup", {}
    if curve.name == "linear":
        return ("polynomial", {"lr_end": recipe.final_lr, "power": 1.0}) if floor else ("linear", {})
    if curve.name == "cosine":
        return ("cosine_with_min_lr", {"min_lr_rate": floor}) if floor else ("cosine", {})
    if curve.name == "inverse-sqrt":
        return "inverse_sqrt", {}
    if curve.name == "wsd" and curve.decay in DECAYS:
        return "warmup_stable_decay", {
            "num_decay_steps": curve.decay_steps,
            "warmup_type": "linear",
            "decay_type": curve.decay,
            "min_lr_ratio": floor,
        }
    return None


def express_schedule(recipe: Recipe, draft: Draft, kind: str = "lr_scheduler_type") -> None:
    """Write the scheduler, or say that there is none for the curve."""
    fields = schedule_fields(recipe, kind)
    if fields is None:
        draft.held.discard("schedule")
        return
    draft.fields |= fields
    draft.alone(KWARGS, "warmup_ratio")
    draft.held.add("schedule")
    if recipe.curve.name == "wsd" and recipe.curve.final_ratio and recipe.curve.warmup_steps:
        draft.note(
            "curve-differs",
            f"transformers' warmup_stable_decay warms up from {recipe.curve.final_ratio:g} of the peak (its "
            "min_lr_ratio), the plan from 0: the warm-up runs above the plan, the rest is the same.",
        )


def express_batch(recipe: Recipe, machine: Machine, draft: Draft, micro: str) -> None:
    """Write the batch per device and the accumulation."""
    split = split_batch(recipe, machine)
    draft.fields[micro] = split.micro_batch
    draft.fields["gradient_accumulation_steps"] = split.accumulation
    draft.note(
        "world-size",
        f"the batch of {recipe.batch_tokens} tokens needs {split.world_size} data-parallel ranks "
        f"({split.micro_batch} x {split.accumulation} x {split.world_size} sequences of {recipe.seq_len}).",
    )


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    express_batch(recipe, machine, draft, "per_device_train_batch_size")
    draft.fields["max_steps"] = recipe.steps
    draft.fields["warmup_steps"] = recipe.curve.warmup_steps
    express_schedule(recipe, draft)
    draft.note("seq-len", f"the data has to come in sequences of {recipe.seq_len} tokens: no field says so.")


def interpret_schedule(fields: Fields, kind: str = "lr_scheduler_type", default: str = "linear") -> None:
    """Take schedule, floor and decay from the scheduler's fields."""
    name = fields.text(kind, default) or default
    steps, peak = fields.reading.number("steps"), fields.reading.number("peak_lr")
    ours = {
        "constant": "constant",
        "constant_with_warmup": "constant",
        "linear": "linear",
        "polynomial": "linear" if fields.number(f"{KWARGS}.power", 1.0) == 1.0 else "polynomial",
        "cosine": "cosine",
        "cosine_with_min_lr": "cosine",
        "inverse_sqrt": "inverse-sqrt",
        "warmup_stable_decay": "wsd",
    }.get(name, name)
    fields.put("schedule", ours, kind)
    _interpret_floor(fields, name, peak)
    if name == "constant":
        fields.put("warmup_steps", 0, kind)
    if name == "warmup_stable_decay":
        fields.put("decay", fields.text(f"{KWARGS}.decay_type", "cosine"), f"{KWARGS}.decay_type")
        length = fields.number(f"{KWARGS}.num_decay_steps", whole=True)
        if length is not None and steps is not None and length > steps:
            fields.trap("decay-too-long", f"{KWARGS}.num_decay_steps", f"the run has {steps:g} steps.")
        fields.put("decay_steps", length, f"{KWARGS}.num_decay_steps")


def _interpret_floor(fields: Fields, name: str, peak: float | None) -> None:
    ratio, absolute = f"{KWARGS}.min_lr_rate", f"{KWARGS}.min_lr"
    if name in ("constant", "constant_with_warmup"):
        fields.put("final_lr_ratio", 1.0)
    elif name == "warmup_stable_decay":
        fields.take("final_lr_ratio", f"{KWARGS}.min_lr_ratio", 0.0)
    elif name == "cosine_with_min_lr" and ratio in fields:
        fields.take("final_lr_ratio", ratio)
    elif name in ("cosine_with_min_lr", "polynomial"):
        floor_field = absolute if name == "cosine_with_min_lr" else f"{KWARGS}.lr_end"
        floor = fields.number(floor_field, 1e-7 if name == "polynomial" else None)
        fields.put("final_lr_ratio", floor_ratio(floor, peak), floor_field)
    elif name == "inverse_sqrt":
        warmup, steps = fields.reading.number("warmup_steps"), fields.reading.number("steps")
        if warmup is not None and steps is not None:
            fields.put("final_lr_ratio", inverse_sqrt_ratio(warmup, steps))
    else:
        fields.put("final_lr_ratio", 0.0)


def interpret_warmup(fields: Fields, *, has_ratio: bool = False) -> None:
    """Take the warm-up: whole numbers are steps, below 1 it is a share of the run."""
    steps = fields.reading.number("steps")
    share = fields.number("warmup_ratio") if "warmup_ratio" in fields else None
    if share is not None and not has_ratio:
        fields.trap("unknown-field", "warmup_ratio", "is gone from transformers 5.23: write warmup_steps.")
    if share is not None and has_ratio and "warmup_steps" not in fields:
        fields.put("warmup_steps", None if steps is None else _ceil(share * steps), "warmup_ratio")
        return
    warmup = fields.number("warmup_steps", 0)
    if warmup is not None and 0 < warmup < 1:
        warmup = None if steps is None else _ceil(warmup * steps)
    fields.put("warmup_steps", warmup, "warmup_steps")


def _ceil(value: float) -> int:
    return -int(-value // 1)


def interpret_batch(fields: Fields, micro: str, *, default_micro: int) -> None:
    """Take the batch, as far as world size and sequence length are known."""
    per_device = fields.number(micro, default_micro, whole=True)
    accumulation = fields.number("gradient_accumulation_steps", 1, whole=True)
    fields.put("micro_batch", per_device, micro)
    world, seq_len = fields.machine.world_size, fields.reading.number("seq_len")
    fields.put("world_size", world)
    if None not in (per_device, accumulation, world, seq_len):
        tokens = (per_device or 0) * (accumulation or 0) * (world or 0) * (seq_len or 0)
        fields.put("batch_tokens", tokens, micro, "gradient_accumulation_steps")


def optimizer_of(name: str | None) -> str:
    """Our name of an optimizer: every implementation of AdamW is one.

    >>> optimizer_of("adamw_torch_fused"), optimizer_of("adafactor")
    ('adamw', 'adafactor')
    """
    name = (name or "adamw").lower()
    return "adamw" if name.startswith("adamw") else name


def _interpret(fields: Fields) -> None:
    fields.take("steps", "max_steps", whole=True)
    interpret_warmup(fields)
    fields.put("seq_len", fields.machine.seq_len)
    interpret_batch(fields, "per_device_train_batch_size", default_micro=8)
    interpret_schedule(fields)
    fields.put("optimizer", optimizer_of(fields.text("optim", "adamw")), "optim")


HF = Format(
    name="hf",
    title="Hugging Face TrainingArguments (JSON)",
    version="transformers 5.23.0",
    syntax=JSON,
    keys=OPTIMIZER_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(
        ("learning_rate", "per_device_train_batch_size"),
        ("learning_rate", "lr_scheduler_type"),
        ("output_dir", "learning_rate"),
    ),
    fixed={"optim": "adamw_torch"},
    needs=("world_size",),
    differences=("WSD with a floor warms up from the floor, not from 0",),
    proven={
        "own parser": "test_hf.py::test_the_parser_takes_every_value",
        "LR curve": "test_hf.py::test_its_scheduler_gives_the_planned_lr_at_every_step",
        "trained": "test_hf.py::test_a_20_step_training_logs_the_planned_lrs",
    },
    usage="HfArgumentParser(TrainingArguments).parse_json_file(FILE)",
)
