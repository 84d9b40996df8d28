"""What a process imports: planning a single target must not wait for numpy, --help not for pydantic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PLAN = ("plan", "--params", "7e9", "--tokens", "1e12", "--json")


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        pytest.param(("--law", "step-law"), ("numpy", "scipy", "rich", "ruamel"), id="published law"),
        pytest.param(("--law", "law.json"), ("numpy", "scipy", "rich", "ruamel"), id="law file"),
    ],
)
def test_a_single_plan_stays_light(
    tmp_path: Path, arguments: tuple[str, ...], unwanted: tuple[str, ...]
) -> None:
    """Reads the modules a real process loaded."""
    from hptransfer.law import law_to_json
    from hptransfer.published import published_law

    (tmp_path / "law.json").write_text(law_to_json(published_law("step-law")))
    assert not loaded(tmp_path, (*PLAN, *arguments)) & set(unwanted)


def test_help_stays_light(tmp_path: Path) -> None:
    assert not loaded(tmp_path, ("--help",)) & {"numpy", "scipy", "pydantic", "ruamel"}


def loaded(folder: Path, arguments: tuple[str, ...]) -> set[str]:
    """Top-level packages that `hptransfer ARGUMENTS` imports."""
    program = [sys.executable, "-X", "importtime", "-m", "hptransfer", *arguments]
    done = subprocess.run(program, capture_output=True, text=True, cwd=folder, check=True)
    rows = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line]
    return {row.split(".")[0] for row in rows}
