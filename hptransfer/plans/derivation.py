"""Where each value of a plan came from: the formula with its numbers in it, and on whose word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hptransfer.errors import RefusalError, plain
from hptransfer.law import Law, PowerLaw
from hptransfer.plans.decay_conventions import PYTORCH, law_convention
from hptransfer.plans.prediction import batch_slope, timescale_law
from hptransfer.quantities import scientific, significant

LARGEST_SETTING = 1e6  # no LR, weight decay, clip or fraction is larger
COEFFICIENT_DIGITS = 7  # of the Power Scheduler: the schedule then hits the LR to run in all its digits
MAX_LOG_LR = 300.0  # natural logs: beyond, a law was broken, and sums of it would overflow
DEFAULTS: dict[str, str | float] = {
    "schedule": "cosine",
    "optimizer": "adamw",
    "final_lr_ratio": 0.1,
    "warmup_fraction": 0.01,  # of the tokens
    "beta1": 0.9,
    "beta2": 0.95,
    "eps": 1e-8,
    "grad_clip": 1.0,
}
SWEEP_NAMES = {"eps": "epsilon"}
"""What the column of a sweep is called where a plan has another name."""

DECAY_FRACTION = (
    0.2  # of all steps, where the runs behind a law held the peak and do not say how they decayed
)
HOLDING = ("wsd", "trapezoid", "power")  # schedules that hold the peak and decay at the end
OptionValue: TypeAlias = bool | float | str | tuple[float, ...]


@dataclass(frozen=True)
class Origin:
    """How a value came about: the formula with its numbers in it, and who says so."""

    formula: str
    source: str


@dataclass(frozen=True)
class Settled:
    """A value that the law's runs held fixed, or a default, with its origin."""

    value: str | float
    origin: Origin


def formula(power: PowerLaw, inputs: Mapping[str, float]) -> str:
    """Write a law with numbers in it.

    >>> from hptransfer.published import published_law
    >>> law = published_law("step-law")
    >>> formula(law.peak_lr, {"params": 7e9, "tokens": 1e12})
    '1.79 * 7e+09^-0.713 (params) * 1e+12^0.307 (tokens)'
    """
    if power.form == "linear-in-log":
        slopes = [f"{e:+.4g} ln {inputs[name]:.4g} ({name})" for name, e in power.exponents.items()]
        return f"{math.exp(power.log_coefficient):.4g} * (1 {' '.join(slopes)})"
    exponents = {name: exponent for name, exponent in power.exponents.items() if exponent != 0}
    terms = [f"{inputs[name]:.4g}^{exponent:.4g} ({name})" for name, exponent in exponents.items()]
    return " * ".join([f"{math.exp(power.log_coefficient):.4g}", *terms])


def setting_number(law: Law, name: str, value: str | float) -> float:
    """A setting of a law's runs as a number from 0 to `LARGEST_SETTING`.

    Raises:  RefusalError when it is text: sweeps and hand-edited laws hold what people wrote.
    """
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= LARGEST_SETTING:
        got = plain(value, limit=60)
        msg = (
            f"law {plain(law.id)}, setting {name}: got {got!r}, need a number from 0 to {LARGEST_SETTING:g}."
        )
        raise RefusalError(msg)
    return number


def settle(law: Law) -> dict[str, Settled]:
    """What the law's runs held fixed, else the default: value and origin by name."""
    own = f"as in the runs behind law {law.id}"
    held = {name: law.setting.get(name, law.setting.get(SWEEP_NAMES.get(name, name))) for name in DEFAULTS}
    return {
        name: Settled(default, Origin(str(default), "default"))
        if (value := held[name]) is None
        else Settled(value, Origin(str(value), own))
        for name, default in DEFAULTS.items()
    }


def own_schedule(law: Law) -> str:
    """Name of the schedule behind a law as `hptransfer schedule list` spells it, if it has it."""
    return str(law.setting.get("schedule", DEFAULTS["schedule"])).strip().lower().replace("_", "-")


def own_decay_fraction(law: Law) -> Settled | None:
    """Share of the steps in which the runs behind a law decayed; None for schedules without such a share."""
    if own_schedule(law) not in HOLDING:
        return None
    for name in ("decay_fraction", "cooldown_fraction"):
        if name in law.setting:
            value = setting_number(law, name, law.setting[name])
            return Settled(value, Origin(f"{value:g} of the steps", f"as in the runs behind law {law.id}"))
    return Settled(DECAY_FRACTION, Origin(f"{DECAY_FRACTION:g} of the steps", "default"))


def own_decay_steps(law: Law, steps: int | None) -> float | None:
    """Length of that decay in whole optimizer updates, in a run of so many steps."""
    fraction = own_decay_fraction(law)
    return None if fraction is None or steps is None else float(round(float(fraction.value) * steps))


def own_schedule_options(law: Law, steps: int | None) -> dict[str, OptionValue]:
    """How the schedule behind a law decays at its end, in optimizer updates, in a run of so many steps."""
    decay_steps = own_decay_steps(law, steps)
    if decay_steps is None:
        return {}
    options: dict[str, OptionValue] = {"decay_steps": decay_steps}
    if "decay_type" in law.setting:
        options["decay"] = plain(law.setting["decay_type"], limit=60)
    return options


