"""The file beside a config that hptransfer wrote: what its format leaves out. It may come from a stranger."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hptransfer.errors import FileError
from hptransfer.files import read_text
from hptransfer.trainers.writing import SIDECAR

MAX_BYTES: Final = 2**20
MAX_SEQ_LEN: Final = 2**31


@dataclass(frozen=True)
class Beside:
    """What a sidecar says; empty where there is none, or none that can be used."""

    format: str | None = None
    plan: dict[str, Any] = field(default_factory=dict)  # target and law
    values: dict[str, Any] = field(default_factory=dict)  # the recipe's, by our names

    def whole(self, name: str) -> int | None:
        """A value that is a whole number of at least 1."""
        value = self.values.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None

    @property
    def seq_len(self) -> int | None:
        """Tokens per sequence."""
        seq_len = self.whole("seq_len")
        return seq_len if seq_len is not None and seq_len <= MAX_SEQ_LEN else None

    @property
    def tokens(self) -> int | None:
        """Tokens of the run: steps times tokens per step."""
        steps, batch_tokens = self.whole("steps"), self.whole("batch_tokens")
        return None if steps is None or batch_tokens is None else steps * batch_tokens


def read_beside(file: str) -> Beside:
    """Read the sidecar of a config, where there is one."""
    sidecar = Path(file + SIDECAR)
    if not sidecar.is_file():
        return Beside()
    try:
        content = json.loads(read_text(str(sidecar), max_bytes=MAX_BYTES))
    except (ValueError, RecursionError, FileError):
        return Beside()
    if not isinstance(content, dict):
        return Beside()
    name = content.get("format")
    plan, values = (content.get(key) for key in ("plan", "values"))
    return Beside(
        format=name if isinstance(name, str) else None,
        plan=plan if isinstance(plan, dict) else {},
        values=values if isinstance(values, dict) else {},
    )
