"""`plan --schedule`: the peak LR moves, the config carries the schedule, and check holds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

TARGET = ("--law", "step-law", "--params", "1e9", "--tokens", "1e11")


def test_the_issues_own_command_plans_wsd_from_cosine(run: Run) -> None:
    """Published ratio of the bound, cosine to zero over WSD 20 %: 1.89 to 1.91, less a little for warm-up."""
    asked = ("--proxy-schedule", "cosine", "--schedule", "wsd", "--decay-fraction", "0.2")
    before = json.loads(run("plan", *TARGET, "--json").out)
    moved = run("plan", *TARGET, *asked, "--json")
    after = json.loads(moved.out)
    assert 1.87 < before["peak_lr"] / after["peak_lr"] < 1.92
    assert (after["schedule"], after["final_lr_ratio"]) == ("wsd", 0.0)
    assert after["schedule_options"] == {"decay": "linear", "decay_steps": round(0.2 * after["steps"])}
    assert "schedule-converted" in {note["code"] for note in after["warnings"]}


def test_a_config_of_another_schedule_is_checked_clean_and_held(run: Run, tmp_path: Path) -> None:
    written = run("plan", *TARGET, "--schedule", "wsd,decay=1-sqrt", "-o", "config.yaml")
    assert written.code == 0, written.err
    assert run("check", "config.yaml").code == 0
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("decay_steps: 19074", "decay_steps: 5000", 1))
    found = run("check", "config.yaml")
    assert found.code == 1
    assert "schedule_options.decay_steps was edited" in found.out


def test_many_targets_are_moved_alike(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,tokens\n1e9,1e11\n2e9,1e11\n")
    rows = run("plan", "--law", "step-law", "--targets", "t.csv", "--schedule", "d2z", "--json").out
    factors = [json.loads(row)["schedule_lr_factor"] for row in rows.splitlines()]
    assert factors == pytest.approx([1.03, 1.03], abs=0.02)  # linear to zero over cosine to about 0.01


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--decay-fraction", "0.2"), "go with --schedule"),
        (("--proxy-schedule", "cosine"), "go with --schedule"),
        (("--schedule", "wsdd"), "Did you mean 'wsd'"),
        (("--schedule", "cosine", "--decay-fraction", "0.2"), "no option 'decay_fraction'"),
        (("--schedule", "power"), "Use --law power-scheduler"),
    ],
)
def test_what_does_not_fit_together_is_said(run: Run, options: tuple[str, ...], said: str) -> None:
    refused = run("plan", *TARGET, *options)
    assert refused.code == 2
    assert said in " ".join(refused.err.split())
