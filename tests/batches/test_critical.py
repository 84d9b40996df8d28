"""The critical batch of sweeps with a known one, of tables of tuned runs, and of what cannot say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hptransfer.batches.critical import critical_batch, critical_batch_of_points
from hptransfer.batches.points import BatchPoints, points_from_runs
from hptransfer.errors import RefusalError
from hptransfer.fitting import fit
from hptransfer.numerics.critical_batch import log_tokens_min
from hptransfer.sweep import Sweep, sweep_from_arrays
from tests.sweeps import chosen, exact_sweep, grid_cells, rebuilt

LEVEL, EXPONENT = math.log(0.0471 * 2048), 0.462  # Power Lines: B_crit = 0.0471 sequences * D_min^0.462


def known_sweep(
    *,
    noise: float = 0.0,
    seed: int = 0,
    small_batch_cost: float = 0.0,
    batches: tuple[int, int] = (17, 24),
    tokens: tuple[float, ...] = (2e9, 1e10, 5e10),
) -> Sweep:
    """A sweep whose runs with the best LR lie on a hyperbola of known critical batch.

    With `small_batch_cost` a batch below 2^19 also costs loss, as in every real sweep.
    """
    rng = np.random.default_rng(seed)
    sizes, steps = 2.0 ** np.arange(*batches), np.exp2(np.arange(-2.0, 2.5, 0.5))
    axes = np.meshgrid((1e8, 3e8, 9e8), tokens, sizes, steps, indexing="ij")
    n, d, b, step = (axis.ravel() for axis in axes)
    log_min = log_tokens_min(np.log(d), np.log(b), log_critical=LEVEL, exponent=EXPONENT, centre=0.0)
    loss = 1.8172 + 482.01 / n**0.3478 + 2085.43 / np.exp(log_min) ** 0.3658
    below = np.minimum(np.log(b / 2.0**19), 0.0)
    loss = loss + 0.02 * np.log(step) ** 2 + small_batch_cost * below**2
    return sweep_from_arrays(
        params=n,
        tokens=d,
        lr=1.79 * n**-0.713 * d**0.307 * (b / 2.0**19) ** 0.4 * step,
        batch_tokens=b,
        loss=loss * np.exp(noise * rng.standard_normal(len(loss))),
    )


def log_critical_at(sweep: Sweep, tokens: float) -> float:
    law = critical_batch(sweep).law
    return law.log_coefficient + law.exponents["tokens"] * math.log(tokens)


def test_a_known_critical_batch_is_recovered() -> None:
    law = critical_batch(known_sweep()).law
    assert law.exponents["tokens"] == pytest.approx(EXPONENT, abs=1e-3)
    assert law.log_coefficient + EXPONENT * math.log(1.22e10) == pytest.approx(math.log(4.41e6), abs=0.02)


def test_with_noise_and_a_costly_small_side_it_is_inside_its_interval() -> None:
    sweep = known_sweep(noise=0.001, small_batch_cost=0.02)
    found = critical_batch(sweep)
    for level in found.levels:
        truth = math.exp(LEVEL + EXPONENT * math.log(level.tokens_min))
        assert level.interval[0] / 1.2 < truth < level.interval[1] * 1.2
    assert log_critical_at(sweep, 1.22e10) == pytest.approx(math.log(4.41e6), abs=math.log(1.5))
    assert any("below their cell's best batch" in text for text in found.left_out)


def test_levels_lie_on_their_hyperbola() -> None:
    """tokens_min / steps_min = B_crit, as McCandlish's definition has it."""
    for level in critical_batch(known_sweep()).levels:
        assert level.tokens_min / level.steps_min == pytest.approx(level.critical_batch)
        assert level.critical_batch == pytest.approx(
            math.exp(LEVEL + EXPONENT * math.log(level.tokens_min)), rel=0.01
        )


def test_the_order_of_runs_does_not_matter() -> None:
    sweep = known_sweep(noise=0.001)
    order = np.random.default_rng(1).permutation(sweep.n_runs)
    mixed = critical_batch(chosen(sweep, order)).law
    assert mixed.log_coefficient == pytest.approx(critical_batch(sweep).law.log_coefficient, rel=1e-6)


