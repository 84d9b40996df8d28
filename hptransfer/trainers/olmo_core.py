"""OLMo-core's experiment config as JSON with `_CLASS_` names; batches count tokens."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hptransfer.trainers.base import (
    Draft,
    Fields,
    Format,
    GroupReading,
    Key,
    Machine,
    floor_ratio,
    plain_groups,
    split_batch,
)
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import JSON, Scalar
from hptransfer.trainers.tensor_names import (
    OPTIONS,
    TensorName,
    base_group,
    lose_what_is_the_models,
    overrides,
    read_groups,
)

_OPTIM, _SCHEDULER = "train_module.optim", "train_module.scheduler"
_OVERRIDES = f"{_OPTIM}.group_overrides"


def _in_blocks(*names: str) -> TensorName:
    return TensorName(f"blocks.0.{names[0]}.weight", tuple(f"blocks.*.{name}.weight" for name in names))


NAMES = {
    "embedding": TensorName("embeddings.weight", ("embeddings.weight",)),
    "attention_q": _in_blocks("attention.w_q"),
    "attention_k": _in_blocks("attention.w_k"),
    "attention_v": _in_blocks("attention.w_v"),
    "attention_o": _in_blocks("attention.w_out"),
    "mlp_up": _in_blocks("feed_forward.w1", "feed_forward.w3"),
    "mlp_down": _in_blocks("feed_forward.w2"),
    "vector": TensorName("blocks.0.attention_norm.weight", ("blocks.*norm.weight",)),
    "final_norm": TensorName("lm_head.norm.weight", ("lm_head.norm.weight",)),
    "readout": TensorName("lm_head.w_out.weight", ("lm_head.w_out.weight",)),
}
"""Tensors of OLMo-core's dense transformers. A pattern that takes none is an error there."""
_CLIP = "train_module.max_grad_norm"
_CLASSES = {
    "constant": "ConstantWithWarmup",
    "linear": "LinearWithWarmup",
    "cosine": "CosWithWarmup",
    "wsd": "WSD",
}
_KEYS = (
    Key("peak_lr", f"{_OPTIM}.lr", 1e-3),
    Key("weight_decay", f"{_OPTIM}.weight_decay", 1e-2),
    Key("beta1", f"{_OPTIM}.betas.0", 0.9),
    Key("beta2", f"{_OPTIM}.betas.1", 0.999),
    Key("eps", f"{_OPTIM}.eps", 1e-8),
    Key("grad_clip", _CLIP, 0.0),
    Key("seq_len", "train_module.max_sequence_length", whole=True),
    Key("batch_tokens", "data_loader.global_batch_size", whole=True),
    Key("steps", "trainer.max_duration.value", whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split, curve = split_batch(recipe, machine), recipe.curve
    draft.fields["train_module.rank_microbatch_size"] = split.micro_batch * recipe.seq_len
    if not recipe.grad_clip:
        draft.fields[_CLIP] = None  # 0 would clip every gradient to nothing
    _express_groups(recipe, draft)
    options: dict[str, Scalar] = {"warmup": curve.warmup_steps}
    if curve.name in ("linear", "cosine"):
        options["alpha_f"] = curve.final_ratio
    elif curve.name == "wsd" and curve.decay == "linear":
        options |= {"decay": curve.decay_steps, "decay_fraction": None, "decay_min_lr": recipe.final_lr}
    elif curve.name != "constant":
        return
    draft.alone(_SCHEDULER)
    draft.fields[f"{_SCHEDULER}._CLASS_"] = f"olmo_core.optim.scheduler.{_CLASSES[curve.name]}"
    draft.fields |= {f"{_SCHEDULER}.{name}": value for name, value in options.items()}
    draft.held.add("schedule")


def _express_groups(recipe: Recipe, draft: Draft) -> None:
    """Overrides of the optimizer's own values for the classes that differ from them."""
    if recipe.groups is None or plain_groups(recipe.groups, recipe):
        return
    draft.whole(_OVERRIDES)
    for place, override in enumerate(overrides(recipe.groups, NAMES, rest=base_group(recipe))):
        at = f"{_OVERRIDES}.{place}"
        draft.fields |= {f"{at}.params.{n}": pattern for n, pattern in enumerate(override.patterns)}
        draft.fields |= {f"{at}.opts.{name}": getattr(override.values, name) for name in OPTIONS}
    draft.held.add("groups")
    lose_what_is_the_models(recipe, draft, "OLMo-core", NAMES)
    if recipe.curve.name == "wsd" and recipe.curve.final_ratio:
        draft.note(
            "curve-differs",
            f"OLMo-core's WSD ends at one LR for all groups ({recipe.final_lr:g}): those whose own is "
            f"another than the base LR do not end at {recipe.curve.final_ratio:g} of it.",
        )


def _interpret_groups(fields: Fields) -> None:
    groups: list[tuple[list[str], GroupReading]] = []
    while (at := f"{_OVERRIDES}.{len(groups)}") in fields.source.blocks:
        within = [(path, w) for path, w in fields.source.fields.items() if path.startswith(f"{at}.params.")]
        patterns = [str(written.value) for _, written in within]
        groups.append((patterns, fields.group(", ".join(patterns), f"{at}.opts", OPTIONS)))

    def taken_by(tensor: str) -> GroupReading:
        found = (group for patterns, group in groups if any(fnmatchcase(tensor, p) for p in patterns))
        return next(found, GroupReading("the rest", {}))  # which has the optimizer's own values

    if groups:
        fields.reading.groups |= read_groups(NAMES, taken_by)


def _interpret(fields: Fields) -> None:
    micro, seq_len = fields.number("train_module.rank_microbatch_size"), fields.reading.number("seq_len")
    if micro is not None and seq_len:
        fields.put("micro_batch", micro / seq_len, "train_module.rank_microbatch_size")
    fields.put("optimizer", "adamw", f"{_OPTIM}._CLASS_")
    _interpret_groups(fields)
    _interpret_duration(fields)
    steps = fields.reading.number("steps")
    name = (fields.text(f"{_SCHEDULER}._CLASS_") or "").rpartition(".")[2]
    ours = {theirs: name for name, theirs in _CLASSES.items()}.get(name)
    if ours is None:
        return
    fields.put("schedule", ours, f"{_SCHEDULER}._CLASS_")
    fields.put("warmup_steps", _length(fields, "warmup", steps), f"{_SCHEDULER}.warmup")
    if ours == "wsd":
        fields.put("decay", "linear", f"{_SCHEDULER}._CLASS_")
        fields.put("decay_steps", _length(fields, "decay", steps, 0.1), f"{_SCHEDULER}.decay")
        floor = fields.number(f"{_SCHEDULER}.decay_min_lr", 0.0)
        ratio = floor_ratio(floor, fields.reading.number("peak_lr"))
        fields.put("final_lr_ratio", ratio, f"{_SCHEDULER}.decay_min_lr")
    elif ours == "constant":
        fields.put("final_lr_ratio", 1.0, f"{_SCHEDULER}._CLASS_")
    else:
        fields.take("final_lr_ratio", f"{_SCHEDULER}.alpha_f", 0.1)


def _interpret_duration(fields: Fields) -> None:
    """A duration in tokens is so many steps; in epochs nobody knows."""
    unit, batch = fields.text("trainer.max_duration.unit"), fields.reading.number("batch_tokens")
    value = fields.reading.values.pop("steps", None)
    if value is None or not isinstance(value.value, float | int):
        return
    if unit == "steps":
        fields.put("steps", value.value, "trainer.max_duration.value")
    elif unit == "tokens" and batch:
        fields.put("steps", int(-(-value.value // batch)), "trainer.max_duration.value")


def _length(fields: Fields, name: str, steps: float | None, share: float | None = None) -> float | None:
    """A length in steps, or as a share of the run."""
    whole = fields.number(f"{_SCHEDULER}.{name}", whole=True)
    part = fields.number(f"{_SCHEDULER}.{name}_fraction", None if whole is not None else share)
    if whole is not None or part is None or steps is None:
        return whole
    return round(part * steps)


OLMO_CORE = Format(
    name="olmo-core",
    title="OLMo-core (JSON)",
    version="ai2-olmo-core 3.0.0",
    syntax=JSON,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=((f"{_OPTIM}.lr",), ("train_module.rank_microbatch_size",)),
    fixed={f"{_OPTIM}._CLASS_": "olmo_core.optim.adamw.AdamWConfig", "trainer.max_duration.unit": "steps"},
    proven={
        "own parser": "test_olmo_core.py::test_the_parser_takes_every_value",
        "LR curve": "test_olmo_core.py::test_its_scheduler_gives_the_planned_lr_at_every_step",
        "tensor classes": "test_tensor_classes.py::test_olmo_cores_optimizer_has_every_tensor_classs_values",
    },
    holds_groups=True,
    usage="TransformerTrainModuleConfig.from_dict(json.load(open(FILE))['train_module'])",
)
