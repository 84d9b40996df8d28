"""The main job end to end: simulate, fit, plan, check; then an edit is found."""

from __future__ import annotations

import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from hptransfer.cli import (
    app,
    backtest,
    check,
    compare,
    curves,
    design,
    doctor,
    fit,
    init,
    plan,
    report,
    schedule,
    simulate,
)
from tests.cli.conftest import Run

PROJECT = Path(__file__).resolve().parents[2]


def test_fit_plan_check_edit(run: Run, tmp_path: Path) -> None:
    """The README's minute of use, and a hand edit that CI must stop."""
    (tmp_path / "configs").mkdir()
    assert run("simulate", "-o", "sweep.csv").code == 0
    fitted = run("fit", "sweep.csv", "-o", "law.json", "--params-kind", "non-embedding")
    assert fitted.code == 0
    assert "edge-optimum" in fitted.err  # the shipped story has at least one warning
    assert "diverged" in fitted.out
    target = ("--params", "7e9", "--tokens", "1e12", "--params-kind", "non-embedding")
    planned = run("plan", "--law", "law.json", *target, "-o", "configs/7b.yaml")
    assert planned.code == 0
    assert planned.err.startswith("law: law.json")
    clean = run("check", "configs")
    assert clean.code == 0, clean.out
    config = tmp_path / "configs/7b.yaml"
    lr = float(re.findall(r"^peak_lr: (\S+)", config.read_text(), re.MULTILINE)[0])
    config.write_text(re.sub(r"^peak_lr: .*", f"peak_lr: {2 * lr}", config.read_text(), count=1, flags=re.M))
    found = run("check", "configs")
    assert found.code == 1
    assert "edited" in found.out
    assert "off-law-lr" in found.out
    assert "2x" in found.out