def test_with_very_many_models_the_best_covered_take_part() -> None:
    """Thirteen sizes and one point less at the smallest: that one stays out, and is counted."""
    points = [table(one_loss=False) for _ in range(13)]
    sizes = np.repeat(1e8 * 2.0 ** np.arange(13), len(points[0]))
    batch, tokens, loss = (
        np.concatenate([getattr(one, name) for one in points]) for name in ("batch_tokens", "tokens", "loss")
    )
    many = points_from_runs(params=sizes, batch_tokens=batch, tokens=tokens, loss=loss)
    found = critical_batch_of_points(many.take(np.arange(len(many)) > 0))
    assert found.left_out == ("35 points of models beyond the 12 with most",)
    assert len({level.params for level in found.levels}) == 12
    assert min(level.params for level in found.levels) == 2e8


def table(*, one_loss: bool) -> BatchPoints:
    """Tuned runs of one model on a hyperbola with B_crit = 1e6: at one loss, or along their curves."""
    batch = np.repeat([1.25e5, 2.5e5, 5e5, 1e6, 2e6, 4e6], 1 if one_loss else 6)
    minimum = np.full(6, 3e9) if one_loss else np.tile(np.geomspace(1e9, 1e10, 6), 6)
    return points_from_runs(
        params=np.ones(len(batch)),
        batch_tokens=batch,
        tokens=minimum * (1 + batch / 1e6),
        loss=2.0 + 300.0 / minimum**0.3,
    )


@pytest.mark.parametrize("one_loss", [True, False])
def test_a_table_of_tuned_runs(one_loss: bool) -> None:
    found = critical_batch_of_points(table(one_loss=one_loss))
    at = {"tokens": math.log(3e9)}
    log_critical = found.law.log_coefficient + sum(e * at[n] for n, e in found.law.exponents.items())
    assert math.exp(log_critical) == pytest.approx(1e6, rel=0.02)


SWEEP = known_sweep()
SIZES = np.unique(SWEEP.batch_tokens)


def test_runs_that_were_repeated_leave_the_critical_batch_where_it_was() -> None:
    """Five seeds a setting: all points near a cell's best one may then have one batch."""
    points = table(one_loss=False)
    rows = np.repeat(np.arange(len(points)), 5)
    often = BatchPoints(*(getattr(points, name)[rows] for name in points.__dataclass_fields__))
    once, again = (critical_batch_of_points(each).law for each in (points, often))
    assert again.log_coefficient == pytest.approx(once.log_coefficient, rel=1e-4)


def _lowest_two_lrs(sweep: Sweep) -> np.ndarray:
    """Runs with one of the two lowest LRs of their cell and batch."""
    keep = np.zeros(sweep.n_runs, dtype=np.bool_)
    key = sweep.cell * 1000 + np.round(np.log2(sweep.batch_tokens)).astype(np.int64)
    for one in np.unique(key):
        rows = np.flatnonzero(key == one)
        keep[rows[np.argsort(sweep.lr[rows])[:2]]] = True
    return keep


@pytest.mark.parametrize(
    ("code", "lacking"),
    [
        ("no-batch", exact_sweep(grid_cells(), batches=False)),
        ("one-batch", chosen(SWEEP, SWEEP.batch_tokens == SIZES[0])),
        ("few-batches", chosen(SWEEP, SWEEP.batch_tokens <= SIZES[1])),
        ("one-lr", chosen(SWEEP, _lowest_two_lrs(SWEEP))),
        ("lr-on-edge", rebuilt(SWEEP, loss=2.5 + 0.01 * np.log(SWEEP.lr / SWEEP.lr.min()))),
        ("tokens-not-varied", chosen(SWEEP, SWEEP.tokens == 1e10)),
        ("batch-not-costly", rebuilt(SWEEP, loss=SWEEP.loss / SWEEP.batch_tokens**0.2)),
        ("critical-batch-unknown", known_sweep(noise=0.004, batches=(12, 16))),
    ],
)
def test_what_a_sweep_lacks_is_said(code: str, lacking: Sweep) -> None:
    with pytest.raises(RefusalError, match=rf"^{code}: .*(Add|--tuned)"):
        critical_batch(lacking)


def test_a_fit_keeps_it_where_the_runs_say() -> None:
    sweep = known_sweep(noise=0.0005)
    law = fit(sweep, estimator="near-optimal", resamples=0)
    assert law.critical_batch == critical_batch(sweep).law
    assert fit(exact_sweep(grid_cells(), batches=False), resamples=0).critical_batch is None
