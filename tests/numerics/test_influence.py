"""Closed-form leave-one-out against refits, and its false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.influence import leave_one_out, outlier_limit


def refitted(design: np.ndarray, values: np.ndarray, row: int, at: np.ndarray) -> tuple[float, float, float]:
    """Deleted residual, Student's t and change of a prediction by refitting without one row."""
    rest = np.arange(len(values)) != row
    terms, square, rank, _ = np.linalg.lstsq(design[rest], values[rest], rcond=None)
    variance = square[0] / (rest.sum() - rank)
    spread = design[row] @ np.linalg.inv(design[rest].T @ design[rest]) @ design[row]
    residual = values[row] - design[row] @ terms
    full = np.linalg.lstsq(design, values, rcond=None)[0]
    return residual, residual / np.sqrt(variance * (1 + spread)), at @ (terms - full)


def test_the_closed_form_equals_refitting_without_each_row() -> None:
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(9), rng.normal(size=(9, 2))])
    values, at = rng.normal(size=(9, 2)), np.array([1.0, 3.0, -2.0])
    found = leave_one_out(design, values, at=at)
    assert found.degrees == 5
    for row in range(9):
        for q in range(2):
            expected = refitted(design, values[:, q], row, at)
            got = (found.residual[row, q], found.t[row, q], found.change[row, q])
            assert got == pytest.approx(expected)


def test_a_row_that_alone_determines_the_line_is_not_judged() -> None:
    design = np.column_stack([np.ones(5), [0.0, 0.0, 0.0, 0.0, 1.0]])
    found = leave_one_out(design, np.arange(5.0)[:, None], at=design[0])
    assert np.isnan(found.t[4, 0])
    assert np.isfinite(found.t[:4]).all()


def test_collinear_columns_count_once() -> None:
    x = np.arange(6.0)
    found = leave_one_out(np.column_stack([np.ones(6), x, 2 * x]), x[:, None] ** 2, at=np.ones(3))
    assert found.degrees == 6 - 2 - 1


def test_sound_rows_exceed_the_limit_no_more_often_than_was_asked_for() -> None:
    rng = np.random.default_rng(1)
    design = np.column_stack([np.ones(12), rng.normal(size=(12, 2))])
    found = leave_one_out(design, rng.normal(size=(12, 2000)), at=design[0])
    limit = outlier_limit(found.degrees, 12, false_alarm=0.05)
    assert 0.03 < (np.abs(found.t) > limit).any(axis=0).mean() <= 0.06
