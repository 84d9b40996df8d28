"""How the best LR moves with the batch when params and tokens are fixed: the published rules, as data.

A rule is a function of the batch, known up to a constant: it carries an LR that is best at one batch to
another batch. Nothing here knows of laws or plans; `following` chooses among these rules and a law's
own conditional optimum. Functions take an arithmetic `xp` (plain floats or numpy): one target and many share
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.plans.arithmetic import PLAIN, Numbers
from hptransfer.quantities import parse_positive

OWN = "law"
"""Name that asks for the law's own conditional optimum, LR*(params, tokens, batch)."""

FLAG = "--batch-rule"
EXPONENT_STD = 0.15
"""Standard deviation of the exponent of a rule that a sweep did not confirm: measured ones, at fixed params
and tokens, go from 0.3 (Step Law's released grid) to 0.8 (OpenEuroLLM's, arXiv:2608.28308)."""

SHORT_AVERAGE = 0.2  # 1 - beta above which a moving average spans less than five steps
SGD, ADAM = "sgd", "adam"

Family = Literal["sgd", "adam", "any"]
Settings = Mapping[str, Numbers]


@dataclass(frozen=True)
class BatchRule:
    """One rule.

    Attributes:
        formula:   with batches in tokens; `B` is the batch.
        log_lr:    (log batch, settings, xp) -> natural log of the best LR up to a constant.
        needs:     settings it cannot do without: `noise_batch` in tokens (gradient noise scale).
        takes:     settings it can be given, beside those.
        family:    of optimizers for which it was derived or measured.
        holds:     where.
        certainty: of what it rests on, as of a published law.
    """

    name: str
    formula: str
    log_lr: Callable[[Numbers, Settings, Any], Numbers]
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    family: Family
    holds: str
    certainty: Literal["verified", "second-hand", "recalled"]
    source: str


def _linear(log_batch: Numbers, _: Settings, __: Any) -> Numbers:
    return log_batch


def _sqrt(log_batch: Numbers, _: Settings, __: Any) -> Numbers:
    return 0.5 * log_batch


def _saturating(log_batch: Numbers, settings: Settings, xp: Any) -> Numbers:
    """Eq. 2.6 of arXiv:1812.06162, to the power `exponent`: LR = LR_max / (1 + noise_batch / B)^exponent."""
    ratio = xp.exp(xp.log(settings["noise_batch"]) - log_batch)
    return -settings["exponent"] * xp.log(1.0 + ratio)


def _surge(log_batch: Numbers, settings: Settings, xp: Any) -> Numbers:
    """LR = 2 LR_max / (sqrt(noise_batch / B) + sqrt(B / noise_batch)): it falls beyond noise_batch."""
    half = 0.5 * (log_batch - xp.log(settings["noise_batch"]))
    return -xp.log(0.5 * (xp.exp(half) + xp.exp(-half)))


RULES: Mapping[str, BatchRule] = {
    rule.name: rule
    for rule in (
        BatchRule(
            name="linear",
            formula="LR ~ B",
            log_lr=_linear,
            needs=(),
            takes=(),
            family="sgd",
            holds="SGD with a batch far below the noise scale (and the Power Scheduler's law, under µP)",
            certainty="recalled",
            source="Goyal et al. 2017, arXiv:1706.02677",
        ),
        BatchRule(
            name="sqrt",
            formula="LR ~ B^0.5",
            log_lr=_sqrt,
            needs=(),
            takes=(),
            family="adam",
            holds="Adam and RMSProp where noise dominates the gradient",
            certainty="second-hand",
            source="Malladi et al. 2022, arXiv:2205.10287",
        ),
        BatchRule(
            name="sde",
            formula="LR ~ B^0.5, 1 - beta1 ~ B, 1 - beta2 ~ B, eps ~ B^-0.5",
            log_lr=_sqrt,
            needs=("beta1", "beta2"),
            takes=("eps",),
            family="adam",
            holds="Adam where noise dominates the gradient and every 1 - beta stays well below 1",
            certainty="second-hand",
            source="Malladi et al. 2022, arXiv:2205.10287",
        ),
        BatchRule(
            name="saturating",
            formula="LR ~ 1 / (1 + noise_batch / B)^exponent",
            log_lr=_saturating,
            needs=("noise_batch",),
            takes=("exponent",),
            family="any",
            holds="any batch; exponent 1 for SGD, measured between 0.5 and 1 for Adam",
            certainty="second-hand",
            source="McCandlish et al. 2018, arXiv:1812.06162, Eq. 2.6 and section 3.1",
        ),
        BatchRule(
            name="surge",
            formula="LR ~ 2 / ((noise_batch / B)^0.5 + (B / noise_batch)^0.5)",
            log_lr=_surge,
            needs=("noise_batch",),
            takes=(),
            family="adam",
            holds="optimizers whose update is like the gradient's sign; falls beyond noise_batch",
            certainty="verified",
            source="Li et al. 2024, arXiv:2405.14578",
        ),
    )
}

