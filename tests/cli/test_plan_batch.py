"""`plan --batch-rule`: which rule moved the LR and why, in text and JSON; a config that checks clean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hptransfer.fitting import fit
from hptransfer.law import law_to_json
from tests.cli.conftest import Run
from tests.sweeps import noisy_sweep

TARGET = ("--params", "1e9", "--tokens", "6e10", "--params-kind", "non-embedding")
STEP_LAW = ("plan", "--law", "step-law", *TARGET)


@pytest.fixture
def law(tmp_path: Path) -> str:
    (tmp_path / "law.json").write_text(law_to_json(fit(noisy_sweep(noise=0.001), resamples=20)))
    return "law.json"


def test_the_rule_and_its_reason_are_printed(run: Run, law: str) -> None:
    own = run("plan", "--law", law, *TARGET, "--batch-tokens", "8Mi")
    text = " ".join(own.out.split())
    assert "LR follows the batch by the law's own conditional optimum (LR ~ B^0." in text
    assert "neither linear nor square root" in text
    default = run(*STEP_LAW, "--batch-tokens", "8Mi")
    assert "LR follows the batch by the sqrt rule (LR ~ B^0.5): x" in default.out
    assert "warning [batch-rule-default]" in default.err


def test_json_holds_the_rule(run: Run) -> None:
    command = (*STEP_LAW, "--batch-tokens", "8Mi", "--batch-rule", "surge:noise_batch=2e6", "--json")
    content = json.loads(run(*command).out)
    follows = content["lr_follows_batch"]
    assert (follows["rule"], follows["settings"]) == ("surge", {"noise_batch": 2e6})
    assert content["rounded"]["peak_lr"] == pytest.approx(
        follows["factor"] * 1.79 * 1e9**-0.713 * 6e10**0.307, rel=1e-3
    )


def test_a_config_planned_by_a_rule_checks_clean_and_an_edit_of_the_rule_shows(
    run: Run, tmp_path: Path
) -> None:
    run(*STEP_LAW, "--batch-tokens", "8Mi", "--batch-rule", "sde:beta1=0.95,beta2=0.99", "-o", "c.yaml")
    assert run("check", "c.yaml").code == 0
    config = tmp_path / "c.yaml"
    config.write_text(config.read_text().replace("sde:beta1=0.95,beta2=0.99", "linear"))
    assert run("check", "c.yaml").code == 1


def test_a_trainers_config_is_held_to_the_rule_it_was_planned_by(run: Run, tmp_path: Path) -> None:
    """Linear from 827K to 8Mi tokens is 3 times the square root's LR: off the law, were the rule not told."""
    machine = ("--world-size", "8", "--micro-batch", "4", "--seq-len", "2048")
    rule = ("--batch-tokens", "8Mi", "--batch-rule", "linear")
    assert run(*STEP_LAW, *rule, "--format", "nanogpt", *machine, "-o", "train.py").code == 0
    terms = ("--world-size", "8", "--seq-len", "2048", "--select", "off-law-lr")
    assert run("check", "train.py", *terms).code == 0
    config = tmp_path / "train.py"
    assert '"batch_rule": "linear"' in config.read_text()
    config.write_text(config.read_text().replace('"batch_rule": "linear"', '"batch_rule": "sqrt"'))
    assert run("check", "train.py", *terms).code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch-tokens", "0"), "--batch-tokens: got '0', need a positive number"),
        (("--batch-tokens", "-4096"), "--batch-tokens: got '-4096', need a positive number"),
        (("--batch-tokens", "8Mi", "--batch-rule", "sqr"), "Did you mean 'sqrt'?"),
        (("--batch-tokens", "8Mi", "--batch-rule", "sde"), "needs beta1 and beta2"),
        (("--batch-tokens", "8Mi", "--batch-rule", "law"), "does not say how its LR moves"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(run: Run, options: tuple[str, ...], message: str) -> None:
    outcome = run(*STEP_LAW, *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in " ".join(outcome.err.split())


def test_a_batch_larger_than_the_run_is_said(run: Run) -> None:
    outcome = run(*STEP_LAW, "--batch-tokens", "1e11", "--batch-rule", "sqrt")
    assert "warning [batch-exceeds-run]" in outcome.err
