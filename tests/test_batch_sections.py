"""The evidence on fixed and re-tuned batches gives back the exponents of sweeps that have known ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hptransfer.sweep import Sweep, sweep_from_arrays
from tests.sweeps import grid_cells

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import batch_sections

PARAMS, TOKENS = -0.6, 0.2  # exponents of the best LR with the batch re-tuned
BATCH_TOKENS = 0.5  # exponent of the best batch in tokens
STEPS = np.exp2(np.arange(-3.0, 4.0))  # of LR and batch about their optimum


def tilted_sweep(slope: float) -> Sweep:
    """Noise-free cells whose best LR moves with batch^slope at fixed params and tokens.

    Loss rises with squared logs from the valley and along it, so each slice is symmetric about its optimum.
    """
    rows = [
        (n, d, np.log(a), np.log(b))
        for n, d in grid_cells((1e8, 3e8, 9e8), (2e9, 8e9))
        for a in STEPS
        for b in STEPS
    ]
    params, tokens, across, along = np.array(rows).T
    return sweep_from_arrays(
        params=params,
        tokens=tokens,
        lr=0.6 * params**PARAMS * tokens**TOKENS * np.exp(across + slope * along),
        batch_tokens=2.0 * tokens**BATCH_TOKENS * np.exp(along),
        loss=2.5 + 0.02 * across**2 + 0.016 * along**2,
    )


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_the_exponents_of_a_tilted_valley(monkeypatch: pytest.MonkeyPatch, slope: float) -> None:
    monkeypatch.setattr(batch_sections, "STEP_LAW", Path(__file__))
    monkeypatch.setattr(batch_sections, "read_sweep", lambda *_, **__: tilted_sweep(slope))
    shown = {what: float(value.split()[0]) for what, value, _ in batch_sections.fixed_and_retuned_batch()}
    at_fixed = "LR at fixed batch: exponent of "
    expected = {
        f"{at_fixed}tokens": TOKENS - slope * BATCH_TOKENS,  # log LR = ... + slope (log B - log best B)
        f"{at_fixed}params": PARAMS,
        f"{at_fixed}batch": slope,
        "LR with the batch re-tuned: exponent of tokens": TOKENS,
        "LR with the batch re-tuned: exponent of params": PARAMS,
    }
    assert {name: shown[name] for name in expected} == pytest.approx(expected, abs=1e-3)


def test_an_interval_is_the_middle_90_percent_of_the_draws() -> None:
    draws = np.concatenate([[0.5], np.linspace(0, 1, 1001)])
    assert batch_sections._with_interval(draws) == "+0.500 (90 %: +0.050 to +0.950)"
