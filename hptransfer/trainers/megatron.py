"""Megatron-LM's command-line flags, as an array for a shell script."""

from __future__ import annotations

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, floor_ratio, split_batch
from hptransfer.trainers.recipe import Recipe, inverse_sqrt_ratio
from hptransfer.trainers.syntax import FLAGS

RULE_SET = "megatron-mup"
_DECAYS = {
    "linear": "linear",
    "cosine": "cosine",
    "1-sqrt": "minus_sqrt",
    "megatron-exponential": "exponential",
}
_STYLES = {
    "constant": "constant",
    "linear": "linear",
    "cosine": "cosine",
    "inverse-sqrt": "inverse-square-root",
}
_RIVALS = (
    *("train-samples", "lr-decay-samples", "lr-warmup-samples", "lr-warmup-fraction", "lr-wsd-decay-samples"),
    *("lr-wsd-decay-style", "lr-wsd-decay-iters", "rampup-batch-size", "step-batch-size-schedule"),
    *(
        "start-weight-decay",
        "end-weight-decay",
        "weight-decay-incr-style",
        "decoupled-lr",
        "decoupled-min-lr",
    ),
    *("use-mup", "mup-base-hidden-size", "mup-base-head-dim"),
)
_KEYS = (
    Key("peak_lr", "lr"),
    Key("weight_decay", "weight-decay", 0.01),
    Key("beta1", "adam-beta1", 0.9),
    Key("beta2", "adam-beta2", 0.999),
    Key("eps", "adam-eps", 1e-8),
    Key("grad_clip", "clip-grad", 1.0),
    Key("seq_len", "seq-length", whole=True),
    Key("steps", "train-iters", whole=True),
    Key("warmup_steps", "lr-warmup-iters", 0, whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields |= {"global-batch-size": split.sequences, "micro-batch-size": split.micro_batch}
    draft.fields["lr-decay-iters"] = recipe.steps
    if curve.name in _STYLES:
        draft.fields["lr-decay-style"] = _STYLES[curve.name]
        draft.held.add("schedule")
    elif curve.name == "wsd" and curve.decay in _DECAYS:
        draft.fields |= {
            "lr-decay-style": "WSD",
            "lr-wsd-decay-style": _DECAYS[curve.decay],
            "lr-wsd-decay-iters": curve.decay_steps,
        }
        draft.held.add("schedule")
    draft.alone(*_RIVALS)
    draft.fields["min-lr"] = 0.0 if curve.name in ("constant", "inverse-sqrt") else recipe.final_lr
    _express_mup(recipe, draft)


def _express_mup(recipe: Recipe, draft: Draft) -> None:
    """Megatron scales by its own rules; others cannot be said."""
    widths = recipe.widths
    if widths is None or widths.rule_set != RULE_SET or widths.base_width is None:
        return
    draft.fields |= {"use-mup": True, "mup-base-hidden-size": widths.base_width}
    hidden = (recipe.groups or {}).get("hidden")
    if hidden is not None and hidden.init_std is not None and widths.width:
        spread = (widths.width / widths.base_width) ** 0.5  # that Megatron divides by itself
        draft.fields["init-method-std"] = float(f"{hidden.init_std * spread:.12g}")
    if widths.base_head_dim is not None:
        draft.fields["mup-base-head-dim"] = widths.base_head_dim
    draft.held.add("groups")


def _interpret(fields: Fields) -> None:
    sequences, seq_len = fields.number("global-batch-size", whole=True), fields.reading.number("seq_len")
    if sequences is not None and seq_len is not None:
        fields.put("batch_tokens", sequences * seq_len, "global-batch-size")
    fields.take("micro_batch", "micro-batch-size", whole=True)
    fields.put("optimizer", "adamw")
    _interpret_schedule(fields)
    decay, steps = fields.number("lr-decay-iters", whole=True), fields.reading.number("steps")
    if decay is not None and steps is not None and decay != steps:
        fields.trap("decay-not-run", "lr-decay-iters", f"the run has {steps:g} steps (--train-iters).")
    if "use-mup" in fields:
        fields.put("rule_set", RULE_SET, "use-mup")
        fields.take("base_width", "mup-base-hidden-size", whole=True)
        fields.take("width", "hidden-size", whole=True)
        fields.take("head_dim", "kv-channels", whole=True)
        fields.take("base_head_dim", "mup-base-head-dim", whole=True)
        fields.take("base_init_std", "init-method-std", 0.02)


def _interpret_schedule(fields: Fields) -> None:
    style = fields.text("lr-decay-style", "linear") or "linear"
    ours = {theirs: name for name, theirs in _STYLES.items()} | {"WSD": "wsd"}
    fields.put("schedule", ours.get(style, style), "lr-decay-style")
    if style == "WSD":
        shape = fields.text("lr-wsd-decay-style", "exponential") or "exponential"
        names = {theirs: name for name, theirs in _DECAYS.items()}
        fields.put("decay", names.get(shape, shape), "lr-wsd-decay-style")
        fields.take("decay_steps", "lr-wsd-decay-iters", whole=True)
    if style == "constant":
        fields.put("final_lr_ratio", 1.0, "lr-decay-style")
        return
    warmup, steps = fields.reading.number("warmup_steps"), fields.reading.number("steps")
    if style == "inverse-square-root" and warmup is not None and steps is not None:
        fields.put("final_lr_ratio", inverse_sqrt_ratio(warmup, steps), "lr-decay-style")
        return
    fields.put(
        "final_lr_ratio",
        floor_ratio(fields.number("min-lr", 0.0), fields.reading.number("peak_lr")),
        "min-lr",
    )


MEGATRON = Format(
    name="megatron",
    title="Megatron-LM (flags)",
    version="megatron-core 0.19.2",
    syntax=FLAGS,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("lr", "global-batch-size"), ("lr", "train-iters"), ("lr-decay-style",)),
    fixed={"optimizer": "adam"},
    proven={
        "fields": "test_megatron.py::test_every_flag_exists",
        "LR curve": "test_megatron.py::test_its_scheduler_gives_the_planned_lr_at_every_step",
        "tensor classes": "test_megatron.py::test_its_mup_gives_every_tensor_class_the_planned_values",
    },
    usage='source FILE; torchrun ... pretrain_gpt.py "${HPTRANSFER_ARGS[@]}"',
    holds_groups=True,
    own_rules=RULE_SET,
)
