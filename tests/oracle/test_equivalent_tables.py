"""Tables 3, 8 and 9 of Tensor Programs V train the same network: losses agree to 1e-9 (make test-oracle)."""

from __future__ import annotations

from typing import Any

import pytest

from hptransfer.parametrizations.grouping import Base, ParamGroups, param_groups
from hptransfer.parametrizations.scaling import GroupOptimizer, Scaling

pytestmark = pytest.mark.oracle

BASE_WIDTH, WIDTH, STEPS = 64, 256, 6
LAYERS = {
    "w1": "embedding",
    "b1": "vector",
    "w2": "hidden",
    "b2": "vector",
    "w3": "readout",
    "b3": "readout_bias",
}
TABLES = ("mup-table-3", "mup", "mup-table-9")


def groups(rules: str, optimizer: GroupOptimizer, *, lr: float) -> ParamGroups:
    scaling = Scaling(rule_set=rules, width=WIDTH, base_width=BASE_WIDTH, optimizer=optimizer)
    return param_groups(scaling, Base(lr=lr, init_std=1.0, weight_decay=0.1, eps=1e-3))


def losses(rules: str, optimizer: GroupOptimizer) -> list[float]:
    """Train a tanh network with each tensor used as multiplier * w, in double precision."""
    import torch

    torch.manual_seed(0)
    double = torch.float64
    x, y = torch.randn(32, 8, dtype=double), torch.randn(32, 5, dtype=double)
    unit = {
        "w1": torch.randn(WIDTH, 8, dtype=double) / 8**0.5,
        "b1": 0.1 * torch.randn(WIDTH, dtype=double),
        "w2": torch.randn(WIDTH, WIDTH, dtype=double) / BASE_WIDTH**0.5,
        "b2": 0.1 * torch.randn(WIDTH, dtype=double),
        "w3": torch.randn(5, WIDTH, dtype=double) / BASE_WIDTH**0.5,
        "b3": torch.zeros(5, dtype=double),
    }
    made = groups(rules, optimizer, lr=1e-2 if optimizer == "adamw" else 0.1).groups
    tensors, settings = {}, []
    for name, tensor_class in LAYERS.items():
        one = made[tensor_class]
        std = 1.0 if one.init_std is None else one.init_std
        tensors[name] = (unit[name] * std).requires_grad_()
        group: dict[str, Any] = {"params": [tensors[name]], "lr": one.lr, "weight_decay": one.weight_decay}
        settings.append(group if one.eps is None else {**group, "eps": one.eps})
    steps = (torch.optim.AdamW if optimizer == "adamw" else torch.optim.SGD)(settings)

    def used(name: str) -> Any:
        return tensors[name] * (made[LAYERS[name]].multiplier or 1.0)

    found = []
    for _ in range(STEPS):
        hidden = torch.tanh(x @ used("w1").T + used("b1"))
        hidden = torch.tanh(hidden @ used("w2").T + used("b2"))
        loss = ((hidden @ used("w3").T + used("b3") - y) ** 2).mean()
        steps.zero_grad()
        loss.backward()
        steps.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_three_tables_train_the_same_function(optimizer: GroupOptimizer) -> None:
    """Epsilon (1e-3, far from negligible) and weight decay (0.1) are scaled and part of the proof."""
    first, *others = (losses(rules, optimizer) for rules in TABLES)
    assert first[-1] < first[0]
    for other in others:
        assert other == pytest.approx(first, rel=1e-9)


def test_a_wrong_exponent_is_seen() -> None:
    """The proof can fail: another rule set's losses differ at once."""
    assert losses("mup-package", "adamw") != pytest.approx(losses("mup", "adamw"), rel=1e-6)
