"""Loss laws as records: recovery, units, intervals, forecasts, and what is refused."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from hptransfer.errors import RefusalError, UsageError
from hptransfer.law import LossInteraction, LossLaw, LossTerm, law_from_json, law_to_json
from hptransfer.losses.fitting import backtest_loss, fit_loss_law
from hptransfer.losses.law import (
    evaluate_loss,
    forecast,
    loss_half_width,
    loss_slope,
    predict_loss,
    wasted_compute,
)
from hptransfer.losses.points import LossPoints, sweep_points
from hptransfer.planning import Target, plan, plan_targets
from hptransfer.plans.arithmetic import PLAIN
from hptransfer.published import published_law
from tests.sweeps import exact_sweep, grid_cells

BESIROGLU = LossLaw(
    floor=1.8172,
    terms=(
        LossTerm(input="params", coefficient=482.01, exponent=0.3478),
        LossTerm(input="tokens", coefficient=2085.43, exponent=0.3658),
    ),
)
STANDARD_ERRORS = {  # arXiv:2404.10102, released notebook
    "floor": (1.8172, 0.0257),
    "params_term": (482.01, 124.5),
    "tokens_term": (2085.43, 1293.3),
    "params_exponent": (0.3478, 0.0154),
    "tokens_exponent": (0.3658, 0.0206),
}
ISOFLOPS = Path(__file__).parents[2].parent / "shared/data/isoflops.csv"
LAWS = {
    "additive": BESIROGLU,
    "outer": BESIROGLU.model_copy(update={"outer_exponent": 0.4}),
    "interacting": LossLaw(
        floor=1.2,
        terms=(
            LossTerm(input="params", coefficient=15.0, exponent=0.14),
            LossTerm(input="tokens", coefficient=2200.0, exponent=0.4),
        ),
        interaction=LossInteraction(  # about the centre of `points`
            level_exponent=-0.2,
            growth=-0.1,
            centre_params=math.log(5e8),
            centre_tokens=math.log((1e9 * 2e11) ** 0.5),
        ),
    ),
}
LOGS = {"params": math.log(7e9), "tokens": math.log(1e12)}


def points(law: LossLaw = BESIROGLU, *, noise: float = 0.0, seed: int = 0) -> LossPoints:
    """A 6 x 6 grid of scales with the law's losses."""
    n, d = (a.ravel() for a in np.meshgrid(np.geomspace(5e7, 5e9, 6), np.geomspace(1e9, 2e11, 6)))
    loss = predict_loss(law, {"params": np.log(n), "tokens": np.log(d)}, np)
    return LossPoints(n, d, loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(n))))


def test_the_published_value_of_a_published_law() -> None:
    """Golden: laws.md, section 19."""
    at = {"params": math.log(1e9), "tokens": math.log(2e10)}
    assert predict_loss(BESIROGLU, at) == pytest.approx(2.530050, abs=5e-7)


@pytest.mark.parametrize("name", LAWS)
def test_a_noise_free_law_comes_back(name: str) -> None:
    form = {"additive": "additive", "outer": "outer-exponent", "interacting": "varying-exponent"}[name]
    law, _ = fit_loss_law(points(LAWS[name]), form=form, resamples=0)
    assert predict_loss(law, LOGS) == pytest.approx(predict_loss(LAWS[name], LOGS), rel=1e-6)
    if name == "additive":
        assert law.floor == pytest.approx(1.8172, rel=1e-6)
        for found, true in zip(law.terms, BESIROGLU.terms, strict=True):
            assert found.coefficient == pytest.approx(true.coefficient, rel=1e-6)
            assert found.exponent == pytest.approx(true.exponent, rel=1e-6)


@pytest.mark.skipif(not ISOFLOPS.exists(), reason="needs ../shared/data/isoflops.csv")
def test_the_chinchilla_replication_is_reproduced_within_its_intervals() -> None:
    """The five points with fewest tokens per parameter dropped, as its notebook does."""
    with ISOFLOPS.open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["origin"] == "ml_scalefit"]
    n, d, loss = (np.array([float(r[name]) for r in rows]) for name in ("params", "tokens", "loss"))
    kept = np.argsort(d / n)[5:]
    law, _ = fit_loss_law(LossPoints(n[kept], d[kept], loss[kept]), form="additive")
    assert law.fit is not None
    ours = {"floor": law.floor}
    for term in law.terms:
        ours |= {f"{term.input}_term": term.coefficient, f"{term.input}_exponent": term.exponent}
    for name, (published, error) in STANDARD_ERRORS.items():
        assert abs(ours[name] - published) <= 1.645 * error, name
        low, high = law.fit.intervals[name]
        assert low <= published <= high, name


