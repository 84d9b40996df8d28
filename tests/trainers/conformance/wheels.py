"""Sources of released wheels that cannot be installed beside the others, unpacked into one folder."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

WHEELS = Path(os.environ.get("TRAINER_WHEELS", ".venv-trainers/wheels"))


def annotated_names(text: str) -> set[str]:
    """Names of annotated assignments in a source: the fields of its records."""
    nodes = [node.target for node in ast.walk(ast.parse(text)) if isinstance(node, ast.AnnAssign)]
    return {target.id for target in nodes if isinstance(target, ast.Name)}


def _node(path: str, name: str) -> ast.ClassDef | ast.FunctionDef:
    file = WHEELS / path
    assert file.exists(), f"no {path} in {WHEELS}: run make test-trainers"
    (node,) = [
        node
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name
    ]
    return node


def record_fields(path: str, name: str) -> set[str]:
    """Fields of one record of a source file, without inherited ones."""
    return annotated_names(ast.unparse(_node(path, name)))


def definition(path: str, name: str, **names: Any) -> Any:
    """One class or function of a source file, executed with `names` and without the rest of its package."""
    node = _node(path, name)
    space: dict[str, Any] = {"__name__": __name__, **names}
    exec(compile("from __future__ import annotations\n" + ast.unparse(node), path, "exec"), space)
    return space[name]
