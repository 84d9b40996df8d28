"""What we write for Levanter, by its development release's records and its own LR function over optax."""

from __future__ import annotations

import abc
import warnings
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe
from tests.trainers.conformance.curves import CURVES, held, planned_lrs, with_curve, written
from tests.trainers.conformance.wheels import definition, record_fields

pytestmark = pytest.mark.trainers
OPTIMIZER = "levanter/optim/config.py"


def schedule(recipe: Recipe) -> Any:
    """What its optimizer record makes of the fields; the registry that it is in plays no part."""
    import optax

    lengths = definition(OPTIMIZER, "_convert_frac_or_steps")
    kind = definition(
        OPTIMIZER,
        "OptimizerConfig",
        abc=abc,
        dataclass=dataclass,
        draccus=SimpleNamespace(ChoiceRegistry=type("Registry", (), {})),
        optax=optax,
        warnings=warnings,
        _convert_frac_or_steps=lengths,
    )
    built = type("Built", (kind,), {"build": None})
    known = record_fields(OPTIMIZER, "OptimizerConfig")
    fields = {name.removeprefix("optimizer."): value for name, value in written("levanter", recipe).items()}
    return built(**{name: value for name, value in fields.items() if name in known}).lr_scheduler(
        recipe.steps
    )


@pytest.mark.parametrize("name", held("levanter"))
def test_every_field_is_one_of_its_records(name: str) -> None:
    assert FORMATS["levanter"].version == "levanter 1.2.dev1644"
    optimizer = record_fields(OPTIMIZER, "OptimizerConfig") | record_fields(OPTIMIZER, "AdamConfig")
    known = {f"optimizer.{name}" for name in optimizer | {"type"}}
    known |= {f"trainer.{name}" for name in record_fields("levanter/trainer.py", "TrainerConfig")}
    assert set(written("levanter", with_curve(name))) - known == set()


@pytest.mark.parametrize("name", held("levanter"))
def test_its_schedule_gives_the_planned_lr_at_every_step(name: str) -> None:
    recipe = with_curve(name)
    made = schedule(recipe)
    used = [float(made(step)) for step in range(recipe.steps)]
    np.testing.assert_allclose(used, planned_lrs(recipe), rtol=1e-5, atol=1e-10)  # it counts in 32 bits


def test_a_length_of_one_step_is_not_the_whole_run() -> None:
    curve = replace(CURVES["wsd"], warmup_steps=1, decay_steps=1)
    recipe = replace(with_curve("wsd"), curve=curve)
    made = schedule(recipe)
    used = [float(made(step)) for step in range(recipe.steps)]
    assert used == pytest.approx([0.0, *[recipe.peak_lr] * (recipe.steps - 1)], rel=1e-5)
