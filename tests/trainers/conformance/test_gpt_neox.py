"""What we write for GPT-NeoX, which is no package, by what its source says."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, read_text_as, write_config
from tests.trainers.conformance import formulas
from tests.trainers.conformance.curves import CURVES, MACHINE, STEPS, held, planned_lrs, with_curve, written

FIELDS = {
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "optimizer",
    "gradient_clipping",
    "weight_decay",
    "lr_decay_style",
    "lr_decay_iters",
    "min_lr",
    "warmup",
    "train_iters",
    "seq_length",
}
"""Of the records in megatron/neox_arguments, those that hyperparameters are."""
OPTIMIZER_FIELDS = {"type", "params.lr", "params.betas.0", "params.betas.1", "params.eps"}


@pytest.mark.parametrize("name", CURVES)
def test_every_field_is_in_its_argument_records(name: str) -> None:
    assert FORMATS["gpt-neox"].version.endswith("ea7aefd")
    known = FIELDS | {f"optimizer.{field}" for field in OPTIMIZER_FIELDS}
    assert set(written("gpt-neox", with_curve(name))) - known == set()


@pytest.mark.parametrize("name", held("gpt-neox"))
def test_its_lr_is_the_planned_one_at_every_step(name: str) -> None:
    recipe = with_curve(name)
    fields = written("gpt-neox", recipe)
    used = formulas.gpt_neox(
        np.arange(STEPS, dtype=float),
        style=str(fields["lr_decay_style"]),
        peak=float(fields["optimizer.params.lr"] or 0),
        floor=float(fields["min_lr"] or 0),
        warmup=float(fields["warmup"] or 0) * STEPS,
        horizon=float(fields["lr_decay_iters"] or 0),
    )
    np.testing.assert_allclose(used, planned_lrs(recipe), rtol=1e-9, atol=1e-18)


def test_a_linear_decay_to_a_floor_is_said_to_be_lost() -> None:
    made = write_config(with_curve("linear"), FORMATS["gpt-neox"], MACHINE)
    assert "lr_decay_style" not in made.text
    assert any("no schedule like the plan's (linear" in note.message for note in made.notes)


def test_a_floor_under_a_linear_decay_is_a_trap() -> None:
    text = write_config(with_curve("d2z"), FORMATS["gpt-neox"], MACHINE).text
    (trap,) = read_text_as(
        text.replace("min_lr: 0.0", "min_lr: 1.0e-5"), "a.yaml", FORMATS["gpt-neox"], MACHINE
    ).traps
    assert (trap.code, trap.field) == ("floor-cuts", "min_lr")
