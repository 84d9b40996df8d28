"""Predicted schedules against logged runs of the same shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.curves.simulation import simulate_curves_csv
from hptransfer.curves.study import study_curves
from hptransfer.readers.curves import read_curves

SHAPES = {
    "wsd:decay_fraction=0.2,final_ratio=0.1": "wsd",
    "cosine:final_ratio=0.1": "cosine",
    "constant": "constant",
}


def test_a_schedule_like_a_logged_run_ends_where_that_run_ended(tmp_path: Path) -> None:
    """The simulated runs warm up; so must what is predicted, or every prediction is off by the same 0.25."""
    file = tmp_path / "curves.csv"
    file.write_text(simulate_curves_csv(seed=0), encoding="utf-8")
    curves = read_curves(str(file), columns={}, max_rows=10_000)
    study = study_curves(
        curves,
        fit_on=["cosine"],
        law="multi-power",
        warmup_steps=0,
        specs=list(SHAPES),
        steps=None,
        unfinished=None,
    )
    logged = {curve.run: float(curve.loss[-1]) for curve in curves}
    for spec, name in SHAPES.items():
        assert study.predictions[spec].final_loss == pytest.approx(logged[name], abs=0.02)
    assert list(study.predictions) == list(SHAPES)  # the ranking that the logged runs show
