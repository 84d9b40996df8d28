"""Texts of trainers' configs as flat fields that remember where they stand, and edits that keep the rest.

A syntax parses text into a `Source` (fields by dotted path, list items by number: `betas.0`), composes text
from such fields, and inserts fields into a text. Nothing is ever executed or constructed from a tag.
"""

from __future__ import annotations

from hptransfer.trainers.syntax.flags_text import FLAGS
from hptransfer.trainers.syntax.json_text import JSON
from hptransfer.trainers.syntax.python_text import PYTHON
from hptransfer.trainers.syntax.source import Block, Scalar, Source, Syntax, Written
from hptransfer.trainers.syntax.toml_text import TOML
from hptransfer.trainers.syntax.yaml_text import LENIENT_YAML, YAML

__all__ = [
    "FLAGS",
    "JSON",
    "LENIENT_YAML",
    "PYTHON",
    "TOML",
    "YAML",
    "Block",
    "Scalar",
    "Source",
    "Syntax",
    "Written",
]
