"""What we write for nanoGPT and nanoGPT-mup, which are no packages, by what their sources say.

Their configurator executes the file over train.py's own names; it refuses no name, so that a wrong one would
be without effect and without a message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe
from hptransfer.trainers.recipe import TensorGroup, Widths
from tests.trainers.conformance import formulas
from tests.trainers.conformance.curves import (
    CURVES,
    PLAN,
    STEPS,
    WARMUP,
    held,
    planned_lrs,
    with_curve,
    written,
)

NAMES: dict[str, type] = {
    "learning_rate": float,
    "max_iters": int,
    "weight_decay": float,
    "beta1": float,
    "beta2": float,
    "grad_clip": float,
    "decay_lr": bool,
    "warmup_iters": int,
    "lr_decay_iters": int,
    "min_lr": float,
    "batch_size": int,
    "gradient_accumulation_steps": int,
    "block_size": int,
}
"""Of train.py's names, those that hyperparameters are."""
MUP_NAMES = NAMES | {"mup_enabled": bool, "mup_width_multiplier": float, "init_std": float}
HELD = held("nanogpt")


def formula_options(fields: dict[str, Any]) -> dict[str, float]:
    """What the LR function takes from a file."""
    return {
        "peak": fields["learning_rate"],
        "floor": fields["min_lr"],
        "warmup": fields["warmup_iters"],
        "horizon": fields["lr_decay_iters"],
    }


@pytest.mark.parametrize("curve", [*HELD, "constant"])
def test_every_name_is_one_that_its_train_py_has_with_the_same_type(curve: str) -> None:
    assert FORMATS["nanogpt"].version.endswith("3adf61e")
    fields = written("nanogpt", with_curve(curve))
    assert {name: type(value) for name, value in fields.items()}.items() <= NAMES.items()


def test_every_name_is_one_that_its_mup_train_py_has_with_the_same_type() -> None:
    assert FORMATS["nanogpt-mup"].version.endswith("b2a5e60")
    fields = written("nanogpt-mup", mup_plan())
    assert fields["mup_enabled"] is True
    assert {name: type(value) for name, value in fields.items()}.items() <= MUP_NAMES.items()


def mup_plan() -> Recipe:
    """The plan of a model four times as wide as its proxy."""
    group = TensorGroup(lr=PLAN.peak_lr / 4, weight_decay=PLAN.weight_decay, eps=PLAN.eps, init_std=0.01)
    return replace(PLAN, groups={"hidden": group}, widths=Widths("nanogpt-mup", 1024, 256))


@pytest.mark.parametrize("curve", HELD)
def test_its_lr_is_the_planned_one_up_to_a_step_ahead_in_the_warm_up(curve: str) -> None:
    recipe = with_curve(curve)
    used = formulas.nanogpt(np.arange(STEPS, dtype=float), **formula_options(written("nanogpt", recipe)))
    planned = planned_lrs(recipe)
    np.testing.assert_allclose(used[WARMUP:], planned[WARMUP:], rtol=1e-9, atol=1e-18)
    assert np.all(planned[:WARMUP] < used[:WARMUP])
    assert np.all(used[:WARMUP] < planned[1 : WARMUP + 1])


@pytest.mark.parametrize("curve", HELD)
def test_its_mup_lr_is_the_planned_one_at_every_step(curve: str) -> None:
    recipe = with_curve(curve)
    options = formula_options(written("nanogpt-mup", recipe))
    used = formulas.nanogpt(np.arange(STEPS, dtype=float), first=0, **options)
    np.testing.assert_allclose(used, planned_lrs(recipe), rtol=1e-9, atol=1e-18)


def test_without_decay_it_starts_at_the_peak() -> None:
    fields = written("nanogpt", replace(PLAN, curve=replace(CURVES["constant"], warmup_steps=0)))
    assert fields["decay_lr"] is False
    assert fields["learning_rate"] == PLAN.peak_lr
