"""`plan` prices other LRs and batches; `check` says what an LR off the law loses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hptransfer.fitting import fit
from hptransfer.law import law_to_json
from tests.cli.conftest import Run
from tests.sweeps import noisy_sweep

TARGET = ("--params", "1e9", "--tokens", "6e10")


@pytest.fixture
def law(tmp_path: Path) -> str:
    (tmp_path / "law.json").write_text(law_to_json(fit(noisy_sweep(noise=0.001), resamples=20)))
    return "law.json"


def test_text_and_json_say_the_same(run: Run, law: str) -> None:
    shown = " ".join(run("plan", "--law", law, *TARGET).out.split())  # wrapped to the terminal
    content = json.loads(run("plan", "--law", law, *TARGET, "--json").out)["cost_of_being_wrong"]
    assert all(sentence in shown for sentence in content["summary"])
    assert [point["factor"] for point in content["peak_lr"]][3] == 1.0
    assert content["safe_lr"] in ("low", "high", "even", "unknown")


def test_the_table_of_many_targets_is_what_to_run(run: Run, law: str, tmp_path: Path) -> None:
    """As the table of one plan and its config have it; JSON lines keep the optimum at the top."""
    (tmp_path / "targets.csv").write_text("params,tokens\n1e9,6e10\n")
    many = ("plan", "--law", law, "--targets", "targets.csv")
    line = json.loads(run(*many, "--json").out)
    one = line["rounded"]
    assert one["batch_tokens"] != line["batch_tokens"]
    (row,) = (text for text in run(*many).out.splitlines() if text.strip().startswith("1B"))
    assert f"{one['peak_lr']:.3e}" in row
    assert f"{one['batch_tokens']:,.0f}" in row
    assert f"{one['steps']:,}" in row


def test_many_targets_and_laws_without_a_bowl_have_no_curve(run: Run, law: str, tmp_path: Path) -> None:
    (tmp_path / "targets.csv").write_text("params,tokens\n1e9,6e10\n")
    for arguments in (("--law", law, "--targets", "targets.csv"), ("--law", "step-law", *TARGET)):
        line = run("plan", *arguments, "--json").out
        assert json.loads(line)["cost_of_being_wrong"] is None


def test_a_batch_beyond_the_runs_gets_bounds_and_dashes(run: Run, law: str) -> None:
    far = (*TARGET, "--batch-tokens", "268435456")
    lines = run("plan", "--law", law, *far).out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Cost of being wrong"))
    shown = [line.split() for line in lines[start:] if re.search(r" x[0-9.]+ ", line)]
    lrs, batches = shown[:7], shown[7:]
    assert all(row[-3:-1] == ["-", "-"] for row in lrs), lrs
    assert batches[3][-3] == "-"
    assert any(">=" in row for row in batches)
    assert not any("0.00%" in row for row in shown)


def test_check_says_what_an_lr_off_the_law_loses(run: Run, law: str, tmp_path: Path) -> None:
    assert run("plan", "--law", law, *TARGET, "-o", "config.yaml").code == 0
    config = tmp_path / "config.yaml"
    lr = float(re.findall(r"^peak_lr: (\S+)", config.read_text(), re.MULTILINE)[0])
    config.write_text(re.sub(r"^peak_lr: .*", f"peak_lr: {2 * lr}", config.read_text(), count=1, flags=re.M))
    found = json.loads(run("check", "config.yaml", "--json").out)["findings"]
    (message,) = (one["message"] for one in found if one["slug"] == "off-law-lr")
    assert "are predicted to lose" in message
    assert "half of it costs" in message
