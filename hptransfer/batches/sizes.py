"""Optimal, acceptable and critical batch at a target: three numbers that answer three questions.

Optimal: lowest loss for these params and tokens. Acceptable: every batch which, with its own LR, costs at
most 0.25 % of that loss. Critical: where a loss costs twice the fewest tokens, and twice the fewest steps
(McCandlish et al., arXiv:1812.06162); beyond it more batch buys hardly any steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hptransfer.law import Law, PowerLaw

ACCEPTABLE = 0.0025  # excess loss, as a fraction
_NAME = f"batch_tokens_within_{ACCEPTABLE}"

Span = tuple[float, float]


@dataclass(frozen=True)
class ThreeBatches:
    """All in tokens per optimizer step; intervals are 90 %; None where the law cannot say.

    Attributes:
        acceptable_open: whether runs ended before the cost reached the limit, at the lower and the upper end.
        critical_overhead: tokens beyond the fewest at the critical batch, as a share (McCandlish: 1).
        tokens_min: fewest tokens, at a small batch, that reach the loss of the run.
    """

    optimal_tokens: float | None
    optimal_interval: Span | None
    acceptable_tokens: Span | None
    acceptable_excess: float
    acceptable_open: tuple[bool, bool] | None
    critical_tokens: float | None
    critical_interval: Span | None
    critical_overhead: float
    tokens_min: float | None


def three_batches(law: Law, values: Mapping[str, Any]) -> ThreeBatches:
    """Take the three from the numbers of a plan, as `prediction.evaluate` names them."""
    optimal = None if law.batch_tokens is None else values["batch_tokens_own"]
    acceptable = _span(values, _NAME)
    return ThreeBatches(
        optimal_tokens=optimal,
        optimal_interval=_span(values, "optimal_batch"),
        acceptable_tokens=acceptable,
        acceptable_excess=ACCEPTABLE,
        acceptable_open=None
        if acceptable is None or optimal is None
        else _open_ends(law, optimal, acceptable),
        critical_tokens=values["critical_batch"],
        critical_interval=_span(values, "critical_batch"),
        critical_overhead=law.critical_overhead,
        tokens_min=values["tokens_min"],
    )


def critical_formula(power: PowerLaw) -> str:
    """Write a fitted critical batch with its numbers; E_min is the fewest tokens that reach the loss.

    >>> critical_formula(PowerLaw(log_coefficient=math.log(96.46), exponents={"tokens": 0.462}))
    '96.46 * E_min^0.462 tokens'
    """
    growth = "".join(f" * E_min^{exponent:.3f}" for exponent in power.exponents.values())
    return f"{math.exp(power.log_coefficient):.4g}{growth} tokens"


def _span(values: Mapping[str, Any], name: str) -> Span | None:
    low, high = values[f"{name}_lo"], values[f"{name}_hi"]
    return None if low is None or high is None else (low, high)


def _open_ends(law: Law, optimal: float, acceptable: Span) -> tuple[bool, bool]:
    """Whether an end of the acceptable batches is only where runs ended."""
    assert law.bowl is not None  # noqa: S101 - without one nothing is acceptable
    low, high = (math.log(end / optimal) for end in acceptable)
    return low <= law.bowl.trusted_v[0] + 1e-9, high >= law.bowl.trusted_v[1] - 1e-9
