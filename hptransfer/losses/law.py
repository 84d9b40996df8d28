"""What loss to expect: a loss law evaluated at targets, in closed form.

As in `prediction`, everything is written once for plain floats and for numpy arrays; `xp` is the arithmetic.
`logs` are natural logs of a law's inputs by name (params, tokens, ...).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hptransfer.law import LossInteraction, LossLaw, LossTerm
from hptransfer.plans.arithmetic import PLAIN, Numbers

PER_LOG_COMPUTE = {"params": 0.5, "tokens": 0.5, "tokens_per_param": 0.0, "flops": 1.0}
"""How inputs move, in logs, with log compute at fixed tokens per parameter (C = 6 N D)."""

MOST_WASTE = 40.0  # natural log of compute: a run that wastes more than this lost everything
BISECTIONS = 60  # halvings of that span: far below any digit that is shown


def predict_loss(law: LossLaw, logs: Mapping[str, Numbers], xp: Any = PLAIN) -> Numbers:
    """Loss in the law's unit.

    >>> from hptransfer.law import LossTerm
    >>> terms = (LossTerm(input="params", coefficient=482.01, exponent=0.3478),
    ...          LossTerm(input="tokens", coefficient=2085.43, exponent=0.3658))
    >>> predict_loss(LossLaw(floor=1.8172, terms=terms), {"params": math.log(1e9), "tokens": math.log(2e10)})
    2.530050
    """
    total: Numbers = sum(_term(law, term, logs, xp) for term in law.terms)
    return law.floor + total**law.outer_exponent


def loss_slope(law: LossLaw, logs: Mapping[str, Numbers], xp: Any = PLAIN) -> Numbers:
    """d loss / d log compute at fixed tokens per parameter: loss per e-fold of compute, negative."""
    falling: Numbers = 0.0
    for term in law.terms:
        by_input = _term_slopes(law, term, logs, xp)
        rate = sum(PER_LOG_COMPUTE.get(name, 0.0) * slope for name, slope in by_input.items())
        falling = falling + _term(law, term, logs, xp) * rate
    total: Numbers = sum(_term(law, term, logs, xp) for term in law.terms)
    return law.outer_exponent * total ** (law.outer_exponent - 1.0) * falling


def loss_half_width(law: LossLaw, logs: Mapping[str, Numbers], xp: Any = PLAIN) -> Numbers | None:
    """Half of the 90 % prediction interval of log loss; None where the law carries no uncertainty."""
    spread = law.uncertainty
    if spread is None:
        return None
    x = _gradient(law, logs, xp)
    sampling = sum(
        a * b * c for a, row in zip(x, spread.covariance, strict=True) for b, c in zip(x, row, strict=True)
    )
    structural = spread.structural_std**2 + (spread.structural_slope * distance_beyond(law, logs, xp)) ** 2
    return spread.quantile * (xp.maximum(sampling, 0.0) + structural + spread.cell_std**2) ** 0.5


def distance_beyond(law: LossLaw, logs: Mapping[str, Numbers], xp: Any = PLAIN) -> Numbers:
    """Natural logs beyond the fitted range: of params and tokens together, or of compute, what is larger.

    Compute changes by sqrt(2) per unit of distance across its lines, hence the root.
    """
    compute = math.log(6.0) + logs["params"] + logs["tokens"]
    beyond = {
        name: xp.maximum(xp.maximum(math.log(span[0]) - at, at - math.log(span[1])), 0.0)
        for name, span, at in (
            (name, law.fitted_on[name], compute if name == "flops" else logs[name]) for name in law.fitted_on
        )
    }
    box = (beyond.get("params", 0.0) ** 2 + beyond.get("tokens", 0.0) ** 2) ** 0.5
    return xp.maximum(box, beyond.get("flops", 0.0) / 2.0**0.5)


def wasted_compute(law: LossLaw, logs: Mapping[str, Numbers], excess: Numbers, xp: Any = PLAIN) -> Numbers:
    """Excess loss as the share of the compute that it wastes.

    A run that ends `excess` (fraction) above the law's loss could have got there with m times the compute at
    the same tokens per parameter; 1 - m is wasted. The multiplier is found by bisection.

    >>> law = LossLaw(terms=(LossTerm(input="params", coefficient=10.0, exponent=0.5),))
    >>> wasted_compute(law, {"params": math.log(1e9), "tokens": math.log(2e10)}, 2**0.5 - 1)
    0.75
    """
    aim = predict_loss(law, logs, xp) * (1.0 + excess)
    low, high = 0.0 * aim - MOST_WASTE, 0.0 * aim
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        moved = {name: at + PER_LOG_COMPUTE.get(name, 0.0) * middle for name, at in logs.items()}
        above = predict_loss(law, moved, xp) > aim
        low, high = xp.where(above, middle, low), xp.where(above, high, middle)
    return 1.0 - xp.exp((low + high) / 2.0)


def evaluate_loss(
    law: LossLaw | None, logs: Mapping[str, Numbers], excess: Numbers | None, xp: Any
) -> dict[str, Numbers | None]:
    """Loss, its interval and slope, and what an excess loss (fraction) wastes; None where unknown."""
    values: dict[str, Numbers | None] = dict.fromkeys(
        ("loss", "loss_lo", "loss_hi", "loss_slope", "excess_flops")
    )
    if law is None:
        return values
    loss, half = predict_loss(law, logs, xp), loss_half_width(law, logs, xp)
    values |= {"loss": loss, "loss_slope": loss_slope(law, logs, xp)}
    if half is not None:
        values |= {"loss_lo": loss * xp.exp(-half), "loss_hi": loss * xp.exp(half)}
    if excess is not None:
        values["excess_flops"] = wasted_compute(law, logs, excess, xp)
    return values


@dataclass(frozen=True)
class Forecast:
    """The loss to expect at one target, in the law's unit."""

    params: float
    tokens: float
    loss: float
    interval: tuple[float, float] | None  # 90 % prediction interval of one run's loss
    slope: float  # d loss / d log compute at these tokens per parameter
    beyond: float  # natural logs beyond the fitted points, 0 inside


