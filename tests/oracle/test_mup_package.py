"""Our values beside those of microsoft/mup 1.0.0 itself, to float precision (make test-oracle)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hptransfer.parametrizations.scaling import GroupOptimizer, Scaling
from hptransfer.parametrizations.spreading import with_param_groups
from hptransfer.planning import Plan, Target, plan
from hptransfer.published import published_law
from tests.oracle.models import perceptron, transformer

pytestmark = pytest.mark.oracle

BASE, WIDTH = 32, 128
LR, DECAY = 3e-3, 0.1
Build = Callable[..., Any]

SHAPES: dict[str, tuple[Build, dict[str, int], dict[str, int]]] = {
    "transformer, square": (transformer, {"ffn": 4 * BASE}, {"ffn": 4 * WIDTH}),
    "transformer, rectangular": (transformer, {"ffn": 4 * BASE}, {"ffn": 2 * WIDTH}),
    "perceptron": (perceptron, {}, {}),
}


def planned(optimizer: GroupOptimizer, rules: str = "mup-package") -> Plan:
    """A plan whose base LR and weight decay are known, from width 32 to 128."""
    law = published_law("power-scheduler")
    one = plan(law, Target(params=1e9, tokens=1e11, batch_tokens=2**20), rounding="none")
    scaling = Scaling(
        rule_set=rules,
        width=WIDTH,
        base_width=BASE,
        optimizer=optimizer,
        base_weight_decay=DECAY,
    )
    return with_param_groups(one, scaling)


def with_shapes(build: Build, base: dict[str, int], target: dict[str, int]) -> tuple[Any, Any]:
    """The target model as mup sees it, and the base model."""
    from mup import MuReadout, set_base_shapes

    delta = {name: 2 * size for name, size in base.items()}
    small = build(BASE, readout=MuReadout, **base)
    model = set_base_shapes(
        build(WIDTH, readout=MuReadout, **target), small, delta=build(2 * BASE, readout=MuReadout, **delta)
    )
    return model, small


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("optimizer", ["MuAdam", "MuAdamW", "MuSGD"])
def test_groups_are_mups_own(shape: str, optimizer: str) -> None:
    import mup

    from hptransfer.torch import tensor_values

    build, base, target = SHAPES[shape]
    model, small = with_shapes(build, base, target)
    ours = planned("sgd" if optimizer == "MuSGD" else "adamw")
    base_lr = ours.rounded.peak_lr
    theirs = getattr(mup, optimizer)(model.parameters(), lr=base_lr, weight_decay=DECAY)
    values = {id(p): (g["lr"], g["weight_decay"]) for g in theirs.param_groups for p in g["params"]}
    mine = tensor_values(model, ours, base_model=small)
    for name, parameter in model.named_parameters():
        got = (mine[name].values.lr, mine[name].values.weight_decay)
        assert got == pytest.approx(values[id(parameter)], rel=1e-12), name


@pytest.mark.parametrize("shape", SHAPES)
def test_groups_run_in_the_real_optimizers(shape: str) -> None:
    """The same LRs reach torch.optim.AdamW and SGD, every parameter once."""
    import torch

    from hptransfer.torch import param_groups

    build, base, target = SHAPES[shape]
    model, small = with_shapes(build, base, target)
    optimizers: dict[GroupOptimizer, Any] = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    for name, optimizer in optimizers.items():
        made = optimizer(param_groups(model, planned(name), base_model=small))
        assert sum(len(g["params"]) for g in made.param_groups) == len(list(model.parameters()))
        before = {id(p): g["lr"] for g in made.param_groups for p in g["params"]}
        schedule = torch.optim.lr_scheduler.LambdaLR(made, lambda _: 0.5)
        after = {id(p): g["lr"] for g in made.param_groups for p in g["params"]}
        assert all(after[key] == pytest.approx(before[key] / 2) for key in before)
        assert schedule is not None


@pytest.mark.parametrize("shape", SHAPES)
def test_init_stds_are_mups(shape: str) -> None:
    """mup.init.normal_ with the base std draws each matrix with the std that the plan names."""
    import mup
    import torch

    from hptransfer.torch import tensor_values

    build, base, target = SHAPES[shape]
    model, small = with_shapes(build, base, target)
    mine = tensor_values(model, planned("adamw"), base_model=small)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            continue
        torch.manual_seed(0)
        mup.init.normal_(parameter, std=0.02)
        theirs = parameter.detach().clone()
        torch.manual_seed(0)
        std = mine[name].values.init_std
        assert std is not None
        expected = torch.empty_like(theirs).normal_(0.0, 1.0) * std
        assert torch.allclose(theirs, expected, rtol=1e-5, atol=0), name


def test_readouts_scale_as_mureadout() -> None:
    """MuReadout(x) = W (x / m) + b; our hook on a plain linear layer does the same."""
    import torch
    from torch import nn

    from hptransfer.torch import apply_multipliers, tensor_values

    model, _ = with_shapes(perceptron, {}, {})
    plain_model, plain_base = perceptron(WIDTH), perceptron(BASE)
    plain_model.load_state_dict(model.state_dict())
    values = tensor_values(plain_model, planned("adamw"), base_model=plain_base)
    apply_multipliers(plain_model, values)
    x = torch.randn(7, 8)
    assert torch.allclose(plain_model(x), model(x), rtol=1e-6, atol=1e-7)
    assert isinstance(plain_model[-1], nn.Linear)


def test_at_the_base_width_nothing_changes() -> None:
    from hptransfer.torch import tensor_values

    small = transformer(BASE, ffn=4 * BASE)
    one = planned("adamw")
    assert one.param_groups is not None
    same = with_param_groups(one, one.param_groups.scaling.model_copy(update={"width": BASE}))
    for item in tensor_values(small, same, base_model=transformer(BASE, ffn=4 * BASE)).values():
        assert item.values.lr == one.rounded.peak_lr
        assert item.multiplier == 1.0


def test_models_that_do_not_match_and_unknown_classes_are_errors() -> None:
    from hptransfer.errors import UsageError
    from hptransfer.torch import tensor_values

    one = planned("adamw")
    with pytest.raises(UsageError, match="no parameter like"):
        tensor_values(transformer(WIDTH, ffn=WIDTH), one, base_model=perceptron(BASE))
    with pytest.raises(UsageError, match="Did you mean 'hidden'"):
        tensor_values(perceptron(WIDTH), one, base_model=perceptron(BASE), patterns={"hiden": "2"})
