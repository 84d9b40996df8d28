"""What we write, taken by the trainers' own parsers and run by their own schedulers (make test-trainers).

Expected values are `hptransfer.schedules`'; differences that are known are stated where they are allowed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hptransfer.schedules import Schedule, schedule
from hptransfer.trainers import FORMATS, Curve, Recipe, write_config
from tests.trainers.recipes import MACHINE, RECIPE, WSD, with_curve

pytestmark = [
    pytest.mark.trainers,
    pytest.mark.filterwarnings("default"),  # what the trainers warn of among themselves
]

COSINE = RECIPE.curve
ONE_MINUS_SQRT = replace(WSD, decay="1-sqrt")
LINEAR, LINEAR_TO_ZERO = Curve("linear", 100, 0.2), Curve("linear", 100, 0.0)
CONSTANT = Curve("constant", 100, 1.0)
CURVES = [COSINE, WSD, ONE_MINUS_SQRT, LINEAR, LINEAR_TO_ZERO, CONSTANT]
UPDATES = (0, 50, 99, 100, 1000, 1599, 1600, 1800, 1999)


def planned(recipe: Recipe) -> Schedule:
    curve = recipe.curve
    options: dict[str, Any] = {"constant": {}}.get(curve.name, {"final_ratio": curve.final_ratio})
    if curve.decay is not None:
        options |= {"decay": curve.decay, "decay_steps": curve.decay_steps}
    return schedule(
        curve.name, steps=recipe.steps, warmup_steps=curve.warmup_steps, peak_lr=recipe.peak_lr, **options
    )


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: f"{curve.name}-{curve.decay}-{curve.final_ratio}")
def test_transformers_takes_the_file_and_runs_the_curve(curve: Curve, tmp_path: Path) -> None:
    import torch
    from transformers import HfArgumentParser, TrainingArguments, get_scheduler

    recipe, file = with_curve(curve), tmp_path / "args.json"
    content = json.loads(write_config(recipe, FORMATS["hf"], MACHINE).text)
    file.write_text(json.dumps({**content, "use_cpu": True, "output_dir": str(tmp_path)}))
    (arguments,) = HfArgumentParser(TrainingArguments).parse_json_file(str(file))
    assert (arguments.learning_rate, arguments.weight_decay) == (recipe.peak_lr, recipe.weight_decay)
    assert (arguments.adam_beta2, arguments.adam_epsilon) == (recipe.beta2, recipe.eps)
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=arguments.learning_rate)
    scheduler = get_scheduler(
        arguments.lr_scheduler_type,
        optimizer,
        num_warmup_steps=int(arguments.warmup_steps),
        num_training_steps=arguments.max_steps,
        scheduler_specific_kwargs=dict(arguments.lr_scheduler_kwargs or {}),
    )
    ours = planned(recipe)
    from_the_floor = curve.name == "wsd"  # transformers' WSD warms up from its floor
    for update in UPDATES:
        if not (from_the_floor and update < curve.warmup_steps):
            theirs = recipe.peak_lr * scheduler.lr_lambdas[0](update)
            assert theirs == pytest.approx(ours.lr_at(update), rel=1e-9), update


@pytest.mark.parametrize(
    "curve", [COSINE, WSD, LINEAR, LINEAR_TO_ZERO, CONSTANT], ids=lambda curve: curve.name
)
def test_olmo_core_takes_the_file_and_runs_the_curve(curve: Curve) -> None:
    from olmo_core.train.train_module import TransformerTrainModuleConfig

    recipe = with_curve(curve)
    content = json.loads(write_config(recipe, FORMATS["olmo-core"], MACHINE).text)
    config = TransformerTrainModuleConfig.from_dict(content["train_module"])
    assert (config.optim.lr, config.optim.weight_decay) == (recipe.peak_lr, recipe.weight_decay)
    assert tuple(config.optim.betas) == (recipe.beta1, recipe.beta2)
    assert config.rank_microbatch_size == 4 * recipe.seq_len
    ours = planned(recipe)
    for update in UPDATES:
        theirs = float(config.scheduler.get_lr(recipe.peak_lr, update, recipe.steps))
        assert theirs == pytest.approx(ours.lr_at(update), rel=1e-9), update


def test_a_20_step_training_logs_the_planned_lrs(tmp_path: Path) -> None:
    import torch
    from transformers import HfArgumentParser, LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

    curve = Curve("cosine", warmup_steps=4, final_ratio=0.1)
    recipe = replace(RECIPE, curve=curve, steps=20, batch_tokens=4 * 16, seq_len=16)
    machine = replace(MACHINE, world_size=1, micro_batch=2)
    content = json.loads(write_config(recipe, FORMATS["hf"], machine).text)
    settings = {"use_cpu": True, "output_dir": str(tmp_path), "logging_steps": 1, "report_to": "none"}
    file = tmp_path / "args.json"
    file.write_text(json.dumps({**content, **settings, "save_strategy": "no", "disable_tqdm": True}))
    (arguments,) = HfArgumentParser(TrainingArguments).parse_json_file(str(file))
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32, **sizes))
    tokens = torch.randint(0, 32, (128, 16), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": row, "labels": row} for row in tokens]
    trainer = Trainer(model=model, args=arguments, train_dataset=data)
    trainer.train()
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    ours = planned(recipe)
    assert logged == pytest.approx([ours.lr_at(update) for update in range(20)], rel=1e-9)
