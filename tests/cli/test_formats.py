"""`plan --format`, `convert` and `formats` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from hptransfer.cli import convert, formats
from hptransfer.trainers import FORMATS
from tests.cli.conftest import Run

TARGET = ("--law", "step-law", "--params", "1e9", "--tokens", "1e11")
MACHINE = ("--world-size", "8", "--micro-batch", "4")


@pytest.fixture
def planned(run: Run) -> Run:
    """A folder with a plan in config.yaml."""
    assert run("plan", *TARGET, "-o", "config.yaml").code == 0
    return run


@pytest.mark.parametrize("example", [convert.EXAMPLE, formats.EXAMPLE])
def test_every_example_runs(planned: Run, example: str) -> None:
    outcome = planned(*example.removeprefix("Example: hptransfer ").split())
    assert outcome.code == 0, outcome.err
    assert outcome.err.splitlines()[-1].startswith("next: ")
    assert example in " ".join(planned(example.split()[2], "--help").out.split())


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_plan_in_a_format_is_its_config_converted(planned: Run, tmp_path: Path, name: str) -> None:
    direct = planned("plan", *TARGET, *MACHINE, "--format", name, "-o", "direct")
    assert direct.code == 0, direct.err
    converted = planned("convert", "config.yaml", *MACHINE, "--to", name, "-o", "converted")
    assert converted.code == 0, converted.err
    assert (tmp_path / "direct").read_text() == (tmp_path / "converted").read_text()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_written_config_converts_to_itself(planned: Run, tmp_path: Path, name: str) -> None:
    file = f"run{FORMATS[name].syntax.suffixes[0]}"
    machine = (*MACHINE, "--seq-len", "2048")
    assert planned("plan", *TARGET, *machine, "--format", name, "-o", file).code == 0
    again = planned("convert", file, "--to", name, *machine)
    assert again.code == 0, again.err
    assert f"{file}: read as {name}" in again.err
    assert again.out == (tmp_path / file).read_text()


def test_without_output_the_config_is_on_stdout_and_the_talk_beside_it(run: Run) -> None:
    outcome = run("plan", *TARGET, "--format", "litgpt")
    content = yaml.safe_load(outcome.out)
    planned = json.loads(run("plan", *TARGET, "--json").out)["rounded"]
    assert content["optimizer"]["init_args"]["lr"] == planned["peak_lr"]
    assert content["train"]["global_batch_size"] * 2048 == planned["batch_tokens"]
    assert outcome.err.splitlines()[-1].startswith("next: add -o FILE")


def test_a_schedule_that_the_format_lacks_is_never_dropped_silently(run: Run, tmp_path: Path) -> None:
    outcome = run("plan", *TARGET, "--schedule", "wsd", "--format", "litgpt", "-o", "run.yaml")
    said = "has no schedule like the plan's (wsd"
    assert outcome.code == 0
    assert f"warning [not-expressed]: litgpt pretrain (YAML) {said}" in outcome.err
    assert said in (tmp_path / "run.yaml").read_text()
    values = json.loads((tmp_path / "run.yaml.hptransfer.json").read_text())["values"]
    assert (values["schedule"], values["decay"]) == ("wsd", "linear")


def test_a_wsd_plan_is_transformers_own_wsd(run: Run, tmp_path: Path) -> None:
    options = ("--schedule", "wsd,decay=1-sqrt", "--decay-fraction", "0.1", *MACHINE)
    assert run("plan", *TARGET, *options, "--format", "hf", "-o", "hf.json").code == 0
    content = json.loads((tmp_path / "hf.json").read_text())
    assert content["lr_scheduler_type"] == "warmup_stable_decay"
    kwargs = content["lr_scheduler_kwargs"]
    assert kwargs["decay_type"] == "1-sqrt"
    assert kwargs["num_decay_steps"] == round(0.1 * content["max_steps"])


def test_a_batch_that_does_not_divide_is_refused_with_ways_out(planned: Run) -> None:
    options = ("--world-size", "48", "--micro-batch", "2")
    for command in (("plan", *TARGET, "--format", "hf"), ("convert", "config.yaml", "--to", "hf")):
        refused = planned(*command, *options)
        assert refused.code == 2
        assert "does not divide by 2 on each of 48 ranks. Plan with --batch-tokens" in refused.err
        fitted = planned(*command, *options, "--fit-batch")
        assert fitted.code == 0, fitted.err
        content = json.loads(fitted.out)
        assert content["gradient_accumulation_steps"] * 48 * 2 == pytest.approx(512, rel=0.1)


def test_the_lr_follows_a_fitted_batch(planned: Run) -> None:
    """Of the law in a plan: that of its own at that batch; by the square root in a conversion."""
    options = ("--world-size", "48", "--micro-batch", "2", "--fit-batch")
    whole = json.loads(planned("plan", *TARGET, "--json").out)["rounded"]
    outcome = planned("convert", "config.yaml", "--to", "hf", *options)
    content = json.loads(outcome.out)
    batch = content["gradient_accumulation_steps"] * 96 * 2048
    assert content["learning_rate"] == pytest.approx(
        whole["peak_lr"] * (batch / whole["batch_tokens"]) ** 0.5, rel=1e-3
    )
    assert "warning [batch-fitted]" in outcome.err
    fitted = json.loads(planned("plan", *TARGET, "--format", "hf", *options).out)
    pinned = json.loads(planned("plan", *TARGET, "--batch-tokens", str(batch), "--json").out)
    assert fitted["learning_rate"] == pinned["rounded"]["peak_lr"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", *TARGET, "--format", "litgtp"), "Did you mean 'litgpt'"),
        (("plan", *TARGET, "--format", "hf"), "Add --world-size N"),
        (("plan", *TARGET, "--format", "hf", "--json"), "add -o FILE"),
        (("plan", *TARGET, "--world-size", "8"), "go with --format NAME"),
        (("convert", "config.yaml", "--to", "nanogtp"), "Did you mean 'nanogpt'"),
        (("convert", "config.yaml", "--to", "hf", "--from", "hg"), "no format is called 'hg'"),
        (("convert", "other.yaml", "--to", "hf"), "no trainer's config known here. Say which with --from"),
        (("convert", "missing.yaml", "--to", "hf"), "cannot be read"),
        (("convert", "config.yaml", "--to", "litgpt", "-o", "config.yaml"), "is an input of this command"),
    ],
)
def test_what_cannot_be_is_said(planned: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")
    outcome = planned(*arguments)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_formats_say_what_they_hold(run: Run) -> None:
    by_name = {row["format"]: row for row in json.loads(run("formats", "--json").out)}
    assert set(by_name) == set(FORMATS)
    assert by_name["litgpt"]["schedules"] == ["cosine"]
    assert by_name["hf"]["fields"]["beta2"] == "adam_beta2"
    assert by_name["hf"]["needs"] == ["--world-size"]


@pytest.mark.parametrize("name", ["huggingface", "Hugging-Face", "transformers", "HF"])
def test_other_names_of_hugging_faces_format_are_answered_with_its_own(run: Run, name: str) -> None:
    outcome = run("plan", *TARGET, "--format", name)
    assert outcome.code == 2
    assert f"no format is called {name!r}. Did you mean 'hf'? Formats: hf, " in " ".join(outcome.err.split())
