"""`plan --parametrization`: groups in JSON and config, refusals, and what check makes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run

TARGET = ("--params", "7e9", "--tokens", "1e12", "--batch-tokens", "4194304")
LAW = ("--law", "power-scheduler")
MUP = ("--parametrization", "mup", "--base-width", "256", "--width", "4096")
DECAY = ("--base-weight-decay", "0.1")


def test_groups_are_absolute_numbers_with_factors_and_formulas(run: Run) -> None:
    planned = run("plan", *LAW, *TARGET, *MUP, *DECAY, "--base-head-dim", "128", "--json")
    assert planned.code == 0, planned.err
    content = json.loads(planned.out)
    lr, hidden = content["rounded"]["peak_lr"], content["param_groups"]["hidden"]
    assert hidden["lr"] == pytest.approx(lr / 16)
    assert (hidden["init_std"], hidden["weight_decay"], hidden["eps"]) == (0.005, 1.6, 1e-8 / 16)
    assert hidden["factors"]["lr"] == 1 / 16
    assert hidden["formulas"]["lr"] == "m_in^-1"
    assert content["param_groups"]["readout"]["multiplier"] == 1 / 16
    about = content["parametrization"]
    assert about["attention_scale"] == pytest.approx(128**-0.5)
    others = {(item["option"], item["choice"]): item["values"] for item in about["alternatives"]}
    assert others["weight-decay", "keep"]["hidden"]["weight_decay"] == 0.1
    assert others["weight-decay", "sqrt"]["hidden"]["weight_decay"] == pytest.approx(0.4)


def test_a_choice_is_a_flag_and_the_others_are_printed_beside_it(run: Run) -> None:
    planned = run("plan", *LAW, *TARGET, *MUP, *DECAY, "--rule", "weight-decay=keep")
    assert planned.code == 0
    assert "chosen: weight-decay=keep" in planned.out
    assert re.search(r"weight-decay=linear\s+weight_decay\s+1\.6\s", planned.out)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--width", "4100", "--base-width", "256"), "near ones are 4096 and 4352"),
        (("--width", "128", "--base-width", "256"), "below the base width 256"),
        (("--width", "4096"), "--base-width"),
        (("--base-width", "256"), "--width"),
        (("--width", "4096", "--base-width", "256", "--depth", "32"), "--base-depth"),
        (("--width", "512", "--base-width", "256", "--base-depth", "8"), "--depth"),
        (("--width", "512", "--base-width", "256", "--fan", "hiden=2,2"), "Did you mean 'hidden'"),
        (("--width", "512", "--base-width", "256", "--fan", "hidden=2"), "fan-in and fan-out"),
        (("--width", "512", "--base-width", "256", "--ffn", "2048"), "--base-ffn"),
        (("--width", "512", "--base-width", "256", "--optimizer", "lion"), "adamw, sgd, muon"),
        (("--width", "512", "--base-width", "256", "--rule", "alpha=1"), "has no option 'alpha'"),
        (("--width", "512", "--base-width", "256", "--base-tokens", "1e9"), "already moves the LR"),
    ],
)
def test_what_does_not_fit_together_is_refused(run: Run, options: tuple[str, ...], said: str) -> None:
    refused = run("plan", *LAW, *TARGET, "--parametrization", "mup", *options)
    assert refused.code == 2
    assert said in refused.err
    assert refused.out == ""


def test_an_sp_law_and_a_mup_factor_are_never_multiplied(run: Run) -> None:
    refused = run("plan", "--law", "step-law", *TARGET, *MUP)
    assert refused.code == 2
    assert "standard parametrization" in refused.err
    assert "--law power-scheduler" in refused.err


def test_options_of_a_parametrization_need_one(run: Run) -> None:
    refused = run("plan", *LAW, *TARGET, "--base-width", "256")
    assert (refused.code, "--parametrization" in refused.err) == (2, True)
    refused = run(
        "plan", *LAW, *TARGET, "--parametrization", "completep", "--width", "512", "--base-width", "256"
    )
    assert (refused.code, "--depth and --base-depth" in refused.err) == (2, True)


def test_a_law_that_does_not_say_its_parametrization_asks(run: Run) -> None:
    """The simulated sweep does not say; the user may, and the config remembers."""
    run("simulate", "-o", "sweep.csv")
    run("fit", "sweep.csv", "-o", "law.json", "--resamples", "0")
    target = ("--params", "7e9", "--tokens", "1e12")
    refused = run("plan", *target, *MUP)
    assert (refused.code, "--proxy-parametrization" in refused.err) == (2, True)
    refused = run("plan", *target, *MUP, "--proxy-parametrization", "sp")
    assert (refused.code, "count it twice" in refused.err) == (2, True)
    planned = run("plan", *target, *MUP, "--proxy-parametrization", "mup", "-o", "c.yaml")
    assert planned.code == 0, planned.err
    assert run("check", "c.yaml").code == 0


def test_a_mup_sweeps_exponent_of_params_is_tested_against_zero(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    run("fit", "sweep.csv", "-o", "law.json")
    law = tmp_path / "law.json"
    content = json.loads(law.read_text())
    content["setting"]["parametrization"] = "mup"
    law.write_text(json.dumps(content))
    planned = run("plan", "--params", "7e9", "--tokens", "1e12", *MUP)
    assert planned.code == 0, planned.err
    assert re.search(r"base-lr-(drifts|transfers).*exponent of params is", planned.err)


def test_configs_hold_their_groups_and_check_derives_them_again(run: Run, tmp_path: Path) -> None:
    written = run("plan", *LAW, *TARGET, *MUP, *DECAY, "-o", "c.yaml")
    assert written.code == 0, written.err
    assert run("check", "c.yaml").code == 0
    config = tmp_path / "c.yaml"
    text = config.read_text()
    config.write_text(text.replace("    init_std: 5.0e-03", "    init_std: 0.02", 1))
    found = run("check", "c.yaml")
    assert (found.code, "param-groups" in found.out, "init_std of hidden" in found.out) == (1, True, True)
    config.write_text(text.replace("\n  hidden:\n", "\n  hiden:\n"))
    assert "Did you mean 'hidden'" in run("check", "c.yaml").out


def test_an_sp_law_under_a_mup_config_is_found(run: Run, tmp_path: Path) -> None:
    run("plan", *LAW, *TARGET, *MUP, *DECAY, "-o", "c.yaml")
    found = run("check", "--law", "step-law", "c.yaml")
    assert "law-and-parametrization" in found.out
    assert found.code == 1


def test_a_rule_set_answers_only_for_the_optimizers_of_its_source(run: Run) -> None:
    sizes = ("--width", "4096", "--base-width", "256", "--depth", "32", "--base-depth", "8")
    refused = run("plan", *LAW, *TARGET, "--parametrization", "completep", *sizes, "--optimizer", "sgd")
    assert (refused.code, "completep has no rules for sgd" in refused.err) == (2, True)
    muon = run("plan", *LAW, *TARGET, *MUP, "--optimizer", "muon", "--json")
    assert json.loads(muon.out)["parametrization"]["rule_set"] == "muon-spectral"
    assert "optimizer-differs" in muon.out


@pytest.mark.parametrize("choice", ["linear", "sqrt", "keep"])
def test_hidden_matrices_get_the_timescale_of_adamw_where_nobody_says_a_weight_decay(
    run: Run, choice: str
) -> None:
    """Power Lines: batch / (LR weight_decay tokens) = 1.084 (tokens / params)^-0.527, by each hidden LR."""
    rule = ("--rule", f"weight-decay={choice}")
    planned = run("plan", *LAW, *TARGET, *MUP, *rule, "--json")
    assert planned.code == 0, planned.err
    content = json.loads(planned.out)
    hidden = content["param_groups"]["hidden"]
    tau = 4194304 / (hidden["lr"] * hidden["weight_decay"] * 1e12)
    assert tau == pytest.approx(1.084 * (1e12 / 7e9) ** -0.527, rel=1e-3)
    assert content["weight_decay"] == pytest.approx(
        hidden["weight_decay"] / {"linear": 16, "sqrt": 4, "keep": 1}[choice]
    )
    assert "2505.13738" in content["origin"]["weight_decay"]["source"]
    assert "no-base-weight-decay" not in json.dumps(content["warnings"])
    run("plan", *LAW, *TARGET, *MUP, *rule, "-o", "c.yaml")
    assert run("check", "c.yaml").code == 0


def test_check_holds_the_weight_decay_of_a_mup_config_to_the_timescale(run: Run, tmp_path: Path) -> None:
    run("plan", *LAW, *TARGET, *MUP, "-o", "c.yaml")
    config = tmp_path / "c.yaml"
    config.write_text(re.sub(r"(?m)^weight_decay: .*", "weight_decay: 3.0", config.read_text()))
    assert "off-law-weight-decay" in run("check", "c.yaml").out


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_the_timescale_is_adamws(run: Run, optimizer: str) -> None:
    planned = run("plan", *LAW, *TARGET, *MUP, "--optimizer", optimizer, "--json")
    content = json.loads(planned.out)
    assert content["param_groups"]["hidden"]["weight_decay"] is None
    assert "no-base-weight-decay" in json.dumps(content["warnings"])
