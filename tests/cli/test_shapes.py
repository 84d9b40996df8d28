"""The same sweep in ten shapes gives the same law, with no flag beyond --column for the loss."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.readers.shapes import SHAPES, gzipped_csv

EXPECTED_RUNS = 48


def fitted(path: Path) -> dict[str, dict[str, float]]:
    """The law's peak LR and batch, rounded."""
    law = json.loads(path.read_text())
    return {
        name: {"log_coefficient": law[name]["log_coefficient"], **law[name]["exponents"]}
        for name in ("peak_lr", "batch_tokens")
    }


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_the_same_law(
    run: Run, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = SHAPES[name]
    path = shape.write(tmp_path)
    options = ("--resamples", "50", "--estimator", "near-optimal")
    if shape.is_stdin:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    column = ("--column", f"loss={shape.loss}") if shape.loss else ()
    outcome = run("fit", "-" if shape.is_stdin else str(path), *column, *options, "-o", "law.json")
    assert outcome.code == 0, outcome.err
    plain = tmp_path / "plain"
    plain.mkdir()
    assert run("fit", str(gzipped_csv(plain)), *options, "-o", "plain.json").code == 0
    law, expected = fitted(tmp_path / "law.json"), fitted(tmp_path / "plain.json")
    for part, values in expected.items():
        assert law[part] == pytest.approx(values, rel=1e-6), part
    assert json.loads((tmp_path / "law.json").read_text())["fit"]["runs"] >= EXPECTED_RUNS
