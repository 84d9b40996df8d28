"""What we write for Megatron-LM, by the source of its released wheel: its flags and its scheduler."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import numpy as np
import pytest

from hptransfer.trainers import FORMATS, Recipe, read_text_as, write_config
from tests.trainers.conformance.curves import CURVES, MACHINE, held, planned_lrs, with_curve
from tests.trainers.conformance.wheels import WHEELS, annotated_names, definition

pytestmark = pytest.mark.trainers
FLAG_SOURCES = (
    "megatron/training/arguments.py",
    "megatron/training/config/*.py",
    "megatron/core/transformer/transformer_config.py",
    "megatron/core/optimizer/optimizer_config.py",
    "megatron/core/model_parallel_config.py",
)


def known_flags() -> set[str]:
    """Flags that are added by hand, and annotated fields, from which it makes the others."""
    texts = [file.read_text() for source in FLAG_SOURCES for file in WHEELS.glob(source)]
    assert texts, f"no unpacked megatron-core in {WHEELS}: run make test-trainers"
    flags: set[str] = set()
    for text in texts:
        flags.update(re.findall(r"add_argument\(\s*['\"](--[\w-]+)", text))
        flags.update("--" + name.replace("_", "-") for name in annotated_names(text))
    return flags


def scheduler(recipe: Recipe) -> Any:
    """Its own scheduler, executed from source without the rest of the package, on what we wrote."""
    import torch

    kind = definition(
        "megatron/core/optimizer_param_scheduler.py",
        "OptimizerParamScheduler",
        logging=logging,
        math=math,
        torch=torch,
        logger=logging.getLogger(),
        log_single_rank=lambda *_: None,
    )
    source = read_text_as(
        write_config(recipe, FORMATS["megatron"], MACHINE).text, "x", FORMATS["megatron"]
    ).source
    flag = {f"--{name}": written.value for name, written in source.fields.items()}
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return kind(
        optimizer,
        init_lr=0.0,
        max_lr=flag["--lr"],
        min_lr=flag["--min-lr"],
        lr_warmup_steps=flag["--lr-warmup-iters"],
        lr_decay_steps=flag["--lr-decay-iters"],
        lr_decay_style=flag["--lr-decay-style"],
        start_wd=flag["--weight-decay"],
        end_wd=flag["--weight-decay"],
        wd_incr_steps=flag["--train-iters"],
        wd_incr_style="constant",
        wsd_decay_steps=flag.get("--lr-wsd-decay-iters"),
        lr_wsd_decay_style=flag.get("--lr-wsd-decay-style"),
    )


@pytest.mark.parametrize("name", CURVES)
def test_every_flag_exists(name: str) -> None:
    text = write_config(with_curve(name), FORMATS["megatron"], MACHINE).text
    fields = read_text_as(text, "x", FORMATS["megatron"]).source.fields
    assert {f"--{name}" for name in fields} - known_flags() == set()
    mup = {
        "--use-mup",
        "--mup-base-hidden-size",
        "--mup-embedding-mult",
        "--mup-base-head-dim",
        "--init-method-std",
    }
    assert mup - known_flags() == set()


@pytest.mark.parametrize("name", held("megatron"))
def test_its_scheduler_gives_the_planned_lr_at_every_step(name: str) -> None:
    recipe = with_curve(name)
    made = scheduler(recipe)
    lrs = []
    for _ in range(recipe.steps):
        lrs.append(made.get_lr({}))
        made.step(1)
    np.testing.assert_allclose(lrs, planned_lrs(recipe), rtol=1e-9, atol=1e-18)
