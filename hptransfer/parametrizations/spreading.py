"""A plan and a scaling give the plan's values by tensor class, with what has to be said about them."""

from __future__ import annotations

import math
from dataclasses import replace

from hptransfer.errors import plain
from hptransfer.law import Law, Note
from hptransfer.parametrizations import rule_set
from hptransfer.parametrizations.grouping import Base, base_values, hidden_decay_factor, param_groups
from hptransfer.parametrizations.scaling import STANDARD, Scaling, require_base_lr, require_consistent
from hptransfer.planning import Plan, inputs_by_name
from hptransfer.plans.derivation import Origin, formula, timescale_source
from hptransfer.plans.prediction import timescale_law, timescale_weight_decay, uses_adam
from hptransfer.quantities import significant


def with_param_groups(planned: Plan, scaling: Scaling) -> Plan:
    """Spread a plan's values to run over tensor classes; the base LR is the plan's.

    Raises:  UsageError for a scaling whose numbers do not fit together, RefusalError where the law's LR is
             no base LR of the rule set.
    """
    require_base_lr(planned.law, require_consistent(scaling), scaling)
    planned = _with_hidden_timescale(planned, scaling)
    base = base_values(
        scaling,
        peak_lr=planned.rounded.peak_lr,
        weight_decay=planned.weight_decay,
        eps=float(planned.recipe["eps"].value),
    )
    notes = notes_on(scaling, base, planned.law)
    return replace(
        planned,
        param_groups=param_groups(scaling, base),
        warnings=(*planned.warnings, *notes),
    )


def _with_hidden_timescale(planned: Plan, scaling: Scaling) -> Plan:
    """Set the base weight decay so that hidden matrices get AdamW's published averaging timescale.

    They hold nearly all params, and their LR is the base LR times a factor. Nothing changes where the law's
    runs or the scaling say a weight decay, or the hidden matrices are not on AdamW.
    """
    law, run, tokens = planned.law, planned.rounded, planned.target.tokens
    said = "weight_decay" in law.setting or scaling.base_weight_decay is not None
    adam = uses_adam(law) and scaling.optimizer == "adamw"
    if said or not adam or run.peak_lr is None or run.batch_tokens is None:
        return planned
    factor = hidden_decay_factor(scaling)
    if not factor:
        return planned
    inputs = inputs_by_name(law, planned.target, {"batch_tokens": planned.batch_tokens})
    logs = {name: math.log(value) for name, value in inputs.items()}
    at_base_lr = timescale_weight_decay(
        law, lr=run.peak_lr, batch_tokens=run.batch_tokens, tokens=tokens, logs=logs
    )
    tau = timescale_law(law)
    text = (
        f"batch / (LR * tau * tokens) of hidden matrices, whose LR * weight decay is {factor:.4g} of the "
        f"base's; tau = {formula(tau, inputs)}"
    )
    origin = Origin(text, timescale_source(tau))
    around = planned.weight_decay_interval
    return replace(
        planned,
        weight_decay=significant(at_base_lr / factor),
        weight_decay_timescale=at_base_lr / factor,
        weight_decay_interval=None if around is None else (around[0] / factor, around[1] / factor),
        origins={**planned.origins, "weight_decay": origin},
    )


def notes_on(scaling: Scaling, base: Base, law: Law | None = None) -> list[Note]:
    """Coded warnings: an uncertain rule set, what the rules leave open, and what a law's exponent says."""
    rules = rule_set(scaling.rule_set)
    notes = []
    if base.weight_decay is None:
        text = "nobody says what weight decay the proxies had; add --base-weight-decay."
        notes.append(Note(code="no-base-weight-decay", message=text))
    if rules.certainty not in ("verified", "fitted"):
        text = f"the rules of {rules.id} are {rules.certainty}: {rules.source}."
        notes.append(Note(code="parametrization-uncertain", message=text))
    if rules.needs(scaling.choices) & {"m_B", "m_D"} and None in (scaling.batch_ratio, scaling.token_ratio):
        text = (
            f"{rules.id} also scales with batch and horizon; taken as 1 without --base-batch-tokens and "
            "--base-tokens."
        )
        notes.append(Note(code="horizon-not-scaled", message=text))
    if law is not None:
        notes += _optimizer_note(law, scaling)
    if law is not None and rules.family != STANDARD:
        notes += _exponent_note(law)
    return notes


def _optimizer_note(law: Law, scaling: Scaling) -> list[Note]:
    """An LR found under one optimizer says little about another."""
    said = law.setting.get("optimizer")
    if said is None or said == scaling.optimizer:
        return []
    text = (
        f"law {plain(law.id)} was fitted on runs with {plain(said)}, the groups are for {scaling.optimizer}: "
        "the factors hold, the base LR does not carry over."
    )
    return [Note(code="optimizer-differs", message=text)]


def _exponent_note(law: Law) -> list[Note]:
    """Test the exponent of params against zero: under muP the base LR must not move with size."""
    power = law.peak_lr
    if law.fit is None or power is None or power.uncertainty is None or "params" not in power.exponents:
        return []
    at = 1 + list(power.exponents).index("params")
    exponent = power.exponents["params"]
    half = power.uncertainty.quantile * math.sqrt(max(power.uncertainty.covariance[at][at], 0.0))
    interval = f"{exponent:+.3f} (90 % interval {exponent - half:+.3f} to {exponent + half:+.3f})"
    if abs(exponent) <= half:
        text = f"the base LR's exponent of params is {interval}: consistent with zero, as transfer needs."
        return [Note(code="base-lr-transfers", message=text)]
    text = (
        f"the base LR's exponent of params is {interval}, not zero: it drifts with size, so depth, horizon "
        "or an incomplete parametrization moves it. `hptransfer width` on the sweep tells them apart."
    )
    return [Note(code="base-lr-drifts", message=text)]
