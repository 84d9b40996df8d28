"""Standard streams as they come: closed, full, in an encoding without our characters. Real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "hptransfer"]
PLAN = ("plan", "--law", "step-law", "--params", "1e9", "--tokens", "1e11")
FULL = Path("/dev/full")


def shell(
    command: str, folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `sh -c COMMAND` in which "$@" is the program with these arguments."""
    return subprocess.run(
        ["sh", "-c", command, "sh", *PROGRAM, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("arguments", [PLAN, (*PLAN, "--json"), ("--help",), ("simulate",)])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_lead_nowhere(tmp_path: Path, closed: str, arguments: tuple[str, ...]) -> None:
    done = shell(f'"$@" {closed}', tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert "law:" not in done.stdout  # talk never lands among the data


@pytest.mark.parametrize(
    "arguments", [PLAN, (*PLAN, "--json"), (*PLAN, "-o", "-"), ("--help",), ("simulate",)]
)
def test_a_full_stdout_is_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    if not FULL.exists():
        return  # only Linux has one
    done = shell('"$@" >/dev/full', tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("hptransfer: error: standard output: cannot be written")


@pytest.mark.parametrize(("arguments", "code"), [(PLAN, 0), (("check", "nowhere"), 2), (("nonsense",), 2)])
def test_a_full_stderr_changes_no_exit_code(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    """Least of all into 1, which means findings."""
    if not FULL.exists():
        return
    assert shell('"$@" 2>/dev/full', tmp_path, *arguments).returncode == code


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    done = shell('"$@" | head -1', tmp_path, "simulate")
    assert done.stdout.startswith("run,params")
    assert done.stderr == ""


def test_talk_follows_the_data_it_is_about(tmp_path: Path) -> None:
    """In one pipe, as in a CI log."""
    lines = shell('"$@" 2>&1', tmp_path, *PLAN, "-o", "config.yaml").stdout.splitlines()
    assert lines[0].startswith("law: ")
    assert lines[-1].startswith("next: ")
    assert lines[-2] == "wrote config.yaml"


@pytest.mark.parametrize("arguments", [(*PLAN, "--explain"), ("check", "--explain", "all"), ("--help",)])
def test_an_encoding_without_our_characters(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = shell('"$@"', tmp_path, *arguments, **ascii_only)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_config_on_stdout_has_the_bytes_of_the_file(tmp_path: Path) -> None:
    """Whatever the terminal's encoding."""
    shell('"$@"', tmp_path, *PLAN, "-o", "config.yaml")
    shell('"$@" >streamed.yaml', tmp_path, *PLAN, "-o", "-", PYTHONIOENCODING="ascii")
    assert (tmp_path / "streamed.yaml").read_bytes() == (tmp_path / "config.yaml").read_bytes()
