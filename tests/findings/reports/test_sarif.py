"""SARIF: valid against the schema of 2.1.0, with everything that was found."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from hptransfer.checks import CHECKS
from hptransfer.findings.record import Report
from hptransfer.findings.reports.sarif import FINGERPRINT, write
from tests.stored_schemas import stored_schema

TITLES = (
    "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema",
    "Static Analysis Results Format (SARIF) Version 2.1.0-rtm.5 JSON Schema",  # what GitHub validates with
)
EMPTY = Report((), (), (), (), 0)


def run_of(report: Report) -> Any:
    return json.loads(write(report))["runs"][0]


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("empty", [False, True])
def test_a_report_is_valid_against_the_schema(report: Report, title: str, empty: bool) -> None:
    schema = stored_schema(title)
    jsonschema.validators.validator_for(schema)(schema).validate(
        json.loads(write(EMPTY if empty else report))
    )


def test_the_schema_is_not_one_that_takes_anything(report: Report) -> None:
    broken = json.loads(write(report))
    broken["runs"][0]["results"][0]["level"] = "fatal"
    schema = stored_schema(TITLES[0])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(schema)(schema).validate(broken)


def test_every_finding_is_a_result_most_severe_first_with_its_rule(report: Report) -> None:
    run = run_of(report)
    results = run["results"]
    assert [r["level"] for r in results] == ["error"] * 4 + ["warning"] + ["error"] * 3
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.id for check in CHECKS]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in results)
    kinds = [[s["kind"] for s in r.get("suppressions", [])] for r in results]
    assert kinds == [[]] * 5 + [["inSource"], ["inSource"], ["external"]]


def test_fingerprints_are_unique_and_stay_when_lines_move(report: Report) -> None:
    prints = [r["partialFingerprints"][FINGERPRINT] for r in run_of(report)["results"]]
    assert len(set(prints)) == len(prints)


def test_places_are_relative_to_the_sources_or_absolute(report: Report) -> None:
    places = [r["locations"][0]["physicalLocation"] for r in run_of(report)["results"]]
    uris = [place["artifactLocation"]["uri"] for place in places]
    assert uris[0] == "configs/a%20b.yaml"
    assert uris[2].startswith("file:///")
    assert uris[2].endswith("/outside/b%2Cc%3Ad.yaml")
    assert uris[3] == "stdin"
    assert places[0]["region"] == {"startLine": 7}
    assert "region" not in places[4]


def test_an_unreadable_file_is_a_notification_of_a_run_that_failed(report: Report) -> None:
    (invocation,) = run_of(report)["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    (notification,) = invocation["toolExecutionNotifications"]
    assert "is not UTF-8" in notification["message"]["text"]
