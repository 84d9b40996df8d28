"""The plans under configs/: made again they are the same, they are small, and their index tells the truth."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hptransfer.config import config_from_yaml
from hptransfer.trainers import FORMATS

CONFIGS = Path(__file__).parents[1] / "configs"
SCRIPT: Mapping[str, Any] = runpy.run_path(str(CONFIGS / "generate.py"))
BY_HAND = {"generate.py", "plans.toml"}
LARGEST = 10_000  # bytes


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    files: dict[str, str] = SCRIPT["files"]()
    return files


def on_disk() -> set[str]:
    found = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name} - BY_HAND


def test_no_plan_is_stale(made: dict[str, str]) -> None:
    assert on_disk() == set(made), "run make configs, and remove what is no longer made"
    for name, text in made.items():
        found = (CONFIGS / name).read_text(encoding="utf-8")
        assert SCRIPT["same"](found, text), f"{name} is stale: run make configs"


def test_the_last_digits_of_another_machine_are_not_stale() -> None:
    same = SCRIPT["same"]
    assert same("peak_lr: 8.266051913206633e-04 # x", "peak_lr: 8.266051913206631e-04 # x")
    assert not same("peak_lr: 8.266051913206633e-04", "peak_lr: 8.266051923206633e-04")
    assert not same("peak_lr: 8.266e-04", "peak_lr: 8.267e-04")


def test_files_are_small(made: dict[str, str]) -> None:
    assert max(len(text) for text in made.values()) < LARGEST


def test_every_config_says_how_far_outside_its_law_it_lies(made: dict[str, str]) -> None:
    index = made["README.md"].splitlines()
    for name, text in made.items():
        if name.startswith("formats/") or not name.endswith(".yaml"):
            continue
        config = config_from_yaml(text, name)
        (row,) = [line for line in index if line.startswith(f"| [{name}]({name}) |")]
        warned = {
            note.message.split(" ")[0] for note in config.warnings if note.code == "outside-fitted-range"
        }
        outside = {what: found.factor for what, found in config.reach.items() if found.factor > 1}
        assert warned == set(outside)
        assert all(f"{what} {factor:.3g}x" in row for what, factor in outside.items())
        assert row.endswith("| inside |") == (not outside)


def test_one_plan_is_there_in_every_format(made: dict[str, str]) -> None:
    for name, form in FORMATS.items():
        assert f"formats/{name}{form.syntax.suffixes[0]}" in made