DEFAULT_RULE: Mapping[Family, str] = {"adam": "sqrt", "sgd": "linear", "any": "sqrt"}
"""What is used, and said, where a law does not know how its LR moves with the batch."""

SATURATING_EXPONENT: Mapping[Family, float] = {"adam": 0.5, "sgd": 1.0, "any": 0.5}
"""Where none is given: for Adam the end of the measured range that agrees with `sqrt` at small batches."""


@dataclass(frozen=True)
class ChosenRule:
    """A rule with the settings that the user gave."""

    rule: BatchRule
    given: Mapping[str, float] = field(default_factory=dict)


def read_rule(spec: str) -> ChosenRule | None:
    """Read `NAME[:SETTING=VALUE,...]`; None for the law's own.

    Raises:  UsageError with the nearest name for an unknown rule or setting, one given twice, or a value that
             cannot be.

    >>> chosen = read_rule("surge:noise_batch=1e6")
    >>> chosen.rule.name, chosen.given
    ('surge', {'noise_batch': 1000000.0})
    """
    name, _, rest = spec.partition(":")
    name = name.strip()
    if name == OWN:
        if rest.strip():
            msg = f"{FLAG} {OWN}: {plain(rest)!r} is no setting of it. It takes none."
            raise UsageError(msg)
        return None
    if name not in RULES:
        known = (OWN, *RULES)
        hint = did_you_mean(name, known)
        msg = f"{FLAG}: no rule is called {plain(name)!r}.{hint} Known: {', '.join(known)}."
        raise UsageError(msg)
    rule = RULES[name]
    return ChosenRule(rule, dict(_settings(rule, rest)))


def _settings(rule: BatchRule, text: str) -> list[tuple[str, float]]:
    known = (*rule.needs, *rule.takes)
    found: list[tuple[str, float]] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = (part.strip() for part in item.partition("="))
        if not separator or name not in known:
            takes = f"It takes {', '.join(known)}." if known else "It takes none."
            msg = (
                f"{FLAG} {rule.name}: {plain(item)!r} is no setting of it.{did_you_mean(name, known)} {takes}"
            )
            raise UsageError(msg)
        if name in dict(found):
            msg = f"{FLAG} {rule.name}: {name} is given twice. Keep one."
            raise UsageError(msg)
        number = parse_positive(value, f"{FLAG} {rule.name}, {name}")
        if name.startswith("beta") and number >= 1:
            msg = f"{FLAG} {rule.name}, {name}: got {number:g}, need a number between 0 and 1."
            raise UsageError(msg)
        if not 1e-30 <= number <= 1e30:
            msg = f"{FLAG} {rule.name}, {name}: {number:g} is beyond anything that can be run."
            raise UsageError(msg)
        found.append((name, number))
    return found


def log_lr_factor(
    rule: BatchRule, *, from_batch: Numbers, to_batch: Numbers, settings: Settings, xp: Any = PLAIN
) -> Numbers:
    """Natural log of the best LR at `to_batch` over that at `from_batch` (tokens).

    >>> math.exp(log_lr_factor(RULES["surge"], from_batch=1e6, to_batch=4e6, settings={"noise_batch": 1e6}))
    0.8
    """
    to_log, from_log = xp.log(to_batch), xp.log(from_batch)
    return rule.log_lr(to_log, settings, xp) - rule.log_lr(from_log, settings, xp)


def family_of(optimizer: str) -> Family:
    """Whether an optimizer is SGD, of Adam's family, or something else (Muon, Lion, ...).

    >>> family_of("AdamW"), family_of("sgd_momentum"), family_of("muon")
    ('adam', 'sgd', 'any')
    """
    name = optimizer.lower()
    if ADAM in name or "adafactor" in name or "rmsprop" in name:
        return "adam"
    return "sgd" if SGD in name else "any"


def sde_betas(*, ratio: float, beta1: float, beta2: float, eps: float) -> dict[str, float]:
    """Adam's betas and epsilon by the SDE rule when the batch grows by `ratio`.

    1 - beta -> ratio * (1 - beta), eps -> eps / sqrt(ratio).

    Raises:  RefusalError where a beta would fall to 0 or below: the rule ends there.

    >>> sde_betas(ratio=4.0, beta1=0.9, beta2=0.95, eps=2e-8)
    {'beta1': 0.6, 'beta2': 0.8, 'eps': 1e-08}
    """
    moved = {name: 1.0 - ratio * (1.0 - beta) for name, beta in (("beta1", beta1), ("beta2", beta2))}
    if min(moved.values()) <= 0:
        most = 1.0 / (1.0 - min(beta1, beta2))
        msg = (
            f"{FLAG} sde: the batch is {ratio:.3g} times the one the LR is known at, and 1 - beta grows as "
            f"much: beta1 {beta1:g} and beta2 {beta2:g} would become {moved['beta1']:.3g} and "
            f"{moved['beta2']:.3g}. The rule ends below {most:.3g} times. Pin a smaller batch, or use "
            f"{FLAG} sqrt."
        )
        raise RefusalError(msg)
    return {**moved, "eps": eps / math.sqrt(ratio)}
