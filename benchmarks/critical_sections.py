"""Evidence on critical batches and on LR-vs-batch rules: recovery in simulation, then three public sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hptransfer import read_sweep
from hptransfer.batches.critical import CriticalBatch, critical_batch
from hptransfer.batches.exponent import lr_batch_test
from hptransfer.batches.rules import RULES, log_lr_factor
from hptransfer.errors import HptransferError
from hptransfer.estimators.common import usable_runs
from hptransfer.numerics.conditional import Slices, slice_vertices
from hptransfer.numerics.critical_batch import log_tokens_min
from hptransfer.sweep import Sweep, sweep_from_arrays

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT.parent / "shared/data"
SIMULATIONS = 60
NOISE = 0.001  # of log loss, between seeds
LEVEL, EXPONENT = math.log(0.0471 * 2048), 0.462  # Power Lines: B_crit = 0.0471 sequences * E_min^0.462
SLOPE = 0.4  # of log LR in log batch
AT = 1.22e10  # tokens, where Power Lines print a critical batch of 4.41e6 tokens
POWER_LINES = math.exp(LEVEL) * AT**EXPONENT

Row = tuple[str, str, str]
Floats = NDArray[np.float64]


def recovery() -> Iterator[Row]:
    """Simulated sweeps of known critical batch and slope: how far off, and how often inside the interval."""
    off: list[float] = []
    held = {"critical batch at 12.2B tokens": 0, "its exponent of tokens": 0, "exponent of batch in LR": 0}
    refused = 0
    for seed in range(SIMULATIONS):
        sweep = simulated(seed)
        try:
            found = critical_batch(sweep)
        except HptransferError:
            refused += 1
            continue
        log_critical, half = at_tokens(found, AT)
        off.append(abs(log_critical - math.log(POWER_LINES)))
        spread = found.law.uncertainty
        assert spread is not None
        std = math.sqrt(spread.covariance[1][1] + (0.0 if spread.form is None else spread.form[1] ** 2 / 2))
        slope = lr_batch_test(sweep)
        held["critical batch at 12.2B tokens"] += off[-1] <= half
        held["its exponent of tokens"] += (
            abs(found.law.exponents["tokens"] - EXPONENT) <= spread.quantile * std
        )
        held["exponent of batch in LR"] += slope.interval[0] <= SLOPE <= slope.interval[1]
    n = len(off)
    yield (
        f"critical batch, {SIMULATIONS} simulated sweeps (noise {NOISE:.1%}, small batches cost loss too)",
        f"off by x{math.exp(float(np.mean(off))):.3f} on average, x{math.exp(max(off)):.3f} at worst",
        f"{refused} refused",
    )
    for what, count in held.items():
        yield (f"90 % intervals that hold the truth: {what}", f"{count / n:.0%} of {n}", "90 %")


def simulated(seed: int) -> Sweep:
    """Three sizes, four numbers of tokens, seven batches, nine LRs; loss by Besiroglu's law of E_min.

    Below a batch that grows as tokens^0.5 loss rises again, as in real sweeps and unlike the hyperbola.
    """
    rng = np.random.default_rng(seed)
    sizes, steps = 2.0 ** np.arange(16.5, 23.5), np.exp2(np.arange(-2.0, 2.5, 0.5))
    axes = np.meshgrid((1e8, 3e8, 9e8), (2e9, 6e9, 2e10, 6e10), sizes, steps, indexing="ij")
    n, d, b, step = (axis.ravel() for axis in axes)
    log_min = log_tokens_min(np.log(d), np.log(b), log_critical=LEVEL, exponent=EXPONENT, centre=0.0)
    below = np.minimum(np.log(b / (2.5 * d**0.5)), 0.0)
    loss = 1.8172 + 482.01 / n**0.3478 + 2085.43 / np.exp(log_min) ** 0.3658 + 0.016 * below**2
    loss = loss * np.exp(0.008 * np.log(step) ** 2 + NOISE * rng.standard_normal(len(loss)))
    lr = 1.79 * n**-0.713 * d**0.307 * (b / 2.0**19) ** SLOPE * step
    return sweep_from_arrays(params=n, tokens=d, lr=lr, batch_tokens=b, loss=loss)


def at_tokens(found: CriticalBatch, tokens: float) -> tuple[float, float]:
    """Log critical batch at E_min = tokens, and half of its 90 % interval."""
    x = np.array([1.0, *([math.log(tokens)] if found.law.exponents else [])])
    spread = found.law.uncertainty
    assert spread is not None
    form = 0.0 if spread.form is None else float(x @ np.array(spread.form)) ** 2 / 2
    half = spread.quantile * math.sqrt(max(float(x @ np.array(spread.covariance) @ x), 0.0) + form)
    exponents = [found.law.log_coefficient, *found.law.exponents.values()]
    return float(x @ np.array(exponents)), half


SWEEPS: dict[str, tuple[Path, dict[str, object]]] = {
    "Step Law": (DATA / "steplaw/dense_lr_bs_loss_upto_537M.csv", {"columns": {"loss": "smooth loss"}}),
    "OpenEuroLLM, beta2 0.99": (
        DATA / "oellm_dense_english_upto_302M.csv",
        {"columns": {"batch_seqs": "gbsz"}, "seq_len": 4096, "where": {"beta2": "0.99"}},
    ),
    "shipped proxies": (PROJECT / "examples/proxies/sweep.csv", {}),
}


def public_sweeps() -> Iterator[Row]:
    """Exponent of batch in LR and critical batch of real sweeps; which rule carries an LR best."""
    for name, (path, options) in SWEEPS.items():
        if not path.exists():
            yield (name, "not here: needs ../shared/data", "")
            continue
        sweep = read_sweep(path, **options)  # type: ignore[arg-type]  # keyword arguments by name
        test = lr_batch_test(sweep)
        yield (f"{name}: best LR at fixed params and tokens", test.verdict, f"{test.cells} cells")
        if test.flattens is not None:
            change, low, high = test.flattens
            text = f"{change:+.2f} (90 %: {low:+.2f} to {high:+.2f})"
            yield (f"{name}: change of that exponent per e-fold of batch", text, "0: a power")
        noise = yield from _critical(name, sweep)
        yield from _rules(name, sweep, test.value, noise)


def _critical(name: str, sweep: Sweep) -> Generator[Row, None, float | None]:
    """Rows on the critical batch; returns it at the middle of the sweep's tokens, None where unknown."""
    try:
        found = critical_batch(sweep)
    except HptransferError as error:
        yield (f"{name}: critical batch", f"refused: {str(error).partition(':')[0]}", "")
        return None
    middle = math.exp(float(np.log(sweep.cell_tokens).mean()))
    tokens = AT if name == "Step Law" else middle
    log_critical, half = at_tokens(found, tokens)
    low, high = math.exp(log_critical - half), math.exp(log_critical + half)
    aim = f"Power Lines {POWER_LINES:.3g}" if name == "Step Law" else ""
    text = f"{math.exp(log_critical):.3g} tokens (90 %: {low:.3g} to {high:.3g})"
    yield (f"{name}: critical batch at {tokens:.3g} tokens", text, aim)
    growth = f"E_min^{found.law.exponents.get('tokens', 0.0):.3f}"
    yield (f"{name}: its growth", growth, "Power Lines 0.462, Zhang et al. 0.47")
    beyond = math.exp(log_critical) / found.largest
    yield (f"{name}: that critical batch over the largest batch tried", f"{beyond:.2g}", "1 or less: seen")
    return math.exp(at_tokens(found, middle)[0])


