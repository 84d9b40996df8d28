"""From which proxy to which target: the sizes that a rule set scales with, and what does not fit together.

Sizes are checked among themselves and against the rule set; a law is checked for whose LR it gives, so that
no effect is counted twice. Plain Python, as planning is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.law import Law, Positive, Record
from hptransfer.parametrizations import CLASSES, Optimizer, RuleSet, rule_set, rule_set_ids

Count = Annotated[int, Field(gt=0, le=10**9)]
Fans = tuple[Positive, Positive]
GroupOptimizer = Literal["adamw", "sgd", "muon"]

STANDARD = "sp"
PLAIN_NAME: Mapping[GroupOptimizer, Optimizer] = {"adamw": "adam", "sgd": "sgd", "muon": "muon"}


class StrictRecord(Record):
    """A record in which text is never taken for a number."""

    model_config = ConfigDict(strict=True)


class Scaling(StrictRecord):
    """From which proxy to which target, under which rule set: all that the groups need beside base values.

    Widths and head sizes count features, depths residual blocks; `fans` gives fan-in and fan-out ratio of
    classes that do not keep the proxy's proportions; batch and token ratios are target / proxy.
    """

    rule_set: str
    width: Count
    base_width: Count | None = None
    depth: Count | None = None
    base_depth: Count | None = None
    head_dim: Count | None = None
    base_head_dim: Count | None = None
    ffn: Count | None = None
    base_ffn: Count | None = None
    fans: dict[str, Fans] = Field(default_factory=dict)
    batch_ratio: Positive | None = None
    token_ratio: Positive | None = None
    optimizer: GroupOptimizer = "adamw"
    choices: dict[str, str] = Field(default_factory=dict)
    lr_width_exponent: FiniteFloat | None = None  # measured drift of the base LR, on top of the rules
    base_init_std: Positive | None = None
    base_eps: Positive | None = None
    base_weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    proxies: str | None = None  # parametrization of the proxies behind the law, where the user says it


def require_consistent(scaling: Scaling) -> RuleSet:
    """Return the rule set of a scaling whose numbers fit together, else raise UsageError."""
    rules = rule_set(scaling.rule_set)
    needs = rules.needs(scaling.choices)
    _require_width(scaling, rules)
    _require_depth(scaling, needs)
    _require_optimizer(scaling, rules)
    for name in scaling.fans:
        require_class(name)
    if (scaling.ffn is None) != (scaling.base_ffn is None):
        msg = "--ffn and --base-ffn go together: their ratio is what the rules need."
        raise UsageError(msg)
    return rules


def require_class(name: str) -> str:
    """Return the name of a tensor class, else raise UsageError with the nearest one."""
    if name not in CLASSES:
        hint = did_you_mean(name, CLASSES)
        msg = f"no tensor class is called {plain(name)!r}.{hint} Classes: {', '.join(CLASSES)}."
        raise UsageError(msg)
    return name


def _require_optimizer(scaling: Scaling, rules: RuleSet) -> None:
    optimizer = PLAIN_NAME[scaling.optimizer]
    if optimizer not in rules.optimizers:
        have = ", ".join(name for name in rule_set_ids() if optimizer in rule_set(name).optimizers)
        msg = f"{rules.id} has no rules for {optimizer}. These have: {have}."
        raise UsageError(msg)


def _require_width(scaling: Scaling, rules: RuleSet) -> None:
    width, base = scaling.width, scaling.base_width
    if base is None:
        if not rules.absolute:
            msg = f"{rules.id} gives ratios to a proxy: add --base-width, the width the LR was tuned at."
            raise UsageError(msg)
        return
    if width < base:
        msg = (
            f"width {width} is below the base width {base}. The rules carry what was found at a small width "
            "to a larger one; swap the two if they are mixed up."
        )
        raise UsageError(msg)
    if width % base:
        near = [base * k for k in (width // base, width // base + 1)]
        msg = f"width {width} is no multiple of the base width {base}; near ones are {near[0]} and {near[1]}."
        raise UsageError(msg)


def _require_depth(scaling: Scaling, needs: frozenset[str]) -> None:
    depth, base = scaling.depth, scaling.base_depth
    if depth is None and base is not None:
        msg = f"--base-depth {base} without --depth: add the target's depth in residual blocks."
        raise UsageError(msg)
    if depth is not None and base is None and "L" not in needs:
        msg = f"--depth {depth} without --base-depth: add the depth the proxies had, in residual blocks."
        raise UsageError(msg)
    if depth is None and needs & {"l", "L"}:
        also = " and --base-depth" if "l" in needs else ""
        msg = f"{scaling.rule_set} scales with depth: add --depth{also}, in residual blocks."
        raise UsageError(msg)
    if base is None and "l" in needs:
        msg = f"{scaling.rule_set} scales with the depth ratio: add --base-depth, in residual blocks."
        raise UsageError(msg)
    if depth is not None and base is not None and depth < base:
        msg = f"depth {depth} is below the base depth {base}; swap the two if they are mixed up."
        raise UsageError(msg)


def law_family(law: Law, proxies: str | None) -> str | None:
    """The family of parametrizations that a law's LR belongs to; None where nobody says.

    Raises:  UsageError where the user and the law say different things.
    """
    said = law.setting.get("parametrization")
    if proxies is not None and said is not None and _family(proxies) != _family(str(said)):
        msg = (
            f"--proxy-parametrization {plain(proxies)}: law {plain(law.id)} says that its runs used "
            f"{plain(said)}. Leave the flag out, or fit the runs that it is about."
        )
        raise UsageError(msg)
    name = proxies or said
    return None if name is None else _family(str(name))


def _family(name: str) -> str:
    known = name.strip().lower().replace("_", "-").replace("µ", "mu")
    if known in ("standard", "sp"):
        return STANDARD
    return rule_set(known).family if known in rule_set_ids() else known


def require_base_lr(law: Law, rules: RuleSet, scaling: Scaling) -> None:
    """Refuse where a law's LR is not a base LR of this rule set.

    A law fitted on SP runs has the effect of width in its exponents: a muP factor would count it twice.
    """
    family = law_family(law, scaling.proxies)
    if law.peak_lr is None or family == rules.family:
        _require_counted_once(law, scaling)
        return
    way_out = (
        "Use --law power-scheduler (fitted on muP runs), or a law fitted on a sweep of muP proxies."
        if rules.family == "mup"
        else f"Fit a law on a sweep whose proxies used {rules.id}."
    )
    if family is None:
        msg = (
            f"law {plain(law.id)} does not say which parametrization its runs used, and {rules.id} needs to "
            f"know: add --proxy-parametrization NAME. {way_out}"
        )
    elif family == STANDARD:
        msg = (
            f"law {plain(law.id)} was fitted on runs in standard parametrization: how its LR falls with "
            f"params already contains the effect of width, and the factors of {rules.id} would count it "
            f"twice. {way_out}"
        )
    else:
        msg = f"law {plain(law.id)} gives a base LR of {plain(family)}, not of {rules.id}. {way_out}"
    raise RefusalError(msg)


def _require_counted_once(law: Law, scaling: Scaling) -> None:
    """Refuse a measured drift or a horizon factor where the law moves the LR with the same thing."""
    exponents = {} if law.peak_lr is None else law.peak_lr.exponents
    moving = {name for name, exponent in exponents.items() if exponent != 0}
    if scaling.lr_width_exponent is not None and "params" in moving:
        msg = (
            f"law {plain(law.id)} already moves the LR with params: leave out --lr-width-exponent, which "
            "would count the drift with width twice."
        )
        raise RefusalError(msg)
    ratios = {"tokens": scaling.token_ratio, "batch_tokens": scaling.batch_ratio}
    for name, ratio in ratios.items():
        if ratio is not None and name in moving:
            flag = "--base-tokens" if name == "tokens" else "--base-batch-tokens"
            msg = (
                f"law {plain(law.id)} already moves the LR with {name}: leave out {flag}, whose factor in "
                f"{scaling.rule_set} would count it twice."
            )
            raise RefusalError(msg)
