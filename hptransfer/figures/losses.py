"""Loss against compute, and what being off the optimum costs at the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.figures.cells import CellFigure
from hptransfer.figures.evaluating import QUANTITIES, Band, Quantity, geometric
from hptransfer.law import Law, LossLaw
from hptransfer.losses.law import loss_half_width, predict_loss
from hptransfer.planning import Plan
from hptransfer.plans.cost import Cost, cost_curves
from hptransfer.sweep import BoolArray, FloatArray

POINTS = 81
BEYOND = 2.0
FLOPS_PER_PARAM_TOKEN = 6.0
OCTAVES, PER_OCTAVE = 3, 12  # that a cost curve shows to either side of the value to run


@dataclass(frozen=True)
class LossFigure:
    """Best loss of each cell against compute (FLOP), shape (n_cells,), and the loss law at fixed sizes.

    `sizes` are lines at the cells' params; `target` is the line at the target's params with its interval.
    """

    params: FloatArray
    compute: FloatArray
    loss: FloatArray
    predicted: FloatArray | None
    sizes: tuple[tuple[float, Band], ...]
    target: Band | None
    target_point: tuple[float, float] | None
    target_interval: tuple[float, float] | None
    unit: str


def loss_figure(cells: Sequence[CellFigure], law: Law, plan: Plan | None) -> LossFigure | None:
    """None where no cell finished a run."""
    finished = [cell for cell in cells if cell.best is not None]
    if not finished:
        return None
    params = np.array([cell.params for cell in finished])
    tokens = np.array([cell.tokens for cell in finished])
    compute = FLOPS_PER_PARAM_TOKEN * params * tokens
    best = np.array([cell.loss[cell.best] for cell in finished if cell.best is not None])
    sizes, target, point, interval, predicted = [], None, None, None, None
    if law.loss is not None:
        predicted = _loss(law.loss, params, tokens)
        for size in _few(np.unique(params)):
            own = tokens[params == size]
            sizes.append((float(size), _line(law.loss, float(size), own.min(), own.max())))
        if plan is not None and plan.loss is not None:
            ahead = plan.target.tokens
            start = min(float(np.exp(np.log(tokens).mean())), ahead)
            target = _line(law.loss, plan.target.params, start, ahead)
            point = (FLOPS_PER_PARAM_TOKEN * plan.target.params * ahead, plan.loss)
            interval = plan.loss_interval
    unit = law.loss_unit or "nats"
    return LossFigure(params, compute, best, predicted, tuple(sizes), target, point, interval, unit)


def _few(values: FloatArray, most: int = 8) -> FloatArray:
    picked: FloatArray = values[np.unique(np.linspace(0, len(values) - 1, most).round().astype(int))]
    return picked


def _loss(law: LossLaw, params: FloatArray, tokens: FloatArray) -> FloatArray:
    logs = {"params": np.log(params), "tokens": np.log(tokens)}
    return np.asarray(predict_loss(law, {**logs, "flops": np.log(6.0 * params * tokens)}, np))


def _line(law: LossLaw, params: float, low: float, high: float) -> Band:
    """Loss of one size along compute."""
    tokens = geometric(low / BEYOND, high * BEYOND, POINTS)
    size = np.full_like(tokens, params)
    logs = {"params": np.log(size), "tokens": np.log(tokens)}
    loss, half = _loss(law, size, tokens), loss_half_width(law, logs, np)
    x = FLOPS_PER_PARAM_TOKEN * params * tokens
    return Band(x, loss) if half is None else Band(x, loss, loss * np.exp(-half), loss * np.exp(half))


@dataclass(frozen=True)
class CostFigure:
    """Excess loss (fraction) of running another LR, or another batch with its own best LR, at the target.

    Arrays have shape (n,), along `factor` times the value to run. `low` and `high` are the 90 % interval of
    the cost where the optimum is uncertain, None without one. `beyond_runs` marks points outside the runs
    behind the bowl: there the cost is a lower bound. `wasted` is the share of compute that the excess wastes,
    None without a loss law.
    """

    quantity: Quantity
    factor: FloatArray
    x: FloatArray
    excess: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    beyond_runs: BoolArray
    wasted: FloatArray | None
    run: float
    interval: tuple[float, float] | None
    plateau: tuple[float, float] | None  # within 0.25 %


def cost_figures(plan: Plan) -> list[CostFigure]:
    """LR at the batch to run, then batch with its own best LR, as `plan` prices them; empty without bowl."""
    steps = np.arange(-OCTAVES * PER_OCTAVE, OCTAVES * PER_OCTAVE + 1)
    curves = cost_curves(plan, np.exp2(steps / PER_OCTAVE).tolist())
    if curves is None:
        return []
    spans = {"peak_lr": plan.peak_lr_interval, "batch_tokens": plan.batch_tokens_interval}
    return [
        _cost_figure(quantity, curve, spans[quantity], plan.plateaus.get(f"{quantity}_within_0.0025"))
        for quantity, curve in zip(QUANTITIES, curves, strict=True)
    ]


def _cost_figure(
    quantity: Quantity,
    curve: Sequence[Cost],
    interval: tuple[float, float] | None,
    plateau: tuple[float, float] | None,
) -> CostFigure:
    spread = [cost.interval for cost in curve if cost.interval is not None]
    wasted = [cost.excess_flops for cost in curve if cost.excess_flops is not None]
    ends = np.array(spread) if spread else None
    return CostFigure(
        quantity=quantity,
        factor=np.array([cost.factor for cost in curve]),
        x=np.array([cost.value for cost in curve]),
        excess=np.array([cost.excess for cost in curve]),
        low=None if ends is None else ends[:, 0],
        high=None if ends is None else ends[:, 1],
        beyond_runs=np.array([cost.at_least for cost in curve]),
        wasted=np.array(wasted) if wasted else None,
        run=curve[len(curve) // 2].value,
        interval=interval,
        plateau=plateau,
    )
