"""What we write for OLMo-core, by its own strict configs and schedulers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe, write_config
from tests.trainers.conformance.curves import MACHINE, PLAN, held, planned_lrs, with_curve

pytestmark = pytest.mark.trainers


def parsed(recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """The train module as OLMo-core reads it, and the whole file."""
    from olmo_core.train.train_module import TransformerTrainModuleConfig

    content = json.loads(write_config(recipe, FORMATS["olmo-core"], MACHINE).text)
    return TransformerTrainModuleConfig.from_dict(content["train_module"]), content


def test_the_parser_takes_every_value() -> None:
    from olmo_core.data import NumpyDataLoaderConfig
    from olmo_core.train import Duration

    module, content = parsed(PLAN)
    optim = module.optim
    assert (optim.lr, optim.weight_decay, optim.eps) == (PLAN.peak_lr, PLAN.weight_decay, PLAN.eps)
    assert tuple(optim.betas) == (PLAN.beta1, PLAN.beta2)
    assert (module.max_grad_norm, module.max_sequence_length) == (PLAN.grad_clip, PLAN.seq_len)
    assert module.rank_microbatch_size == 4 * PLAN.seq_len
    loader = NumpyDataLoaderConfig(seed=0, **content["data_loader"])
    assert loader.global_batch_size == PLAN.batch_tokens
    assert Duration(**content["trainer"]["max_duration"]) == Duration.steps(PLAN.steps)


@pytest.mark.parametrize("name", held("olmo-core"))
def test_its_scheduler_gives_the_planned_lr_at_every_step(name: str) -> None:
    recipe = with_curve(name)
    scheduler = parsed(recipe)[0].scheduler
    lrs = [scheduler.get_lr(recipe.peak_lr, step, recipe.steps) for step in range(recipe.steps)]
    np.testing.assert_allclose(lrs, planned_lrs(recipe), rtol=1e-9, atol=1e-18)