def test_units_and_scale_of_the_loss_move_what_they_must() -> None:
    """Params in millions move their coefficient by 10^(6 alpha); a tenth of the loss, floor and levels."""
    made = points(noise=0.002)
    base, _ = fit_loss_law(made, form="additive", resamples=0)
    millions, _ = fit_loss_law(
        LossPoints(made.params / 1e6, made.tokens, made.loss), form="additive", resamples=0
    )
    tenth, _ = fit_loss_law(
        LossPoints(made.params, made.tokens, made.loss / 10), form="additive", resamples=0
    )
    alpha = base.terms[0].exponent
    assert millions.terms[0].coefficient == pytest.approx(
        base.terms[0].coefficient / 10 ** (6 * alpha), rel=1e-4
    )
    assert millions.floor == pytest.approx(base.floor, rel=1e-5)
    assert tenth.floor == pytest.approx(base.floor / 10, rel=1e-5)
    assert [t.exponent for t in tenth.terms] == pytest.approx([t.exponent for t in base.terms], rel=1e-4)


def test_the_order_of_the_points_does_not_matter() -> None:
    made = points(noise=0.002)
    order = np.random.default_rng(1).permutation(len(made))
    assert fit_loss_law(made, resamples=20) == fit_loss_law(made.take(order), resamples=20)


