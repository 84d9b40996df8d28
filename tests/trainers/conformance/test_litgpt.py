"""What we write for litgpt, by its own parser and its own LR function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hptransfer.trainers import FORMATS, write_config
from tests.trainers.conformance.curves import MACHINE, PLAN, WARMUP, held, planned_lrs, with_curve, written

pytestmark = pytest.mark.trainers


def test_the_parser_takes_every_value(tmp_path: Path) -> None:
    file = tmp_path / "litgpt.yaml"
    file.write_text(write_config(PLAN, FORMATS["litgpt"], MACHINE).text)
    program = [
        sys.executable,
        "-m",
        "litgpt",
        "pretrain",
        "pythia-14m",
        "--config",
        str(file),
        "--print_config",
    ]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    content = yaml.safe_load(done.stdout)
    train, options = content["train"], content["optimizer"]["init_args"]
    assert float(options["lr"]) == PLAN.peak_lr
    assert float(options["weight_decay"]) == PLAN.weight_decay
    assert options["betas"] == [PLAN.beta1, PLAN.beta2]
    assert float(options["eps"]) == PLAN.eps
    assert train["global_batch_size"] * train["max_seq_length"] == PLAN.batch_tokens
    assert train["max_tokens"] == PLAN.steps * PLAN.batch_tokens
    assert (train["lr_warmup_steps"], float(train["max_norm"])) == (WARMUP, PLAN.grad_clip)


@pytest.mark.parametrize("name", held("litgpt"))
@pytest.mark.parametrize("accumulation", [1, 4])
def test_its_lr_is_the_planned_one_or_up_to_a_step_ahead(name: str, accumulation: int) -> None:
    """litgpt counts micro-steps: a step takes the LR of its last one."""
    from litgpt.pretrain import get_lr

    recipe, fields = with_curve(name), written("litgpt", with_curve(name))
    warmup, steps = recipe.curve.warmup_steps, recipe.steps
    assert fields["train.lr_warmup_steps"] == warmup
    at = [
        get_lr(
            fields["optimizer.init_args.lr"],
            it,
            warmup_iters=warmup * accumulation,
            max_iters=steps * accumulation,
            min_lr=fields["train.min_lr"],
        )
        for it in range(accumulation - 1, steps * accumulation, accumulation)
    ]
    planned = planned_lrs(recipe)
    if accumulation == 1:
        np.testing.assert_allclose(at, planned, rtol=1e-9, atol=1e-18)
    following = np.append(planned[1:], recipe.final_lr)
    low, high = np.minimum(planned, following), np.maximum(planned, following)
    assert np.all((low * (1 - 1e-9) <= at) & (at <= high * (1 + 1e-9)))
