"""Whether the best LR is linear in the batch: sweeps of known slope, and sweeps that cannot say."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.batches.exponent import lr_batch_test, verdict
from hptransfer.errors import RefusalError
from hptransfer.fitting import fit
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
