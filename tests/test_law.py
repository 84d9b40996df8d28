"""Law files: round trips, and clear errors for files that were cut, edited by hand or are newer."""

from __future__ import annotations

import json

import pytest

from hptransfer.errors import InputError
from hptransfer.law import law_from_json, law_to_json
from hptransfer.published import law_ids, published_law
from tests.test_planning import fitted_law


@pytest.mark.parametrize("law_id", law_ids())
def test_round_trip(law_id: str) -> None:
    law = published_law(law_id)
    assert law_from_json(law_to_json(law), "law.json") == law


def test_a_law_cut_in_half_names_the_line() -> None:
    text = law_to_json(fitted_law())
    with pytest.raises(InputError, match=r"law\.json, line \d+: not a complete JSON document"):
        law_from_json(text[: len(text) // 2], "law.json")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("schema_version", 2, "schema_version: got 2, this hptransfer reads up to 1"),
        ("seq_len", -5, "law.json, seq_len: "),
        ("peak_lrr", 1, "law.json, peak_lrr: "),
        ("id", 5, "law.json, id: "),
    ],
)
def test_edits_by_hand_name_the_field(field: str, value: object, match: str) -> None:
    content = json.loads(law_to_json(fitted_law()))
    content[field] = value
    with pytest.raises(InputError, match=match):
        law_from_json(json.dumps(content), "law.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", "NaN", '{"schema_version": NaN}', "[" * 100_000])
def test_what_is_no_law(text: str) -> None:
    with pytest.raises(InputError, match=r"law\.json"):
        law_from_json(text, "law.json")


def test_a_covariance_of_the_wrong_size_is_refused() -> None:
    content = json.loads(law_to_json(fitted_law()))
    content["peak_lr"]["uncertainty"]["covariance"] = [[1.0]]
    with pytest.raises(InputError, match="3 x 3"):
        law_from_json(json.dumps(content), "law.json")
