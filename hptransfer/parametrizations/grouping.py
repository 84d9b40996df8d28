"""A plan's base values spread over the tensor classes of a model, by a rule set.

Base LR, init std, weight decay and epsilon are what the proxy was tuned to; every group's value is a base
value times a factor in powers of width and depth ratio. Plain Python, as planning is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import FiniteFloat

from hptransfer.parametrizations import CLASSES, RuleSet, Steps, rule_set
from hptransfer.parametrizations.factors import Factor
from hptransfer.parametrizations.scaling import GroupOptimizer, Scaling, StrictRecord, require_consistent

BASE_INIT_STD = 0.02  # GPT-2's, where nobody says what the proxy had
UNIT_INIT_STD = 1.0  # of rule sets that give absolute factors
_VALUES = ("lr", "init_std", "multiplier", "weight_decay", "eps", "update_scale")


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