def _rules(name: str, sweep: Sweep, exponent: float, noise: float | None) -> Iterator[Row]:
    """RMS error of LRs carried from each cell's middle batch to its others, as a factor, by rule."""
    runs, _ = usable_runs(sweep)
    slices = slice_vertices(runs.log_lr, runs.log_batch, loss=runs.loss, cell=runs.cell, threshold=0.0025)
    rules: dict[str, Callable[[Floats], Floats]] = {
        "none": lambda v: 0.0 * v,
        "linear": lambda v: v,
        "sqrt": lambda v: 0.5 * v,
        "its own exponent": lambda v: exponent * v,
    }
    errors = {rule: _carried(slices, move) for rule, move in rules.items()}
    if noise is not None:
        settings = {"noise_batch": noise, "exponent": 0.5}
        for rule in ("saturating", "surge"):
            errors[rule] = _carried_by(slices, rule, settings)
    text = ", ".join(f"{rule} x{math.exp(error):.2f}" for rule, error in errors.items())
    yield (f"{name}: LR carried to other batches of its cell, RMS error", text, f"{len(slices.cell)} batches")


def _carried(slices: Slices, move: Callable[[Floats], Floats]) -> float:
    residual = [
        slices.log_lr[rows] - slices.log_lr[start] - move(slices.log_batch[rows] - slices.log_batch[start])
        for rows, start in _starts(slices)
    ]
    return _rms(residual)


def _carried_by(slices: Slices, rule: str, settings: dict[str, float]) -> float:
    residual = [
        slices.log_lr[rows]
        - slices.log_lr[start]
        - log_lr_factor(
            RULES[rule],
            from_batch=np.exp(slices.log_batch[start]),
            to_batch=np.exp(slices.log_batch[rows]),
            settings=settings,
            xp=np,
        )
        for rows, start in _starts(slices)
    ]
    return _rms(residual)


def _starts(slices: Slices) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Rows of each cell, and its middle batch, from which LRs are carried."""
    for cell in np.unique(slices.cell):
        rows = np.flatnonzero(slices.cell == cell)
        yield rows, int(rows[np.argsort(slices.log_batch[rows])[len(rows) // 2]])


def _rms(residual: list[Floats]) -> float:
    """Over the batches an LR was carried to: the one it started from is exact and does not count."""
    return float(np.sqrt(sum((r**2).sum() for r in residual) / sum(len(r) - 1 for r in residual)))


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "critical-batch-recovery": recovery,
    "batch-on-public-sweeps": public_sweeps,
}