def is_power_scheduler(law: Law) -> bool:
    """Whether a law has the Power Scheduler's form: peak LR = batch * coefficient * tokens^exponent."""
    power = law.peak_lr
    if power is None or power.form != "power":
        return False
    exponents = {name: exponent for name, exponent in power.exponents.items() if exponent != 0}
    return set(exponents) <= {"tokens", "batch_tokens"} and exponents.get("batch_tokens") == 1.0


def power_schedule_options(law: Law, *, batch_tokens: float, seq_len: int) -> dict[str, OptionValue]:
    """The Power Scheduler's coefficients by its own convention: batch in sequences of `seq_len` tokens."""
    assert law.peak_lr is not None  # noqa: S101 - `is_power_scheduler` was asked first
    return {
        "batch_seqs": batch_tokens / seq_len,
        "seq_len": float(seq_len),
        "coefficient": significant(math.exp(law.peak_lr.log_coefficient) * seq_len, COEFFICIENT_DIGITS),
        "exponent": law.peak_lr.exponents.get("tokens", 0.0),
    }


def power_schedule_lr(law: Law, *, batch_tokens: float, tokens: float) -> float:
    """LR of the Power Scheduler once so many tokens were seen.

    It ends at the law's cap; without one, at the LR for the fewest tokens that the law was fitted on.

    Raises:  RefusalError where the numbers overflow.
    """
    assert law.peak_lr is not None  # noqa: S101
    if law.peak_lr_cap is None and "tokens" in law.fitted_on:
        tokens = max(tokens, law.fitted_on["tokens"][0])
    exponent = law.peak_lr.exponents.get("tokens", 0.0)
    log_lr = law.peak_lr.log_coefficient + math.log(batch_tokens) + exponent * math.log(tokens)
    if abs(log_lr) > MAX_LOG_LR:
        msg = f"the numbers of law {law.id} overflow at this target. Was the law edited by hand?"
        raise RefusalError(msg)
    lr = math.exp(log_lr)
    return lr if law.peak_lr_cap is None else min(lr, law.peak_lr_cap)


def derive_origins(
    law: Law,
    inputs: Mapping[str, float],
    values: Mapping[str, Any],
    pinned_batch: float | None,
    at_batch: Origin | None = None,
) -> dict[str, Origin]:
    """Say for each hyperparameter which formula gave it, with its numbers, and on whose word.

    Args:    inputs: the law's inputs at the target by name (counts, tokens, FLOP);
             values: the numbers of the plan, as `prediction.evaluate` names them;
             at_batch: how the LR follows the batch to run, where it has to.
    """
    origins = {name: settled.origin for name, settled in settle(law).items()}
    if law.peak_lr is not None:
        origins["peak_lr"] = Origin(formula(law.peak_lr, inputs), law.peak_lr.source or f"law {law.id}")
        if values["batch_tokens_run"] is not None:
            origins["rounded.peak_lr"] = at_batch or _input_origin(law, values)
            if own_schedule(law) == "power" and is_power_scheduler(law):
                text = "the law's LR at the tokens of the warm-up: where the schedule is highest"
                origins["rounded.peak_lr"] = Origin(text, law.peak_lr.source or f"law {law.id}")
    if pinned_batch is not None:
        origins["batch_tokens"] = Origin(f"pinned at {pinned_batch:.6g} tokens", "the user")
    elif law.batch_tokens is not None:
        source = law.batch_tokens.source or f"law {law.id}"
        origins["batch_tokens"] = Origin(formula(law.batch_tokens, inputs), source)
    if values["batch_tokens_run"] is not None:
        text = f"ceil({inputs['tokens']:.6g} tokens / {values['batch_tokens_run']:.6g} tokens a step)"
        origins["steps"] = Origin(text, "definition")
    if "weight_decay" in law.setting:
        own = f"as in the runs behind law {law.id}"
        convention = law_convention(law)
        shown = str(law.setting["weight_decay"])
        text = shown if convention == PYTORCH else f"{shown} / peak LR, from {convention} to PyTorch's"
        origins["weight_decay"] = Origin(text, own)
    elif values["weight_decay_timescale"] is not None:
        tau = timescale_law(law)
        text = f"batch / (LR * tau * tokens), tau = {formula(tau, inputs)}"
        origins["weight_decay"] = Origin(text, timescale_source(tau))
    decay = own_decay_fraction(law)
    if decay is not None and values["steps"] is not None:
        origins["decay_steps"] = decay.origin
    if "final_lr" in law.setting:
        text = f"final LR {scientific(float(law.setting['final_lr']))} / peak LR"
        origins["final_lr_ratio"] = Origin(text, f"as in the runs behind law {law.id}")
    return origins


def timescale_source(tau: PowerLaw) -> str:
    """On whose word a timescale law is, and how sure a published one."""
    return tau.source if tau.certainty == "fitted" else f"{tau.source} [{tau.certainty}]"


def _input_origin(law: Law, values: Mapping[str, Any]) -> Origin:
    """How the LR follows the batch to run where the batch is among the law's inputs, or nothing moves it."""
    own = values["batch_tokens_own"] or values["batch_tokens"]
    text = f"LR * ({values['batch_tokens_run']:.6g} / {own:.6g} tokens)^{batch_slope(law):.4g}"
    return Origin(text, f"the batch is an input of law {law.id}")
