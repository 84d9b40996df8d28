"""Values by tensor class through patterns, as the trainers apply them to the names of their models."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pytest

from hptransfer.errors import InputError
from hptransfer.trainers import FORMATS, Recipe, merged_config, read_text_as, recipe_from, write_config
from hptransfer.trainers.tensor_names import base_group, group_of, is_same
from tests.trainers.recipes import MACHINE, RECIPE, RULE_SETS, WSD, parametrized

# `named_parameters()` of OLMo-core 3.0.0's llama2_271M and olmo2_190M, one block, and their classes
OLMO = {
    "embeddings.weight": "embedding",
    "blocks.0.attention.w_q.weight": "attention_q",
    "blocks.0.attention.w_k.weight": "attention_k",
    "blocks.11.attention.w_v.weight": "attention_v",
    "blocks.0.attention.w_out.weight": "attention_o",
    "blocks.0.attention.q_norm.weight": "vector",
    "blocks.0.attention_norm.weight": "vector",
    "blocks.0.feed_forward.w1.weight": "mlp_up",
    "blocks.0.feed_forward.w2.weight": "mlp_down",
    "blocks.0.feed_forward.w3.weight": "mlp_up",
    "blocks.0.feed_forward_norm.weight": "vector",
    "lm_head.norm.weight": "final_norm",
    "lm_head.w_out.weight": "readout",
}
# torchtitan 0.3.0, models/llama3/state_dict_adapter.py
TITAN = {
    "tok_embeddings.weight": "embedding",
    "layers.0.attention.qkv_linear.wq.weight": "attention_q",
    "layers.7.attention.qkv_linear.wk.weight": "attention_k",
    "layers.0._checkpoint_wrapped_module.attention.qkv_linear.wv.weight": "attention_v",
    "layers.0.attention.wo.weight": "attention_o",
    "layers.0.feed_forward.w1.weight": "mlp_up",
    "layers.0.feed_forward.w3.weight": "mlp_up",
    "layers.0.feed_forward.w2.weight": "mlp_down",
    "layers.0.attention_norm.weight": "vector",
    "layers.0.ffn_norm.weight": "vector",
    "norm.weight": "final_norm",
    "lm_head.weight": "readout",
}
PLANS = [parametrized(RECIPE, name) for name in RULE_SETS]


@pytest.mark.parametrize("recipe", PLANS, ids=RULE_SETS)
def test_olmo_core_gives_every_tensor_the_values_of_its_class(recipe: Recipe) -> None:
    """A tensor in two groups, and a pattern that takes none, are errors in OLMo-core."""
    text = write_config(recipe, FORMATS["olmo-core"], MACHINE).text
    groups = json.loads(text)["train_module"]["optim"].get("group_overrides", [])
    base = base_group(recipe)
    for tensor, tensor_class in OLMO.items():
        takers = [g["opts"] for g in groups if any(fnmatch(tensor, pattern) for pattern in g["params"])]
        assert len(takers) <= 1
        got = replace(base, **takers[0]) if takers else base
        wanted = group_of(recipe.groups or {}, tensor_class)
        assert wanted is not None
        assert is_same(got, wanted), tensor
    patterns = [pattern for group in groups for pattern in group["params"]]
    assert all(any(fnmatch(tensor, pattern) for tensor in OLMO) for pattern in patterns)


@pytest.mark.parametrize("recipe", PLANS, ids=RULE_SETS)
def test_torchtitan_gives_every_tensor_the_values_of_its_class(recipe: Recipe) -> None:
    """The first pattern that is found in a name counts; a group that takes no tensor is an error there."""
    groups = _calls(write_config(recipe, FORMATS["torchtitan-py"], MACHINE).text)
    taken = set()
    for tensor, tensor_class in TITAN.items():
        number = next((n for n, g in enumerate(groups) if re.search(g["pattern"], tensor)), None)
        wanted = group_of(recipe.groups or {}, tensor_class)
        assert wanted is not None
        if number is None:
            assert is_same(wanted, base_group(recipe))
            continue
        taken.add(number)
        options = groups[number]["optimizer_kwargs"]
        assert options.pop("betas", [RECIPE.beta1, RECIPE.beta2]) == [RECIPE.beta1, RECIPE.beta2]
        groups[number]["optimizer_kwargs"] = options
        assert is_same(replace(wanted, **options), wanted), tensor
    assert taken == set(range(len(groups)))


def _calls(text: str) -> list[dict[str, Any]]:
    """The arguments of every ParamGroupConfig in a file."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "ParamGroupConfig"]
    return [{k.arg or "": ast.literal_eval(k.value) for k in call.keywords} for call in named]