def test_perplexities_are_fitted_as_nats() -> None:
    made = points()
    law, _ = fit_loss_law(
        LossPoints(made.params, made.tokens, np.exp(made.loss), "perplexity"), form="additive", resamples=0
    )
    assert law.unit == "nats"
    assert law.floor == pytest.approx(1.8172, rel=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_the_slope_is_the_derivative_along_fixed_tokens_per_param(name: str) -> None:
    step = 1e-5
    up, down = ({k: v + s / 2 for k, v in LOGS.items()} for s in (step, -step))
    difference = (predict_loss(LAWS[name], up) - predict_loss(LAWS[name], down)) / (2 * step)
    assert loss_slope(LAWS[name], LOGS) == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("excess", [0.0, 0.004, 0.05])
def test_wasted_compute_is_what_a_smaller_run_saves(name: str, excess: float) -> None:
    law = LAWS[name]
    multiplier = 1.0 - wasted_compute(law, LOGS, excess)
    smaller = {k: v + 0.5 * math.log(multiplier) for k, v in LOGS.items()}
    assert predict_loss(law, smaller) == pytest.approx(predict_loss(law, LOGS) * (1 + excess), rel=1e-9)


def test_small_waste_is_excess_over_slope() -> None:
    waste = wasted_compute(BESIROGLU, LOGS, 1e-6)
    expected = 1e-6 * predict_loss(BESIROGLU, LOGS) / -loss_slope(BESIROGLU, LOGS)
    assert waste == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("form", ["additive", "outer-exponent", "varying-exponent"])
def test_floats_and_arrays_agree(form: str) -> None:
    law, _ = fit_loss_law(points(noise=0.003), form=form, resamples=30)
    single = evaluate_loss(law, LOGS, 0.004, PLAIN)
    many = evaluate_loss(law, {k: np.full(3, v) for k, v in LOGS.items()}, np.full(3, 0.004), np)
    for name, value in single.items():
        assert value is not None
        assert many[name] is not None
        assert many[name] == pytest.approx(np.full(3, value), rel=1e-12), name


@pytest.mark.parametrize("form", ["additive", "outer-exponent", "varying-exponent"])
def test_the_sampling_part_is_the_spread_of_refits(form: str) -> None:
    """Half widths without the structural part, against predictions of laws refitted to fresh noise."""
    law, _ = fit_loss_law(points(noise=0.003), form=form, resamples=200)
    assert law.uncertainty is not None
    only_sampling = law.uncertainty.model_copy(update={"structural_std": 0.0, "structural_slope": 0.0})
    bare = law.model_copy(update={"uncertainty": only_sampling})
    at = {"params": math.log(2e9), "tokens": math.log(5e10)}
    half = loss_half_width(bare, at)
    assert half is not None
    refits = [fit_loss_law(points(noise=0.003, seed=s), form=form, resamples=0)[0] for s in range(1, 9)]
    spread = np.std([math.log(predict_loss(refit, at)) for refit in refits])
    assert 0.4 < half / (law.uncertainty.quantile * spread) < 2.5


def test_intervals_grow_away_from_the_points() -> None:
    law, _ = fit_loss_law(points(noise=0.003), resamples=50)
    near, far, farther = (forecast(law, params=n, tokens=20 * n) for n in (1e9, 1e11, 1e12))
    widths = [f.interval[1] / f.interval[0] for f in (near, far, farther) if f.interval is not None]
    assert near.beyond == 0 < far.beyond < farther.beyond
    assert widths == sorted(widths)


def test_intervals_cover_simulated_targets() -> None:
    """Single new runs at 4x the largest compute, noise 0.3 %, additive truth: 90 % or a little more."""
    inside = []
    for seed in range(25):
        law, _ = fit_loss_law(points(noise=0.003, seed=seed), form="additive", resamples=60)
        target = forecast(law, params=1e10, tokens=4e11)
        truth = predict_loss(BESIROGLU, {"params": math.log(1e10), "tokens": math.log(4e11)})
        seen = truth * math.exp(0.003 * np.random.default_rng(1000 + seed).standard_normal())
        assert target.interval is not None
        inside.append(target.interval[0] <= seen <= target.interval[1])
    assert sum(inside) >= 21


def test_holding_out_nothing_is_refused_and_holding_out_works() -> None:
    made = points(noise=0.002)
    found = backtest_loss(made, factor=8.0, resamples=40)
    assert found.fitted + found.held_out == len(made)
    assert found.rms_error < 0.01
    with pytest.raises(UsageError, match="holds nothing out"):
        backtest_loss(made, factor=1.0)


@pytest.mark.parametrize(
    ("rows", "why"), [(range(5), "5 points"), (range(0, 36, 6), "same params"), (range(6), "same tokens")]
)
def test_too_little_is_refused(rows: range, why: str) -> None:
    with pytest.raises(RefusalError, match=f"too-few-loss-points: .*{why}"):
        fit_loss_law(points().take(np.array(rows)))


def test_a_typo_in_the_form_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'additive'"):
        fit_loss_law(points(), form="aditive")


def test_points_on_one_line_are_flagged() -> None:
    n = np.geomspace(5e7, 5e9, 12)
    loss = predict_loss(BESIROGLU, {"params": np.log(n), "tokens": np.log(20 * n)}, np)
    _, notes = fit_loss_law(LossPoints(n, 20 * n, loss), resamples=20)
    assert "loss-collinear" in {note.code for note in notes}


def test_floors_come_from_the_caller_or_are_the_best_losses() -> None:
    sweep = exact_sweep(grid_cells())
    np.testing.assert_allclose(sweep_points(sweep).loss, 2.5)
    floors = np.linspace(2.0, 3.0, sweep.n_cells)
    floors[3] = np.nan
    given = sweep_points(sweep, floors)
    assert len(given) == sweep.n_cells - 1
    np.testing.assert_allclose(given.loss, np.delete(floors, 3))


def test_a_plan_forecasts_the_loss_and_survives_the_file() -> None:
    fitted, _ = fit_loss_law(points(noise=0.002), resamples=30)
    law = published_law("step-law").model_copy(update={"loss": fitted})
    again = law_from_json(law_to_json(law), "law.json")
    assert again == law
    assert again.digest() != published_law("step-law").digest()
    targets = [Target(params=1e9, tokens=1e11), Target(params=7e9, tokens=1e12)]
    singles, many = [plan(again, t) for t in targets], plan_targets(again, targets)
    for single, one in zip(singles, many, strict=True):
        assert single.loss == pytest.approx(one.loss, rel=1e-12)
        assert single.loss_interval == pytest.approx(one.loss_interval, rel=1e-12)
        assert single.loss_interval is not None
        assert single.loss is not None
        assert single.loss_interval[0] < single.loss < single.loss_interval[1]
        assert "no-loss-law" not in {note.code for note in single.warnings}


def test_a_plan_without_a_loss_law_says_so() -> None:
    planned = plan(published_law("step-law"), Target(params=1e9, tokens=1e11))
    assert (planned.loss, planned.loss_interval, planned.excess_flops) == (None, None, None)
    assert "no-loss-law" in {note.code for note in planned.warnings}
