"""What we write for LLaMA-Factory and axolotl: their released fields, the schedules of transformers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hptransfer.trainers import FORMATS
from tests.trainers.conformance.curves import (
    AFTER_WARMUP,
    CURVES,
    planned_lrs,
    scheduled_lrs,
    with_curve,
    written,
)
from tests.trainers.conformance.wheels import WHEELS, annotated_names

pytestmark = pytest.mark.trainers


def records(pattern: str) -> set[str]:
    """Fields of all records in the files of an unpacked wheel."""
    files = list(WHEELS.glob(pattern))
    assert files, f"no {pattern} in {WHEELS}: run make test-trainers"
    return set().union(*(annotated_names(file.read_text()) for file in files))


def top_level(name: str, curve: str) -> set[str]:
    """Top-level fields of a file."""
    return {path.partition(".")[0] for path in written(name, with_curve(curve))}


@pytest.mark.parametrize("curve", CURVES)
def test_axolotl_has_every_field(curve: str) -> None:
    assert FORMATS["axolotl"].version == "axolotl 0.21.0"
    assert top_level("axolotl", curve) - records("axolotl/utils/schemas/*.py") == set()


@pytest.mark.parametrize("curve", CURVES)
def test_llama_factory_has_every_field(curve: str) -> None:
    from transformers import TrainingArguments

    inherited = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert FORMATS["llama-factory"].version == "llamafactory 0.9.5"
    assert top_level("llama-factory", curve) - records("llamafactory/hparams/*.py") - inherited == set()


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    ("name", "kind"), [("llama-factory", "lr_scheduler_type"), ("axolotl", "lr_scheduler")]
)
def test_the_scheduler_of_transformers_gives_the_planned_lr(name: str, kind: str, curve: str) -> None:
    """Both hand name, options and warm-up to transformers, whose WSD warms up from its floor."""
    recipe, fields = with_curve(curve), written(name, with_curve(curve))
    head = "lr_scheduler_kwargs."
    options = {path.removeprefix(head): value for path, value in fields.items() if path.startswith(head)}
    used = scheduled_lrs(
        fields[kind],
        options,
        peak_lr=recipe.peak_lr,
        warmup_steps=recipe.curve.warmup_steps,
        steps=recipe.steps,
    )
    part = AFTER_WARMUP if curve == "wsd to 0.1" else slice(None)
    np.testing.assert_allclose(used[part], planned_lrs(recipe)[part], rtol=1e-9, atol=1e-18)
