"""How a plan's LR follows a batch that is not the law's best one: which rule, why that one, what it moves.

The law's own conditional optimum LR*(params, tokens, batch) where its runs showed it; else a rule of
`rules`, the default one for the optimizer unless the user names another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hptransfer.batches.rules import (
    EXPONENT_STD,
    FLAG,
    OWN,
    SHORT_AVERAGE,
    BatchRule,
    ChosenRule,
    read_rule,
    sde_betas,
)
from hptransfer.errors import RefusalError, UsageError, plain
from hptransfer.law import Law, Note
from hptransfer.plans.derivation import Origin, Settled, setting_number
from hptransfer.plans.prediction import (
    NORMAL_95,
    batch_slope,
    knows_batch_slope,
    optimizer_family,
    rule_in_use,
    takes_batch,
)
from hptransfer.quantities import scientific, short_count, significant

if TYPE_CHECKING:
    from hptransfer.planning import Target

MOVED = 1.02  # batches within this factor are one batch, as in the cells of a sweep
_BETAS = ("beta1", "beta2", "eps")


@dataclass(frozen=True)
class LrFollows:
    """How the LR to run came from the best one at the law's own batch.

    Attributes:
        rule:       "law", or the name of a rule.
        why:        one clause: why this one.
        formula:    of the rule, B the batch.
        source, certainty: on whose word; "fitted" for the law's own.
        factor:     LR at the batch to run over LR at the law's own batch.
        from_batch_tokens, to_batch_tokens: the two batches, tokens.
        settings:   of the rule (`noise_batch` in tokens).
    """

    rule: str
    why: str
    formula: str
    source: str
    certainty: str
    factor: float
    from_batch_tokens: float
    to_batch_tokens: float
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def moved(self) -> bool:
        """Whether the two batches differ by more than rounding."""
        return abs(math.log(self.to_batch_tokens / self.from_batch_tokens)) > math.log(MOVED)


def named_rule(law: Law, target: Target) -> ChosenRule | None:
    """The rule that the target names, after refusing what the law or the rule cannot answer.

    Returns: None where none is named, or the law's own.
    Raises:  UsageError for an unknown rule or a setting that is missing; RefusalError where it cannot apply.
    """
    if target.batch_rule is None:
        return None
    chosen = read_rule(target.batch_rule)
    name = OWN if chosen is None else chosen.rule.name
    if takes_batch(law):
        msg = (
            f"{FLAG} {name}: the batch is an input of law {plain(law.id)}, which says by itself how the LR "
            f"moves with it. Leave out {FLAG}."
        )
        raise RefusalError(msg)
    if law.batch_tokens is None and law.batch_held is None:
        msg = (
            f"{FLAG} {name}: a rule carries the LR from one batch to another, and law {plain(law.id)} does "
            "not say at which batch its LR holds. Use a law with a batch, or leave out the rule."
        )
        raise RefusalError(msg)
    if chosen is None and not knows_batch_slope(law):
        msg = (
            f"{FLAG} {OWN}: law {plain(law.id)} does not say how its LR moves with the batch. Fit a sweep "
            f"with several LRs at several batches, or name a rule, such as {FLAG} sqrt."
        )
        raise RefusalError(msg)
    if chosen is not None:
        _require_settings(law, chosen)
    return chosen


def _require_settings(law: Law, chosen: ChosenRule) -> None:
    """Raise UsageError for what a rule cannot do without."""
    rule = chosen.rule
    if rule.family == "adam" and rule.name != "sqrt" and optimizer_family(law) == "sgd":
        msg = (
            f"{FLAG} {rule.name}: derived for Adam, and the runs behind law {plain(law.id)} used "
            f"{plain(law.setting['optimizer'])}. For SGD: {FLAG} linear, or saturating:noise_batch=TOKENS."
        )
        raise UsageError(msg)
    missing = [name for name in rule.needs if not _is_known(law, chosen, name)]
    if not missing:
        return
    example = ",".join(
        f"{name}={'TOKENS' if name == 'noise_batch' else {'beta1': 0.9, 'beta2': 0.95}[name]}"
        for name in missing
    )
    whose = (
        "the gradient noise scale, about the critical batch, which `hptransfer batch SWEEP` measures"
        if missing == ["noise_batch"]
        else "what the runs behind the law used"
    )
    msg = (
        f"{FLAG} {rule.name}: needs {' and '.join(missing)} ({whose}), and law {plain(law.id)} does not say. "
        f"Give {FLAG} {rule.name}:{example}."
    )
    raise UsageError(msg)


def _is_known(law: Law, chosen: ChosenRule, name: str) -> bool:
    if name in chosen.given:
        return True
    if name == "noise_batch":
        critical = law.critical_batch
        return critical is not None and set(critical.exponents) <= {"params", "tokens"}
    return name in law.setting


def follow(
    law: Law, named: ChosenRule | None, *, own_spec: bool, values: Mapping[str, Any]
) -> LrFollows | None:
    """Say how the LR to run follows the batch to run; None where there is no LR or no batch to start from.

    Args:    own_spec: the user asked for the law's own; values: as `prediction.evaluate` names them.
    """
    start, run = values["batch_tokens_own"], values["batch_tokens_run"]
    if law.peak_lr is None or start is None or run is None or takes_batch(law):
        return None
    chosen = rule_in_use(law, named)
    factor = values["peak_lr_run"] / values["peak_lr_own"]
    if chosen is None:
        slope = batch_slope(law)
        asked = "you asked for it" if own_spec else "its runs searched LR at several batches"
        formula = f"LR ~ B^{slope:.3g}" + (
            " at the optimum, along the valley" if law.bowl is not None else ""
        )
        tested = None if law.fit is None else law.fit.lr_batch
        why = asked if tested is None else f"{asked}: {tested.verdict}"
        return LrFollows(OWN, why, formula, f"law {law.id}", "fitted", factor, start, run)
    rule = chosen.rule
    settings = dict(chosen.given)
    if values["noise_batch"] is not None:
        settings["noise_batch"] = values["noise_batch"]
    why = "you named it" if named is not None else _why_default(law, rule)
    return LrFollows(
        rule.name, why, rule.formula, rule.source, rule.certainty, factor, start, run, settings=settings
    )


def _why_default(law: Law, rule: BatchRule) -> str:
    optimizer = plain(law.setting.get("optimizer", "adamw"))
    return f"law {plain(law.id)} does not say, and {rule.name} is the default for {optimizer}"


def origin_of(follows: LrFollows) -> Origin:
    """The formula of the LR to run, with its numbers."""
    text = (
        f"LR * {follows.factor:.4g}, from {follows.from_batch_tokens:.6g} to {follows.to_batch_tokens:.6g} "
        f"tokens by {follows.formula}"
    )
    if follows.rule == OWN:
        return Origin(text, f"conditional optimum of {follows.source}")
    return Origin(text, f"{follows.rule} rule, {follows.source} [{follows.certainty}]")


def moved_betas(
    law: Law, named: ChosenRule | None, follows: LrFollows | None, recipe: Mapping[str, Settled]
) -> dict[str, Settled]:
    """Betas and epsilon that the SDE rule moves with the batch; nothing for other rules.

    Raises:  RefusalError where the rule ends.
    """
    if named is None or follows is None or named.rule.name != "sde":
        return {}
    ratio = follows.to_batch_tokens / follows.from_batch_tokens
    start = {name: named.given.get(name, setting_number(law, name, recipe[name].value)) for name in _BETAS}
    moved = sde_betas(ratio=ratio, **start)
    return {
        name: Settled(
            significant(moved[name], 6),
            Origin(
                f"{start[name]:g} moved by a batch {ratio:.4g} times as large",
                f"sde rule, {named.rule.source}",
            ),
        )
        for name in _BETAS
    }


def following_notes(law: Law, named: ChosenRule | None, follows: LrFollows | None) -> Iterator[Note]:
    """What a person should know of a rule that moved the LR; nothing where the law's own did, or none."""
    if follows is None or not follows.moved:
        return
    ratio = follows.to_batch_tokens / follows.from_batch_tokens
    if named is None and follows.rule != OWN:
        wide = math.exp(NORMAL_95 * EXPONENT_STD * abs(math.log(ratio)))
        text = (
            f"the LR was carried from the law's {short_count(follows.from_batch_tokens)}-token batch to "
            f"{short_count(follows.to_batch_tokens)} by the {follows.rule} rule ({follows.formula}): "
            f"{follows.why}. Measured exponents differ by 0.15 and more (Adam: 0.3 to 0.8), x{wide:.3g} here "
            f"(in the interval, where there is one). Name another with {FLAG}."
        )
        yield Note(code="batch-rule-default", message=text)
    if named is None:
        return
    yield from _notes_of_named(law, named, follows, ratio)


