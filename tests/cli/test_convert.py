"""`convert`: values by tensor class and the batch survive from trainer to trainer, or it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SHAPE = ("--base-width", "256", "--width", "2048", "--depth", "24", "--base-depth", "4")
LAW = ("--law", "power-scheduler", "--batch-tokens", "1048576", "--schedule", "cosine")
PROXY = ("--proxy-schedule", "cosine:final_ratio=0.1")
TARGET = ("--params", "1e9", "--tokens", "1e11")
MACHINE = ("--world-size", "8", "--micro-batch", "4", "--seq-len", "4096")


@pytest.fixture
def plan(run: Run) -> Run:
    """A function that runs the program where `NAME.yaml` holds a plan in parametrization NAME."""
    for name in ("mup", "nanogpt-mup", "megatron-mup", "sp"):
        law = ("--law", "step-law") if name == "sp" else (*LAW, *PROXY)
        made = run("plan", *law, *TARGET, "--parametrization", name, *SHAPE, "-o", f"{name}.yaml")
        assert made.code == 0, made.err
    return run


def _groups(run: Run, file: str, tmp_path: Path) -> dict[str, dict[str, float]]:
    outcome = run("convert", file, "--to", "param-groups", *MACHINE, "-o", "groups.json", "--force")
    assert outcome.code == 0, outcome.err
    groups = json.loads((tmp_path / "groups.json").read_text()).get("groups", {})
    return {
        name: {key: group[key] for key in ("lr", "weight_decay", "eps")} for name, group in groups.items()
    }


@pytest.mark.parametrize(
    "chain", [["olmo-core"], ["torchtitan-py"], ["param-groups", "torchtitan-py", "olmo-core"]]
)
def test_values_by_tensor_class_survive_where_both_hold_them(
    plan: Run, tmp_path: Path, chain: list[str]
) -> None:
    planned, file = _groups(plan, "mup.yaml", tmp_path), "mup.yaml"
    assert len({group["lr"] for group in planned.values()}) == 2
    for step, name in enumerate(chain):
        written = f"step{step}" + (".py" if name == "torchtitan-py" else ".json")
        outcome = plan("convert", file, "--to", name, *MACHINE, "-o", written)
        assert outcome.code == 0, outcome.err
        file = written
    survived = _groups(plan, file, tmp_path)
    for name, group in survived.items():
        assert group == planned[name], name
    assert {"embedding", "attention_q", "mlp_down", "vector", "readout"} <= survived.keys()


def test_a_trainers_own_rules_are_worked_out(plan: Run, tmp_path: Path) -> None:
    planned = _groups(plan, "nanogpt-mup.yaml", tmp_path)
    assert plan("convert", "nanogpt-mup.yaml", "--to", "nanogpt-mup", *MACHINE, "-o", "a.py").code == 0
    assert _groups(plan, "a.py", tmp_path) == planned
    again = plan("convert", "a.py", "--to", "nanogpt-mup", *MACHINE)
    assert "mup_width_multiplier = 8.0\n" in again.out
    assert plan("convert", "megatron-mup.yaml", "--to", "megatron", *MACHINE, "-o", "a.sh").code == 0
    assert "--use-mup" in plan("convert", "a.sh", "--to", "megatron", *MACHINE).out
    script = (tmp_path / "a.sh").read_text().replace("--use-mup", "--use-mup --hidden-size 2048")
    (tmp_path / "a.sh").write_text(script)
    assert _groups(plan, "a.sh", tmp_path) == _groups(plan, "megatron-mup.yaml", tmp_path)


def test_what_gets_lost_is_said(plan: Run) -> None:
    lost = plan("convert", "mup.yaml", "--to", "litgpt", *MACHINE)
    assert (
        "warning [not-expressed]: litgpt pretrain (YAML) has one LR and weight decay for all tensors"
        in lost.err
    )
    other_rules = plan("convert", "mup.yaml", "--to", "megatron", *MACHINE)
    assert "warning [not-expressed]" in other_rules.err
    assert plan("convert", "megatron-mup.yaml", "--to", "megatron", *MACHINE, "-o", "a.sh").code == 0
    unknown = plan("convert", "a.sh", "--to", "olmo-core", *MACHINE)
    assert (
        "come from the rules of megatron-mup, and the sizes that they scale with are not known" in unknown.err
    )
    kept = plan("convert", "sp.yaml", "--to", "litgpt", *MACHINE)
    assert "not-expressed" not in kept.err


def test_the_batch_stays_when_the_ranks_change(plan: Run, tmp_path: Path) -> None:
    assert plan("convert", "sp.yaml", "--to", "hf", *MACHINE, "-o", "eight.json").code == 0
    ranks = ("--from-world-size", "8", "--world-size", "32", "--micro-batch", "2", "--seq-len", "4096")
    there = plan("convert", "eight.json", "--to", "hf", *ranks, "-o", "more.json")
    assert there.code == 0, there.err
    eight, more = (json.loads((tmp_path / name).read_text()) for name in ("eight.json", "more.json"))
    assert more["per_device_train_batch_size"] == 2
    assert more["learning_rate"] == eight["learning_rate"]
    sequences = [
        ranks * c["per_device_train_batch_size"] * c["gradient_accumulation_steps"]
        for ranks, c in ((8, eight), (32, more))
    ]
    assert sequences[0] == sequences[1]
    without = plan("convert", "eight.json", "--to", "litgpt", "--seq-len", "4096")
    assert without.code == 2
    assert "--from-world-size" in without.err
