"""LLaMA-Factory's YAML: transformers' fields, and the sequence length."""

from __future__ import annotations

from dataclasses import replace

from hptransfer.trainers import hf
from hptransfer.trainers.base import Draft, Fields, Key, Machine
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import LENIENT_YAML


def _express(recipe: Recipe, machine: Machine, draft: Draft) -> None:
    hf.express_batch(recipe, machine, draft, "per_device_train_batch_size")
    draft.fields["max_steps"] = recipe.steps
    draft.fields["warmup_steps"] = recipe.curve.warmup_steps
    hf.express_schedule(recipe, draft)


def _interpret(fields: Fields) -> None:
    fields.take("steps", "max_steps", whole=True)
    hf.interpret_warmup(fields, has_ratio=True)
    hf.interpret_batch(fields, "per_device_train_batch_size", default_micro=8)
    hf.interpret_schedule(fields)
    fields.put("optimizer", hf.optimizer_of(fields.text("optim", "adamw")), "optim")


LLAMA_FACTORY = replace(
    hf.HF,
    name="llama-factory",
    title="LLaMA-Factory (YAML)",
    version="llamafactory 0.9.5",
    syntax=LENIENT_YAML,
    keys=(*hf.OPTIMIZER_KEYS, Key("seq_len", "cutoff_len", 2048, whole=True)),
    express=_express,
    interpret=_interpret,
    marks=(("per_device_train_batch_size",), ("learning_rate", "cutoff_len")),
    proven={
        "fields": "test_finetuning.py::test_llama_factory_has_every_field",
        "LR curve": "test_finetuning.py::test_the_scheduler_of_transformers_gives_the_planned_lr",
    },
    usage="llamafactory-cli train FILE",
)
