"""Minima between a few settings."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.bracketing import bracketed_minimum


@pytest.mark.parametrize("vertex", [0.9, 1.0, 1.7])
@pytest.mark.parametrize("near", [1e-9, 10.0])
def test_a_parabola_gives_its_vertex(vertex: float, near: float) -> None:
    x = np.array([3.0, -1.0, 0.0, 1.5])
    assert bracketed_minimum(x, 2.0 + 0.3 * (x - vertex) ** 2, near=near) == pytest.approx(vertex)


def test_the_best_on_an_edge_brackets_nothing_and_repeats_are_averaged() -> None:
    assert bracketed_minimum(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) is None
    x, loss = np.array([0.0, 1.0, 1.0, 2.0]), np.array([1.0, -0.5, 0.5, 1.0])
    assert bracketed_minimum(x, loss) == pytest.approx(1.0)
    assert bracketed_minimum(np.arange(3.0), np.array([1.0, 1.0, 1.0])) is None  # the first is as low as any


def test_many_near_runs_locate_it_better_than_three() -> None:
    """On a grid finer than the noise can tell apart."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 41)
    found = {near: np.zeros(200) for near in (1e-9, 0.02)}
    for draw in range(200):
        loss = 0.02 * x**2 + 0.002 * rng.standard_normal(len(x))
        for near, vertices in found.items():
            vertices[draw] = bracketed_minimum(x, loss, near=near) or 0.0
    assert found[0.02].std() < 0.7 * found[1e-9].std()


def test_a_parabola_that_opens_downwards_or_runs_away_leaves_it_to_three() -> None:
    x, loss = np.arange(5.0), np.array([0.009, 0.009, 0.008, 0.0, 0.3])
    vertex = bracketed_minimum(x, loss)
    assert vertex is not None
    assert 2.5 <= vertex <= 3.5
