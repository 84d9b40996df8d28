"""LR / batch = a tokens^b from sweeps whose truth is known, and what the runs say about that form."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from hptransfer import fit, plan
from hptransfer.errors import RefusalError, UsageError
from hptransfer.law import FreedExponent, Law, PowerSchedulerTests, law_from_json, law_to_json
from hptransfer.planning import Target
from hptransfer.plans.schedules import with_schedule
from hptransfer.schemas import schema
from hptransfer.sweep import Sweep, sweep_from_arrays

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from power_sections import COEFFICIENT, EXPONENT, NOISE, SEQ_LEN, SIZES, TARGET, Truth, power_sweep

DENIED = {"not-linear-in-batch", "ratio-moves-with-params", "exponent-moves-with-params"}


def fitted(sweep: Sweep) -> Law:
    return fit(sweep, estimator="power-scheduler", resamples=0)


def codes(law: Law) -> set[str]:
    return {note.code for note in law.warnings}


def form_tests(law: Law) -> PowerSchedulerTests:
    assert law.fit is not None
    assert law.fit.power_scheduler is not None
    return law.fit.power_scheduler


def test_the_papers_law_is_recovered_without_noise() -> None:
    law = fitted(power_sweep(Truth()))
    assert law.peak_lr is not None
    assert math.exp(law.peak_lr.log_coefficient) * SEQ_LEN == pytest.approx(COEFFICIENT, rel=1e-6)
    assert law.peak_lr.exponents == pytest.approx({"tokens": EXPONENT, "batch_tokens": 1.0, "params": 0.0})
    assert "linear-in-batch" in codes(law)
    assert not codes(law) & {"linearity-untested", "sizes-untested", *DENIED}
    assert law_from_json(law_to_json(law), "law.json") == law
    assert "PowerSchedulerTests" in json.dumps(schema("law"))


@pytest.mark.parametrize(
    ("truth", "code", "value"),
    [
        (Truth(batch=0.5), "not-linear-in-batch", 0.5),
        (Truth(params=-0.3), "ratio-moves-with-params", -0.3),
        (Truth(drift=0.1), "exponent-moves-with-params", 0.1),
    ],
)
def test_what_the_form_denies_is_found_and_measured(truth: Truth, code: str, value: float) -> None:
    law = fitted(power_sweep(truth, noise=NOISE, seed=3))
    assert codes(law) & DENIED == {code}
    assert law.fit is not None
    assert law.fit.lr_batch is not None
    found = {
        "not-linear-in-batch": law.fit.lr_batch,
        "ratio-moves-with-params": form_tests(law).params_exponent,
        "exponent-moves-with-params": form_tests(law).drift,
    }[code]
    assert found is not None
    assert found.value == pytest.approx(value, abs=0.06)
    low, high = found.interval
    assert low <= found.value <= high
    if isinstance(found, FreedExponent):
        assert found.p_value < 0.05


def test_a_plan_follows_the_law_and_its_schedule_has_the_papers_units() -> None:
    law = fitted(power_sweep(Truth()))
    planned = with_schedule(plan(law, TARGET), "power")
    assert planned.peak_lr == pytest.approx(COEFFICIENT * 1024 * 1e12**EXPONENT, rel=1e-6)
    options = planned.schedule_options
    assert (options["batch_seqs"], options["seq_len"]) == (1024, SEQ_LEN)
    assert (options["coefficient"], options["exponent"]) == pytest.approx((COEFFICIENT, EXPONENT))


def test_the_schedule_stays_below_the_highest_best_lr_of_the_sweep() -> None:
    law = fitted(power_sweep(Truth()))
    highest = max(COEFFICIENT * (2.0**k) * 2e9**EXPONENT for k in range(4, 9))
    assert law.peak_lr_cap is not None
    assert law.peak_lr_cap <= highest * 1.0001
    planned = with_schedule(plan(law, TARGET), "power")
    assert planned.rounded.peak_lr == pytest.approx(law.peak_lr_cap, rel=1e-3)


def test_a_plan_above_the_highest_best_lr_is_held_there_and_says_so() -> None:
    law = fitted(power_sweep(Truth()))
    large = Target(params=1e9, tokens=2e9, batch_tokens=float(4096 * SEQ_LEN))
    held = plan(law, large)
    assert held.peak_lr == law.peak_lr_cap
    assert "lr-capped" in {note.code for note in held.warnings}
    assert "lr-capped" not in {note.code for note in plan(law, TARGET).warnings}


@pytest.mark.parametrize("truth", [Truth(batch=0.5), Truth(params=-0.3)], ids=["sqrt", "params"])
def test_what_speaks_against_the_form_widens_the_interval_away_from_the_sweep(truth: Truth) -> None:
    """The truth lies in the interval where the form misses it by the most."""
    law = fitted(power_sweep(truth, noise=NOISE, seed=1))
    far = Target(params=1.2e9, tokens=3.2e10, batch_tokens=float(2048 * SEQ_LEN), seq_len=SEQ_LEN)
    low, high = plan(law, far).peak_lr_interval or (math.nan, math.nan)
    factor = (2048 / 128) ** (truth.batch - 1) * (1.2e9 / SIZES[1]) ** truth.params
    true_lr = COEFFICIENT * 2048 * 3.2e10**EXPONENT * factor
    cap = law.peak_lr_cap or math.inf
    assert low <= min(true_lr, cap) <= high
    form = fitted(power_sweep(Truth(), noise=NOISE, seed=1))
    narrow = plan(form, far).peak_lr_interval or (math.nan, math.nan)
    assert high / low > narrow[1] / narrow[0]


def test_sizes_and_batches_that_were_not_varied_are_said_to_be_untested() -> None:
    law = fitted(power_sweep(Truth(), sizes=SIZES[:1], batches=(1.0,)))
    assert {"sizes-untested", "linearity-untested"} <= codes(law)
    assert form_tests(law).params_exponent is None
    assert law.peak_lr is not None
    assert law.peak_lr.uncertainty is not None
    spread = np.array(law.peak_lr.uncertainty.covariance)
    assert spread[2, 2] == pytest.approx(0.5**2 + 0.25**2)  # the weak prior's slope, 0.5 +- 0.25, against 1
    assert spread[3, 3] == pytest.approx(0.15**2)  # and of params under muP, 0 +- 0.15


def test_a_cell_that_brackets_nothing_is_left_out_and_named() -> None:
    sweep = power_sweep(Truth())
    cell = sweep.cell == 0
    best = np.exp(np.log(sweep.lr[cell]).mean())
    keep = ~cell | (sweep.lr < best / 3)
    part = _rows(sweep, keep)
    law = fitted(part)
    assert "unbracketed-cells" in codes(law)
    assert form_tests(law).cells == 11


@pytest.mark.parametrize(
    ("sweep", "code"),
    [
        (power_sweep(Truth(), horizons=(8e9,)), "single-tokens"),
        (power_sweep(Truth(), sizes=SIZES[:1], horizons=(2e9, 8e9)), "too-few-cells"),
    ],
)
def test_what_cannot_show_the_exponent_is_refused(sweep: Sweep, code: str) -> None:
    with pytest.raises(RefusalError, match=code):
        fitted(sweep)


def test_a_sweep_without_batch_is_refused() -> None:
    sweep = power_sweep(Truth())
    with pytest.raises(RefusalError, match="no-batch: the Power Scheduler is a law of LR / batch"):
        fitted(_rows(sweep, np.ones(sweep.n_runs, dtype=np.bool_), batch=False))


def test_a_plan_without_batch_is_refused_and_says_what_to_add() -> None:
    with pytest.raises(UsageError, match="--batch-tokens B"):
        plan(fitted(power_sweep(Truth())), Target(params=1e9, tokens=1e12))


def _rows(sweep: Sweep, keep: np.ndarray, *, batch: bool = True) -> Sweep:
    return sweep_from_arrays(
        params=sweep.params[keep],
        tokens=sweep.tokens[keep],
        lr=sweep.lr[keep],
        batch_tokens=sweep.batch_tokens[keep] if batch else np.full(int(keep.sum()), np.nan),
        loss=sweep.loss[keep],
        seq_len=sweep.seq_len,
        setting=sweep.setting,
    )
