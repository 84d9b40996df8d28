"""What decides whether two laws speak of the same thing: batch, decay, optimizer, parametrization."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hptransfer.law import Law
from hptransfer.plans.prediction import is_mup, takes_batch
from hptransfer.quantities import scientific, short_count

NOT_STATED = "not stated"
_NO_DECAY = ("constant", "stable")


@dataclass(frozen=True)
class Traits:
    """How the optimum of a law was found, in words; equal words mean the same thing."""

    batch: str
    decay: str
    optimizer: str
    parametrization: str
    params: str


def traits(law: Law) -> Traits:
    """Read the traits of a law off its parts and setting.

    >>> from hptransfer.published import published_law
    >>> traits(published_law("step-law")).batch, traits(published_law("bjorck")).batch
    ('batch re-tuned with scale', 'batch held at 524K tokens')
    """
    known = law.setting.get
    return Traits(
        batch=_batch(law),
        decay=_decay(law),
        optimizer=f"optimizer {known('optimizer', NOT_STATED)}",
        parametrization=_parametrization(law),
        params="params kind not stated" if law.params_kind == "unspecified" else f"params {law.params_kind}",
    )


def _batch(law: Law) -> str:
    if takes_batch(law):
        return "batch is an input"
    if law.batch_tokens is not None:
        return (
            "batch for a target loss" if "loss" in law.batch_tokens.exponents else "batch re-tuned with scale"
        )
    if law.batch_held is not None:
        return f"batch held at {short_count(law.batch_held)} tokens"
    return "critical batch only" if law.critical_batch is not None else "batch not stated"


def _decay(law: Law) -> str:
    schedule = str(law.setting.get("schedule", NOT_STATED))
    if schedule in _NO_DECAY:
        return "no decay"
    if "final_lr" in law.setting:
        return f"{schedule} to {scientific(float(law.setting['final_lr']))}"
    return f"schedule {schedule}"


def _parametrization(law: Law) -> str:
    if is_mup(law):
        return "µP base LR"
    return f"parametrization {law.setting.get('parametrization', NOT_STATED)}"


def differences(law: Law, reference: Law) -> str:
    """What sets a law apart from another, on one line.

    >>> from hptransfer.published import published_law
    >>> differences(published_law("moe-sparsity-muon"), published_law("step-law"))
    'schedule wsd; optimizer muon; parametrization not stated; params active'
    """
    own, other = traits(law), traits(reference)
    pairs = [(getattr(own, f.name), getattr(other, f.name)) for f in fields(Traits)]
    return "; ".join(mine for mine, theirs in pairs if mine != theirs)


def comparable(law: Law, other: Law) -> bool:
    """Whether another law's optimum moves with scale for the same reasons as this one's.

    Same optimizer family and parametrization (both stated), decay or not, experts or not, and the batch
    re-tuned with scale in both or in neither.
    """
    return _family(law) == _family(other) and NOT_STATED not in _family(other)


def _family(law: Law) -> tuple[str, ...]:
    optimizer = str(law.setting.get("optimizer", NOT_STATED)).lower()
    return (
        "adam" if optimizer in ("adam", "adamw") else optimizer,
        "mup" if is_mup(law) else str(law.setting.get("parametrization", NOT_STATED)),
        "no decay" if _decay(law) == "no decay" else "decay",
        "experts" if law.params_kind == "active" else "dense",
        "re-tuned" if law.batch_tokens is not None else "fixed",
    )
