"""The page of JSON Schemas: every field with its type, from the schemas that the program itself prints."""

from __future__ import annotations

from typing import Any

from hptransfer.schemas import MODELS, schema

INTRODUCTION = """\
# Schemas

What hptransfer writes and reads, field by field, made from the models that validate it.
`hptransfer schema NAME` prints the JSON Schema of the installed version, for editors and other programs. A
law or config of a newer version is refused with the version it needs; unknown fields are errors.

Tokens, params and steps are counts, losses nats per token unless the law says otherwise, intervals 90 % as
`[lo, hi]`. `null` stands for a value that does not exist, never for zero.
"""

ABOUT = {
    "law": "`law.json`, written by `hptransfer fit`; bootstrap draws are one a line.",
    "plan": "One line of `hptransfer plan --json`: optima at the top, the values to run in `rounded`.",
    "config": "A YAML config of `plan -o`: values to run at the top, the optima in `optimum`.",
    "settings": "The project's `hptransfer.toml`: [every key](ci.md#the-projects-settings-hptransfertoml).",
}


def schemas_page() -> str:
    """Return the page: a section a schema, a table for it and for every record inside it."""
    return "\n".join([INTRODUCTION, *(_section(name) for name in MODELS)])


def _section(name: str) -> str:
    content = schema(name)
    lines = [
        f"## {name}\n",
        f"{ABOUT[name]} [Schema](schemas/{name}.json), `{content['$id']}`.\n",
        *_table(name, content),
    ]
    for record, inside in sorted(content["$defs"].items()):
        lines += [f"### {name}: {record}\n", *([_first_line(inside)] if "description" in inside else [])]
        lines += _table(name, inside)
    return "\n".join(lines)


def _first_line(content: dict[str, Any]) -> str:
    return content["description"].strip().split("\n\n")[0].replace("\n", " ") + "\n"


def _table(name: str, content: dict[str, Any]) -> list[str]:
    if "properties" not in content:
        return [f"One of {_type(name, content)}.\n"]
    needed = content.get("required", [])
    rows = [
        f"| `{field}` | {_type(name, about)} | {'needed' if field in needed else _default(about)} |"
        for field, about in content["properties"].items()
    ]
    return ["| field | type | default |", "|---|---|---|", *rows, ""]


def _default(about: dict[str, Any]) -> str:
    return f"`{about['default']}`" if about.get("default") not in (None, {}, []) else "none"


def _type(name: str, about: dict[str, Any]) -> str:
    """Return a type in words, records as links; table cells take no bare pipe."""
    if "$ref" in about:
        record = about["$ref"].rsplit("/", 1)[-1]
        return f"[{record}](#{name}-{record.lower()})"
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_type(name, one) for one in about["anyOf"]))
    if values := about.get("enum", [about["const"]] if "const" in about else []):
        return ", ".join(f"`{value}`" for value in values)
    return _collection(name, about) or str(about.get("type", "anything"))


def _collection(name: str, about: dict[str, Any]) -> str:
    """Return a list's, pair's or table's type in words; empty for what is none of them."""
    if "prefixItems" in about:
        return "[" + ", ".join(_type(name, one) for one in about["prefixItems"]) + "]"
    if about.get("type") == "array":
        return f"list of {_type(name, about.get('items', {}))}"
    if isinstance(about.get("additionalProperties"), dict):
        return f"table of {_type(name, about['additionalProperties'])}"
    return ""
