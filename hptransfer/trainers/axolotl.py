"""axolotl's YAML: transformers' schedulers under axolotl's own names."""

from __future__ import annotations

from hptransfer.trainers import hf
from hptransfer.trainers.base import Draft, Fields, Format, Key, Machine
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import LENIENT_YAML

_KIND = "lr_scheduler"
_OWN_LRS = ("embedding_lr", "embedding_lr_scale", "lr_groups", "loraplus_lr_ratio")  # of some tensors


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    hf.express_batch(recipe, machine, draft, "micro_batch_size")
    draft.fields["max_steps"] = recipe.steps
    draft.fields["warmup_steps"] = recipe.curve.warmup_steps
    hf.express_schedule(recipe, draft, _KIND)
    draft.alone("warmup_ratio", "cosine_min_lr_ratio", "cosine_constant_lr_ratio", "batch_size", *_OWN_LRS)


def _interpret(fields: Fields) -> None:
    fields.take("steps", "max_steps", whole=True)
    hf.interpret_warmup(fields, has_ratio=True)
    hf.interpret_batch(fields, "micro_batch_size", default_micro=1)
    hf.interpret_schedule(fields, _KIND, "cosine")
    fields.put("optimizer", hf.optimizer_of(fields.text("optimizer", "adamw")), "optimizer")


AXOLOTL = Format(
    name="axolotl",
    title="axolotl (YAML)",
    version="axolotl 0.21.0",
    syntax=LENIENT_YAML,
    keys=(*hf.OPTIMIZER_KEYS, Key("seq_len", "sequence_len", 512, whole=True)),
    express=_express,
    interpret=_interpret,
    marks=(
        ("micro_batch_size", "sequence_len"),
        ("micro_batch_size", "learning_rate"),
        ("learning_rate", _KIND),
    ),
    fixed={"optimizer": "adamw_torch"},
    needs=("world_size",),
    differences=hf.HF.differences,
    proven={
        "fields": "test_finetuning.py::test_axolotl_has_every_field",
        "LR curve": "test_finetuning.py::test_the_scheduler_of_transformers_gives_the_planned_lr",
    },
    usage="axolotl train FILE",
)
