"""Fitting, testing and extrapolating loss curves; real curves where the shared data is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hptransfer.curves.laws import LAW_NAMES, LawName, extrapolate, fit_curve_law, held_out, predict_schedule
from hptransfer.curves.record import Curve, pick
from hptransfer.curves.simulation import PEAK_LR, RUNS, STEPS, WARMUP_STEPS, simulate_curves_csv, true_loss
from hptransfer.errors import RefusalError, UsageError
from hptransfer.readers.curves import read_curves
from hptransfer.schedules import schedule, schedule_from_spec

MULTI_POWER_DATA = Path(__file__).resolve().parents[2].parent / "shared/data/multipowerlaw_curves.csv"
needs_data = pytest.mark.skipif(not MULTI_POWER_DATA.exists(), reason="needs ../shared/data")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[Curve]:
    path = tmp_path_factory.mktemp("curves") / "curves.csv"
    path.write_text(simulate_curves_csv(seed=0))
    return read_curves(str(path))


def first(curve: Curve, share: float) -> Curve:
    """The first share of a curve's points."""
    n = int(share * len(curve.steps))
    return replace(curve, steps=curve.steps[:n], lr=curve.lr[:n], loss=curve.loss[:n])


@needs_data
@pytest.mark.parametrize("size", ["25M", "100M"])
def test_three_schedules_predict_the_other_six(size: str) -> None:
    """Multi-Power within 0.0050; the annealing law's errors are those of its own reference implementation."""
    curves = [c for c in read_curves(str(MULTI_POWER_DATA)) if c.run.startswith(f"{size}/")]
    fitted_on = [pick(curves, f"{size}/{name}") for name in ("cosine_24000", "constant_24000", "wsdcon_9")]
    names = {curve.run for curve in fitted_on}
    errors = {}
    for name in LAW_NAMES:
        law = fit_curve_law(fitted_on, law=name, warmup_steps=2160)
        errors[name] = np.mean([held_out(law, c).mean_abs_error for c in curves if c.run not in names])
    assert errors["multi-power"] <= 0.0050
    assert errors["annealing"] == pytest.approx({"25M": 0.00732, "100M": 0.00622}[size], abs=5e-5)


@pytest.mark.parametrize("name", LAW_NAMES)
def test_a_law_predicts_a_schedule_it_has_not_seen(simulated: list[Curve], name: LawName) -> None:
    """The truth is neither law: within 0.02 nats of it at the end, 0.004 for the Multi-Power Law's mean."""
    law = fit_curve_law([pick(simulated, run) for run in ("cosine", "constant", "wsd")], law=name)
    linear = schedule_from_spec(RUNS["linear"], steps=STEPS, warmup_steps=WARMUP_STEPS, peak_lr=PEAK_LR)
    predicted = predict_schedule(law, linear)
    error = np.abs(predicted.loss - true_loss(linear)[predicted.steps])
    assert error[-1] < 0.02
    assert error.mean() < (0.004 if name == "multi-power" else 0.02)


def test_an_unfinished_run_ends_inside_its_interval(simulated: list[Curve]) -> None:
    others = [curve for curve in simulated if curve.run != "wsd"]
    wsd = schedule_from_spec(RUNS["wsd"], steps=STEPS, warmup_steps=WARMUP_STEPS, peak_lr=PEAK_LR)
    for share in (0.5, 0.8):
        found = extrapolate([*others, first(pick(simulated, "wsd"), share)], "wsd", wsd)
        low, high = found.interval
        assert low <= true_loss(wsd)[-1] <= high
        assert low < found.loss < high
        assert {"record", "laws", "scatter", "shapes"} == found.parts.keys()


def test_a_decay_nobody_showed_is_refused(simulated: list[Curve]) -> None:
    constant = pick(simulated, "constant")
    law = fit_curve_law([constant])
    assert [note.code for note in law.warnings] == ["no-annealing"]
    with pytest.raises(RefusalError, match="no fitted curve does"):
        predict_schedule(law, schedule("linear", steps=STEPS, peak_lr=PEAK_LR))
    wsd = schedule("wsd", steps=STEPS, warmup_steps=WARMUP_STEPS, peak_lr=PEAK_LR)
    with pytest.raises(RefusalError, match="Add a curve with a decay"):
        extrapolate([first(constant, 0.5)], "constant", wsd)


def test_one_decaying_run_is_not_enough_to_test_a_decay(simulated: list[Curve]) -> None:
    wsd = schedule_from_spec(RUNS["wsd"], steps=STEPS, warmup_steps=WARMUP_STEPS, peak_lr=PEAK_LR)
    known = [pick(simulated, "cosine"), first(pick(simulated, "wsd"), 0.7)]
    assert "decay-untested" in [note.code for note in extrapolate(known, "wsd", wsd).warnings]


def test_reach_is_named(simulated: list[Curve]) -> None:
    law = fit_curve_law(simulated)
    beyond = predict_schedule(law, schedule("d2z", steps=3 * STEPS, peak_lr=2 * PEAK_LR))
    codes = {note.code for note in beyond.warnings}
    assert codes == {"other-peak", "beyond-horizon", "below-fitted-lr"}


def test_curves_of_two_peaks_are_refused(simulated: list[Curve]) -> None:
    hotter = replace(simulated[0], run="hot", lr=2 * simulated[0].lr)
    with pytest.raises(RefusalError, match="these laws hold at one peak"):
        fit_curve_law([simulated[0], hotter])


def test_too_few_points_are_refused(simulated: list[Curve]) -> None:
    with pytest.raises(RefusalError, match="points after the warm-up; need 8"):
        fit_curve_law([first(simulated[0], 0.06)])


def test_an_unfinished_run_must_be_there_and_unfinished(simulated: list[Curve]) -> None:
    wsd = schedule("wsd", steps=STEPS, warmup_steps=WARMUP_STEPS, peak_lr=PEAK_LR)
    with pytest.raises(UsageError, match="Did you mean 'wsd'"):
        extrapolate(simulated, "wsdd", wsd)
    with pytest.raises(UsageError, match="is not before the end"):
        extrapolate(simulated, "wsd", wsd)
