"""Sources of released wheels that cannot be installed beside the others, unpacked into one folder."""

from __future__ import annotations

import ast
import os
from pathlib import Path

WHEELS = Path(os.environ.get("TRAINER_WHEELS", ".venv-trainers/wheels"))


def annotated_names(text: str) -> set[str]:
    """Names of annotated assignments in a source: the fields of its records."""
    nodes = [node.target for node in ast.walk(ast.parse(text)) if isinstance(node, ast.AnnAssign)]
    return {target.id for target in nodes if isinstance(target, ast.Name)}
