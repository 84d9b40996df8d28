"""Published laws side by side at one target: what each says, how far it is stretched, why they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hptransfer.comparison.traits import differences
from hptransfer.errors import HptransferError
from hptransfer.law import Law, PowerLaw
from hptransfer.losses.law import predict_loss
from hptransfer.planning import EXTRA_INPUTS, Plan, Target, plan
from hptransfer.plans.prediction import asks_for_flops, predict_log
from hptransfer.published import law_ids, published_law

REFERENCE = "step-law"


@dataclass(frozen=True)
class Comparison:
    """What one law says at a target, before rounding. None where it says nothing or lacks an input."""

    law: Law
    peak_lr: float | None
    batch_tokens: float | None  # tokens
    critical_batch: float | None  # tokens
    tau_ema: float | None  # fraction of the run
    loss: float | None  # nats per token
    reach: Mapping[str, float]  # times outside the fitted range by input, 1 inside
    flops_approximated: bool  # C = 6 N D in place of M * tokens
    lacks: str | None  # why it says nothing, or which quantity is missing: an input, or a refusal
    differs: str  # from the reference: batch, decay, optimizer, parametrization, params


def compare(
    target: Target, *, ids: Iterable[str] | None = None, reference: str = REFERENCE
) -> list[Comparison]:
    """Evaluate published laws at a target; the same params are given to each, whatever it counts.

    Args:    ids: of the laws, by default all; reference: the law that differences are told from.
    Raises:  UsageError naming the nearest id when there is no such law.
    """
    against = published_law(reference)
    wanted = law_ids() if ids is None else list(ids)
    return [_compare(published_law(law_id), target, against) for law_id in wanted]


def _compare(law: Law, target: Target, against: Law) -> Comparison:
    approximated = law.flops_formula == "MD" and asks_for_flops(law) and not _has_shape(target)
    counted = replace(target, params_kind="unspecified")
    lacks, planned = None, None
    try:
        usable = law.model_copy(update={"flops_formula": "6ND"}) if approximated else law
        planned = plan(usable, counted, rounding="none")
    except HptransferError as error:
        lacks = str(error)
    inputs = _scale_and_extras(target)
    logs = {name: math.log(value) for name, value in inputs.items()}
    critical, tau = _value(law.critical_batch, inputs), _value(law.tau_ema, inputs)
    if law.critical_batch is not None and critical is None:
        missing = sorted(f"--{name}" for name in law.critical_batch.exponents if name not in inputs)
        without = f"no critical batch: it has inputs that nobody gave. Add {' and '.join(missing)}."
        lacks = without if lacks is None else f"{lacks} {without[0].upper()}{without[1:]}"
    return Comparison(
        law=law,
        peak_lr=None if planned is None else planned.peak_lr,
        batch_tokens=_own_batch(law, planned),
        critical_batch=critical,
        tau_ema=tau,
        loss=None if law.loss is None else predict_loss(law.loss, logs),
        reach={} if planned is None else {name: reach.factor for name, reach in planned.reach.items()},
        flops_approximated=approximated,
        lacks=lacks,
        differs=differences(law, against),
    )


def _has_shape(target: Target) -> bool:
    return target.flops_per_token is not None or (target.width is not None and target.depth is not None)


def _own_batch(law: Law, planned: Plan | None) -> float | None:
    """The batch that a law predicts, not one that the user pinned."""
    return None if planned is None or law.batch_tokens is None else planned.batch_tokens


def _scale_and_extras(target: Target) -> dict[str, float]:
    """Inputs at a target by name, without compute and batch."""
    given = {name: getattr(target, name) for name in EXTRA_INPUTS}
    scale = {"params": target.params, "tokens": target.tokens}
    scale["tokens_per_param"] = target.tokens / target.params
    return scale | {name: float(value) for name, value in given.items() if value is not None}


def _value(power: PowerLaw | None, inputs: Mapping[str, float]) -> float | None:
    """Value of a part of a law; None without the part or one of its inputs."""
    if power is None or not set(power.exponents) <= set(inputs):
        return None
    return float(math.exp(predict_log(power, {name: math.log(value) for name, value in inputs.items()})))
