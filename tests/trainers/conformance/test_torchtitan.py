"""What we write for torchtitan 0.3: its own classes build it, and its own schedulers give the LR."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe, write_config
from tests.trainers.conformance.curves import MACHINE, PLAN, WARMUP, held, planned_lrs, with_curve

pytestmark = pytest.mark.trainers


def built(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """The names that running the written file defines."""
    file = folder / "planned.py"
    file.write_text(write_config(recipe, FORMATS["torchtitan-py"], MACHINE).text)
    return runpy.run_path(str(file))


def test_its_classes_take_every_value(tmp_path: Path) -> None:
    got = built(PLAN, tmp_path)
    (group,) = got["optimizer"].param_groups
    options = group.optimizer_kwargs
    assert (options["lr"], options["weight_decay"]) == (PLAN.peak_lr, PLAN.weight_decay)
    assert (tuple(options["betas"]), options["eps"]) == ((PLAN.beta1, PLAN.beta2), PLAN.eps)
    training = got["training"]
    assert training.global_batch_size * training.seq_len == PLAN.batch_tokens
    assert (training.max_norm, training.steps) == (PLAN.grad_clip, PLAN.steps)


@pytest.mark.parametrize("name", held("torchtitan-py"))
def test_its_scheduler_is_ours_with_the_warm_up_one_step_ahead(name: str, tmp_path: Path) -> None:
    import torch

    recipe = with_curve(name)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=recipe.peak_lr)
    container = built(recipe, tmp_path)["lr_scheduler"].build(
        optimizers=[optimizer], training_steps=recipe.steps
    )
    lrs = []
    for _ in range(recipe.steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        container.step()
    planned = planned_lrs(recipe)
    np.testing.assert_allclose(lrs[WARMUP:], planned[WARMUP:], rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(lrs[:WARMUP], planned[1 : WARMUP + 1], rtol=1e-9)
