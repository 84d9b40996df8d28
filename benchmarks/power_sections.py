"""Evidence on the Power Scheduler's law, LR / batch = a tokens^b: recovered, tested, held to a real grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hptransfer import fit, plan, read_sweep
from hptransfer.law import FreedExponent, Law
from hptransfer.planning import Target
from hptransfer.sweep import Sweep, sweep_from_arrays

STEP_LAW = Path(__file__).resolve().parents[1].parent / "shared/data/steplaw/dense_lr_bs_loss_upto_537M.csv"
SEQ_LEN = 4096
COEFFICIENT, EXPONENT = 4.6, -0.51  # of the paper's raw fit, batch in sequences of SEQ_LEN
SIZES = (12e6, 36e6, 121e6)
HORIZONS = (2e9, 8e9, 3.2e10, 1.28e11)
TARGET = Target(params=1e9, tokens=1e12, batch_tokens=float(1024 * SEQ_LEN), seq_len=SEQ_LEN)
NOISE = 0.003  # nats; 0.1 % of the loss
DRAWS = 100

Row = tuple[str, str, str]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """LR* = COEFFICIENT sequences^batch tokens^(EXPONENT + drift ln(params / middle)) params^params.

    All meet the paper's law at a batch of `MIDDLE_BATCH` sequences.
    """

    batch: float = 1.0
    params: float = 0.0
    drift: float = 0.0


MIDDLE_BATCH = 128.0  # sequences
MIDDLE_SIZE = SIZES[1]
MIDDLE_TOKENS = 8e9


def power_sweep(
    truth: Truth,
    *,
    noise: float = 0.0,
    seed: int = 0,
    sizes: Sequence[float] = SIZES,
    horizons: Sequence[float] = HORIZONS,
    batches: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
) -> Sweep:
    """Cells with batches around the best and LRs at whole powers of two, as in the paper's search.

    Args:    batches: tried, over the best batch of the cell.
    """
    rows = [(n, d, b) for n in sizes for d in horizons for b in batches]
    params, tokens, off_batch = (np.repeat(column, 9) for column in np.array(rows).T)
    sequences = 2.0 ** np.round(np.log2(MIDDLE_BATCH * (tokens / MIDDLE_TOKENS) ** 0.5 * off_batch))
    log_lr = _true_log_lr(truth, params=params, tokens=tokens, sequences=sequences)
    level = np.tile(np.arange(-4, 5), len(rows))
    tried = np.log(2.0) * (np.round(log_lr / np.log(2.0)) + level)
    loss = 3.0 * np.exp(0.02 * (tried - log_lr) ** 2 + 0.005 * np.log(off_batch) ** 2)
    return sweep_from_arrays(
        params=params,
        tokens=tokens,
        lr=np.exp(tried),
        batch_tokens=sequences * SEQ_LEN,
        loss=loss + noise * np.random.default_rng(seed).standard_normal(len(loss)),
        seq_len=SEQ_LEN,
        setting={"schedule": "wsd", "parametrization": "mup"},
    )


def _true_log_lr(truth: Truth, *, params: Floats, tokens: Floats, sequences: Floats) -> Floats:
    log_size = np.log(params) - math.log(MIDDLE_SIZE)
    return np.asarray(
        math.log(COEFFICIENT * MIDDLE_BATCH)
        + truth.batch * (np.log(sequences) - math.log(MIDDLE_BATCH))
        + EXPONENT * np.log(tokens)
        + truth.drift * log_size * (np.log(tokens) - math.log(MIDDLE_TOKENS))
        + truth.params * log_size
    )


def power_scheduler_recovery() -> Iterator[Row]:
    """The paper's law over simulated searches: exponent, interval, the interval of a plan, false alarms."""
    slopes, held, planned, alarms = [], 0, 0, 0
    for seed in range(DRAWS):
        law = _fitted(Truth(), seed=seed)
        assert law.peak_lr is not None
        assert law.peak_lr.uncertainty is not None
        slope = law.peak_lr.exponents["tokens"]
        half = law.peak_lr.uncertainty.quantile * law.peak_lr.uncertainty.covariance[1][1] ** 0.5
        slopes.append(slope)
        held += abs(slope - EXPONENT) <= half
        low, high = plan(law, TARGET).peak_lr_interval or (math.nan, math.nan)
        planned += low <= COEFFICIENT * 1024 * 1e12**EXPONENT <= high
        alarms += any(note.code.endswith("moves-with-params") for note in law.warnings)
    what = f"true {EXPONENT:+.2f}; LRs a factor 2 apart, noise {NOISE:g} nats"
    yield (
        "Power Scheduler, simulated: exponent b",
        f"{np.mean(slopes):+.3f} (scatter {np.std(slopes):.3f})",
        what,
    )
    yield ("Power Scheduler, simulated: 90 % interval of b holds it", f"{held / DRAWS:.0%}", "90 %")
    yield ("Power Scheduler, simulated: LR interval at 1T tokens", f"{planned / DRAWS:.0%}", "90 %")
    yield ("Power Scheduler, simulated: a size said to matter", f"{alarms / DRAWS:.0%}", "two tests at 5 %")