def forecast(law: LossLaw, *, params: float, tokens: float) -> Forecast:
    """Predict the loss of a well-tuned run with `params` parameters (count) and `tokens` tokens."""
    logs = {"params": math.log(params), "tokens": math.log(tokens)}
    loss, half = predict_loss(law, logs), loss_half_width(law, logs)
    interval = None if half is None else (loss * math.exp(-half), loss * math.exp(half))
    return Forecast(params, tokens, loss, interval, loss_slope(law, logs), distance_beyond(law, logs))


def loss_formula(law: LossLaw) -> str:
    """Write a loss law with its numbers.

    >>> loss_formula(LossLaw(floor=1.7, terms=(LossTerm(input="params", coefficient=406.4, exponent=0.34),)))
    '1.7 + 406.4 / params^0.34'
    """
    terms = " + ".join(f"{t.coefficient:.4g} / {t.input}^{t.exponent:.4g}" for t in law.terms)
    if law.outer_exponent != 1.0:
        terms = f"({terms})^{law.outer_exponent:.4g}"
    if law.interaction is not None:
        more = law.interaction
        terms += (
            f", its tokens term divided by n^{more.level_exponent:.4g} and its exponent multiplied by "
            f"n^{more.growth:.4g}, n = params / {math.exp(more.centre_params):.4g}"
        )
    return f"{law.floor:.4g} + {terms}"


def _term(law: LossLaw, term: LossTerm, logs: Mapping[str, Numbers], xp: Any) -> Numbers:
    """One term inside the outer exponent."""
    log = math.log(term.coefficient) - term.exponent * logs[term.input]
    more = law.interaction
    if more is not None and term.input == "tokens":
        n, d = _from_centre(more, logs)
        log = log - more.level_exponent * n - term.exponent * (xp.exp(more.growth * n) - 1.0) * d
    return xp.exp(log)


def _term_slopes(law: LossLaw, term: LossTerm, logs: Mapping[str, Numbers], xp: Any) -> dict[str, Numbers]:
    """d log term / d log input, by input."""
    more = law.interaction
    if more is None or term.input != "tokens":
        return {term.input: -term.exponent}
    n, d = _from_centre(more, logs)
    exponent = term.exponent * xp.exp(more.growth * n)
    return {"tokens": -exponent, "params": -more.level_exponent - more.growth * exponent * d}


def _gradient(law: LossLaw, logs: Mapping[str, Numbers], xp: Any) -> list[Numbers]:
    """Gradient of log loss by the coefficients, in the order of the covariance of `LossLaw`."""
    terms = [_term(law, term, logs, xp) for term in law.terms]
    total, k, more = sum(terms), law.outer_exponent, law.interaction
    loss = law.floor + total**k
    per_term = k * total ** (k - 1.0) / loss
    gradient: list[Numbers] = [law.floor / loss]
    extra: list[Numbers] = []
    for term, value in zip(law.terms, terms, strict=True):
        share = per_term * value
        of_exponent = -logs[term.input]
        if more is not None and term.input == "tokens":
            n, d = _from_centre(more, logs)
            growth = xp.exp(more.growth * n)
            of_exponent = of_exponent - (growth - 1.0) * d
            extra = [-share * n, -share * term.exponent * growth * n * d]
        gradient += [share, share * of_exponent]
    if more is None and law.uncertainty is not None and len(law.uncertainty.covariance) > len(gradient):
        extra = [per_term * total * xp.log(total)]
    return gradient + extra


def _from_centre(more: LossInteraction, logs: Mapping[str, Numbers]) -> tuple[Numbers, Numbers]:
    """Log params and log tokens from the centre of the fitted points."""
    return logs["params"] - more.centre_params, logs["tokens"] - more.centre_tokens
