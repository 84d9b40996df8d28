"""What other projects run: the GitHub Action's steps as shell, the pre-commit hook; and our own configs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hptransfer.checking import check

PROJECT = Path(__file__).parents[1]
ACTION = yaml.safe_load((PROJECT / "action.yml").read_text())
INSTALL, CHECK = ACTION["runs"]["steps"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a clean config, and programs on its own PATH."""
    (tmp_path / "configs").mkdir()
    shutil.copy(PROJECT / "configs/step-law-7b-1t.yaml", tmp_path / "configs/a.yaml")
    program(tmp_path, "hptransfer", f'exec "{sys.executable}" -m hptransfer "$@"')
    program(tmp_path, "python3", 'printf "%s\\n" "$@" > pip-arguments')
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def step(which: dict[str, Any], folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: `env` with expressions filled in, `run` by bash."""
    values = {f"inputs.{name}": one["default"] for name, one in ACTION["inputs"].items()}
    values |= {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": "/a b"}
    filled = {
        name: re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda match: values[match[1]], text)
        for name, text in which["env"].items()
    }
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **filled, "PATH": path, "PYTHONPATH": str(PROJECT)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", which["run"]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def spoil(folder: Path) -> None:
    config = folder / "configs/a.yaml"
    config.write_text(re.sub(r"^peak_lr: .*", "peak_lr: 2.0e-03", config.read_text(), count=1, flags=re.M))


def test_no_input_is_ever_pasted_into_a_script() -> None:
    for one in ACTION["runs"]["steps"]:
        assert "${{" not in one["run"]


def test_the_action_passes_a_clean_project_and_fails_a_spoiled_one(project: Path) -> None:
    clean = step(CHECK, project)
    assert (clean.returncode, clean.stderr) == (0, ""), clean
    assert clean.stdout.splitlines()[-1].startswith("::notice title=hptransfer check::1 config checked")
    spoil(project)
    found = step(CHECK, project)
    assert found.returncode == 1
    assert re.search(r"^::error file=configs/a\.yaml,line=\d+,title=HPT102 off-law-lr::", found.stdout, re.M)


def test_every_input_reaches_the_program(project: Path) -> None:
    spoil(project)
    report = step(CHECK, project, format="sarif", report="out file.sarif", select="HPT1", ignore="HPT101")
    assert report.returncode == 1
    assert '"HPT102"' in (project / "out file.sarif").read_text()
    assert step(CHECK, project, law="deepseek-llm").returncode == 1
    assert step(CHECK, project, baseline="none.json").returncode == 2
    assert step(CHECK, project, paths="configs/a.yaml\nconfigs\n\n").returncode == 1


@pytest.mark.parametrize("hostile", ["configs; touch pwned", "$(touch pwned)", "`touch pwned`", "--law\nx"])
def test_hostile_inputs_are_only_names(project: Path, hostile: str) -> None:
    for name in ACTION["inputs"]:
        assert step(CHECK, project, **{name: hostile}).returncode in (0, 2)
        assert not (project / "pwned").exists()


def test_the_action_installs_the_version_it_is(project: Path) -> None:
    assert step(INSTALL, project).returncode == 0
    assert (project / "pip-arguments").read_text().splitlines()[-1] == "/a b"


def pre_commit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ, "PATH": path, "PYTHONPATH": str(PROJECT), "PRE_COMMIT_HOME": str(folder / "cache")
    }  # fmt: skip
    command = [sys.executable, "-m", "pre_commit", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_hook_is_a_valid_manifest() -> None:
    done = pre_commit(PROJECT, "validate-manifest", ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout


def test_the_hook_runs_in_a_repository(project: Path) -> None:
    """As a local hook: installing from a repository would need a network."""
    (hook,) = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())
    config = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "system"}]}]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
    subprocess.run(["git", "add", "configs", ".pre-commit-config.yaml"], cwd=project, check=True)
    clean = pre_commit(project, "run", "--all-files")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "Passed" in clean.stdout
    spoil(project)
    subprocess.run(["git", "add", "configs"], cwd=project, check=True)
    found = pre_commit(project, "run", "--all-files")
    assert found.returncode == 1
    assert "off-law-lr" in found.stdout


def test_our_own_configs_are_what_hptransfer_toml_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    report = check("configs")
    assert (report.findings, report.unreadable) == ((), ())
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text())
    uses = [one.get("uses") for job in workflow["jobs"].values() for one in job["steps"]]
    assert "./" in uses
