"""What we write for torchtitan 0.2.2 (TOML), by the released wheel's config classes and LR function.

The wheel is unpacked, not installed: none of its dependencies is needed (make test-trainers).
"""

from __future__ import annotations

import copy
import functools
import logging
import math
import runpy
import tomllib
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe, write_config
from tests.trainers.conformance.curves import CURVES, MACHINE, PLAN, WARMUP, planned_lrs, with_curve
from tests.trainers.conformance.wheels import WHEELS, definition

pytestmark = pytest.mark.trainers
HELD = [name for name in CURVES if name != "inverse-sqrt"]


def parsed(recipe: Recipe) -> Any:
    """The job config that its own dataclasses make of the file; they refuse fields they do not have."""
    tables = tomllib.loads(write_config(recipe, FORMATS["torchtitan-toml"], MACHINE).text)
    config = runpy.run_path(str(WHEELS / "torchtitan/config/job_config.py"))["JobConfig"]()
    for name, fields in tables.items():
        setattr(config, name, type(getattr(config, name))(**fields))
    return config


def test_its_classes_take_every_value() -> None:
    got = parsed(PLAN)
    optimizer, training = got.optimizer, got.training
    assert (optimizer.lr, optimizer.weight_decay, optimizer.eps) == (
        PLAN.peak_lr,
        PLAN.weight_decay,
        PLAN.eps,
    )
    assert (optimizer.beta1, optimizer.beta2) == (PLAN.beta1, PLAN.beta2)
    assert training.global_batch_size * training.seq_len == PLAN.batch_tokens
    assert (training.max_norm, training.steps) == (PLAN.grad_clip, PLAN.steps)


@pytest.mark.parametrize("name", HELD)
def test_its_lr_is_the_planned_one_with_the_warm_up_a_step_ahead(name: str) -> None:
    recipe = with_curve(name)
    make = definition(
        "torchtitan/components/lr_scheduler.py",
        "build_lr_schedulers",
        copy=copy,
        functools=functools,
        math=math,
        logger=logging.getLogger(),
        LRSchedulersContainer=lambda optimizers, factor_at: factor_at,
    )
    factor_at = make(None, parsed(recipe).lr_scheduler, recipe.steps)
    used = [recipe.peak_lr * factor_at(step) for step in range(recipe.steps)]
    planned = planned_lrs(recipe)
    np.testing.assert_allclose(used[WARMUP:], planned[WARMUP:], rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(used[:WARMUP], planned[1 : WARMUP + 1], rtol=1e-9)