def power_scheduler_verdicts() -> Iterator[Row]:
    """How often each contradiction of the form is seen where it is true."""
    for what, truth, code in (
        ("LR goes with the square root of the batch", Truth(batch=0.5), "not-linear-in-batch"),
        ("LR / batch moves with params^-0.3", Truth(params=-0.3), "ratio-moves-with-params"),
        ("b changes by 0.1 per e-fold of params", Truth(drift=0.1), "exponent-moves-with-params"),
    ):
        seen = [_codes(_fitted(truth, seed=seed)) for seed in range(DRAWS // 2)]
        share = np.mean([code in codes for codes in seen])
        yield (f"Power Scheduler, simulated: {what}", f"named in {share:.0%}", "100 %")
    seen = [_codes(_fitted(Truth(), seed=seed)) for seed in range(DRAWS // 2)]
    share = np.mean(["not-linear-in-batch" in codes for codes in seen])
    yield ("Power Scheduler, simulated: LR is linear in the batch", f"denied in {share:.0%}", "10 %")


def power_scheduler_on_step_law() -> Iterator[Row]:
    """What a grid in standard parametrization says about the form."""
    if not STEP_LAW.exists():
        yield ("Power Scheduler on Step Law's grid", "not here: needs ../shared/data", "")
        return
    sweep = read_sweep(STEP_LAW, columns={"loss": "smooth loss"})
    law = fit(sweep, estimator="power-scheduler")
    assert law.peak_lr is not None
    assert law.peak_lr.uncertainty is not None
    assert law.fit is not None
    tests = law.fit.power_scheduler
    assert tests is not None
    slope = law.peak_lr.exponents["tokens"]
    half = law.peak_lr.uncertainty.quantile * law.peak_lr.uncertainty.covariance[1][1] ** 0.5
    title = "Power Scheduler on Step Law's grid"
    yield (f"{title}: b", _interval(slope, slope - half, slope + half), f"paper -0.51; {tests.cells} cells")
    yield (f"{title}: exponent of params in LR / batch", _freed(tests.params_exponent), "0 by the form")
    yield (f"{title}: change of b per e-fold of params", _freed(tests.drift), "0 by the form")
    linear = law.fit.lr_batch
    yield (f"{title}: LR against batch", "-" if linear is None else linear.verdict, "B^1 by the form")


def _fitted(truth: Truth, *, seed: int) -> Law:
    return fit(power_sweep(truth, noise=NOISE, seed=seed), estimator="power-scheduler", resamples=0)


def _codes(law: Law) -> set[str]:
    return {note.code for note in law.warnings}


def _freed(exponent: FreedExponent | None) -> str:
    if exponent is None:
        return "cannot tell"
    return f"{_interval(exponent.value, *exponent.interval)}, p = {exponent.p_value:.2g}"


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} (90 %: {low:+.3f} to {high:+.3f})"


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "power-scheduler-recovery": power_scheduler_recovery,
    "power-scheduler-verdicts": power_scheduler_verdicts,
    "power-scheduler-step-law": power_scheduler_on_step_law,
}