def _notes_of_named(law: Law, named: ChosenRule, follows: LrFollows, ratio: float) -> Iterator[Note]:
    rule, optimizer = named.rule, optimizer_family(law)
    if rule.family != "any" and optimizer not in ("any", rule.family):
        text = (
            f"the {rule.name} rule is for {rule.holds}; the runs behind law {plain(law.id)} used {optimizer}."
        )
        yield Note(code="batch-rule-optimizer", message=text)
    if knows_batch_slope(law):
        text = (
            f"the runs behind law {plain(law.id)} showed how its LR moves with the batch "
            f"(B^{batch_slope(law):.3g} near the optimum), and the {rule.name} rule was used in its place. "
            f"{FLAG} {OWN} uses it."
        )
        yield Note(code="batch-rule-over-data", message=text)
    if "noise_batch" in rule.needs and "noise_batch" not in named.given:
        scale = short_count(follows.settings["noise_batch"])
        text = (
            f"noise_batch is the law's critical batch of a small-batch run on these tokens, {scale} tokens: "
            f"the two agree within an order of magnitude (arXiv:1812.06162). Give it with {FLAG} "
            f"{rule.name}:noise_batch=TOKENS."
        )
        yield Note(code="noise-batch-assumed", message=text)
    if rule.name == "sde":
        beta1 = named.given.get("beta1", law.setting.get("beta1", math.nan))
        short = ratio * (1.0 - float(beta1))
        if short > SHORT_AVERAGE:
            text = (
                f"1 - beta1 becomes {short:.3g}: Adam then averages over fewer than {1 / SHORT_AVERAGE:.0f} "
                "steps, where the SDE rule is no longer known to hold."
            )
            yield Note(code="batch-rule-range", message=text)


def sentence(follows: LrFollows) -> str:
    """One sentence for people: which rule, from where to where, by how much, and why."""
    name = "the law's own conditional optimum" if follows.rule == OWN else f"the {follows.rule} rule"
    given = [
        f"{k} {short_count(v) if k == 'noise_batch' else scientific(v) if k == 'eps' else f'{v:g}'}"
        for k, v in follows.settings.items()
    ]
    start, run = short_count(follows.from_batch_tokens), short_count(follows.to_batch_tokens)
    return (
        f"LR follows the batch by {name} ({', '.join([follows.formula, *given])}): x{follows.factor:.3g} "
        f"from {start} to {run} tokens; {follows.why}."
    )
