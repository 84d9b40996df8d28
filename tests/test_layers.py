"""Imports point towards the numeric core only; reading source, not importing, so that nothing can hide."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hptransfer

ROOT = Path(hptransfer.__file__).parent
FILES = {
    path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", "."): path
    for path in ROOT.rglob("*.py")
}

WORKED_ON_BY_PEOPLE = ("typer", "rich")
LIGHT = ("law", "planning", "published", "errors", "quantities")  # a single plan imports no numpy


def _imports(module: str, *, module_level: bool = False) -> Iterator[str]:
    """Every module that `module` imports, in full; `module_level`: only what runs on import."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    nodes = list(_on_import(tree)) if module_level else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the statements that run on import: not function bodies, not `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _on_import(child)


def _modules(*layers: str) -> list[str]:
    """Modules of the named layers: `numerics` is `hptransfer.numerics` and everything below."""
    names = [f"hptransfer.{layer}" for layer in layers]
    return sorted(m for m in FILES if any(m == n or m.startswith(f"{n}.") for n in names))


def _is_in(imported: str, *packages: str) -> bool:
    return any(imported == p or imported.startswith(f"{p}.") for p in packages)


@pytest.mark.parametrize("module", _modules("numerics"))
def test_numerics_knows_arrays_only(module: str) -> None:
    allowed = (*sys.stdlib_module_names, "numpy", "scipy", "hptransfer.numerics")
    assert [i for i in _imports(module) if not _is_in(i, *allowed)] == []


@pytest.mark.parametrize("module", _modules("readers", "writers"))
def test_formats_know_nothing_of_fitting(module: str) -> None:
    fitting = ("hptransfer.fitting", "hptransfer.estimators", "hptransfer.numerics")
    assert [i for i in _imports(module) if _is_in(i, *fitting)] == []


@pytest.mark.parametrize("module", sorted(set(FILES) - set(_modules("cli")) - {"hptransfer.__main__"}))
def test_only_the_command_line_talks_to_people(module: str) -> None:
    assert [i for i in _imports(module) if _is_in(i, *WORKED_ON_BY_PEOPLE, "hptransfer.cli")] == []


@pytest.mark.parametrize(
    "module", _modules("sweep", "estimators", "fitting", "law", "planning", "checks", "checking")
)
def test_the_core_knows_no_file_formats(module: str) -> None:
    assert [i for i in _imports(module) if _is_in(i, "hptransfer.readers", "hptransfer.writers")] == []


@pytest.mark.parametrize("module", sorted(set(FILES) - set(_modules("drawing", "reporting", "cli"))))
def test_only_reports_and_the_command_line_draw(module: str) -> None:
    assert [i for i in _imports(module) if _is_in(i, "matplotlib", "hptransfer.drawing")] == []


@pytest.mark.parametrize("module", _modules("drawing"))
def test_drawing_computes_nothing_of_its_own(module: str) -> None:
    """It paints frames of `figures`: no fits, plans or laws reach it."""
    below = ("hptransfer.fitting", "hptransfer.planning", "hptransfer.law", "hptransfer.numerics")
    assert [i for i in _imports(module) if _is_in(i, *below, "hptransfer.reporting")] == []


@pytest.mark.parametrize("module", sorted(FILES))
def test_matplotlib_is_loaded_when_something_is_drawn(module: str) -> None:
    assert [i for i in _imports(module, module_level=True) if _is_in(i, "matplotlib")] == []


@pytest.mark.parametrize("module", _modules(*LIGHT))
def test_a_single_plan_imports_no_numpy(module: str) -> None:
    heavy = ("numpy", "scipy", "hptransfer.sweep", "hptransfer.fitting", "hptransfer.numerics")
    assert [i for i in _imports(module, module_level=True) if _is_in(i, *heavy)] == []
