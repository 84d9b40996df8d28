"""A plan's base values spread over the tensor classes of a model, by a rule set.

Base LR, init std, weight decay and epsilon are what the proxy was tuned to; every group's value is a base
value times a factor in powers of width and depth ratio. Plain Python, as planning is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.law import Law, Note, Positive, Record
from hptransfer.parametrizations import CLASSES, Optimizer, RuleSet, Steps, rule_set, rule_set_ids
from hptransfer.parametrizations.factors import Factor

Count = Annotated[int, Field(gt=0, le=10**9)]
Fans = tuple[Positive, Positive]
GroupOptimizer = Literal["adamw", "sgd", "muon"]

BASE_INIT_STD = 0.02  # GPT-2's, where nobody says what the proxy had
UNIT_INIT_STD = 1.0  # of rule sets that give absolute factors
STANDARD = "sp"
PLAIN_NAME: Mapping[GroupOptimizer, Optimizer] = {"adamw": "adam", "sgd": "sgd", "muon": "muon"}
_VALUES = ("lr", "init_std", "multiplier", "weight_decay", "eps", "update_scale")


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


@dataclass(frozen=True)
class Base:
    """Values found at the proxy; None where nobody knows them."""

    lr: float | None
    init_std: float
    weight_decay: float | None
    eps: float


class Group(StrictRecord):
    """One tensor class: values to run, and the factors and formulas they come from.

    Weight decay is LR-multiplied and decoupled, as `torch.optim.AdamW` takes it. None: not known.
    """

    lr: FiniteFloat | None
    init_std: FiniteFloat | None
    multiplier: FiniteFloat | None
    weight_decay: FiniteFloat | None
    eps: FiniteFloat | None
    update_scale: FiniteFloat | None = None
    factors: dict[str, FiniteFloat | None]
    formulas: dict[str, str]
    source: str


class Alternative(StrictRecord):
    """What another choice of an option would change: who says so, and the values by class."""

    option: str
    choice: str
    said_by: str
    values: dict[str, dict[str, FiniteFloat | None]]  # class -> field -> value


class ModelRules(StrictRecord):
    """What a rule set says about the model as a whole, and which choices were made."""

    rule_set: str
    chosen: dict[str, str]
    attention_scale: FiniteFloat | None  # of the logits; None: needs head sizes
    attention_scale_formula: str
    residual_multiplier: FiniteFloat | None  # of each residual branch; None: differs by sub-layer
    residual_formula: str
    source: str


@dataclass(frozen=True)
class ParamGroups:
    """Every tensor class of a target, what holds for the model, and what other choices would change."""

    scaling: Scaling
    model: ModelRules
    groups: Mapping[str, Group]
    alternatives: tuple[Alternative, ...]


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
    moving = set() if law.peak_lr is None else set(law.peak_lr.exponents)
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


def base_values(scaling: Scaling, *, peak_lr: float | None, weight_decay: float | None, eps: float) -> Base:
    """Base values of a plan: what the scaling states itself, else the plan's own, else the default."""
    absolute = rule_set(scaling.rule_set).absolute
    stated = scaling.base_weight_decay
    return Base(
        lr=peak_lr,
        init_std=scaling.base_init_std or (UNIT_INIT_STD if absolute else BASE_INIT_STD),
        weight_decay=weight_decay if stated is None else stated,
        eps=scaling.base_eps or eps,
    )


def hidden_decay_factor(scaling: Scaling) -> float | None:
    """LR times weight decay of a hidden matrix over base LR times base weight decay; None where not known.

    1 where a rule set keeps lr * weight_decay (AdamW's averaging timescale) as width grows.
    """
    unit = Base(lr=1.0, init_std=1.0, weight_decay=1.0, eps=1.0)
    hidden = param_groups(scaling, unit).groups.get("hidden")
    if hidden is None or hidden.lr is None or hidden.weight_decay is None:
        return None
    return hidden.lr * hidden.weight_decay


def param_groups(scaling: Scaling, base: Base) -> ParamGroups:
    """Spread base values over all tensor classes.

    Args:    scaling: consistent (see `require_consistent`); base: values at the proxy.
    Raises:  UsageError for an option or a choice that the rule set does not have.
    """
    rules = require_consistent(scaling)
    groups = _groups(rules, scaling, base, scaling.choices)
    exponents = rules.exponents(scaling.choices)
    model = model_symbols(scaling)
    attention = Factor(rules.attention_scale, exponents)
    residual = Factor(rules.residual, exponents)
    by_sub_layer = rules.residual_scheme == "u-mup"
    about = ModelRules(
        rule_set=rules.id,
        chosen={name: scaling.choices.get(name, option.default) for name, option in rules.options.items()},
        attention_scale=_value(attention, model),
        attention_scale_formula=str(attention),
        residual_multiplier=None if by_sub_layer else _value(residual, model),
        residual_formula="tau of each sub-layer" if by_sub_layer else str(residual),
        source=f"{rules.source} [{rules.certainty}]",
    )
    return ParamGroups(scaling, about, groups, tuple(_alternatives(rules, scaling, base, groups)))


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


def model_symbols(scaling: Scaling) -> dict[str, float]:
    """Symbols that are the same for all tensors, as far as they are known."""
    known: dict[str, float | None] = {
        "m": _ratio(scaling.width, scaling.base_width),
        "l": 1.0 if scaling.depth is None else _ratio(scaling.depth, scaling.base_depth),
        "L": scaling.depth,
        "m_ffn": _ratio(scaling.ffn, scaling.base_ffn) or _ratio(scaling.width, scaling.base_width),
        "d_h": scaling.head_dim or scaling.base_head_dim,
        "d_h0": scaling.base_head_dim or scaling.head_dim,
        "m_B": scaling.batch_ratio or 1.0,
        "m_D": scaling.token_ratio or 1.0,
    }
    return {name: float(value) for name, value in known.items() if value is not None}


