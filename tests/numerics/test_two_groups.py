"""Two groups are told from one that is flat, skewed or has long tails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hptransfer.numerics.two_groups import two_humps, two_lines

ONE_HUMP: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "uniform": lambda rng: rng.random(120),
    "normal": lambda rng: rng.standard_normal(120),
    "skewed": lambda rng: rng.exponential(size=120),
    "long tails": lambda rng: rng.standard_t(2, 120),
}


@pytest.mark.parametrize("name", ONE_HUMP)
def test_one_hump_of_any_shape_is_hardly_ever_taken_for_two(name: str) -> None:
    rng = np.random.default_rng(0)
    assert np.mean([two_humps(ONE_HUMP[name](rng)) < 0.05 for _ in range(60)]) <= 0.12


def test_two_humps_five_deviations_apart_are_seen_and_few_values_say_nothing() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(60), 5 + rng.standard_normal(60)])
    assert two_humps(values) < 0.01
    assert two_humps(values[50:70]) == 1.0


def test_two_parallel_lines_are_seen_and_one_is_not() -> None:
    rng = np.random.default_rng(0)
    n, d = (axis.ravel().astype(float) for axis in np.meshgrid(range(4), range(4)))
    design = np.column_stack([np.ones(16), n, d])
    straight = rng.standard_normal((60, 16))
    assert np.mean([two_lines(design, y) < 0.05 for y in straight]) <= 0.12
    group = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1])
    assert two_lines(design, 3 * n - d + 10 * group + straight[0]) < 0.01


def test_without_spare_rows_nothing_is_said() -> None:
    assert two_lines(np.eye(4), np.array([0.0, 1.0, 5.0, 6.0])) == 1.0
