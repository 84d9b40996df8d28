"""A timescale law from sweeps that vary weight decay, and the reason where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hptransfer import fit, plan, read_sweep
from hptransfer.planning import Target
from hptransfer.plans.prediction import timescale_law
from hptransfer.sweep import Sweep

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import weight_decay_sections
from weight_decay_sections import COEFFICIENT, EXPONENT, decayed_sweep


def test_the_true_law_is_recovered_without_noise() -> None:
    law = fit(decayed_sweep(), resamples=0)
    assert law.tau_ema is not None
    assert np.exp(law.tau_ema.log_coefficient) == pytest.approx(
        COEFFICIENT, rel=1e-3
    )  # log loss is parabolic
    assert law.tau_ema.exponents == pytest.approx({"tokens_per_param": EXPONENT}, rel=1e-6)
    assert timescale_law(law) is law.tau_ema
    assert "no-timescale-law" not in {note.code for note in law.warnings}


@pytest.mark.parametrize(
    "sweep",
    [
        decayed_sweep(values=2),
        decayed_sweep(cells=[(n, 20 * n) for n in (1e8, 2e8, 4e8, 8e8)]),
        decayed_sweep(setting={"parametrization": "mup"}),
        decayed_sweep(setting={"optimizer": "lion"}),
    ],
    ids=["two values rank", "one ratio", "mup", "no Adam"],
)
def test_a_sweep_that_cannot_locate_it_says_so(sweep: Sweep) -> None:
    law = fit(sweep, resamples=0)
    assert law.tau_ema is None
    assert "no-timescale-law" in {note.code for note in law.warnings}


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ({"parametrization": "mup"}, "Plans with --parametrization"),
        ({"optimizer": "lion"}, "no weight decay"),
    ],
)
def test_what_plans_do_instead_is_what_is_said(setting: dict[str, str], instead: str) -> None:
    law = fit(decayed_sweep(setting=setting), resamples=0)
    assert instead in next(note.message for note in law.warnings if note.code == "no-timescale-law")
    target = Target(params=1e9, tokens=2e10, batch_tokens=524288)
    assert plan(law, target).weight_decay is None


def test_runs_that_differ_in_weight_decay_are_no_repeats_and_no_mixture() -> None:
    law = fit(decayed_sweep(noise=0.001, seed=1), resamples=0)
    assert "two-settings" not in {note.code for note in law.warnings}
    assert law.fit is not None
    assert law.fit.evidence is not None
    assert law.fit.evidence.repeats is None


@pytest.mark.parametrize("vary", [(), ("weight_decay",)])
def test_weight_decay_is_read_where_it_may_vary(tmp_path: Path, vary: tuple[str, ...]) -> None:
    values = ("0.1", "0.2", "") if vary else ("0.1", "0.1", "")
    rows = [
        f"1e8,2e9,{lr},65536,3.{lr[-1]},{wd}" for lr, wd in zip(("1e-3", "2e-3", "4e-3"), values, strict=True)
    ]
    file = tmp_path / "sweep.csv"
    file.write_text("\n".join(["params,tokens,lr,batch_tokens,loss,weight_decay", *rows]))
    sweep = read_sweep(file, vary=vary)
    if vary:
        assert sweep.weight_decay == pytest.approx([0.1, 0.2, np.nan], nan_ok=True)
    else:
        assert sweep.weight_decay is None


def test_noisy_sweeps_give_it_within_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_decay_sections, "DRAWS", 60)
    (_, exponent, _), (_, held, _), _ = weight_decay_sections.timescale_recovery()
    assert float(exponent.split()[0]) == pytest.approx(EXPONENT, abs=0.05)
    assert 75 <= int(held.rstrip("%")) <= 100  # 90 %, four standard errors of 60 draws
