"""nanoGPT's Python config (assignments that its configurator executes), and nanoGPT-mup's."""

from __future__ import annotations

from dataclasses import replace

from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine, floor_ratio, split_batch
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import PYTHON
from hptransfer.trainers.tensor_names import group_of

RULE_SET = "nanogpt-mup"
EPS = 1e-8  # torch.optim.AdamW's, which nanoGPT leaves alone
_KEYS = (
    Key("peak_lr", "learning_rate", 6e-4),
    Key("weight_decay", "weight_decay", 1e-1),
    Key("beta1", "beta1", 0.9),
    Key("beta2", "beta2", 0.95),
    Key("grad_clip", "grad_clip", 1.0),
    Key("seq_len", "block_size", 1024, whole=True),
    Key("steps", "max_iters", 600_000, whole=True),
)


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    split = split_batch(recipe, machine)
    draft.fields["batch_size"] = split.micro_batch
    draft.fields["gradient_accumulation_steps"] = split.accumulation * split.world_size
    name = recipe.curve.name
    if name == "constant":
        draft.fields |= {"decay_lr": False}
        draft.held.add("schedule")
        if recipe.curve.warmup_steps:
            draft.lose(
                "nanoGPT has no warm-up without decay: with decay_lr = False the run starts at the peak."
            )
    else:
        draft.fields |= {
            "decay_lr": True,
            "warmup_iters": recipe.curve.warmup_steps,
            "lr_decay_iters": recipe.steps,
            "min_lr": recipe.final_lr,
        }
        if name == "cosine":
            draft.held.add("schedule")


def _interpret(fields: Fields) -> None:
    accumulation = fields.number("gradient_accumulation_steps", 40, whole=True)
    micro = fields.number("batch_size", 12, whole=True)
    fields.put("micro_batch", micro, "batch_size")
    seq_len = fields.reading.number("seq_len")
    if None not in (accumulation, micro, seq_len):
        tokens = (accumulation or 0) * (micro or 0) * (seq_len or 0)
        fields.put("batch_tokens", tokens, "batch_size", "gradient_accumulation_steps")
    fields.put("eps", EPS)
    fields.put("optimizer", "adamw")
    if not fields.flag("decay_lr", default=True):
        fields.put("schedule", "constant", "decay_lr")
        fields.put("final_lr_ratio", 1.0, "decay_lr")
        fields.put("warmup_steps", 0, "decay_lr")
        return
    fields.put("schedule", "cosine", "decay_lr")
    fields.take("warmup_steps", "warmup_iters", 2000, whole=True)
    floor, peak = fields.number("min_lr", 6e-5), fields.reading.number("peak_lr")
    fields.put("final_lr_ratio", floor_ratio(floor, peak), "min_lr")
    decay, steps = fields.number("lr_decay_iters", 600_000, whole=True), fields.reading.number("steps")
    if decay is not None and steps is not None and decay != steps:
        fields.trap(
            "decay-not-run", "lr_decay_iters", f"the run has {steps:g} steps; nanoGPT wants them equal."
        )


_AHEAD = "warm-up is (step + 1) / (warmup_iters + 1): above the plan by less than one step"
_ONE_MORE = "one step is added at the end, at the floor"

NANOGPT = Format(
    name="nanogpt",
    title="nanoGPT (Python)",
    version="nanoGPT 3adf61e",
    syntax=PYTHON,
    keys=_KEYS,
    express=_express,
    interpret=_interpret,
    marks=(("learning_rate", "max_iters"), ("learning_rate", "block_size"), ("lr_decay_iters",)),
    excludes=("mup_enabled", "mup_width_multiplier"),
    lacks={"eps": EPS},
    differences=(_AHEAD, _ONE_MORE),
    proven={
        "field list": "test_nanogpt.py::test_every_name_is_one_that_its_train_py_has_with_the_same_type",
        "LR formula": "test_nanogpt.py::test_its_lr_is_the_planned_one_up_to_a_step_ahead_in_the_warm_up",
    },
    usage="python train.py FILE",
)


def _express_mup(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    _express(recipe, machine, draft)
    widths = recipe.widths
    ours = widths is not None and widths.rule_set == RULE_SET
    if widths is None or not ours or widths.width is None or widths.base_width is None:
        draft.fields |= {"mup_enabled": False}
        return
    draft.fields |= {"mup_enabled": True, "mup_width_multiplier": widths.width / widths.base_width}
    hidden = group_of(recipe.groups or {}, "hidden")
    if hidden is not None and hidden.init_std is not None:
        draft.fields["init_std"] = hidden.init_std * (widths.width / widths.base_width) ** 0.5
    draft.held.add("groups")


def _interpret_mup(fields: Fields) -> None:
    _interpret(fields)
    if fields.flag("mup_enabled"):
        fields.put("rule_set", RULE_SET, "mup_enabled")
        fields.take("base_init_std", "init_std")
        fields.take("width_ratio", "mup_width_multiplier", 1.0)


NANOGPT_MUP = replace(
    NANOGPT,
    name="nanogpt-mup",
    title="nanoGPT-mup (Python)",
    version="nanoGPT-mup b2a5e60",
    express=_express_mup,
    interpret=_interpret_mup,
    marks=(("mup_enabled",), ("mup_width_multiplier",)),
    excludes=(),
    differences=(_ONE_MORE,),
    proven={
        "field list": "test_nanogpt.py::test_every_name_is_one_that_its_mup_train_py_has_with_the_same_type",
        "LR formula": "test_nanogpt.py::test_its_mup_lr_is_the_planned_one_at_every_step",
    },
    holds_groups=True,
    own_rules=RULE_SET,
)
