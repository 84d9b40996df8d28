"""What it costs to run another LR or batch than the planned one, and to be wrong about where the optimum is.

Two curves at the target: excess loss against the LR at the batch to run, and against the batch with its own
best LR. Both come from the bowl of the law; their 90 % intervals from how uncertain the optimum is. The bowl
itself is taken as known. Plain floats: planning one target imports no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hptransfer.batches.rules import OWN
from hptransfer.law import Bowl
from hptransfer.losses.law import wasted_compute
from hptransfer.planning import Plan
from hptransfer.plans.arithmetic import PLAIN
from hptransfer.plans.bowl import amplitude, excess, valley
from hptransfer.plans.prediction import NORMAL_95, predict_log

FACTORS = (0.25, 0.5, 0.5**0.5, 1.0, 2.0**0.5, 2.0, 4.0)
"""Half octaves near the plan, octaves further out."""

POINTS = 61  # of the normal distribution that the optimum's error is integrated over
WIDEST = 3.0  # standard deviations to either side
LEAST_BOUND = 5e-5  # a lower bound that would be shown as 0.00 %
EVEN = 1.1  # costs of the two sides within this factor: neither is safer

Side = Literal["low", "high", "even", "unknown"]


@dataclass(frozen=True)
class Cost:
    """One point of a curve. Excess loss is a fraction of the loss at the optimum.

    Attributes:
        factor, value:  times the value to run, and that value (LR, or batch in tokens).
        excess:         where the optimum is where the plan says.
        interval:       5 to 95 % over where it may be, and always around `excess`; None where the plan has
                        no interval. Where `at_least`, its upper end is a lower bound as well.
        expected:       mean over where it may be; None likewise.
        at_least:       runs did not reach that far, or to the batch to run: the true cost may be higher.
        excess_flops:   share of the compute that the excess wastes; None without a loss law.
        steps:          optimizer steps at this batch; None for an LR.
    """

    factor: float
    value: float
    excess: float
    interval: tuple[float, float] | None
    expected: float | None
    at_least: bool
    excess_flops: float | None
    steps: int | None

    @property
    def is_known(self) -> bool:
        """Whether `excess` says anything: that a cost is at least zero says nothing."""
        return not self.at_least or self.excess >= LEAST_BOUND


@dataclass(frozen=True)
class CostOfBeingWrong:
    """Curves over LR and batch, the side on which an error of a factor of 2 costs less, and all in words."""

    peak_lr: tuple[Cost, ...]
    batch_tokens: tuple[Cost, ...]
    safe_lr: Side
    safe_batch: Side
    summary: tuple[str, ...]


def cost_of_being_wrong(plan: Plan) -> CostOfBeingWrong | None:
    """Price LRs and batches around those to run; None where the law has no bowl or says no batch."""
    curves = cost_curves(plan, FACTORS)
    if curves is None:
        return None
    lrs, batches = curves
    safe_lr, safe_batch = _safe_side(lrs), _safe_side(batches)
    lr_sentence = _LR_UNKNOWN if _point_at(batches, 1.0).at_least else _lr_sentence(lrs, safe_lr)
    summary = (lr_sentence, *_batch_sentences(batches, safe_batch))
    return CostOfBeingWrong(lrs, batches, safe_lr, safe_batch, summary)


def cost_curves(plan: Plan, factors: Sequence[float]) -> tuple[tuple[Cost, ...], tuple[Cost, ...]] | None:
    """Costs of the LR, and of the batch, at these times the values to run; None as `cost_of_being_wrong`."""
    law, run = plan.law, plan.rounded
    own_batch = None if law.batch_tokens is None else _own_batch(plan)
    if law.bowl is None or own_batch is None or run.peak_lr is None or run.batch_tokens is None:
        return None
    logs = {"params": math.log(plan.target.params), "tokens": math.log(plan.target.tokens)}
    v = math.log(run.batch_tokens / own_batch)
    at = _At(law.bowl, amplitude(law.bowl, logs, PLAIN), v, _off_valley(plan, v))

    def point(factor: float, value: float, price: _Price, std: float | None, steps: int | None) -> Cost:
        found = price(factor, 0.0)
        spread = None if std is None else _over_errors(lambda error: price(factor, error)[0], std)
        waste = None if law.loss is None else float(wasted_compute(law.loss, logs, found[0], PLAIN))
        return Cost(
            factor=factor,
            value=value,
            excess=found[0],
            interval=None if spread is None else (min(spread[0], found[0]), max(spread[2], found[0])),
            expected=None if spread is None else spread[1],
            at_least=found[1],
            excess_flops=waste,
            steps=steps,
        )

    lr_std, batch_std = _std(plan.peak_lr_interval), _std(plan.batch_tokens_interval)
    lrs = (point(f, f * run.peak_lr, at.lr, lr_std, None) for f in factors)
    batches = (
        point(f, f * run.batch_tokens, at.batch, batch_std, _steps(plan, f * run.batch_tokens))
        for f in factors
    )
    return tuple(lrs), tuple(batches)


_LR_UNKNOWN = (
    "LR: the sweep had no runs at a batch like the one to run, and does not show what another LR costs."
)
_Price = Callable[[float, float], tuple[float, bool]]  # factor, error of the optimum -> excess, at least


@dataclass(frozen=True)
class _At:
    """The bowl at a target, about the values to run.

    `v` is log of the batch over the best one, `u` log of the LR over the best one at that batch.
    """

    bowl: Bowl
    scale: float
    v: float
    u: float

    def lr(self, factor: float, error: float) -> tuple[float, bool]:
        """Excess over the best LR at the batch to run; `error` moves that best LR, natural logs.

        At least 0 is all that is known where no batch like that was searched.
        """
        if not _within(self.v, self.bowl.trusted_v):
            return 0.0, True
        bottom = valley(self.bowl, self.v, PLAIN)
        u = bottom + self.u + math.log(factor)
        found = excess(self.bowl, u - error, self.v, PLAIN) - excess(self.bowl, bottom, self.v, PLAIN)
        return max(math.expm1(self.scale * found), 0.0), not _within(u, self.bowl.trusted_u)

    def batch(self, factor: float, error: float) -> tuple[float, bool]:
        """Excess of a batch with its own best LR; `error` moves the best batch."""
        v = self.v + math.log(factor)
        found = excess(self.bowl, valley(self.bowl, v - error, PLAIN), v - error, PLAIN)
        return max(math.expm1(self.scale * found), 0.0), not _within(v, self.bowl.trusted_v)


def _within(value: float, span: tuple[float, float]) -> bool:
    return span[0] <= value <= span[1]


def _own_batch(plan: Plan) -> float | None:
    """The batch of the law's optimum, tokens, whatever batch is pinned."""
    power = plan.law.batch_tokens
    if power is None or not set(power.exponents) <= {"params", "tokens"}:
        return None
    logs = {"params": math.log(plan.target.params), "tokens": math.log(plan.target.tokens)}
    return math.exp(predict_log(power, logs))


