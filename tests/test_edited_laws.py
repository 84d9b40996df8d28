"""Laws edited by hand: whatever stands in any field, it is refused in words or planned in finite numbers."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest

from hptransfer.cli import render_law, render_plan
from hptransfer.config import config_from_plan, config_from_yaml, config_to_yaml
from hptransfer.errors import HptransferError, InputError
from hptransfer.law import Law, law_from_json, law_to_json
from hptransfer.planning import Target, plan, plan_targets
from hptransfer.project import ResolvedLaw
from hptransfer.published import published_law
from tests.test_planning import fitted_law

GONE = object()
EDITS: tuple[Any, ...] = (
    None,
    "x",
    "\ud800",
    "\x1b[31m::error::",
    True,
    0,
    -1,
    1.5,
    700.0,
    1e308,
    -1e308,
    1e-308,
    10**400,
    [],
    {},
)
OTHERS: dict[str, Any] = {"loss": 2.1, "active_ratio": 0.125, "experts": 8, "flops_per_token": 4e10}
TARGETS = [
    Target(params=7e9, tokens=1e12, width=4096, depth=30, batch_tokens=4e6, **OTHERS),
    Target(params=1e9, tokens=1e11, width=2048, depth=16, batch_tokens=1e6, **OTHERS),
]
# One law a kind: in params and tokens, in compute, with the batch as an input, with the loss as an input.
NAMES = ("step-law", "deepseek-llm", "power-scheduler", "minicpm")
LAWS = {**{name: published_law(name) for name in NAMES}, "fitted": fitted_law()}


def edited(content: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every value of a law replaced by every edit, and left out."""
    for path in _paths(content, ()):
        for edit in (*EDITS, GONE):
            changed = copy.deepcopy(content)
            holder: Any = changed
            for part in path[:-1]:
                holder = holder[part]
            if edit is GONE:
                del holder[path[-1]]
            else:
                holder[path[-1]] = edit
            yield path, changed


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in parts:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def use(law: Law) -> None:
    """Do with a law all that the commands do."""
    planned = plan(law, TARGETS[0])
    for one in (planned, *plan_targets(law, TARGETS)):
        json.dumps(render_plan.plan_content(one), allow_nan=False).encode()
    with redirect_stdout(io.StringIO()) as shown:
        render_plan.show_plan(planned, explain=True)
        render_law.show_law(law, stream=shown)
    shown.getvalue().encode()
    reference = ResolvedLaw(law, "test").reference_from("config.yaml")
    text = config_to_yaml(config_from_plan(planned, reference))
    assert config_from_yaml(text, "config.yaml").peak_lr == planned.rounded.peak_lr


@pytest.mark.parametrize("name", LAWS)
def test_no_edit_is_a_traceback_or_an_infinite_plan(name: str) -> None:
    use(LAWS[name])
    for path, content in edited(json.loads(law_to_json(LAWS[name]))):
        try:
            use(law_from_json(json.dumps(content), "law.json"))
        except HptransferError as error:
            str(error).encode()
        except Exception as error:
            error.add_note(f"edited at {path}")
            raise


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        pytest.param(("peak_lr", "uncertainty", "covariance", 0, 0), -1.0, "negative", id="variance"),
        pytest.param(("peak_lr", "uncertainty", "covariance", 0, 1), 0.5, "symmetric", id="covariance"),
        pytest.param(("peak_lr", "log_coefficient"), True, "valid number", id="true as a number"),
        pytest.param(("fitted_on", "params", 0), 1e30, "smaller end first", id="range"),
    ],
)
def test_edits_that_would_plan_silently_wrong_numbers(path: tuple[Any, ...], value: Any, match: str) -> None:
    content = json.loads(law_to_json(fitted_law()))
    holder = content
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    with pytest.raises(InputError, match=match):
        law_from_json(json.dumps(content), "law.json")


def test_an_implausible_lr_is_said() -> None:
    codes = {note.code for note in plan(published_law("step-law"), Target(params=7, tokens=1e12)).warnings}
    assert "implausible-lr" in codes
