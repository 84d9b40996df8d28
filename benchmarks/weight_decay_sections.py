"""Evidence on weight decay: the timescale law on simulated sweeps, and what three weight decays can rank."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hptransfer.estimators.timescale import best_weight_decays, with_timescale
from hptransfer.planning import Plan, Target, plan
from hptransfer.plans.prediction import timescale_weight_decay
from hptransfer.published import published_law
from hptransfer.simulation import true_optimum
from hptransfer.sweep import Sweep, sweep_from_arrays

MARIN = Path(__file__).resolve().parents[1].parent / "shared/data/marin_adamw_ablations.csv"
COEFFICIENT, EXPONENT = 1.3, -0.45  # the true tau = COEFFICIENT * tokens_per_param ** EXPONENT
GRID = tuple((n, d) for n in (1e8, 2e8, 4e8) for d in (2e9, 8e9, 3.2e10))
NOISE = 0.001  # nats
DRAWS = 300
TARGET = Target(params=4e9, tokens=8e10)

Row = tuple[str, str, str]


def decayed_sweep(
    *,
    values: int = 7,
    noise: float = 0.0,
    seed: int = 0,
    cells: Sequence[tuple[float, float]] = GRID,
    setting: Mapping[str, str] = MappingProxyType({}),
) -> Sweep:
    """Cells with a grid of LRs and weight decays; the loss is lowest at the best LR and true timescale."""
    lr_factors = 2.0 ** np.arange(-2, 3)
    decay_factors = 2.0 ** (np.arange(values) - (values - 1) / 2 + 0.3)
    rows = [(n, d, a, w) for n, d in cells for a in lr_factors for w in decay_factors]
    params, tokens, lr_factor, decay_factor = np.array(rows).T
    lr, batch = true_optimum(params, tokens)
    tau = COEFFICIENT * (tokens / params) ** EXPONENT
    off_tau = np.log(lr_factor * decay_factor)  # tau falls as LR times weight decay rises
    loss = 2.5 + 0.02 * np.log(lr_factor) ** 2 + 0.01 * off_tau**2
    return sweep_from_arrays(
        params=params,
        tokens=tokens,
        lr=lr * lr_factor,
        batch_tokens=batch,
        loss=loss + noise * np.random.default_rng(seed).standard_normal(len(loss)),
        weight_decay=batch / (lr * tau * tokens) * decay_factor,
        setting={"optimizer": "adamw", **setting},
    )


def timescale_recovery() -> Iterator[Row]:
    """The exponent of a known timescale law over simulated sweeps, and how often its interval holds it."""
    slopes, covered, planned = [], 0, 0
    for seed in range(DRAWS):
        law = with_timescale(published_law("step-law"), decayed_sweep(noise=NOISE, seed=seed))
        tau = law.tau_ema
        if tau is None or tau.uncertainty is None:
            continue
        slope = tau.exponents["tokens_per_param"]
        half = tau.uncertainty.quantile * tau.uncertainty.covariance[1][1] ** 0.5
        slopes.append(slope)
        covered += abs(slope - EXPONENT) <= half
        planned += _holds_the_best(plan(law, TARGET))
    yield (
        "timescale law, simulated: exponent",
        f"{np.mean(slopes):+.3f} (scatter {np.std(slopes):.3f}; fitted in {len(slopes)} of {DRAWS})",
        f"true {EXPONENT:+.2f}; noise {NOISE:g} nats",
    )
    yield ("timescale law, simulated: 90 % interval holds it", f"{covered / len(slopes):.0%}", "90 %")
    what = "timescale law, simulated: best weight decay of a run with 10x the params, in the plan's interval"
    yield (what, f"{planned / len(slopes):.0%}", "90 %; the best has no noise of its own")


def _holds_the_best(planned: Plan) -> bool:
    """Whether the interval of the weight decay holds that of the true timescale."""
    run, target = planned.rounded, planned.target
    assert planned.weight_decay_interval is not None
    assert run.batch_tokens is not None
    assert run.peak_lr is not None
    tau = COEFFICIENT * (target.tokens / target.params) ** EXPONENT
    low, high = planned.weight_decay_interval
    return bool(low <= run.batch_tokens / (run.peak_lr * tau * target.tokens) <= high)


def marin_ranking() -> Iterator[Row]:
    """Rank the tested weight decays of the largest size from smaller ones, and from Power Lines."""
    if not MARIN.exists():
        yield ("weight decay on marin_adamw_ablations.csv", "not here: needs ../shared/data", "")
        return
    sweep = _marin_sweep()
    yield (
        "Marin ablations: cells that bracket their best weight decay",
        f"{len(best_weight_decays(sweep))} of {sweep.n_cells}",
        "two positive values rank, they locate nothing",
    )
    whole = [c for c in range(sweep.n_cells) if len(_ranked(sweep, c)) == 3]
    target = max(whole, key=lambda c: (sweep.cell_params[c], sweep.cell_tokens[c]))
    smaller = [c for c in whole if sweep.cell_params[c] < sweep.cell_params[target]]
    source = min(smaller, key=lambda c: (abs(_log_ratio(sweep, c, target)), -sweep.cell_params[c]))
    truth = _shown(_ranked(sweep, target))
    where = f"true at {sweep.cell_params[target]:.3g} params: {truth}"
    carried = f"as at {sweep.cell_params[source]:.3g} params, nearest tokens per param"
    yield (f"Marin ablations: ranking {carried}", _shown(_ranked(sweep, source)), where)
    yield (
        "Marin ablations: ranking by Power Lines' timescale",
        _shown(_by_power_lines(sweep, target)),
        where,
    )


def _marin_sweep() -> Sweep:
    with MARIN.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["ablated"] in ("baseline", "weight_decay")]
    names = ("params", "tokens", "lr", "batch_tokens", "weight_decay")
    loss = [math.nan if row["diverged"] == "1" else float(row["loss"]) for row in rows]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in names}
    return sweep_from_arrays(**columns, loss=np.array(loss))  # type: ignore[arg-type]


def _ranked(sweep: Sweep, cell: int) -> list[float]:
    """Tested weight decays of a cell, best first; a diverged one is last."""
    assert sweep.weight_decay is not None
    rows = np.flatnonzero(sweep.cell == cell)
    order = np.argsort(np.where(sweep.diverged[rows], np.inf, sweep.loss[rows]), kind="stable")
    return [float(value) for value in sweep.weight_decay[rows][order]]


def _by_power_lines(sweep: Sweep, cell: int) -> list[float]:
    """Tested weight decays by their distance in logs from the timescale's own; none at all is farthest."""
    run = int(np.flatnonzero(sweep.cell == cell)[0])
    tokens = float(sweep.cell_tokens[cell])
    ratio = math.log(tokens / sweep.cell_params[cell])
    best = timescale_weight_decay(
        published_law("power-lines"),
        lr=float(sweep.lr[run]),
        batch_tokens=float(sweep.batch_tokens[run]),
        tokens=tokens,
        logs={"tokens_per_param": ratio},
    )
    far = [
        (abs(math.log(value / float(best))) if value else math.inf, value) for value in _ranked(sweep, cell)
    ]
    return [value for _, value in sorted(far)]


def _log_ratio(sweep: Sweep, cell: int, other: int) -> float:
    """Log of one cell's tokens per param over another's, to one decimal: rounded labels are one ratio."""
    ratio = sweep.cell_tokens / sweep.cell_params
    return round(math.log(ratio[cell] / ratio[other]), 1)


def _shown(values: Sequence[float]) -> str:
    return " < ".join(f"{value:g}" for value in values) + " in loss"


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "timescale-recovery": timescale_recovery,
    "marin-weight-decay": marin_ranking,
}
