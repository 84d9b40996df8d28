"""What we write for torchtitan 0.2.2 (TOML), by the released wheel's own parser and LR function.

The wheel is unpacked, not installed: version 0.3 is.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import math
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe, write_config
from tests.trainers.conformance.curves import MACHINE, PLAN, WARMUP, held, planned_lrs, with_curve
from tests.trainers.conformance.wheels import WHEELS, definition

pytestmark = pytest.mark.trainers


def parsed(recipe: Recipe) -> Any:
    """The job config that its own dataclasses make of the file; they refuse fields they do not have."""
    tables = tomllib.loads(write_config(recipe, FORMATS["torchtitan-toml"], MACHINE).text)
    config = runpy.run_path(str(WHEELS / "torchtitan/config/job_config.py"))["JobConfig"]()
    for name, fields in tables.items():
        setattr(config, name, type(getattr(config, name))(**fields))
    return config


OWN_PARSER = """
import dataclasses, json, sys, types
package = types.ModuleType("torchtitan")  # whose own start needs triton
package.__path__ = [sys.argv[1]]
sys.modules["torchtitan"] = package
from torchtitan.config import ConfigManager
config = ConfigManager().parse_args(["--job.config_file", sys.argv[2]])
print(json.dumps(dataclasses.asdict(config), default=str))
"""


def test_its_parser_takes_every_value(tmp_path: Path) -> None:
    """In a process of its own: the other torchtitan is installed here."""
    file = tmp_path / "titan.toml"
    file.write_text(write_config(PLAN, FORMATS["torchtitan-toml"], MACHINE).text)
    program = [sys.executable, "-c", OWN_PARSER, str((WHEELS / "torchtitan").resolve()), str(file)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    got = json.loads(done.stdout.splitlines()[-1])
    optimizer, training = got["optimizer"], got["training"]
    assert (optimizer["lr"], optimizer["weight_decay"]) == (PLAN.peak_lr, PLAN.weight_decay)
    assert (optimizer["beta1"], optimizer["beta2"]) == (PLAN.beta1, PLAN.beta2)
    assert (optimizer["name"], optimizer["eps"]) == ("AdamW", PLAN.eps)
    assert training["global_batch_size"] * training["seq_len"] == PLAN.batch_tokens
    assert (training["max_norm"], training["steps"]) == (PLAN.grad_clip, PLAN.steps)
    assert got["lr_scheduler"]["warmup_steps"] == WARMUP


@pytest.mark.parametrize("name", held("torchtitan-toml"))
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
