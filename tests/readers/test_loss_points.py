"""Finished runs become (params, tokens, loss) points, with or without a learning rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.errors import InputError, RefusalError
from hptransfer.readers import read_loss_points
from hptransfer.readers.mapping import Reading
from tests.strategies import Columns, csv_text

POINTS: Columns = {"params": [1e8, 1e8, 4e8], "tokens": [2e9, 4e9, 8e9], "loss": [3.3, 3.2, 2.9]}


def _file(folder: Path, columns: Columns) -> Path:
    path = folder / "points.csv"
    path.write_text(csv_text(columns))
    return path


def test_params_tokens_and_loss_are_all_that_is_needed(tmp_path: Path) -> None:
    points, warnings = read_loss_points(_file(tmp_path, POINTS))
    for name, expected in POINTS.items():
        assert getattr(points, name).tolist() == expected
    assert (points.unit, warnings) == ("nats", ())


def test_headers_units_and_tokens_are_settled_as_in_a_sweep(tmp_path: Path) -> None:
    columns: Columns = {"N": POINTS["params"], "steps": [1000, 2000, 4000], "batch_tokens": [2e6] * 3}
    points, _ = read_loss_points(_file(tmp_path, {**columns, "val_bpb": [1.1, 1.0, 0.9]}))
    assert points.tokens.tolist() == POINTS["tokens"]
    assert points.unit == "bpb"


def test_a_batch_is_not_needed_for_a_point(tmp_path: Path) -> None:
    points, warnings = read_loss_points(_file(tmp_path, {**POINTS, "batch_tokens": ["5e5", "", "5e5"]}))
    assert (len(points), warnings) == (3, ())


def test_rows_that_are_no_points_are_counted_by_reason(tmp_path: Path) -> None:
    columns = {name: [*values, *values[:1] * 3] for name, values in POINTS.items()}
    columns["loss"][3:] = ["", "nan", 3.3]
    points, warnings = read_loss_points(_file(tmp_path, columns))
    assert points.loss.tolist() == POINTS["loss"]
    ((code, message),) = warnings
    assert code == "rows-set-aside"
    assert message.startswith("3 of 6 rows are no points: 1 diverged, 1 duplicate, 1 missing-value (first: ")


def test_a_column_that_is_missing_is_asked_for_and_the_lr_is_not(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_loss_points(_file(tmp_path, {"params": [1e8], "final": [3.0]}))
    text = str(caught.value)
    assert "no column for tokens" in text
    assert "no column for loss" in text
    assert "no column for lr" not in text


def test_runs_of_one_scale_that_differ_in_lr_are_named(tmp_path: Path) -> None:
    columns = {name: [*values, *values] for name, values in POINTS.items()}
    columns["loss"] = [*POINTS["loss"], *(float(str(loss)) + 0.1 for loss in POINTS["loss"])]
    points, warnings = read_loss_points(_file(tmp_path, {**columns, "lr": [1e-3] * 4 + [2e-3, ""]}))
    assert len(points) == 6
    ((code, message),) = warnings
    assert code == "untuned-runs"
    assert message.startswith("at 1 of 3 scales")


def test_a_setting_that_varies_is_refused_unless_said(tmp_path: Path) -> None:
    path = _file(tmp_path, {**POINTS, "dataset": ["c4", "c4", "dclm"]})
    with pytest.raises(RefusalError, match="--vary dataset"):
        read_loss_points(path)
    assert len(read_loss_points(path, Reading(vary=("dataset",)))[0]) == 3
    assert len(read_loss_points(path, Reading(where={"dataset": "c4"}))[0]) == 2
