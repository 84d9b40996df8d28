"""Whether the best LR is linear in the batch: sweeps of known slope, and sweeps that cannot say."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.batches.exponent import lr_batch_test, verdict
from hptransfer.errors import RefusalError
from hptransfer.fitting import fit
from hptransfer.sweep import Sweep, sweep_from_arrays
from tests.sweeps import chosen, exact_sweep, grid_cells, noisy_sweep, rebuilt
from tests.test_batch_sections import tilted_sweep


@pytest.mark.parametrize(
    ("slope", "says"),
    [
        (0.0, "so neither linear nor square root"),
        (0.5, "so square root, not linear"),
        (1.0, "so linear, not square root"),
    ],
)
def test_the_slope_of_a_tilted_valley(slope: float, says: str) -> None:
    found = lr_batch_test(tilted_sweep(slope))
    assert found.value == pytest.approx(slope, abs=1e-6)
    assert found.cells == 6
    assert says in found.verdict
    assert found.flattens is not None
    assert found.flattens[0] == pytest.approx(0.0, abs=1e-6)


def test_noise_widens_the_interval_about_the_truth() -> None:
    found = lr_batch_test(noisy_sweep(noise=0.002))
    low, high = found.interval
    assert low < 0.4 < high  # the tilt of `noisy_sweep`
    assert high - low > 0.02


def test_verdicts() -> None:
    assert "does not tell linear from square root" in verdict(0.7, (0.4, 1.1))
    assert "none at all" in verdict(0.2, (-0.3, 0.7))


def test_what_a_sweep_lacks_is_said() -> None:
    sweep = noisy_sweep()
    with pytest.raises(RefusalError, match="no-batch"):
        lr_batch_test(exact_sweep(grid_cells(), batches=False))
    with pytest.raises(RefusalError, match="one-batch"):
        lr_batch_test(chosen(sweep, sweep.batch_tokens == np.unique(sweep.batch_tokens)[3]))
    on_edge = rebuilt(sweep, loss=2.5 + 1e-3 * np.log(sweep.lr / sweep.lr.min()))
    with pytest.raises(RefusalError, match=r"too-few-batches: 0 of 9 cells"):
        lr_batch_test(on_edge)


def test_a_fit_records_the_test() -> None:
    record = fit(noisy_sweep(), estimator="near-optimal", resamples=0).fit
    assert record is not None
    assert record.lr_batch is not None
    assert record.lr_batch.cells == 9
    no_batch = fit(exact_sweep(grid_cells(), batches=False), estimator="near-optimal", resamples=0).fit
    assert no_batch is not None
    assert no_batch.lr_batch is None


def octave_sweep(slope: float, *, seed: int, noise: float = 0.001, skew: float = 0.0) -> Sweep:
    """Nine cells, three batches, five LRs a factor 2 apart that lie alike about every cell's optimum."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(-0.4, 0.4)
    cells = grid_cells((2e7, 6e7, 2e8), (1e9, 3e9, 9e9))
    rows = [(n, d, k, b) for n, d in cells for b in (-1, 0, 1) for k in range(-2, 3)]
    params, tokens, step, doubling = np.array(rows).T
    off = step + phase - slope * doubling
    bowl = 0.01 * off**2 * (1 + skew * np.tanh(off)) + 0.006 * doubling**2
    return sweep_from_arrays(
        params=params,
        tokens=tokens,
        lr=0.004 * (params / 1e8) ** -0.4 * 2.0 ** (step + phase),
        batch_tokens=2.0 ** (16 + doubling),
        loss=2.5 * (1 + bowl + noise * rng.standard_normal(len(step))),
    )


@pytest.mark.parametrize("slope", [0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("skew", [0.0, 0.4])
def test_an_octave_grid_that_lies_alike_in_every_cell_does_not_round_the_exponent(
    slope: float, skew: float
) -> None:
    found = [lr_batch_test(octave_sweep(slope, seed=seed, skew=skew)) for seed in range(30)]
    held = [one.interval[0] <= slope <= one.interval[1] for one in found]
    assert np.mean(held) >= 0.8
    assert min(one.interval[1] - one.interval[0] for one in found) > 0.005
    assert np.median([abs(one.value - slope) for one in found]) < 0.05


def test_flat_slices_leave_what_their_grid_leaves_open() -> None:
    """Losses that only rank: the exponent is known up to the grid, however well the cells agree."""
    sweep = octave_sweep(0.7, seed=0, noise=0.0)
    flat = rebuilt(sweep, loss=2.5 * (sweep.loss / 2.5) ** 0.01)
    found = lr_batch_test(flat)
    low, high = found.interval
    assert low < 0.7 < high
    assert high - low > 0.5
    assert "does not tell linear from square root" in found.verdict
