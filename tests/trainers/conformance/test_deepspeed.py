"""What we write for DeepSpeed, by its own config class and schedulers, stepped as its engine steps them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe, write_config
from tests.trainers.conformance.curves import MACHINE, PLAN, WARMUP, held, planned_lrs, with_curve

pytestmark = pytest.mark.trainers
HELD = [*held("deepspeed"), "constant"]  # whose length DeepSpeed is not told


def parsed(recipe: Recipe) -> Any:
    """The config as DeepSpeed reads it on one rank."""
    from deepspeed.runtime.config import DeepSpeedConfig

    return DeepSpeedConfig(json.loads(write_config(recipe, FORMATS["deepspeed"], MACHINE).text))


def used_lrs(recipe: Recipe) -> list[float]:
    """LR of every step: the engine makes the scheduler before the first step and advances it after each."""
    import torch
    from deepspeed.runtime import lr_schedules

    config = parsed(recipe)
    kind = getattr(torch.optim, {"adamw": "AdamW"}[config.optimizer_name])
    optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **config.optimizer_params)
    scheduler = getattr(lr_schedules, config.scheduler_name)(optimizer, **config.scheduler_params)
    lrs = []
    for _ in range(recipe.steps):
        lrs.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return lrs


def test_its_config_takes_every_value() -> None:
    got = parsed(PLAN)
    assert got.train_batch_size * PLAN.seq_len == PLAN.batch_tokens
    assert got.train_batch_size == got.train_micro_batch_size_per_gpu * got.gradient_accumulation_steps
    assert got.gradient_clipping == PLAN.grad_clip
    options = got.optimizer_params
    assert (options["lr"], options["weight_decay"], options["eps"]) == (
        PLAN.peak_lr,
        PLAN.weight_decay,
        PLAN.eps,
    )
    assert tuple(options["betas"]) == (PLAN.beta1, PLAN.beta2)


@pytest.mark.parametrize("name", HELD)
def test_its_lr_is_the_planned_one_of_the_step_before(name: str) -> None:
    """Of the step itself after the warm-up of a cosine."""
    recipe = with_curve(name)
    planned = planned_lrs(recipe)
    expected = np.concatenate([[0.0], planned[:-1]])
    if recipe.curve.name == "cosine":
        expected[WARMUP + 1 :] = planned[WARMUP + 1 :]
    np.testing.assert_allclose(used_lrs(recipe), expected, rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize("steps", [0, 1])
def test_it_warms_up_over_two_steps_at_least(steps: int) -> None:
    short = replace(PLAN, curve=replace(PLAN.curve, warmup_steps=steps))
    assert parsed(short).scheduler_params["warmup_num_steps"] == 2
    assert used_lrs(short)[:3] == [0.0, 0.0, PLAN.peak_lr / 2]
