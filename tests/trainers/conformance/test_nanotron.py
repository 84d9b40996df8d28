"""What we write for nanotron: its released LR function, and what its main branch says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS
from tests.trainers.conformance import formulas
from tests.trainers.conformance.curves import CURVES, STEPS, held, planned_lrs, with_curve, written
from tests.trainers.conformance.wheels import definition

FIELDS = {
    "optimizer": {"weight_decay", "clip_grad"},
    "optimizer.optimizer_factory": {"name", "adam_beta1", "adam_beta2", "adam_eps"},
    "optimizer.learning_rate_scheduler": {
        "learning_rate",
        "lr_warmup_steps",
        "lr_warmup_style",
        "lr_decay_style",
        "lr_decay_starting_step",
        "lr_decay_steps",
        "min_decay_lr",
    },
    "tokens": {"sequence_length", "train_steps", "micro_batch_size", "batch_accumulation_per_replica"},
    "parallelism": {"dp"},
}
"""Of the records in src/nanotron/config/config.py (main), those that hyperparameters are."""
RELEASED = [name for name in held("nanotron") if CURVES[name].decay != "1-sqrt"]


def scheduler_fields(name: str) -> dict[str, Any]:
    """The section of the schedule under one of the curves."""
    fields = written("nanotron", with_curve(name))
    head = "optimizer.learning_rate_scheduler."
    return {path.removeprefix(head): value for path, value in fields.items() if path.startswith(head)}


@pytest.mark.parametrize("name", CURVES)
def test_every_field_is_in_its_main_branchs_records(name: str) -> None:
    assert "main" in FORMATS["nanotron"].version
    known = {f"{section}.{field}" for section, fields in FIELDS.items() for field in fields}
    assert set(written("nanotron", with_curve(name))) - known == set()


@pytest.mark.trainers
@pytest.mark.parametrize("name", RELEASED)
def test_its_scheduler_gives_the_planned_lr_at_every_step(name: str) -> None:
    """Its own record checks the values, its own function is what LambdaLR multiplies the peak with."""
    arguments = definition("nanotron/config/config.py", "LRSchedulerArgs", dataclass=dataclass)
    build = definition(
        "nanotron/helpers.py", "lr_scheduler_builder", math=math, LambdaLR=lambda _, lr_lambda: lr_lambda
    )
    optimizer = SimpleNamespace(get_base_optimizer=lambda: None)
    recipe = with_curve(name)
    factor = build(optimizer, arguments(**scheduler_fields(name)), STEPS)
    used = [recipe.peak_lr * factor(step) for step in range(STEPS)]
    np.testing.assert_allclose(used, planned_lrs(recipe), rtol=1e-9, atol=1e-18)


def test_its_1_sqrt_decay_gives_the_planned_lr_at_every_step() -> None:
    fields = scheduler_fields("wsd 1-sqrt")
    assert (fields["lr_decay_style"], fields["lr_warmup_style"]) == ("1-sqrt", "linear")
    used = formulas.nanotron_1_sqrt(
        np.arange(STEPS, dtype=float),
        peak=fields["learning_rate"],
        floor=fields["min_decay_lr"],
        warmup=fields["lr_warmup_steps"],
        start=fields["lr_decay_starting_step"],
        length=fields["lr_decay_steps"],
    )
    np.testing.assert_allclose(used, planned_lrs(with_curve("wsd 1-sqrt")), rtol=1e-9, atol=1e-18)