@pytest.mark.parametrize("name", ["olmo-core", "torchtitan-py"])
def test_what_is_the_models_own_is_said(name: str) -> None:
    made = write_config(parametrized(RECIPE, "mup"), FORMATS[name], MACHINE)
    (lost,) = [note.message for note in made.notes if note.code == "not-expressed"]
    assert "init std and multipliers (readout 0.125) are the model's own" in lost
    assert made.sidecar is not None
    assert json.loads(made.sidecar)["param_groups"]["readout"]["multiplier"] == 0.125
    made = write_config(parametrized(RECIPE, "mup-moe"), FORMATS[name], MACHINE)
    assert any("no names here for router" in note.message for note in made.notes)


def test_olmo_cores_wsd_ends_at_one_lr_for_all_groups() -> None:
    recipe = replace(parametrized(RECIPE, "mup"), curve=WSD)
    made = write_config(recipe, FORMATS["olmo-core"], MACHINE)
    assert "curve-differs" in {note.code for note in made.notes}


def test_groups_that_somebody_else_wrote_are_understood() -> None:
    """From torchtitan 0.3.0's own qwen3 config: a pattern over several classes, the first one counting."""
    text = """
optimizer = OptimizersContainer.Config(param_groups=[
    ParamGroupConfig(pattern=r"(?:tok_embeddings|lm_head)\\\\.", optimizer_name="AdamW",
        optimizer_kwargs={"lr": 8e-4, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.0}),
    ParamGroupConfig(pattern=r".*", optimizer_name="AdamW",
        optimizer_kwargs={"lr": 4e-4, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 0.1}),
])
""".replace("\\\\", "\\")
    reading = read_text_as(text, "x.py", FORMATS["torchtitan-py"], MACHINE)
    assert reading.groups["embedding"].values["lr"].value == 8e-4
    assert reading.groups["readout"].values["weight_decay"].value == 0.0
    assert reading.groups["mlp_up"].values["lr"].line == 6
    assert (reading.get("peak_lr"), reading.get("beta2")) == (4e-4, 0.98)


def test_groups_survive_from_one_trainer_to_another() -> None:
    planned = parametrized(RECIPE, "completep")
    text = write_config(planned, FORMATS["olmo-core"], MACHINE).text
    read = recipe_from(read_text_as(text, "a.json", FORMATS["olmo-core"], MACHINE))
    assert (
        write_config(read, FORMATS["torchtitan-py"], MACHINE).text.partition("\n\n")[2]
        == write_config(planned, FORMATS["torchtitan-py"], MACHINE).text.partition("\n\n")[2]
    )


def test_groups_go_into_a_base_and_imports_with_them() -> None:
    base = (
        '"""Mine."""\nfrom torchtitan.components.optimizer import default_adamw\nimport os\n\n\ndef run():\n'
        "    return Trainer.Config(\n        optimizer=default_adamw(lr=8e-4),  # mine\n"
        "        lr_scheduler=LRSchedulersContainer.Config(),\n        training=TrainingConfig(),\n    )\n"
    )
    made = merged_config(
        parametrized(RECIPE, "mup"), FORMATS["torchtitan-py"], MACHINE, base=base, name="x.py"
    )
    lines = made.text.splitlines()
    assert lines[3:5] == [
        "from torchtitan.components.optimizer import LRSchedulersContainer, OptimizersContainer, "
        "ParamGroupConfig",
        "from torchtitan.config import TrainingConfig",
    ]
    assert "        ),  # mine" in lines
    assert len(_calls(made.text)) == 2
    again = merged_config(
        parametrized(RECIPE, "mup"), FORMATS["torchtitan-py"], MACHINE, base=made.text, name="x.py"
    )
    assert again.text == made.text


def test_an_own_lr_of_some_tensors_is_refused_and_an_own_weight_decay_stays() -> None:
    text = write_config(RECIPE, FORMATS["olmo-core"], MACHINE).text
    at = '"eps": 1.0e-08'
    decay = ', "group_overrides": [{"params": ["embeddings.weight"], "opts": {"weight_decay": 0.0}}]'
    kept = merged_config(RECIPE, FORMATS["olmo-core"], MACHINE, base=text.replace(at, at + decay), name="b")
    assert decay in kept.text
    other = decay.replace("weight_decay", "lr")
    with pytest.raises(InputError, match=r"line 8, .*opts\.lr: gives embeddings\.weight their own lr, 0\.0"):
        merged_config(RECIPE, FORMATS["olmo-core"], MACHINE, base=text.replace(at, at + other), name="b")
