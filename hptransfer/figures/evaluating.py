"""A law evaluated where a figure needs it: at arrays of params and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hptransfer.law import Law
from hptransfer.planning import EXTRA_INPUTS, Plan
from hptransfer.plans.prediction import Inputs, asked_inputs, evaluate, takes_batch
from hptransfer.sweep import FloatArray

Quantity = Literal["peak_lr", "batch_tokens"]
QUANTITIES: tuple[Quantity, ...] = ("peak_lr", "batch_tokens")
Axis = Literal["params", "tokens"]
AXES: tuple[Axis, ...] = ("params", "tokens")


@dataclass(frozen=True)
class Band:
    """A quantity along an axis, shape (n,); `low` and `high` are the ends of its 90 % interval or None."""

    x: FloatArray
    value: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


def other_axis(axis: Axis) -> Axis:
    """The other one of params and tokens."""
    return "tokens" if axis == "params" else "params"


def geometric(low: float, high: float, points: int) -> FloatArray:
    """Points spread evenly in logs from `low` to `high`, both included."""
    return np.exp(np.linspace(np.log(low), np.log(high), points))


def can_evaluate(law: Law, *, batch_tokens: float | None = None) -> bool:
    """Whether scale alone (and a pinned batch, tokens) is all that the law's optimum asks for."""
    needs_batch = takes_batch(law) and law.batch_tokens is None and batch_tokens is None
    return not needs_batch and not asked_inputs(law) & set(EXTRA_INPUTS)


def optima(
    law: Law, params: FloatArray, tokens: FloatArray, *, batch_tokens: float | None = None
) -> Mapping[str, FloatArray | None]:
    """Optima of a law with their 90 % intervals: `peak_lr`, `peak_lr_lo`, `batch_tokens_hi`, ...

    Args:    params (count) and tokens: broadcast together, shape (n,); batch_tokens: pins the batch.
    Returns: arrays of shape (n,) by name, None where the law says nothing; NaN where a law that is linear in
             logs has crossed zero. Compute is 6 N D, also for laws that count it more finely.
    """
    n, d = np.broadcast_arrays(np.asarray(params, dtype=float), np.asarray(tokens, dtype=float))
    pinned = None if batch_tokens is None else np.full(n.shape, batch_tokens)
    inputs = Inputs(params=n, tokens=d, batch_tokens=pinned, seq_len=1.0, flops=6.0 * n * d)
    with np.errstate(all="ignore"):
        values = evaluate(law, inputs, "none", np)
    names = [name + end for name in QUANTITIES for end in ("", "_lo", "_hi")]
    return {name: None if (v := values[name]) is None else np.broadcast_to(v, n.shape) for name in names}


def band(law: Law, quantity: Quantity, axis: Axis, x: FloatArray, *, other: float) -> Band | None:
    """The law of a quantity along one axis, the other held at `other`; None where the law says nothing."""
    scale = {axis: x, other_axis(axis): np.full_like(x, other)}
    values = optima(law, scale["params"], scale["tokens"])
    value = values[quantity]
    if value is None:
        return None
    return Band(x, value, values[f"{quantity}_lo"], values[f"{quantity}_hi"])


def planned_band(plan: Plan, quantity: Quantity, axis: Axis, x: FloatArray) -> Band | None:
    """As `band` for the plan's law; the other input, a pinned batch and the schedule are the plan's."""
    at = {name: np.full_like(x, getattr(plan.target, name)) for name in AXES} | {axis: x}
    values = optima(plan.law, at["params"], at["tokens"], batch_tokens=plan.target.batch_tokens)
    value = values[quantity]
    if value is None:
        return None
    factor = plan.lr_factor if quantity == "peak_lr" else 1.0
    ends = [
        None if end is None else factor * end for end in (values[f"{quantity}_lo"], values[f"{quantity}_hi"])
    ]
    return Band(x, factor * value, *ends)
