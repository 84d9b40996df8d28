"""Time against compute: steps against tokens for reaching a plan's loss, batch by batch.

On McCandlish's hyperbola (S / S_min - 1)(E / E_min - 1) = 1 a batch B takes E_min (1 + B / B_crit) tokens in
S_min (1 + B_crit / B) steps (arXiv:1812.06162, Eq. 2.11). Plain floats: a plan imports no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hptransfer.errors import RefusalError, plain
from hptransfer.planning import Plan
from hptransfer.quantities import short_count

UP_TO = 4.0  # times the critical batch: there a loss takes five times the fewest tokens
DOWN_TO = 1.0 / 16.0  # of the critical batch, where the law has no optimal batch to begin at
MOST_ROWS = 24


@dataclass(frozen=True)
class Exchange:
    """One batch on the front.

    Attributes:
        batch_tokens, tokens: tokens; steps: optimizer steps.
        tokens_interval: 90 %, over the critical batch; those of the plan's own batch are known.
        more_tokens, fewer_steps: against half of this batch, as shares; None in the first row.
        is_plan: the batch that the plan runs.
    """

    batch_tokens: float
    steps: int
    tokens: float
    tokens_interval: tuple[float, float] | None
    more_tokens: float | None
    fewer_steps: float | None
    is_plan: bool


@dataclass(frozen=True)
class TimeVsCompute:
    """The front of steps against tokens for one loss.

    Attributes:
        loss: that the plan is predicted to reach at its batch, in its law's unit; None without a loss law.
        critical_tokens: B_crit of the hyperbola, tokens (E_min / S_min).
        tokens_min, steps_min: fewest of each, approached and never both reached.
        front: one a doubling of the batch, ascending; what is dominated is left out unless the plan runs it.
    """

    loss: float | None
    critical_tokens: float
    tokens_min: float
    steps_min: float
    front: tuple[Exchange, ...]
    summary: tuple[str, ...]


def time_vs_compute(plan: Plan) -> TimeVsCompute:
    """Price doublings of the batch at the loss that the plan reaches.

    Raises:  RefusalError where the law has no critical batch at the target, or the plan no batch, or one
             larger than its run.
    """
    batches, run = plan.batches, plan.rounded.batch_tokens
    if batches is None or batches.critical_tokens is None or batches.tokens_min is None:
        msg = (
            f"--time-vs-compute: law {plain(plan.law.id)} has no critical batch here, so it does not say "
            "what a larger batch costs in tokens. Fit a sweep with LRs at three or more batches, at two or "
            "more tokens per model: `hptransfer batch SWEEP` says what yours lacks."
        )
        raise RefusalError(msg)
    if run is None:
        msg = (
            f"--time-vs-compute: law {plain(plan.law.id)} says no batch to start from. Add --batch-tokens B."
        )
        raise RefusalError(msg)
    if run > plan.target.tokens:
        msg = (
            f"--time-vs-compute: a batch of {short_count(run)} tokens is more than the whole run of "
            f"{short_count(plan.target.tokens)}, so there are no steps to trade. Pin a smaller one."
        )
        raise RefusalError(msg)
    critical = batches.critical_tokens / batches.critical_overhead
    spread = batches.critical_interval
    ends = None if spread is None else tuple(end / batches.critical_overhead for end in spread)
    sizes = _sizes(run, critical, batches.optimal_tokens, plan.target.tokens)
    tokens = [plan.target.tokens * _ratio(size, run, critical) for size in sizes]
    front = []
    for k, (size, needed) in enumerate(zip(sizes, tokens, strict=True)):
        before = None if k == 0 else tokens[k - 1]
        front.append(
            Exchange(
                batch_tokens=size,
                steps=math.ceil(needed / size - 1e-9),
                tokens=needed,
                tokens_interval=None if ends is None else _interval(plan.target.tokens, size, run, ends),
                more_tokens=None if before is None else needed / before - 1.0,
                fewer_steps=None if before is None else 1.0 - (needed / size) / (before / sizes[k - 1]),
                is_plan=size == run,
            )
        )
    return TimeVsCompute(
        loss=None if plan.loss is None else plan.loss * (1.0 + (plan.excess or 0.0)),
        critical_tokens=critical,
        tokens_min=batches.tokens_min,
        steps_min=batches.tokens_min / critical,
        front=tuple(front),
        summary=tuple(_summary(plan, critical, front)),
    )


def _ratio(size: float, run: float, critical: float) -> float:
    """Tokens at one batch over tokens at another, for one loss."""
    return (1.0 + size / critical) / (1.0 + run / critical)


def _interval(tokens: float, size: float, run: float, ends: Sequence[float]) -> tuple[float, float]:
    found = sorted(tokens * _ratio(size, run, end) for end in ends)
    return found[0], found[1]


def _sizes(run: float, critical: float, optimal: float | None, tokens: float) -> list[float]:
    """Doublings of the batch to run, from the optimal batch on: smaller ones take more tokens and more steps.

    Up to four times the critical batch, and no further than a run of one step.
    """
    lowest = critical * DOWN_TO if optimal is None else optimal / 2.0**0.5
    highest = max(min(critical * UP_TO, tokens), run)
    first = min(math.ceil(math.log2(lowest / run) - 1e-9), 0)
    last = max(math.floor(math.log2(highest / run) + 1e-9), 0)
    if lowest > run:
        first = 0
    return [run * 2.0**k for k in range(max(first, last - MOST_ROWS + 1), last + 1)]


def _summary(plan: Plan, critical: float, front: Sequence[Exchange]) -> list[str]:
    at = next((k for k, one in enumerate(front) if one.is_plan), 0)
    texts = [
        f"At the critical batch, {short_count(critical)} tokens, this loss takes twice the fewest tokens and "
        f"twice the fewest steps; this plan runs x{front[at].batch_tokens / critical:.2g} of it."
    ]
    if at + 1 < len(front):
        up = front[at + 1]
        texts.append(
            f"Doubling this plan's batch takes {up.more_tokens:.1%} more tokens and {up.fewer_steps:.1%} "
            f"fewer steps: {up.steps:,} of {short_count(up.batch_tokens)} tokens. Plan it with "
            f"--batch-tokens {up.batch_tokens:.0f} --tokens {up.tokens:.4g}: the LR moves too."
        )
    optimal = plan.batches.optimal_tokens if plan.batches is not None else None
    if optimal is not None and front[at].batch_tokens < optimal / 2.0**0.5:
        texts.append(
            f"The plan's batch lies below the optimal {short_count(optimal)}: by the law's own runs a larger "
            "one takes fewer steps and no more tokens, which the hyperbola does not know."
        )
    return texts