def _off_valley(plan: Plan, v: float) -> float:
    """Log of the LR to run over the best one at its batch: 0 unless a rule replaced the law's own."""
    follows = plan.lr_follows
    if follows is None or follows.rule == OWN or plan.law.bowl is None:
        return 0.0
    return math.log(follows.factor) - float(valley(plan.law.bowl, v, PLAIN))


def _std(interval: tuple[float, float] | None) -> float | None:
    """Standard deviation in natural logs behind a 90 % interval."""
    return None if interval is None else math.log(interval[1] / interval[0]) / (2 * NORMAL_95)


def _over_errors(cost: Callable[[float], float], std: float) -> tuple[float, float, float]:
    """5 % quantile, mean and 95 % quantile of a cost when the optimum is off by normal errors."""
    steps = [WIDEST * (2 * k / (POINTS - 1) - 1) for k in range(POINTS)]
    weighted = sorted((cost(std * z), math.exp(-z * z / 2)) for z in steps)
    total = sum(weight for _, weight in weighted)
    mean = sum(value * weight for value, weight in weighted) / total
    return _quantile(weighted, 0.05 * total), mean, _quantile(weighted, 0.95 * total)


def _quantile(weighted: Sequence[tuple[float, float]], wanted: float) -> float:
    below = 0.0
    for value, weight in weighted:
        below += weight
        if below >= wanted:
            return value
    return weighted[-1][0]


def _steps(plan: Plan, batch_tokens: float) -> int:
    return math.ceil(plan.target.tokens / batch_tokens - 1e-9)


def _safe_side(curve: Sequence[Cost]) -> Side:
    """The side on which being off by a factor of 2 costs less; a lower bound never wins."""
    low, high = _point_at(curve, 0.5), _point_at(curve, 2.0)
    a, b = (cost.excess if cost.expected is None else cost.expected for cost in (low, high))
    if max(a, b) <= EVEN * min(a, b):
        return "unknown" if low.at_least or high.at_least else "even"
    cheaper, side = (low, "low") if a < b else (high, "high")
    return "unknown" if cheaper.at_least else ("low" if side == "low" else "high")


def _point_at(curve: Sequence[Cost], factor: float) -> Cost:
    return next(cost for cost in curve if cost.factor == factor)


def _lr_sentence(curve: Sequence[Cost], side: Side) -> str:
    half, double = (_priced(_point_at(curve, factor)) for factor in (0.5, 2.0))
    advice = {
        "low": "when in doubt go lower",
        "high": "when in doubt go higher",
        "even": "neither side is safer",
        "unknown": "the sweep does not show which side is safer",
    }[side]
    return f"LR: half of it costs {half}, twice {double} of the loss; {advice}."


def _batch_sentences(curve: Sequence[Cost], side: Side) -> tuple[str, ...]:
    """Which side is safer, and what a factor of 2 changes where the cost of the batch to run is known."""
    here = _point_at(curve, 1.0)
    advice = {
        "low": "a batch too small costs less than one too large",
        "high": "a batch too large costs less than one too small",
        "even": "too small and too large cost the same",
        "unknown": "the sweep does not show which side is safer",
    }[side]
    if here.at_least:
        return (
            f"Batch: {advice}; the one to run lies beyond those of the sweep, where costs are lower bounds.",
        )
    texts = []
    for factor, verb in ((2.0, "Doubling"), (0.5, "Halving")):
        there = _point_at(curve, factor)
        flops = ""
        if there.excess_flops is not None and here.excess_flops is not None:
            flops = f" (as if {there.excess_flops - here.excess_flops:+.1%} of the compute were wasted)"
        bound = " or more" if there.at_least else ""
        texts.append(
            f"{verb} the batch, LR adapted: {there.steps} steps instead of {here.steps}, loss "
            f"{there.excess - here.excess:+.2%}{bound}{flops}."
        )
    return (f"Batch: {advice}.", *texts)


def _priced(cost: Cost) -> str:
    if cost.at_least:
        return f"at least {cost.excess:.2%}" if cost.is_known else "an unknown share"
    spread = "" if cost.interval is None else f" ({cost.interval[0]:.2%} to {cost.interval[1]:.2%})"
    return f"{cost.excess:.2%}{spread}"
