"""What we write for Hugging Face, by transformers' own parser, schedulers and Trainer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Curve, Machine, Recipe, write_config
from tests.trainers.conformance.curves import (
    AFTER_WARMUP,
    MACHINE,
    PLAN,
    WARMUP,
    held,
    planned_lrs,
    scheduled_lrs,
    with_curve,
)

pytestmark = pytest.mark.trainers
FLOORED_WSD = "wsd to 0.1"  # warms up from its floor


def parsed(recipe: Recipe, folder: Path, machine: Machine = MACHINE, **settings: Any) -> Any:
    """TrainingArguments as transformers reads them; `settings` go beside our fields."""
    from transformers import HfArgumentParser, TrainingArguments

    content = json.loads(write_config(recipe, FORMATS["hf"], machine).text)
    file = folder / "hf.json"
    settings = {"output_dir": str(folder), "use_cpu": True, "report_to": "none", **settings}
    file.write_text(json.dumps(content | settings))
    (arguments,) = HfArgumentParser(TrainingArguments).parse_json_file(str(file))
    return arguments


def test_the_parser_takes_every_value(tmp_path: Path) -> None:
    got = parsed(PLAN, tmp_path)
    assert (got.learning_rate, got.weight_decay) == (PLAN.peak_lr, PLAN.weight_decay)
    assert (got.adam_beta1, got.adam_beta2, got.adam_epsilon) == (PLAN.beta1, PLAN.beta2, PLAN.eps)
    assert (got.max_grad_norm, got.max_steps, got.warmup_steps) == (PLAN.grad_clip, PLAN.steps, WARMUP)
    assert got.per_device_train_batch_size * got.gradient_accumulation_steps * 2048 == PLAN.batch_tokens


@pytest.mark.parametrize("name", held("hf"))
def test_its_scheduler_gives_the_planned_lr_at_every_step(name: str, tmp_path: Path) -> None:
    recipe = with_curve(name)
    got = parsed(recipe, tmp_path)
    lrs = scheduled_lrs(
        got.lr_scheduler_type,
        got.lr_scheduler_kwargs,
        peak_lr=got.learning_rate,
        warmup_steps=got.get_warmup_steps(got.max_steps),
        steps=got.max_steps,
    )
    part = AFTER_WARMUP if name == FLOORED_WSD else slice(None)
    np.testing.assert_allclose(lrs[part], planned_lrs(recipe)[part], rtol=1e-9, atol=1e-18)
    if name == FLOORED_WSD:
        assert lrs[0] == pytest.approx(0.1 * recipe.peak_lr)


def test_a_20_step_training_logs_the_planned_lrs(tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer

    recipe = replace(PLAN, curve=Curve("cosine", 4, 0.1), steps=20, batch_tokens=4 * 16, seq_len=16)
    arguments = parsed(
        recipe,
        tmp_path,
        replace(MACHINE, micro_batch=2),
        logging_steps=1,
        save_strategy="no",
        disable_tqdm=True,
    )
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, **sizes))
    tokens = torch.randint(0, 32, (128, 16), generator=torch.Generator().manual_seed(0))
    trainer = Trainer(
        model=model, args=arguments, train_dataset=[{"input_ids": row, "labels": row} for row in tokens]
    )
    trainer.train()
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    np.testing.assert_allclose(logged, planned_lrs(recipe), rtol=1e-9, atol=1e-18)
