"""The neutral JSON: everything a plan says, by tensor class."""

from __future__ import annotations

import json
from dataclasses import replace

from hptransfer.trainers import FORMATS, Machine, read_text_as, write_config
from hptransfer.trainers.recipe import TensorGroup
from tests.trainers.recipes import RECIPE, WSD

FORM = FORMATS["param-groups"]
GROUPS = {
    "embedding": TensorGroup(lr=8e-4, weight_decay=0.06, eps=1e-8, init_std=0.02),
    "hidden": TensorGroup(lr=1e-4, weight_decay=0.5, eps=1e-9, multiplier=0.25),
}


def test_every_value_of_every_tensor_class_is_in_the_file() -> None:
    made = write_config(replace(RECIPE, groups=GROUPS, curve=WSD), FORM, Machine())
    assert made.notes == ()
    content = json.loads(made.text)
    assert content["groups"]["embedding"] == {
        "lr": 8e-4,
        "weight_decay": 0.06,
        "eps": 1e-8,
        "init_std": 0.02,
        "multiplier": 1.0,
    }
    assert content["groups"]["hidden"]["init_std"] is None  # left to the model
    assert content["schedule"] == {
        "name": "wsd",
        "warmup_steps": 100,
        "final_lr_ratio": 0.1,
        "decay": "linear",
        "decay_steps": 400,
    }


def test_tensor_classes_are_read_back_with_their_lines() -> None:
    text = write_config(replace(RECIPE, groups=GROUPS), FORM, Machine()).text
    groups = read_text_as(text, "groups.json", FORM).groups
    assert {name: group.values["lr"].value for name, group in groups.items()} == {
        "embedding": 8e-4,
        "hidden": 1e-4,
    }
    lr = groups["hidden"].values["lr"]
    assert lr.field == "groups.hidden.lr"
    assert lr.line is not None
    assert '"lr": ' in text.splitlines()[lr.line - 1]
