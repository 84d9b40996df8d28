"""Commands in hand-written pages run as printed, and print what the page shows."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = runpy.run_path(str(DOCS / "shown.py"))
agrees = cast(Callable[[str, str], bool], SHOWN["agrees"])
excerpt = cast(Callable[[str, str], str], SHOWN["excerpt"])
run_page = cast(Callable[[str, Path], Iterator[Any]], SHOWN["run_page"])


@pytest.mark.parametrize("name", ["tutorial.md"])
def test_a_page_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    """From a folder that holds nothing but the shipped sweep."""
    blocks = list(run_page((DOCS / name).read_text(encoding="utf-8"), tmp_path))
    assert blocks
    for done in blocks:
        assert done.code == done.expected_code, done.match["commands"] + done.printed
        if done.shown is not None:
            assert agrees(done.match["output"], done.shown), f"run `make docs`:\n{done.shown}"


def test_shown_lines_are_those_with_the_pattern() -> None:
    printed = "one\n-----\ntwo\nthree\n\nfour\n"
    assert excerpt(printed, "one|two") == "one\ntwo\n"
    assert excerpt(printed, "two|four") == "two\n...\nfour\n"


@pytest.mark.parametrize(
    ("shown", "now", "same"),
    [
        ("LR 3.413e-03 batch 1,024", "LR   3.414e-03\nbatch 1,025", True),
        ("LR 3.413e-03", "LR 3.7e-03", False),
        ("loses 0.01%", "loses 0.02%", True),
        ("loses 0.01%", "loses 0.03%", False),
        ("law fitted-73185e59", "law fitted-00000000", True),
        ("2 warnings", "3 warnings", False),
        ("wrote law.json", "wrote law.yaml", False),
        ("one two", "one", False),
    ],
)
def test_outputs_agree_within_rounding(shown: str, now: str, same: bool) -> None:
    assert agrees(shown, now) is same


def test_the_tutorial_works_after_the_readme() -> None:
    """Whoever follows the README and then the tutorial makes two folders: the first is not in the way."""
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    tutorial = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    made = [set(re.findall(r"^mkdir (\S+)", page, re.MULTILINE)) for page in (readme, tutorial)]
    assert all(made)
    assert not made[0] & made[1]
