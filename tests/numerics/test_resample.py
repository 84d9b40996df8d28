"""Two-stage resampling: whole cells, then runs inside them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.numerics.resample import cell_then_run_counts


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_a_drawn_cell_brings_as_many_runs_as_it_has(sizes: list[int], seed: int) -> None:
    cell = np.repeat(np.arange(len(sizes)), sizes)
    counts = cell_then_run_counts(cell, n_draws=8, rng=np.random.default_rng(seed))
    per_cell = np.stack([counts[:, cell == c].sum(axis=1) for c in range(len(sizes))], axis=1)
    times_drawn = per_cell / np.array(sizes)
    assert (times_drawn == np.rint(times_drawn)).all()
    assert (times_drawn.sum(axis=1) == len(sizes)).all()


def test_every_run_is_drawn_once_on_average_and_varies_as_two_stages_do() -> None:
    """Variance of a run's count: (1 - 1/runs) inside its cell, plus (1 - 1/cells) from drawing cells."""
    cell = np.repeat(np.arange(5), 4)
    counts = cell_then_run_counts(cell, n_draws=20_000, rng=np.random.default_rng(1))
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.05)
    np.testing.assert_allclose(counts.var(axis=0).mean(), (1 - 1 / 4) + (1 - 1 / 5), rtol=0.02)


def test_the_same_seed_gives_the_same_draws() -> None:
    cell = np.repeat(np.arange(3), [2, 5, 1])
    first, second = (cell_then_run_counts(cell, n_draws=6, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
