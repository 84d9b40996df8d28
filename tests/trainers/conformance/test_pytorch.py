"""A plan's tensor classes in a plain PyTorch training: every group logs its planned LR at every step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hptransfer.config import LawReference, TrainConfig, config_from_plan
from hptransfer.parametrizations.scaling import Scaling
from hptransfer.parametrizations.spreading import with_param_groups
from hptransfer.planning import Target, plan
from hptransfer.published import published_law
from hptransfer.schedules import schedule
from hptransfer.trainers import FORMATS, Curve, Machine, recipe_of, write_config

pytestmark = pytest.mark.trainers
BASE_WIDTH, WIDTH, VOCABULARY = 8, 32, 16
STEPS, WARMUP, FLOOR = 20, 4, 0.1
CLASSES = {
    "tokens.weight": "embedding",
    "hidden.weight": "hidden",
    "norm.weight": "vector",
    "norm.bias": "vector",
    "readout.weight": "readout",
}


def planned() -> TrainConfig:
    """A plan under muP for a model four times as wide as its proxy."""
    law = published_law("power-scheduler")
    one = plan(law, Target(params=1e9, tokens=1e10, batch_tokens=2**20), rounding="none")
    scaling = Scaling(rule_set="mup", width=WIDTH, base_width=BASE_WIDTH, base_weight_decay=0.1)
    reference = LawReference(id=law.id, digest="sha256:of-no-matter-here")
    return config_from_plan(with_param_groups(one, scaling), reference)


def written(config: TrainConfig) -> dict[str, Any]:
    """The neutral file, for a run of 20 steps."""
    recipe = replace(recipe_of(config), curve=Curve("cosine", WARMUP, FLOOR), steps=STEPS)
    content: dict[str, Any] = json.loads(write_config(recipe, FORMATS["param-groups"], Machine()).text)
    return content


def factors() -> NDArray[np.float64]:
    """LR over its group's own at every step, in closed form."""
    step = np.arange(STEPS)
    turn = np.pi * (step - WARMUP) / (STEPS - WARMUP)
    return np.where(step < WARMUP, step / WARMUP, FLOOR + (1 - FLOOR) * (1 + np.cos(turn)) / 2)


def model(width: int) -> Any:
    """Next-token logits from one token, with a tensor of every class."""
    import torch
    from torch import nn

    torch.manual_seed(0)

    class Net(nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, width)
            self.hidden = nn.Linear(width, width, bias=False)
            self.norm = nn.LayerNorm(width)
            self.readout = nn.Linear(width, VOCABULARY, bias=False)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.readout(self.norm(self.hidden(self.tokens(tokens)).relu()))
            return logits

    return Net()


def trained(net: Any, optimizer: Any, content: dict[str, Any]) -> Iterator[dict[str, float]]:
    """Train, and yield the LR of every group by name at every step."""
    import torch

    kind = dict(content["schedule"])
    name, final_ratio = kind.pop("name"), kind.pop("final_lr_ratio")
    curve = schedule(name, steps=content["steps"], final_ratio=final_ratio, **kind)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, curve.multiplier_at)
    text = torch.randint(VOCABULARY, (STEPS + 1, 64), generator=torch.Generator().manual_seed(0))
    for step in range(content["steps"]):
        loss = torch.nn.functional.cross_entropy(net(text[step]), text[step + 1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), content["grad_clip"])
        yield {group["name"]: group["lr"] for group in optimizer.param_groups}
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()


def assert_planned(logged: list[dict[str, float]], content: dict[str, Any]) -> None:
    """Every class of every group has its LR of the file times the curve."""
    seen = set()
    for name in logged[0]:
        for tensor_class in name.split(", "):
            expected = content["groups"][tensor_class]["lr"] * factors()
            np.testing.assert_allclose([lrs[name] for lrs in logged], expected, rtol=1e-9, atol=1e-18)
            seen.add(tensor_class)
    assert seen == set(CLASSES.values())
    assert content["groups"]["hidden"]["lr"] == pytest.approx(content["peak_lr"] * BASE_WIDTH / WIDTH)


def test_a_20_step_training_through_our_groups_logs_the_lrs_of_the_file() -> None:
    import torch

    from hptransfer.torch import param_groups

    config, net = planned(), model(WIDTH)
    optimizer = torch.optim.AdamW(
        param_groups(net, config, base_model=model(BASE_WIDTH)), betas=(config.beta1, config.beta2)
    )
    content = written(config)
    assert_planned(list(trained(net, optimizer, content)), content)


def test_a_20_step_training_from_the_file_alone_logs_its_lrs() -> None:
    import torch

    content, net = written(planned()), model(WIDTH)
    groups = [
        {
            "name": CLASSES[name],
            "params": [parameter],
            **{key: content["groups"][CLASSES[name]][key] for key in ("lr", "weight_decay", "eps")},
        }
        for name, parameter in net.named_parameters()
    ]
    optimizer = torch.optim.AdamW(groups, betas=(content["beta1"], content["beta2"]))
    assert_planned(list(trained(net, optimizer, content)), content)
