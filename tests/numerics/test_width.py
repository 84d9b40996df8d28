"""Bowls and slopes: exact on exact data, honest at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress
from scipy.stats import t as student

from hptransfer.numerics.width import optimum, slopes

GRID = np.arange(-10.0, -1.0, 0.5)


@given(st.floats(-8.9, -2.6), st.floats(0.02, 0.2))
def test_the_vertex_of_a_noise_free_parabola_is_found(at: float, depth: float) -> None:
    found = optimum(GRID, 2.0 + depth * (GRID - at) ** 2)
    assert found.log2_lr == pytest.approx(at, abs=1e-6)
    assert found.failure is None


@given(st.permutations(range(len(GRID))))
def test_the_order_of_runs_does_not_matter(order: list[int]) -> None:
    loss = 2.0 + 0.1 * (GRID + 5.3) ** 2 + 0.01 * np.sin(GRID)
    assert optimum(GRID[order], loss[order]) == optimum(GRID, loss)


def test_repeats_are_averaged_and_a_diverged_repeat_spoils_its_lr() -> None:
    loss = 2.0 + 0.1 * (GRID + 5.25) ** 2
    doubled = optimum(np.tile(GRID, 2), np.concatenate([loss + 0.01, loss - 0.01]))
    assert doubled.log2_lr == pytest.approx(-5.25)
    worse = np.where(GRID == -5.5, np.nan, loss)
    spoiled = optimum(np.tile(GRID, 2), np.concatenate([loss, worse]))
    assert spoiled.failure == "edge-diverged"


@pytest.mark.parametrize(
    ("at", "diverged_above", "failure"),
    [(-12.0, 0.0, "edge-low"), (0.0, 0.0, "edge-high"), (-5.0, -4.9, "edge-diverged")],
)
def test_optima_on_an_edge_are_named(at: float, diverged_above: float, failure: str) -> None:
    loss = 2.0 + 0.01 * (GRID - at) ** 2
    assert optimum(GRID, np.where(diverged_above < GRID, np.nan, loss)).failure == failure


def test_too_few_runs_are_no_bowl() -> None:
    assert optimum(np.array([-5.0, -4.0]), np.array([2.0, 2.1])).failure == "too-few"
    assert optimum(GRID, np.full(len(GRID), np.nan)).failure == "too-few"


def test_slopes_and_intervals_are_those_of_linear_regression() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=9)
    y = 0.3 * x + 0.1 * rng.normal(size=9)
    ours, reference = slopes(x[:, None], y), linregress(x, y)
    assert ours is not None
    assert ours.slopes[0] == pytest.approx(reference.slope)
    assert ours.half_widths[0] == pytest.approx(student.ppf(0.95, 7) * reference.stderr)


def test_what_cannot_be_told_apart_has_no_slope() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert slopes(np.column_stack([x, 2 * x]), x) is None
    assert slopes(x[:2, None], x[:2]) is None
