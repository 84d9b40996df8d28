"""Rule sets as data: how init, LR, multiplier, weight decay and epsilon change with width and depth.

One TOML file a rule set; a rule set is added by adding a file. Entries are factors (see `factors`), most of
them ratios to the proxy. Planning, docs and tests read the same entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.law import Certainty, Record
from hptransfer.parametrizations.factors import Factor

Optimizer = Literal["adam", "sgd", "muon"]

CLASSES: Mapping[str, str] = {
    "embedding": "token and position embeddings, feature or patch input; only the output side grows",
    "hidden": "any matrix both of whose sides grow",
    "attention_q": "query projection",
    "attention_k": "key projection; its fan-out follows the key-value heads",
    "attention_v": "value projection; its fan-out follows the key-value heads",
    "attention_o": "attention output projection",
    "mlp_up": "feed-forward up and gate projections, or an expert's",
    "mlp_down": "feed-forward down projection, or an expert's; its fan-in is the feed-forward width",
    "vector": "norm gains and biases inside blocks",
    "final_norm": "norm before the readout",
    "readout": "width to vocabulary; only the input side grows",
    "readout_bias": "bias of the readout; nothing grows",
    "router": "router of a mixture of experts: width to experts",
}
"""Tensor classes and what belongs to them."""

PARENT_CLASS = {
    **dict.fromkeys(
        ("attention_q", "attention_k", "attention_v", "attention_o", "mlp_up", "mlp_down"), "hidden"
    ),
    "final_norm": "vector",
}
"""Classes that follow another one where a rule set says nothing about them."""


class Steps(Record):
    """How one optimizer steps a tensor class, as factors of LR, weight decay and epsilon.

    Weight decay is in the LR-multiplied decoupled form, w <- w (1 - lr weight_decay), as in PyTorch.
    `update_scale` is what the optimizer itself multiplies the update with (Muon variants).
    """

    lr: str
    weight_decay: str = "1"
    eps: str = "1"
    update_scale: str | None = None


class TensorRule(Record):
    """What a rule set says about one tensor class; certainty and source default to the rule set's."""

    init_std: str | None = None  # None: not random (gains 1, biases 0)
    multiplier: str = "1"  # of the forward pass
    adam: Steps | None = None
    sgd: Steps | None = None
    muon: Steps | None = None
    certainty: Certainty | None = None
    source: str | None = None
    note: str | None = None

    def texts(self) -> Iterator[str]:
        """Every factor of the rule."""
        for text in (self.init_std, self.multiplier):
            if text is not None:
                yield text
        for steps in (self.adam, self.sgd, self.muon):
            if steps is not None:
                yield from (steps.lr, steps.weight_decay, steps.eps)
                if steps.update_scale is not None:
                    yield steps.update_scale


class Option(Record):
    """Where sources disagree: the choices as exponents, who says which, and the default."""

    why: str
    default: str
    choices: dict[str, float]
    said_by: dict[str, str]

    @model_validator(mode="after")
    def _complete(self) -> Option:
        if self.default not in self.choices or self.choices.keys() != self.said_by.keys():
            msg = "the default must be a choice, and every choice needs who says it"
            raise ValueError(msg)
        return self


class RuleSet(Record):
    """A parametrization. `absolute` ones give factors of the model itself, the others ratios to a proxy."""

    id: str
    title: str
    source: str
    certainty: Certainty
    absolute: bool = False
    optimizers: tuple[Optimizer, ...] = ("adam", "sgd")  # that its source speaks of
    family: str  # a base LR found under one member of a family serves the others
    attention_scale: str
    residual: str
    residual_scheme: Literal["power", "u-mup"] = "power"
    options: dict[str, Option] = Field(default_factory=dict)
    classes: dict[str, TensorRule]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _factors_are_readable(self) -> RuleSet:
        unknown = self.classes.keys() - CLASSES.keys()
        if unknown:
            msg = f"unknown tensor classes {sorted(unknown)}"
            raise ValueError(msg)
        exponents = self.exponents({})
        for text in self.texts():
            Factor(text, exponents)
        return self

    def texts(self) -> Iterator[str]:
        """Every factor of the rule set."""
        yield from (self.attention_scale, self.residual)
        for rule in self.classes.values():
            yield from rule.texts()

    def rule(self, tensor_class: str) -> TensorRule | None:
        """The rule of a class, else its parent class's, else None."""
        own = self.classes.get(tensor_class)
        return self.classes.get(PARENT_CLASS.get(tensor_class, "")) if own is None else own

    def exponents(self, chosen: Mapping[str, str]) -> dict[str, float]:
        """Exponents of the options, with defaults for what is not chosen.

        Raises:  UsageError for an option or a choice that does not exist.
        """
        for name in chosen:
            if name not in self.options:
                known = ", ".join(self.options) or "it has none"
                hint = did_you_mean(name, self.options)
                msg = f"--rule: {self.id} has no option {plain(name)!r}.{hint} Options: {known}."
                raise UsageError(msg)
        return {
            name.replace("-", "_"): _choice(name, option, chosen.get(name, option.default))
            for name, option in self.options.items()
        }

    def needs(self, chosen: Mapping[str, str]) -> frozenset[str]:
        """Symbols that any of its factors depends on, under these choices."""
        exponents = self.exponents(chosen)
        return frozenset().union(*(Factor(text, exponents).symbols for text in self.texts()))


def _choice(name: str, option: Option, value: str) -> float:
    if value not in option.choices:
        hint = did_you_mean(value, option.choices)
        msg = f"--rule {name}: got {plain(value)!r}, need one of {', '.join(option.choices)}.{hint}"
        raise UsageError(msg)
    return option.choices[value]


@cache
def rule_set_ids() -> tuple[str, ...]:
    """Ids of all rule sets: the names of the files."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


@cache
def rule_set(rule_set_id: str) -> RuleSet:
    """Load a rule set.

    Raises:  UsageError naming the nearest id when there is no such rule set.
    """
    if rule_set_id not in rule_set_ids():
        hint = did_you_mean(rule_set_id, rule_set_ids()) or f" Known: {', '.join(rule_set_ids())}."
        msg = f"no parametrization is called {plain(rule_set_id)!r}.{hint}"
        raise UsageError(msg)
    return RuleSet.model_validate({"id": rule_set_id, **_content(rule_set_id)})


def _content(rule_set_id: str) -> dict[str, Any]:
    """A file's content laid over its parent's."""
    import tomllib

    own = tomllib.loads(Path(__file__).with_name(f"{rule_set_id}.toml").read_text(encoding="utf-8"))
    parent = own.pop("parent", None)
    return own if parent is None else _over(own, _content(parent))


def _over(own: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings of `own` laid over those of `parent`."""
    merged = dict(parent)
    for name, value in own.items():
        below = merged.get(name)
        merged[name] = _over(value, below) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