def class_symbols(scaling: Scaling, tensor_class: str) -> dict[str, float]:
    """Symbols for a tensor class at the shapes of the scaling."""
    model = model_symbols(scaling)
    width, ffn = float(scaling.width), float(scaling.ffn or 4 * scaling.width)
    m, m_ffn = model.get("m", math.nan), model.get("m_ffn", math.nan)
    fans = {  # class -> fan-in, fan-out, and their ratios; sides that never grow count as 1
        "embedding": (1.0, width, 1.0, m),
        "mlp_up": (width, ffn, m, m_ffn),
        "mlp_down": (ffn, width, m_ffn, m),
        "vector": (1.0, width, 1.0, m),
        "final_norm": (1.0, width, 1.0, m),
        "readout": (width, 1.0, m, 1.0),
        "readout_bias": (1.0, 1.0, 1.0, 1.0),
        "router": (width, 1.0, m, 1.0),
    }
    n_in, n_out, m_in, m_out = fans.get(tensor_class, (width, width, m, m))
    if tensor_class in scaling.fans:
        ratio_in, ratio_out = scaling.fans[tensor_class]
        n_in, n_out, m_in, m_out = n_in * ratio_in / m_in, n_out * ratio_out / m_out, ratio_in, ratio_out
    return model | tensor_symbols(n_in=n_in, n_out=n_out, m_in=m_in, m_out=m_out)


def tensor_symbols(*, n_in: float, n_out: float, m_in: float, m_out: float) -> dict[str, float]:
    """Symbols of one tensor from its fans and their ratios to the proxy's (NaN: not known)."""
    known = {"n_in": n_in, "n_out": n_out, "m_in": m_in, "m_out": m_out}
    known |= {"n_max": max(n_in, n_out), "aspect": max(1.0, n_out / n_in)}
    return {name: value for name, value in known.items() if not math.isnan(value)}


def steps_of(rules: RuleSet, tensor_class: str, optimizer: GroupOptimizer) -> Steps | None:
    """How the optimizer steps a class; what Muon does not take is on Adam."""
    rule = rules.rule(tensor_class)
    if rule is None:
        return None
    if optimizer == "sgd":
        return rule.sgd
    return rule.muon if optimizer == "muon" and rule.muon is not None else rule.adam


def group(
    rules: RuleSet,
    tensor_class: str,
    *,
    optimizer: GroupOptimizer,
    at: Mapping[str, float],
    base: Base,
    choices: Mapping[str, str],
    lr_width_exponent: float | None = None,
) -> Group | None:
    """One tensor's values at given symbols; None where the rule set has no rule for its class."""
    rule, steps = rules.rule(tensor_class), steps_of(rules, tensor_class, optimizer)
    if rule is None or steps is None:
        return None
    exponents = rules.exponents(choices)
    texts = {
        "lr": steps.lr if lr_width_exponent is None else f"{steps.lr} m^{lr_width_exponent:.6f}",
        "init_std": rule.init_std,
        "multiplier": rule.multiplier,
        "weight_decay": steps.weight_decay,
        "eps": None if optimizer == "sgd" else steps.eps,
        "update_scale": steps.update_scale,
    }
    bases = {"lr": base.lr, "init_std": base.init_std, "weight_decay": base.weight_decay, "eps": base.eps}
    parsed = {name: Factor(text, exponents) for name, text in texts.items() if text is not None}
    factors = {name: _value(factor, at) for name, factor in parsed.items()}
    values = {name: _times(bases.get(name, 1.0), factors.get(name)) for name in _VALUES}
    return Group(
        **values,
        factors=factors,
        formulas={name: str(factor) for name, factor in parsed.items()},
        source=f"{rule.source or rules.source} [{rule.certainty or rules.certainty}]",
    )


def _groups(rules: RuleSet, scaling: Scaling, base: Base, choices: Mapping[str, str]) -> dict[str, Group]:
    made = {
        name: group(
            rules,
            name,
            optimizer=scaling.optimizer,
            at=class_symbols(scaling, name),
            base=base,
            choices=choices,
            lr_width_exponent=scaling.lr_width_exponent,
        )
        for name in CLASSES
    }
    return {name: one for name, one in made.items() if one is not None}


def _alternatives(
    rules: RuleSet, scaling: Scaling, base: Base, groups: Mapping[str, Group]
) -> list[Alternative]:
    """What each other choice of each option would change."""
    found = []
    for name, option in rules.options.items():
        chosen = scaling.choices.get(name, option.default)
        for choice in option.choices:
            if choice == chosen:
                continue
            others = _groups(rules, scaling, base, {**scaling.choices, name: choice})
            values = {
                class_name: changed
                for class_name, other in others.items()
                if (changed := _changed(groups[class_name], other))
            }
            if values:
                said_by = option.said_by[choice]
                found.append(Alternative(option=name, choice=choice, said_by=said_by, values=values))
    return found


def _changed(ours: Group, other: Group) -> dict[str, float | None]:
    return {
        name: getattr(other, name) for name in _VALUES if ours.factors.get(name) != other.factors.get(name)
    }


def _ratio(target: float | None, base: float | None) -> float | None:
    return None if target is None or base is None else target / base


def _value(factor: Factor, at: Mapping[str, float]) -> float | None:
    return None if factor.missing(at) else factor.value(at)


def _times(base: float | None, factor: float | None) -> float | None:
    return None if base is None or factor is None else base * factor
