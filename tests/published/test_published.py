"""Published laws: golden values as data, and every entry complete."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hptransfer import published
from hptransfer.errors import UsageError
from hptransfer.law import Law
from hptransfer.published import QUANTITIES, entries, law_ids, published_law

GOLDEN = [
    pytest.param(law_id, golden, id=f"{law_id}: {golden['where']}")
    for law_id, entry in entries().items()
    for golden in entry.get("golden", [])
]
VALUES = (*QUANTITIES, "batch_sequences", "critical_batch_sequences", "loss")


def evaluate(law: Law, name: str, inputs: dict[str, float]) -> float:
    """A golden value by its name, in plain arithmetic."""
    if name == "loss":
        assert law.loss is not None
        reducible = sum(t.coefficient / inputs[t.input] ** t.exponent for t in law.loss.terms)
        return float(law.loss.floor + reducible**law.loss.outer_exponent)
    part, unit = name, 1.0
    if name.endswith("_sequences"):
        part, unit = {"batch_sequences": "batch_tokens"}.get(name, "critical_batch"), law.seq_len or 0
    power = getattr(law, part)
    level = math.exp(power.log_coefficient)
    if power.form == "linear-in-log":
        return float(level * (1 + sum(e * math.log(inputs[k]) for k, e in power.exponents.items())))
    return float(level * math.prod(inputs[k] ** e for k, e in power.exponents.items()) / unit)


@pytest.mark.parametrize(("law_id", "golden"), GOLDEN)
def test_golden_values(law_id: str, golden: dict[str, Any]) -> None:
    """The entry gives the value that the paper or its formula gives, to the digits printed."""
    law, digits = published_law(law_id), golden.get("digits", 7)
    expected = {name: golden[name] for name in VALUES if name in golden}
    assert expected
    for name, value in expected.items():
        got = evaluate(law, name, golden["inputs"])
        assert f"{got:.{digits - 1}e}" == f"{value:.{digits - 1}e}", name


@pytest.mark.parametrize("law_id", law_ids())
def test_every_entry_is_complete(law_id: str) -> None:
    """Source, certainty, what it counts, range and a golden value for whatever a law predicts."""
    law, entry = published_law(law_id), entries()[law_id]
    parts = {name: getattr(law, name) for name in (*QUANTITIES, "loss")}
    predicted = {name: part for name, part in parts.items() if part is not None}
    assert predicted
    assert all(part.source and part.certainty for part in predicted.values())
    assert law.fitted_on or entry["range_note"]
    assert entry["counts"]
    assert entry["pitfalls"]
    assert entry.get("parent", law_id) in law_ids()
    seen = {name for golden in entry["golden"] for name in VALUES if name in golden}
    units = {"batch_sequences": "batch_tokens", "critical_batch_sequences": "critical_batch"}
    assert set(predicted) == {units.get(name, name) for name in seen}


def test_what_is_recalled_is_experimental() -> None:
    assert [law_id for law_id in law_ids() if published_law(law_id).experimental] == [
        "power-lines-critical",
        "meituan",
    ]


def test_weight_decay_from_the_timescale() -> None:
    """laws.md 8: batch 252 x 2048, LR 0.002, 12.2e9 tokens at 20 a parameter: lambda 0.0946137."""
    tau = evaluate(published_law("power-lines"), "tau_ema", {"tokens_per_param": 20})
    assert 252 * 2048 / (0.002 * tau * 12.2e9) == pytest.approx(0.0946137, rel=1e-6)


def test_entries_read_one_by_one_are_the_file() -> None:
    """One law is parsed alone, so that a plan does not wait for the others."""
    whole = Path(published.__file__).with_name("laws.toml").read_text(encoding="utf-8")
    assert entries() == tomllib.loads(whole)


def test_a_misspelt_law_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'step-law'"):
        published_law("steplaw")


def test_digests_differ_and_ignore_titles() -> None:
    """The digest follows the numbers, not the words."""
    digests = {published_law(law_id).digest() for law_id in law_ids()}
    assert len(digests) == len(law_ids())
    law = published_law("step-law")
    assert law.model_copy(update={"title": "another title"}).digest() == law.digest()
    assert law.model_copy(update={"seq_len": 4096}).digest() != law.digest()
