"""What shells are told: the protocol of typer's completion, by environment variable, and the scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hptransfer.cli import completing
from hptransfer.fitting import ESTIMATORS

OFFERED = {
    "pla": ["plan"],
    "plan --la": ["--law", "--layers"],
    "plan --law step": ["step-law"],
    "plan --format lit": ["litgpt"],
    "plan --schedule d2": ["d2z"],
    "plan --parametrization u": ["u-mup"],
    "fit --estimator n": ["near-optimal"],
    "fit --prior kap": ["kaplan"],
    "convert --to nanogpt-": ["nanogpt-mup"],
    "laws show minic": ["minicpm"],
    "schedule com": ["compare"],
    "schedule wsd-": ["wsd-s"],
    "schedule compare wsd:decay=mir": ["wsd:decay=mirror-cosine"],
    "schedule wsd --decay-f": ["--decay-fraction"],
    "check --output-format sa": ["sarif"],
    "schema set": ["settings"],
}


def asked(line: str, shell: str = "bash", **more: str) -> str:
    words = f"hptransfer {line}"
    environment = os.environ | {
        "_HPTRANSFER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-m", "hptransfer"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("line", OFFERED)
def test_bash_is_offered_what_begins_so(line: str) -> None:
    assert sorted(asked(line).split()) == OFFERED[line]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_words_of_help_as_well(shell: str) -> None:
    text = asked("plan --format litg", shell)
    assert "litgpt" in text
    assert "pretrain" in text


def test_a_file_is_left_to_the_shell() -> None:
    assert asked("plan --law law.js").split() == []


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o default"), ("zsh", "#compdef"), ("fish", "complete --command")]
)
def test_each_shell_has_a_script(shell: str, mark: str) -> None:
    environment = os.environ | {"_HPTRANSFER_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-m", "hptransfer"], env=environment, capture_output=True, text=True, check=True
    )
    assert mark in done.stdout
    assert "hptransfer" in done.stdout


def test_bash_runs_its_script(tmp_path: Path) -> None:
    """The script itself, in bash, with a program of our name on the path."""
    program = tmp_path / "hptransfer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hptransfer "$@"\n')
    program.chmod(0o755)
    script = """
    eval "$(_HPTRANSFER_COMPLETE=source_bash hptransfer)"
    COMP_WORDS=(hptransfer plan --law step); COMP_CWORD=3
    _hptransfer_completion hptransfer
    echo "${COMPREPLY[@]}"
    """
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["step-law"]


def test_estimators_are_those_of_fit() -> None:
    assert [name for name, _ in completing.estimators("")] == list(ESTIMATORS)


def test_everything_offered_is_known() -> None:
    """Every value offered for a law, a format, a schedule and a batch rule is one that can be used."""
    from hptransfer.batches.rules import read_rule
    from hptransfer.published import published_law
    from hptransfer.schedules import find_kind
    from hptransfer.trainers import find_format

    for offer, find in (
        (completing.laws, published_law),
        (completing.formats, find_format),
        (completing.schedules, find_kind),
        (completing.batch_rules, read_rule),
    ):
        names = [name for name, _ in offer("")]
        assert names
        for name in names:
            find(name)