def test_a_law_is_never_replaced_silently(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    assert run("fit", "sweep.csv").code == 0
    before = (tmp_path / "law.json").read_bytes()
    again = run("fit", "sweep.csv")
    assert (again.code, "unchanged law.json" in again.err) == (0, True)
    other = run("fit", "sweep.csv", "--seed", "1")
    assert (other.code, "--force" in other.err) == (2, True)
    assert (tmp_path / "law.json").read_bytes() == before
    assert run("fit", "sweep.csv", "--seed", "1", "--force").code == 0
    assert (tmp_path / "law.json").read_bytes() != before


def test_the_output_may_not_be_the_input(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    before = (tmp_path / "sweep.csv").read_bytes()
    refused = run("fit", "sweep.csv", "-o", "sweep.csv", "--force")
    assert (refused.code, "is an input" in refused.err) == (2, True)
    assert (tmp_path / "sweep.csv").read_bytes() == before


def test_plan_without_any_sweep_says_so(run: Run) -> None:
    planned = run("plan", "--params", "7e9", "--tokens", "1e12", "--json")
    assert planned.code == 0
    assert planned.err.splitlines()[0].startswith("law: step-law")
    content = json.loads(planned.out)
    assert content["law"] == "step-law"
    assert content["peak_lr_interval"] is None
    assert {"no-interval", "default-law"} <= {warning["code"] for warning in content["warnings"]}


def test_targets_come_back_in_order_with_the_contracts_keys(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,tokens,batch_tokens\n7B,1T,\n1e9,1e11,1048576\n")
    planned = run("plan", "--law", "step-law", "--targets", "t.csv", "--json")
    lines = [json.loads(line) for line in planned.out.splitlines()]
    assert [line["params"] for line in lines] == [7e9, 1e9]
    assert lines[1]["batch_tokens"] == 1048576
    keys = (
        "params tokens peak_lr peak_lr_interval batch_tokens batch_tokens_interval weight_decay steps rounded"
    )
    for line in lines:
        assert set(keys.split()) | {"law", "warnings"} <= line.keys()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("plan", "--params", "7e9"), "two of --params, --tokens and --flops"),
        (("plan", "--params", "-1", "--tokens", "1e12"), "need a positive number such as 7e9"),
        (("plan", "--law", "steplaw", "--params", "1e9", "--tokens", "1e10"), "Did you mean 'step-law'"),
        (("plan", "--tokns", "1"), "--tokens"),
        (("plan", "--law", "no.json", "--params", "1e9", "--tokens", "1e10"), "no such file"),
        (("plan", "--law", "zhou", "--params", "1e9", "--tokens", "1e10"), "no published law"),
        (("plan", "--round", "up", "--params", "1e9", "--tokens", "1e10"), "--round"),
        (("fit", "missing.csv"), "missing.csv"),
        (("fit", "--column", "loss", "x.csv"), "need NAME=VALUE"),
        (("check",), "nothing to check"),
        (("check", "nowhere"), "nowhere"),
        (("chek",), "check"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_do(run: Run, arguments: tuple[str, ...], match: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert match in outcome.err + outcome.out


def test_an_internal_error_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And --debug shows the traceback."""

    def broken(**_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("hptransfer.simulation.simulate_csv", broken)
    outcome = run("simulate")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "--debug" in outcome.err
    with pytest.raises(ZeroDivisionError):
        run("simulate", "--debug")


def test_ctrl_c_exits_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("hptransfer.simulation.simulate_csv", interrupted)
    assert run("simulate").code == 130


@pytest.mark.parametrize(
    "module",
    [doctor, design, init, fit, plan, check, backtest, compare, report, simulate, curves, schedule],
)
def test_the_example_of_every_help_runs(run: Run, module: object) -> None:
    """Each --help ends with an example; it works as printed, after `hptransfer simulate -o sweep.csv`."""
    run("simulate", "-o", "sweep.csv")
    example = str(vars(module)["EXAMPLE"]).removeprefix("Example: ")
    for command in example.split(" && "):
        program, *arguments = command.split()
        assert program == "hptransfer"
        assert run(*arguments).code == 0, command


QUICK = {
    "fit": ("--estimator", "near-optimal"),
    "backtest": ("--estimator", "near-optimal"),
    "loss": ("--form", "additive", "--resamples", "0"),
}
PREPARED = (
    "simulate -o sweep.csv",
    "simulate -o points.csv",
    "plan --law step-law --params 1e9 --tokens 1e11 -o config.yaml",
    "fit sweep.csv --estimator near-optimal --resamples 20",
)


@pytest.mark.parametrize("command", app.COMMANDS)
def test_the_last_line_of_every_example_says_what_to_do_next(run: Run, tmp_path: Path, command: str) -> None:
    """Groups as well: every example of every module."""
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    module = import_module(f"hptransfer.cli.{command}")
    examples = [value for name, value in vars(module).items() if name.endswith("EXAMPLE")]
    for prepared in PREPARED:
        run(*prepared.split())
    for example in examples:
        for line in example.removeprefix("Example: ").split(" && "):
            _, name, *arguments = line.split()
            law = ("--law", "law.json") if name == "report" else ()
            done = run(
                name, *arguments, *QUICK.get(name, ()), *law, *(("--force",) if "-o" in arguments else ())
            )
            assert done.code == 0, done.err
            assert done.err.splitlines()[-1].startswith("next: "), line


COMMANDS = (
    "doctor", "design", "init", "fit", "plan", "laws", "check", "backtest", "compare", "width", "coordcheck",
    "doctor", "design", "init", "fit", "plan", "laws", "check", "backtest", "report", "width", "coordcheck",
    "shape", "simulate", "curves", "schedule",
)  # fmt: skip


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_ends_with_its_example(run: Run, command: str) -> None:
    outcome = run(*command.split(), "--help")
    assert outcome.code == 0
    assert "Example: hptransfer" in " ".join(outcome.out.split()[-30:])


def test_the_readmes_commands_work_as_printed(run: Run, tmp_path: Path) -> None:
    """In an empty folder that holds nothing but the sweep."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    minute = readme.split("## A minute of use")[1].split("\n## ")[0]
    commands = re.findall(r"^hptransfer (.+)$", minute, re.MULTILINE)
    assert {command.split()[0] for command in commands} >= {"fit", "plan", "check"}
    shutil.copy(Path(__file__).parents[2] / "examples/proxies/sweep.csv", tmp_path)
    for command in commands:
        assert run(*command.split("  #")[0].split()).code == 0, command
