"""litgpt's `litgpt pretrain --config` YAML."""

from __future__ import annotations

from hptransfer.trainers.base import (
    Draft,
    Fields,
    Format,
    Key,
    Machine,
    express_clip,
    floor_ratio,
    interpret_clip,
    split_batch,
)
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import LENIENT_YAML

_ARGS = "optimizer.init_args"
# Where `optimizer` is missing, litgpt makes AdamW with torch's own defaults.
_KEYS = (
    Key("peak_lr", f"{_ARGS}.lr", 1e-3),
    Key("weight_decay", f"{_ARGS}.weight_decay", 1e-2),
    Key("beta1", f"{_ARGS}.betas.0", 0.9),
    Key("beta2", f"{_ARGS}.betas.1", 0.999),
    Key("eps", f"{_ARGS}.eps", 1e-8),
    Key("seq_len", "train.max_seq_length", None, whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split = split_batch(recipe, machine)
    draft.fields |= {
        "train.global_batch_size": split.sequences,
        "train.micro_batch_size": split.micro_batch,
        "train.max_tokens": recipe.steps * recipe.batch_tokens,
        "train.lr_warmup_steps": recipe.curve.warmup_steps,
        "train.min_lr": recipe.final_lr,
    }
    draft.alone("train.lr_warmup_fraction", "train.max_steps", "train.epochs")
    express_clip(recipe, draft, "train.max_norm")
    if recipe.curve.name == "cosine":
        draft.held.add("schedule")
    if split.accumulation > 1:
        draft.note(
            "curve-differs",
            f"litgpt counts micro-steps ({split.accumulation} a step): each step's LR is the plan's up to "
            "one step later.",
        )


def _interpret(fields: Fields) -> None:
    interpret_clip(fields, "train.max_norm", 1.0)
    seq_len = fields.reading.number("seq_len")
    if seq_len is None and fields.machine.seq_len is not None:
        seq_len = fields.machine.seq_len
        fields.put("seq_len", seq_len)
    sequences = fields.number("train.global_batch_size", 512, whole=True)
    fields.take("micro_batch", "train.micro_batch_size", 4, whole=True)
    path = fields.text("optimizer.class_path", "torch.optim.AdamW") or ""
    fields.put("optimizer", path.rpartition(".")[2].lower(), "optimizer.class_path")
    if sequences is not None and seq_len is not None:
        batch = sequences * seq_len
        fields.put("batch_tokens", batch, "train.global_batch_size")
        tokens = fields.number("train.max_tokens", 3e12)
        steps = None if tokens is None or batch == 0 else int(tokens // batch)
        fields.put("steps", steps, "train.max_tokens")
    if "train.max_steps" in fields:
        fields.trap("ignored-field", "train.max_steps", "litgpt pretrain refuses it: write train.max_tokens.")
    fields.put("schedule", "cosine")
    _interpret_warmup(fields)
    floor, peak = fields.number("train.min_lr", 4e-5), fields.reading.number("peak_lr")
    fields.put("final_lr_ratio", floor_ratio(floor, peak), "train.min_lr")


def _interpret_warmup(fields: Fields) -> None:
    """Steps; a fraction would be of an epoch, whose length the file does not say."""
    if "train.lr_warmup_fraction" not in fields:
        fields.take("warmup_steps", "train.lr_warmup_steps", 2000, whole=True)
    elif fields.number("train.lr_warmup_steps"):
        message = "does not go with train.lr_warmup_steps: litgpt refuses both."
        fields.trap("two-fields", "train.lr_warmup_fraction", message)


LITGPT = Format(
    name="litgpt",
    title="litgpt pretrain (YAML)",
    version="litgpt 0.5.13",
    syntax=LENIENT_YAML,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(
        ("train.global_batch_size",),
        ("train.max_tokens",),
        ("train.lr_warmup_steps",),
        ("train.min_lr",),
    ),
    fixed={"optimizer.class_path": "torch.optim.AdamW"},
    differences=("with gradient accumulation the LR is up to one step ahead (it counts micro-steps)",),
    proven={
        "own parser": "test_litgpt.py::test_the_parser_takes_every_value",
        "LR curve": "test_litgpt.py::test_its_lr_is_the_planned_one_or_up_to_a_step_ahead",
    },
    usage="litgpt pretrain MODEL --config FILE",
)
