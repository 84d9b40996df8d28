"""A parametrized plan in OLMo-core's and torchtitan's optimizers: every tensor has its class's values."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hptransfer.trainers import FORMATS, Recipe, write_config
from hptransfer.trainers.tensor_names import group_of
from tests.trainers.conformance.curves import MACHINE, PLAN
from tests.trainers.recipes import RULE_SETS, parametrized
from tests.trainers.test_tensor_names import OLMO, TITAN

pytestmark = pytest.mark.trainers
PLANS = [parametrized(PLAN, name) for name in RULE_SETS]


def assert_planned(
    model: Any, groups: Iterable[Mapping[str, Any]], recipe: Recipe, classes: Mapping[str, str]
) -> None:
    """Every parameter is in a group, with the LR, weight decay and epsilon of its class."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_layer = {in_any_layer(name): tensor_class for name, tensor_class in classes.items()}
    taken = {names[id(parameter)]: group for group in groups for parameter in group["params"]}
    assert set(taken) == set(names.values())
    for name, group in taken.items():
        planned = group_of(recipe.groups or {}, by_layer[in_any_layer(name)])
        assert planned is not None
        for key in ("lr", "weight_decay", "eps"):
            assert group[key] == pytest.approx(getattr(planned, key), rel=1e-12), (name, key)
        assert tuple(group["betas"]) == (recipe.beta1, recipe.beta2)


def in_any_layer(name: str) -> str:
    """The name of a parameter's counterpart in the first layer."""
    return re.sub(r"\.\d+\.", ".0.", name).replace("_checkpoint_wrapped_module.", "")


@pytest.mark.parametrize("recipe", PLANS, ids=RULE_SETS)
def test_olmo_cores_optimizer_has_every_tensor_classs_values(recipe: Recipe) -> None:
    from olmo_core.nn.transformer import TransformerConfig
    from olmo_core.train.train_module import TransformerTrainModuleConfig

    content = json.loads(write_config(recipe, FORMATS["olmo-core"], MACHINE).text)
    module = TransformerTrainModuleConfig.from_dict(content["train_module"])
    sizes = {"d_model": 32, "vocab_size": 64, "n_layers": 2, "n_heads": 2}
    model = TransformerConfig.llama_like(**sizes).build(init_device="cpu")
    assert_planned(model, module.optim.build(model).param_groups, recipe, OLMO)


@pytest.mark.parametrize("recipe", PLANS, ids=RULE_SETS)
def test_torchtitans_optimizer_has_every_tensor_classs_values(recipe: Recipe, tmp_path: Path) -> None:
    """On parameters with the names of its llama3, which cannot be imported without triton."""
    file = tmp_path / "planned.py"
    file.write_text(write_config(recipe, FORMATS["torchtitan-py"], MACHINE).text)
    config = runpy.run_path(str(file))["optimizer"]
    config.implementation = "for-loop"  # the others need a GPU
    model = with_parameters(TITAN)
    (optimizer,) = config.build(model_parts=[model])
    assert_planned(model, optimizer.param_groups, recipe, TITAN)


def with_parameters(names: Iterable[str]) -> Any:
    """A model of single numbers with these names."""
    import torch

    model = torch.nn.Module()
    for name in names:
        *above, last = name.split(".")
        owner = model
        for part in above:
            if not hasattr(owner, part):
                owner.add_module(part, torch.nn.Module())
            owner = getattr(owner, part)
        owner.register_parameter(last, torch.nn.Parameter(torch.zeros(1)))
    return model
