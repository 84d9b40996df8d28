"""`shape`, and `plan` that starts from one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hptransfer.cli import shape
from tests.cli.conftest import Run

LLAMA = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
    "intermediate_size": 11008,
}


def test_the_example_runs(run: Run) -> None:
    _, *arguments = shape.EXAMPLE.removeprefix("Example: ").split()
    assert run(*arguments).code == 0


def test_a_shape_is_counted_and_one_is_proposed(run: Run) -> None:
    counted = run(
        "shape", "--width", "4096", "--layers", "32", "--ffn", "11008", "--vocab", "32000", "--json"
    )
    assert json.loads(counted.out)["params"]["total"] == 6_738_415_616  # Llama 2 7B
    proposed = run("shape", "--params", "7e9", "--json").out.splitlines()
    first = json.loads(proposed[0])
    assert first["params"]["non_embedding"] == pytest.approx(7e9, rel=0.1)


def test_a_plan_starts_from_a_shape_counted_the_laws_way(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    done = run("plan", "--law", "step-law", "--tokens", "1e12", "--model-config", "config.json", "--json")
    content = json.loads(done.out)
    assert content["params"] == 6_738_415_616 - 2 * 32000 * 4096
    assert "params-kind-unspecified" not in {warning["code"] for warning in content["warnings"]}


def test_contradictions_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    for options, said in (
        (("--params", "7e8", "--width", "4096", "--depth", "32", "--heads", "32"), "contradicts the shape"),
        (("--params", "7e8", "--model-config", "config.json"), "contradicts the shape"),
        (("--width", "4096", "--model-config", "config.json"), "leave out --width"),
        (("--heads", "32"), "--width and --depth"),
        (("--model-config", "no.json"), "no.json"),
    ):
        done = run("plan", "--law", "step-law", "--tokens", "1e12", *options)
        assert (done.code, said in done.err) == (2, True), (options, done.err)
    assert run("shape").code == 2
    assert run("shape", "--params", "7e9", "--width", "64", "--depth", "2").code == 2
