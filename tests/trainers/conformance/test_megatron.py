"""What we write for Megatron-LM, by the source of its released wheel: its flags and its scheduler."""

from __future__ import annotations

import fnmatch
import logging
import math
import re
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hptransfer.parametrizations.grouping import Base, param_groups
from hptransfer.parametrizations.scaling import Scaling
from hptransfer.trainers import FORMATS, Recipe, read_text_as, write_config
from hptransfer.trainers.recipe import TensorGroup, Widths
from tests.trainers.conformance.curves import CURVES, MACHINE, PLAN, held, planned_lrs, with_curve, written
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


def mup_plan() -> Recipe:
    """The plan under Megatron's own rules, for a model eight times as wide as its proxy."""
    scaling = Scaling(
        rule_set="megatron-mup",
        width=2048,
        base_width=256,
        depth=24,
        head_dim=128,
        base_head_dim=64,
    )
    base = Base(lr=PLAN.peak_lr, init_std=0.015, weight_decay=PLAN.weight_decay, eps=PLAN.eps)
    groups = {
        name: TensorGroup(
            lr=group.lr or 0.0,
            weight_decay=group.weight_decay or 0.0,
            eps=PLAN.eps if group.eps is None else group.eps,
            init_std=group.init_std,
        )
        for name, group in param_groups(scaling, base).groups.items()
    }
    return replace(PLAN, groups=groups, widths=Widths("megatron-mup", 2048, 256, 128, 64))


def own_values(flags: dict[str, Any], name: str, parameter: Any, width_ratio: float) -> dict[str, float]:
    """LR, weight decay and epsilon that its optimizer's overrides give a tensor."""
    records = "megatron/core/optimizer/optimizer_config.py"
    space = {"dataclass": dataclass, "field": field, "fnmatch": fnmatch}
    for kind in ("ParamPredicate", "ParamWithNamePredicate", "ParamKey"):
        space[kind] = definition(records, kind, **space)
    space |= {"ParamGroupOverride": dict, "is_managed_by_layer_wise_optimizer": lambda _: False}
    source = "megatron/core/optimizer/__init__.py"
    config = SimpleNamespace(
        lr=flags["lr"],
        min_lr=flags["min-lr"],
        adam_eps=flags["adam-eps"],
        decoupled_lr=None,
        apply_wd_to_qk_layernorm=False,
    )
    overrides = {
        **definition(source, "get_standard_config_overrides", **space)(config),
        **definition(source, "get_mup_config_overrides", **space)(config, width_ratio, "adam"),
    }
    own = {"max_lr": flags["lr"], "min_lr": flags["min-lr"], "eps": flags["adam-eps"], "wd_mult": 1.0}
    for key, values in overrides.items():
        if key.matches(parameter, name):
            own |= values
    return own


@pytest.mark.parametrize(
    ("tensor_class", "name", "shape"),
    [
        ("embedding", "embedding.word_embeddings.weight", (8, 4)),
        ("hidden", "decoder.layers.0.self_attention.linear_qkv.weight", (4, 4)),
        ("attention_o", "decoder.layers.0.self_attention.linear_proj.weight", (4, 4)),
        ("mlp_up", "decoder.layers.0.mlp.linear_fc1.weight", (8, 4)),
        ("mlp_down", "decoder.layers.0.mlp.linear_fc2.weight", (4, 8)),
        ("vector", "decoder.layers.0.input_layernorm.weight", (4,)),
        ("readout", "output_layer.weight", (8, 4)),
    ],
)
def test_its_mup_gives_every_tensor_class_the_planned_values(
    tensor_class: str, name: str, shape: tuple[int, ...]
) -> None:
    import torch

    recipe = mup_plan()
    flags, planned = written("megatron", recipe), (recipe.groups or {})[tensor_class]
    assert (flags["use-mup"], flags["mup-base-hidden-size"]) == (True, 256)
    parameter = torch.nn.Parameter(torch.zeros(shape))
    if tensor_class in ("embedding", "readout"):  # as its language model marks them
        parameter.is_embedding_parameter = True
    own = own_values(flags, name, parameter, 2048 / 256)
    assert own["max_lr"] == pytest.approx(planned.lr, rel=1e-12)
    assert own["min_lr"] == pytest.approx(planned.lr * recipe.curve.final_ratio, rel=1e-9)
    assert own["eps"] == pytest.approx(planned.eps, rel=1e-12)
    assert own["wd_mult"] * float(flags["weight-decay"] or 0) == pytest.approx(planned.weight_decay)


def test_its_init_std_is_the_proxys() -> None:
    """Megatron divides it by the square root of the width ratio itself."""
    assert written("megatron", mup_plan())["init-method-std"] == 0.015


@pytest.mark.parametrize("name", held("megatron"))
def test_its_scheduler_gives_the_planned_lr_at_every_step(name: str) -> None:
    recipe = with_curve(name)
    made = scheduler(recipe)
    lrs = []
    for _ in range(recipe.steps):
        lrs.append(made.get_lr({}))
        made.step(1)
    np.testing.assert_allclose(lrs, planned_lrs(recipe), rtol=1e-9, atol=1e-18)
