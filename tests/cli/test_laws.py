"""`hptransfer laws` and plans from anchors, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hptransfer.published import law_ids
from tests.cli.conftest import Run

ANCHOR = "params=1e8,tokens=2e9,lr=3e-3,batch_tokens=262144"
TARGET = ("--params", "1e9", "--tokens", "2e10")


def test_the_table_lists_every_law_and_names_the_next_command(run: Run) -> None:
    listed = run("laws")
    assert listed.code == 0
    assert all(law_id in listed.out for law_id in law_ids())
    assert listed.err.startswith("next: hptransfer laws show")
    assert [entry["id"] for entry in json.loads(run("laws", "--json").out)] == law_ids()


@pytest.mark.parametrize("law_id", law_ids())
def test_every_law_can_be_shown(run: Run, law_id: str) -> None:
    shown = run("laws", "show", law_id)
    assert shown.code == 0
    assert all(word in shown.out for word in ("fitted on", "pitfall", "golden", "counts"))
    assert json.loads(run("laws", "show", law_id, "--json").out)["id"] == law_id


def test_comparing_says_values_reach_and_what_is_missing(run: Run) -> None:
    compared = run("laws", "compare", *TARGET)
    assert compared.code == 0
    assert "batch held at 524K tokens" in compared.out
    assert "minicpm: law minicpm has inputs that nobody gave. Add --loss." in compared.err
    content = {one["law"]: one for one in json.loads(run("laws", "compare", *TARGET, "--json").out)}
    assert content["step-law"]["peak_lr"] == pytest.approx(9.960227e-4)
    assert content["step-law"]["reach"] == {"params": 1.0, "tokens": 1.0}
    assert content["deepseek-llm"]["flops_approximated"] is True
    assert content["power-lines-critical"]["experimental"] is True


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("laws", "show", "kaplen"), "Did you mean 'kaplan'"),
        (("laws", "compare", *TARGET, "--law", "step"), "no published law"),
        (("laws", "compare", "--params", "1e9"), "two of --params"),
        (("laws", "shwo"), "shwo"),
        (("plan", "--law", "minicpm", *TARGET), "--loss"),
        (("plan", "--law", "kaplan", "--params", "70e9", "--tokens", "1e12"), "no positive learning rate"),
        (("plan", "--law", "moe-sparsity-muon", *TARGET), "--active-ratio"),
        (
            ("plan", "--law", "marin-muonh", *TARGET),
            "--batch-tokens B (tokens per optimizer step) and --width",
        ),
        (("plan", "--law", "ling", *TARGET), "--flops-per-token"),
        (("plan", "--law", "moe-sparsity-muon", *TARGET, "--active-ratio", "32"), "share up to 1"),
        (("plan", *TARGET, "--anchor", "params=1e8,tokens=2e9"), "lr missing"),
        (("plan", *TARGET, "--anchor", "params=1e8,tokns=2e9,lr=1"), "Did you mean 'tokens'"),
        (("plan", *TARGET, "--anchor", "params=1e8,tokens=2e9,lr=0"), "need a positive number"),
        (("plan", *TARGET, "--anchor", "1e8"), "need NAME=VALUE"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_do(run: Run, arguments: tuple[str, ...], match: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert match in outcome.err


def test_one_tuned_model_is_planned_written_and_checked(run: Run, tmp_path: Path) -> None:
    """The commonest case outside big labs, end to end; a hand edit is found."""
    planned = run("plan", "--law", "step-law", "--anchor", ANCHOR, *TARGET, "--json")
    content = json.loads(planned.out)
    assert content["law"] == "step-law"
    assert content["peak_lr"] == pytest.approx(3e-3 * 0.393, rel=2e-3)
    low, high = content["peak_lr_interval"]
    assert low < content["peak_lr"] < high
    assert "anchored" in {warning["code"] for warning in content["warnings"]}
    assert run("plan", "--law", "step-law", "--anchor", ANCHOR, *TARGET, "-o", "run.yaml").code == 0
    assert run("check", "run.yaml").code == 0
    text = (tmp_path / "run.yaml").read_text()
    (tmp_path / "run.yaml").write_text(text.replace("\npeak_lr: 1", "\npeak_lr: 3"))
    assert run("check", "run.yaml").code == 1


def test_targets_go_with_anchors(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,tokens\n1e9,2e10\n1e8,2e9\n")
    planned = run("plan", "--law", "step-law", "--anchor", ANCHOR, "--targets", "t.csv", "--json")
    assert [json.loads(line)["peak_lr"] for line in planned.out.splitlines()] == pytest.approx(
        [1.178e-3, 3e-3], rel=1e-3
    )


def test_quiet_says_nothing(run: Run) -> None:
    assert run("laws", "-q").err == ""


@pytest.mark.parametrize("module_example", ["EXAMPLE", "SHOW_EXAMPLE", "COMPARE_EXAMPLE"])
def test_the_example_of_every_help_runs(run: Run, module_example: str) -> None:
    from hptransfer.cli import laws

    _, *arguments = str(vars(laws)[module_example]).removeprefix("Example: ").split()
    assert run(*arguments).code == 0
    command = [a for a in arguments if a in ("laws", "show", "compare")]
    helped = run(*command, "--help")
    assert str(vars(laws)[module_example]) in " ".join(helped.out.split())
