"""Published laws: golden values as data, and every entry complete."""

from __future__ import annotations

import math

import pytest

from hptransfer.arithmetic import Numbers
from hptransfer.errors import UsageError
from hptransfer.law import Law
from hptransfer.published import entries, law_ids, published_law

GOLDEN = [
    pytest.param(law_id, golden, id=f"{law_id}: {golden['where']}")
    for law_id, entry in entries().items()
    for golden in entry.get("golden", [])
]
QUANTITIES = ("peak_lr", "batch_tokens", "tau_ema")


def evaluate(law: Law, name: str, inputs: dict[str, float]) -> Numbers:
    power = getattr(law, name)
    return math.exp(power.log_coefficient) * math.prod(inputs[k] ** e for k, e in power.exponents.items())


@pytest.mark.parametrize(("law_id", "golden"), GOLDEN)
def test_golden_values(law_id: str, golden: dict[str, object]) -> None:
    """The entry gives the value that the paper or its formula gives."""
    inputs = golden["inputs"]
    assert isinstance(inputs, dict)
    law = published_law(law_id)
    expected = {name: golden[name] for name in QUANTITIES if name in golden}
    assert expected
    for name, value in expected.items():
        assert evaluate(law, name, inputs) == pytest.approx(value, rel=2e-6), name


@pytest.mark.parametrize("law_id", law_ids())
def test_every_entry_is_complete(law_id: str) -> None:
    """Source, certainty, range and a golden value for whatever a law predicts."""
    law, entry = published_law(law_id), entries()[law_id]
    parts = [getattr(law, name) for name in QUANTITIES if getattr(law, name) is not None]
    assert parts
    for part in parts:
        assert part.source
        assert part.certainty in ("verified", "second-hand")
    assert law.fitted_on
    assert law.setting["optimizer"]
    predicted = {name for name in QUANTITIES if getattr(law, name) is not None}
    assert predicted == {name for golden in entry["golden"] for name in QUANTITIES if name in golden}


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
