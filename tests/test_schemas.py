"""The JSON Schemas: valid themselves, current in docs, and accepting what the program writes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hptransfer.cli.render_plan import plan_content
from hptransfer.errors import UsageError
from hptransfer.law import law_to_json
from hptransfer.planning import Target, plan
from hptransfer.published import published_law
from hptransfer.schemas import MODELS, schema, schema_to_json
from tests.test_config import fitted_law

PROJECT = Path(__file__).parents[1]


def accepts(name: str, content: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema(name)).is_valid(content))


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_valid_and_the_file_in_docs_is_current(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert (PROJECT / f"docs/schemas/{name}.json").read_text(encoding="utf-8") == schema_to_json(name)
    assert schema(name)["$id"].startswith(f"urn:hptransfer:{name}:")


@pytest.mark.parametrize("law", [published_law("step-law"), fitted_law()], ids=["published", "fitted"])
def test_laws_plans_and_configs_as_written_are_accepted(law: Any) -> None:
    assert accepts("law", json.loads(law_to_json(law)))
    made = plan(law, Target(params=1e9, tokens=1e10))
    assert accepts("plan", json.loads(json.dumps(plan_content(made))))


def test_configs_of_this_repository_and_its_settings_are_accepted() -> None:
    for config in sorted((PROJECT / "configs").glob("*.yaml")):
        assert accepts("config", yaml.safe_load(config.read_text())), config
    assert accepts("settings", tomllib.loads((PROJECT / "hptransfer.toml").read_text()))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_something_else_is_not_accepted(name: str) -> None:
    assert not accepts(name, {"peak_rl": 1})


def test_an_unknown_schema_is_an_error() -> None:
    with pytest.raises(UsageError, match="Did you mean 'config'"):
        schema("confg")
