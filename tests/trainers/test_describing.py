"""The page about trainers claims no proof that no test gives."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hptransfer.trainers import FORMATS
from hptransfer.trainers.base import PROOFS
from hptransfer.trainers.describing import CONFORMANCE, schedules_held, trainers_page

ROOT = Path(__file__).parents[2]
PROVEN = [(name, proof, test) for name, form in FORMATS.items() for proof, test in form.proven.items()]


@pytest.mark.parametrize(("name", "proof", "test"), PROVEN)
def test_every_proof_is_a_test_that_asks_that_format(name: str, proof: str, test: str) -> None:
    assert proof in PROOFS
    file, _, function = test.partition("::")
    text = (ROOT / CONFORMANCE / file).read_text(encoding="utf-8")
    assert function in {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert f'FORMATS["{name}"]' in text


@pytest.mark.parametrize(("name", "proof", "test"), PROVEN)
def test_packages_are_asked_by_make_test_trainers_and_sources_by_make_test(
    name: str, proof: str, test: str
) -> None:
    file, _, function = test.partition("::")
    tree = ast.parse((ROOT / CONFORMANCE / file).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    whole_file = any(ast.unparse(node) == "pytestmark = pytest.mark.trainers" for node in tree.body)
    marked = whole_file or any(ast.unparse(mark) == "pytest.mark.trainers" for mark in found.decorator_list)
    assert marked == (proof not in ("field list", "LR formula"))
    if marked:
        releases = re.findall(r"([a-z][\w-]*) (\d[\w.]*\d)", FORMATS[name].version)
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert any(re.search(rf"\s{package}=={version}\s", makefile) for package, version in releases), (
            releases
        )


def test_the_page_has_every_format_and_says_where_nothing_is_proven() -> None:
    page = trainers_page()
    for name, form in FORMATS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` | {form.version} |")]
        assert ("| nothing |" in row) == (not form.proven)


def test_schedules_are_found_by_writing() -> None:
    assert schedules_held(FORMATS["litgpt"]) == ["cosine"]
    assert "wsd (1-sqrt)" in schedules_held(FORMATS["hf"])
