"""Loss against compute, and what being off the optimum costs at the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.figures.cells import CellFigure
from hptransfer.figures.evaluating import Band, Quantity, geometric
from hptransfer.law import Law, LossLaw
from hptransfer.losses.law import loss_half_width, predict_loss, wasted_compute
from hptransfer.planning import Plan
from hptransfer.plans.bowl import amplitude, excess, valley
from hptransfer.plans.prediction import predict_log
from hptransfer.sweep import BoolArray, FloatArray

POINTS = 81
BEYOND = 2.0
FLOPS_PER_PARAM_TOKEN = 6.0
WIDEST = float(np.log(8.0))  # natural logs away from the optimum that a cost curve shows


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

    `beyond_runs` marks points outside the runs behind the bowl: there the cost is a lower bound. `wasted` is
    the share of compute that the excess wastes, None without a loss law.
    """

    quantity: Quantity
    x: FloatArray
    excess: FloatArray
    beyond_runs: BoolArray
    wasted: FloatArray | None
    optimum: float
    run: float | None
    interval: tuple[float, float] | None
    plateau: tuple[float, float] | None  # within 0.25 %


def cost_figures(plan: Plan) -> list[CostFigure]:
    """LR at the batch to run, then batch along the valley; empty where the law has no bowl."""
    law, bowl = plan.law, plan.law.bowl
    if bowl is None or law.peak_lr is None or law.batch_tokens is None or plan.rounded.batch_tokens is None:
        return []
    logs = {"params": np.log(plan.target.params), "tokens": np.log(plan.target.tokens)}
    log_lr, log_batch = predict_log(law.peak_lr, logs), predict_log(law.batch_tokens, logs)
    scale = amplitude(bowl, logs, np)
    run_v = np.log(plan.rounded.batch_tokens) - log_batch
    bottom = float(valley(bowl, run_v, np))
    u = np.linspace(bottom - WIDEST, bottom + WIDEST, 2 * POINTS - 1)
    v = np.linspace(-WIDEST, WIDEST, 2 * POINTS - 1)
    by_lr = np.expm1(scale * excess(bowl, u, run_v, np))
    by_batch = np.expm1(scale * excess(bowl, valley(bowl, v, np), v, np))
    return [
        CostFigure(
            quantity="peak_lr",
            x=plan.lr_factor * np.exp(log_lr + u),
            excess=by_lr,
            beyond_runs=(u < bowl.trusted_u[0]) | (u > bowl.trusted_u[1]),
            wasted=_wasted(law, logs, by_lr),
            optimum=plan.lr_factor * float(np.exp(log_lr + bottom)),
            run=plan.rounded.peak_lr,
            interval=plan.peak_lr_interval,
            plateau=plan.plateaus.get("peak_lr_within_0.0025"),
        ),
        CostFigure(
            quantity="batch_tokens",
            x=np.exp(log_batch + v),
            excess=by_batch,
            beyond_runs=(v < bowl.trusted_v[0]) | (v > bowl.trusted_v[1]),
            wasted=_wasted(law, logs, by_batch),
            optimum=float(np.exp(log_batch)),
            run=plan.rounded.batch_tokens,
            interval=plan.batch_tokens_interval,
            plateau=plan.plateaus.get("batch_tokens_within_0.0025"),
        ),
    ]


def _wasted(law: Law, logs: dict[str, float], cost: FloatArray) -> FloatArray | None:
    if law.loss is None:
        return None
    return np.asarray(wasted_compute(law.loss, logs, cost, np))
