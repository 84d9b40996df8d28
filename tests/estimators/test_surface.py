"""The surface estimator: what a law carries, what is flagged, and sweeps that answer in part."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.errors import RefusalError
from hptransfer.fitting import fit
from hptransfer.law import Law, law_from_json, law_to_json
from hptransfer.planning import Target, plan, plan_targets
from hptransfer.plans.arithmetic import PLAIN
from hptransfer.plans.prediction import student_95
from hptransfer.sweep import BoolArray, Sweep, sweep_from_arrays
from tests.sweeps import BATCH_LAW, GRID_PARAMS, GRID_TOKENS, LAW, grid_cells, noisy_sweep, reordered

CELLS = grid_cells(GRID_PARAMS[:3], GRID_TOKENS[:3])


def _codes(law: Law) -> list[str]:
    return [note.code for note in law.warnings]


def _message(law: Law, code: str) -> str:
    return next(note.message for note in law.warnings if note.code == code)


def _collinear(seed: int = 0) -> Sweep:
    """Tokens at 20 per parameter in every cell."""
    return noisy_sweep(seed=seed, cells=[(n, 20 * n) for n in (1e8, 2e8, 4e8, 8e8)], noise=0.002)


def _with_batches(sweep: Sweep, keep: BoolArray) -> Sweep:
    return reordered(sweep, np.flatnonzero(keep))


@pytest.fixture(scope="module")
def law() -> Law:
    return fit(noisy_sweep(noise=0.002), resamples=50)


def test_a_noisy_sweep_is_recovered(law: Law) -> None:
    """Within a few percent at the largest cell, where LR and batch of `noisy_sweep` are known."""
    found = plan(law, Target(*CELLS[-1]), rounding="none")
    lr = np.exp(LAW["log_coefficient"]) * CELLS[-1][0] ** LAW["params"] * CELLS[-1][1] ** LAW["tokens"]
    batch = np.exp(BATCH_LAW["log_coefficient"]) * CELLS[-1][1] ** BATCH_LAW["tokens"]
    assert found.peak_lr == pytest.approx(lr, rel=0.08)
    assert found.batch_tokens == pytest.approx(batch, rel=0.08)
    assert found.peak_lr_interval is not None
    assert found.peak_lr_interval[0] < lr < found.peak_lr_interval[1]


def test_a_law_says_what_it_rests_on(law: Law) -> None:
    record = law.fit
    assert record is not None
    assert record.choices is not None
    assert (record.estimator, record.prior, record.prior_used) == ("surface", "weak", True)
    assert set(record.data_share) == {
        f"{quantity}.{name}" for quantity in ("peak_lr", "batch_tokens") for name in ("params", "tokens")
    }
    assert all(0.5 < share <= 1 for share in record.data_share.values())
    assert sum(member.weight for member in record.choices.members) == pytest.approx(1)
    assert {member.family for member in record.choices.members} == {"surface", "centroid"}
    assert len(record.draws) == 50
    assert len(record.draws[0]) == len(record.draw_columns) == 6
    assert law.bowl is not None
    assert law.lr_batch_exponent == pytest.approx(0.4, abs=0.08)  # the tilt of `noisy_sweep`


def test_no_prior_leaves_everything_to_the_data() -> None:
    record = fit(noisy_sweep(), prior="none", resamples=0).fit
    assert record is not None
    assert not record.prior_used
    assert set(record.data_share.values()) == {1.0}


def test_the_law_survives_its_file(law: Law) -> None:
    assert law_from_json(law_to_json(law), "law.json") == law


def test_row_order_does_not_matter(law: Law) -> None:
    sweep = noisy_sweep(noise=0.002)
    order = np.random.default_rng(5).permutation(sweep.n_runs)
    other = fit(reordered(sweep, order), resamples=50)
    assert other.peak_lr == law.peak_lr
    assert other.batch_tokens == law.batch_tokens


def test_counting_params_in_millions_moves_the_coefficient_and_nothing_else(law: Law) -> None:
    sweep = noisy_sweep(noise=0.002)
    other = fit(reordered(sweep, np.arange(sweep.n_runs), params_unit=1e6), resamples=0)
    for before, after in ((law.peak_lr, other.peak_lr), (law.batch_tokens, other.batch_tokens)):
        assert before is not None
        assert after is not None
        assert dict(after.exponents) == pytest.approx(dict(before.exponents), abs=1e-4)
        moved = before.log_coefficient + np.log(1e6) * before.exponents["params"]
        assert after.log_coefficient == pytest.approx(moved, abs=2e-3)


def test_one_target_and_many_have_the_same_intervals(law: Law) -> None:
    targets = [Target(7e9, 1e12), Target(1e8, 4e9)]
    for many, target in zip(plan_targets(law, targets), targets, strict=True):
        one = plan(law, target)
        assert many.peak_lr_interval == pytest.approx(one.peak_lr_interval)
        assert many.batch_tokens_interval == pytest.approx(one.batch_tokens_interval)


def test_intervals_grow_away_from_the_data_and_never_overflow(law: Law) -> None:
    widths = []
    for factor in (1.0, 10.0, 1e3, 1e12):
        interval = plan(law, Target(2.4e8 * factor, 3.2e10 * factor)).peak_lr_interval
        assert interval is not None
        widths.append(interval[1] / interval[0])
    assert widths == sorted(widths)
    assert np.isfinite(widths).all()


@pytest.mark.parametrize("degrees", [2.0, 3.5, 10.0, 1e9])
def test_students_quantile_is_scipys(degrees: float) -> None:
    from scipy.stats import t

    assert student_95(degrees, PLAIN) == pytest.approx(t.ppf(0.95, degrees), rel=0.004)


# ---- designs that cannot answer alone -------------------------------------------------------------------


def test_params_and_tokens_that_moved_together_are_flagged(law: Law) -> None:
    """The prior answers, and the law says so; the interval across the design is wide."""
    flagged = fit(_collinear(), resamples=20)
    message = _message(flagged, "not-identifiable")
    assert "moved together" in message
    assert "log params - log tokens" in message
    assert "condition number" in message
    across = Target(1e8, 1.6e11)
    narrow, wide = plan(law, across).peak_lr_interval, plan(flagged, across).peak_lr_interval
    assert narrow is not None
    assert wide is not None
    assert wide[1] / wide[0] > 1.5 * narrow[1] / narrow[0]
    assert flagged.fit is not None
    assert min(flagged.fit.data_share.values()) < 0.7


def test_without_a_prior_they_are_refused() -> None:
    with pytest.raises(RefusalError, match=r"^collinear: "):
        fit(_collinear(), prior="none", resamples=0)


def test_two_cells_are_refused() -> None:
    with pytest.raises(RefusalError, match=r"^too-few-cells: "):
        fit(noisy_sweep(cells=CELLS[:2]), resamples=0)


def test_a_clear_bend_is_flagged_and_widens_intervals() -> None:
    """LR optima curve by 0.5 per squared log along params; the law stays straight."""
    sweep = noisy_sweep(cells=grid_cells(), noise=0.001)
    bend = 0.25 * np.log(sweep.params / 2.4e8) ** 2
    bent = sweep_from_arrays(
        params=sweep.params,
        tokens=sweep.tokens,
        lr=sweep.lr * np.exp(bend),
        batch_tokens=sweep.batch_tokens,
        loss=sweep.loss,
    )
    straight_law, bent_law = fit(sweep, resamples=20), fit(bent, resamples=20)
    assert "bend" not in _codes(straight_law)
    assert "peak_lr.params" in _message(bent_law, "bend")
    assert bent_law.fit is not None
    assert bent_law.fit.bend["peak_lr.params"].value == pytest.approx(0.5, abs=0.15)
    far = Target(1e10, 2e10)
    straight, wide = plan(straight_law, far).peak_lr_interval, plan(bent_law, far).peak_lr_interval
    assert straight is not None
    assert wide is not None
    assert wide[1] / wide[0] > 1.5 * straight[1] / straight[0]


# ---- sweeps that answer in part -------------------------------------------------------------------------


def test_one_batch_everywhere_gives_the_lr_at_that_batch() -> None:
    sweep = noisy_sweep(noise=0.001)
    law = fit(_with_batches(sweep, sweep.batch_tokens == 2.0**18), resamples=20)
    assert law.batch_tokens is None
    assert law.bowl is None
    assert law.lr_batch_exponent is None
    assert {"fixed-batch", "no-batch-law"} <= set(_codes(law))
    assert law.peak_lr is not None
    # Along the valley LR ~ batch^0.4, so at a fixed batch the tokens' exponent falls by 0.4 * 0.56.
    assert law.peak_lr.exponents["params"] == pytest.approx(LAW["params"], abs=0.08)
    assert law.peak_lr.exponents["tokens"] == pytest.approx(LAW["tokens"] - 0.4 * 0.56, abs=0.08)
    assert plan(law, Target(1e8, 2e9, batch_tokens=2.0**18)).peak_lr_interval is not None


def test_no_batch_column_gives_the_lr_only() -> None:
    sweep = noisy_sweep(noise=0.001)
    rows = sweep.batch_tokens == 2.0**18
    law = fit(
        sweep_from_arrays(
            params=sweep.params[rows],
            tokens=sweep.tokens[rows],
            lr=sweep.lr[rows],
            batch_tokens=np.full(int(rows.sum()), np.nan),
            loss=sweep.loss[rows],
        ),
        resamples=20,
    )
    assert law.batch_tokens is None
    assert "no-batch-law" in _codes(law)


def test_one_size_gives_a_law_in_tokens() -> None:
    law = fit(noisy_sweep(cells=[(1e8, d) for d in GRID_TOKENS], noise=0.001), resamples=20)
    assert "single-params" in _codes(law)
    for part, exponent in ((law.peak_lr, LAW["tokens"]), (law.batch_tokens, BATCH_LAW["tokens"])):
        assert part is not None
        assert dict(part.exponents) == pytest.approx({"tokens": exponent}, abs=0.06)
        assert part.uncertainty is not None
        assert [bend.input for bend in part.uncertainty.bends] == ["tokens"]


def test_three_runs_a_cell_are_enough_to_answer() -> None:
    sweep = noisy_sweep(noise=0.001)
    rng = np.random.default_rng(0)
    near = np.concatenate(
        [
            rng.permutation(np.flatnonzero(sweep.cell == c)[np.argsort(sweep.loss[sweep.cell == c])[:30]])[:3]
            for c in range(sweep.n_cells)
        ]
    )
    law = fit(reordered(sweep, np.sort(near)), resamples=20)
    assert law.peak_lr is not None
    assert np.isfinite(law.peak_lr.log_coefficient)


def test_repeated_runs_do_not_break_the_fit() -> None:
    sweep = noisy_sweep()
    law = fit(reordered(sweep, np.repeat(np.arange(sweep.n_runs), 2)), resamples=0)
    once = fit(sweep, resamples=0)
    assert law.peak_lr is not None
    assert once.peak_lr is not None
    assert law.peak_lr.exponents["params"] == pytest.approx(once.peak_lr.exponents["params"], abs=0.05)
