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
    assert (
        "warning [not-expressed]: Megatron-LM (flags) has one LR and weight decay for all tensors here"
        in other_rules.err
    )
    assert "only, not by mup: plan with --parametrization megatron-mup." in other_rules.err
    listed = {form["format"]: form["lr"] for form in json.loads(plan("formats", "--json").out)}
    assert (listed["megatron"], listed["litgpt"]) == ("by megatron-mup only", "one for all")
    assert listed["olmo-core"] == "by tensor class"
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


def test_the_sequence_length_beside_a_config_is_its_own(run: Run, tmp_path: Path) -> None:
    machine = ("--world-size", "8", "--seq-len", "1024")
    made = run("plan", "--law", "step-law", *TARGET, *machine, "--format", "hf", "-o", "hf.json")
    assert made.code == 0, made.err
    planned = json.loads((tmp_path / "hf.json.hptransfer.json").read_text())["values"]
    other = run("convert", "hf.json", "--to", "param-groups", "--world-size", "8", "--seq-len", "2048")
    assert other.code == 0, other.err
    written = json.loads(other.out)
    assert [written[name] for name in ("batch_tokens", "steps")] == [
        planned["batch_tokens"],
        planned["steps"],
    ]
    assert written["seq_len"] == 2048
    assert "note [seq-len-beside]: hf.json is read in sequences of 1024 tokens" in other.err
    assert "not-as-planned" not in other.err
    without = run("convert", "hf.json", "--to", "param-groups", "--world-size", "8")
    assert json.loads(without.out) == written | {"seq_len": 1024}, without.err
    (tmp_path / "hf.json.hptransfer.json").unlink()
    assert "seq-len-beside" not in run("convert", "hf.json", "--to", "litgpt", *machine).err


@pytest.mark.parametrize("content", ["", "[]", '{"format": "hf", "values": {"seq_len": -1, "steps": "x"}}'])
def test_what_stands_beside_a_config_may_be_anything(run: Run, tmp_path: Path, content: str) -> None:
    machine = ("--world-size", "8", "--seq-len", "1024")
    assert run("plan", "--law", "step-law", *TARGET, *machine, "--format", "hf", "-o", "hf.json").code == 0
    (tmp_path / "hf.json.hptransfer.json").write_text(content)
    outcome = run("convert", "hf.json", "--to", "litgpt", *machine)
    assert outcome.code == 0
    assert "seq-len-beside" not in outcome.err


def test_tokens_that_are_not_the_plans_are_said(run: Run) -> None:
    machine = ("--world-size", "8", "--seq-len", "1024")
    assert run("plan", "--law", "step-law", *TARGET, *machine, "--format", "hf", "-o", "hf.json").code == 0
    outcome = run("convert", "hf.json", "--to", "litgpt", "--world-size", "16")
    assert "warning [not-as-planned]: hf.json trains 2e+11 tokens as it was read, 1e+11" in outcome.err
    assert "Give --from-world-size" in outcome.err


def test_the_micro_batch_stays_where_it_divides(run: Run) -> None:
    machine = ("--world-size", "8", "--seq-len", "2048")
    law = ("--law", "step-law", "--batch-tokens", "1048576")
    made = run("plan", *law, *TARGET, *machine, "--micro-batch", "4", "--format", "hf", "-o", "hf.json")
    assert made.code == 0, made.err
    kept = run("convert", "hf.json", "--to", "litgpt", *machine)
    assert "micro_batch_size: 4\n" in kept.out, kept.err
    assert (
        "micro_batch_size: 2\n"
        in run("convert", "hf.json", "--to", "litgpt", *machine, "--micro-batch", "2").out
    )
    ranks = ("--from-world-size", "8", "--world-size", "512")
    none = run("convert", "hf.json", "--to", "litgpt", *ranks)
    assert "micro_batch_size: 1\n" in none.out
    assert (
        "note [micro-batch]: the batch does not divide by the file's micro batch of 4 on each of 512"
        in none.err
    )
