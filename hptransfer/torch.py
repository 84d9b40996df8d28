"""A plan into a PyTorch training loop: real parameter groups, init and multipliers by tensor.

Needs the extra `torch`. Classes and fans come from the shapes: what differs from a base model grows with
width, as in the mup package; names decide what shapes cannot (attention, final norm). Values are per tensor,
so rectangular ones get the factors of their own fans.

Under FSDP build the groups with `use_orig_params=True`, or compute `tensor_values` before wrapping and pass
them on: a flattened parameter that mixes classes has no LR of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hptransfer.config import TrainConfig
from hptransfer.errors import UsageError, plain
from hptransfer.parametrizations import PARENT_CLASS
from hptransfer.parametrizations.grouping import (
    Base,
    Group,
    base_values,
    group,
    model_symbols,
    tensor_symbols,
)
from hptransfer.parametrizations.scaling import Scaling, require_class, require_consistent
from hptransfer.planning import Plan

if TYPE_CHECKING:
    from torch import nn

NAMES: Mapping[str, str] = {
    "attention_q": r"(^|[._])(q|query|q_proj|wq)\.weight$",
    "attention_k": r"(^|[._])(k|key|k_proj|wk)\.weight$",
    "attention_v": r"(^|[._])(v|value|v_proj|wv)\.weight$",
    "attention_o": r"(^|[._])(o|o_proj|out_proj|wo|attn\.c_proj|attention\.dense)\.weight$",
    "mlp_up": r"(^|[._])(up|gate|up_proj|gate_proj|fc1|w1|w3|mlp\.c_fc)\.weight$",
    "mlp_down": r"(^|[._])(down|down_proj|fc2|w2|mlp\.c_proj)\.weight$",
    "final_norm": r"(^|[._])(ln_f|final_norm|norm_f|final_layernorm|model\.norm)\.(weight|bias)$",
    "router": r"(^|[._])router\.weight$",
}
"""Patterns of names for classes that shapes alone do not tell apart from their parent class."""


@dataclass(frozen=True)
class TensorValues:
    """One tensor: its class, its group of values, and how the forward pass multiplies it."""

    tensor_class: str
    values: Group

    @property
    def multiplier(self) -> float:
        """Of the tensor in the forward pass."""
        return 1.0 if self.values.multiplier is None else self.values.multiplier


@dataclass(frozen=True)
class _Fans:
    """Fan-in and fan-out, and how many of them grow with width."""

    n_in: float
    n_out: float
    m_in: float
    m_out: float


def tensor_values(
    model: nn.Module,
    plan: Plan | TrainConfig,
    *,
    base_model: nn.Module,
    patterns: Mapping[str, str] | None = None,
) -> dict[str, TensorValues]:
    """Class and values of every parameter, by name.

    Args:    plan: with a parametrization; base_model: the same model at the proxy's sizes (its values do
             not matter; the meta device will do); patterns: tensor class -> regular expression for names,
             before `NAMES` and shapes.
    Raises:  UsageError where the models do not match, a pattern names no class, or the plan has no
             parametrization.
    """
    scaling, base = _asked(plan)
    rules = require_consistent(scaling)
    wanted = {require_class(name): text for name, text in (patterns or {}).items()}
    shapes = {name: tuple(p.shape) for name, p in base_model.named_parameters()}
    embeddings = _embedding_names(model)
    found = {}
    for name, parameter in model.named_parameters():
        if name not in shapes or len(shapes[name]) != parameter.dim():
            msg = f"the base model has no parameter like {plain(name)}: build both from one class."
            raise UsageError(msg)
        fans = _fans(tuple(parameter.shape), shapes[name], is_embedding=name in embeddings)
        tensor_class = _class_of(name, fans, parameter.dim(), wanted, is_embedding=name in embeddings)
        at = model_symbols(scaling) | tensor_symbols(
            n_in=fans.n_in, n_out=fans.n_out, m_in=fans.m_in, m_out=fans.m_out
        )
        values = group(
            rules,
            tensor_class,
            optimizer=scaling.optimizer,
            at=at,
            base=base,
            choices=scaling.choices,
            lr_width_exponent=scaling.lr_width_exponent,
        )
        if values is None:
            msg = f"{rules.id} says nothing about {plain(name)} ({tensor_class})."
            raise UsageError(msg)
        found[name] = TensorValues(tensor_class, values)
    return found


def param_groups(
    model: nn.Module,
    plan: Plan | TrainConfig,
    *,
    base_model: nn.Module | None = None,
    patterns: Mapping[str, str] | None = None,
    values: Mapping[str, TensorValues] | None = None,
) -> list[dict[str, Any]]:
    """Parameter groups for `torch.optim.AdamW` or `SGD`, one for each distinct set of values.

    Every group carries `lr`, `weight_decay`, `eps` (not for SGD), its classes as `name` and `lr_ratio`, its
    LR over the base LR, for schedulers that set absolute LRs. Multiply LRs over time, as `LambdaLR` does: an
    absolute floor (`eta_min`) destroys the ratios.

    Args:    values: from `tensor_values`, in place of base_model and patterns. The rest as there.
    Raises:  UsageError as `tensor_values`, and where the plan's LR or weight decay is not known.
    """
    if values is None:
        if base_model is None:
            msg = "param_groups needs base_model, the model at the proxy's sizes, or values."
            raise UsageError(msg)
        values = tensor_values(model, plan, base_model=base_model, patterns=patterns)
    _, base = _asked(plan)
    merged: dict[tuple[float | None, ...], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        one = values[name].values
        settings = {"lr": one.lr, "weight_decay": one.weight_decay, "eps": one.eps}
        for setting in ("lr", "weight_decay"):
            if settings[setting] is None:
                msg = f"the plan does not know the base {setting}: plan again with one."
                raise UsageError(msg)
        into = merged.setdefault(tuple(settings.values()), {"params": [], "names": set(), **settings})
        into["params"].append(parameter)
        into["names"].add(values[name].tensor_class)
    return [_finished(one, base) for one in merged.values()]


def init_(model: nn.Module, values: Mapping[str, TensorValues]) -> None:
    """Draw every random tensor from a normal distribution with its own std, in place; gains 1, biases 0."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            std = values[name].values.init_std
            if parameter.dim() >= 2 and std is not None:
                parameter.normal_(0.0, std)
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)


def apply_multipliers(model: nn.Module, values: Mapping[str, TensorValues]) -> list[Any]:
    """Make linear layers and embeddings apply their weights' multipliers, by hooks; return their handles.

    Raises:  UsageError for a multiplier of another tensor (gains and biases of Table 9), which the model
             has to apply itself.
    """
    from torch import nn

    handles = []
    modules = dict(model.named_modules())
    for name, one in values.items():
        if one.multiplier == 1.0:
            continue
        owner, _, leaf = name.rpartition(".")
        module, factor = modules[owner], one.multiplier
        if leaf == "weight" and isinstance(module, nn.Linear):
            handles.append(
                module.register_forward_pre_hook(lambda _, inputs, f=factor: (inputs[0] * f, *inputs[1:]))
            )
        elif leaf == "weight" and isinstance(module, nn.Embedding):
            handles.append(module.register_forward_hook(lambda _, __, output, f=factor: output * f))
        else:
            msg = f"{plain(name)} has the multiplier {factor:g}: apply it in the model's forward pass."
            raise UsageError(msg)
    return handles


def _asked(plan: Plan | TrainConfig) -> tuple[Scaling, Base]:
    """Scaling and base values of a plan or a config."""
    if isinstance(plan, Plan):
        scaling = None if plan.param_groups is None else plan.param_groups.scaling
        lr, decay, eps = plan.rounded.peak_lr, plan.weight_decay, float(plan.recipe["eps"].value)
    else:
        scaling, lr, decay, eps = plan.plan.scaling, plan.peak_lr, plan.weight_decay, plan.eps
    if scaling is None:
        msg = "the plan has no parametrization: plan with --parametrization, or `with_param_groups`."
        raise UsageError(msg)
    return scaling, base_values(scaling, peak_lr=lr, weight_decay=decay, eps=eps)


def _embedding_names(model: nn.Module) -> set[str]:
    from torch import nn

    return {
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding)
    }


def _fans(shape: tuple[int, ...], base: tuple[int, ...], *, is_embedding: bool) -> _Fans:
    """Fans of a tensor: (out, in, ...) in linear and convolution layers, (vocabulary, out) in embeddings."""
    if is_embedding:
        return _Fans(1.0, shape[1], 1.0, shape[1] / base[1])
    if len(shape) < 2:
        size, before = (shape[0], base[0]) if shape else (1, 1)
        return _Fans(1.0, size, 1.0, size / before)
    receptive = 1.0
    for length in shape[2:]:
        receptive *= length
    return _Fans(shape[1] * receptive, shape[0] * receptive, shape[1] / base[1], shape[0] / base[0])


def _class_of(
    name: str, fans: _Fans, dimensions: int, patterns: Mapping[str, str], *, is_embedding: bool
) -> str:
    """Tensor class by the user's patterns, else by what grows and by usual names."""
    asked = next((c for c, pattern in patterns.items() if re.search(pattern, name)), None)
    if asked is not None:
        return asked
    named = next((c for c, pattern in NAMES.items() if re.search(pattern, name)), None)
    if is_embedding:
        return "embedding"
    grows = (fans.m_in != 1.0, fans.m_out != 1.0)
    if dimensions < 2:
        growing = "final_norm" if named == "final_norm" else "vector"
        return growing if grows[1] else "readout_bias"
    if grows == (True, False):
        return "router" if named == "router" else "readout"
    if grows == (False, True):
        return "embedding"
    return named if named is not None and PARENT_CLASS.get(named) == "hidden" else "hidden"


def _finished(one: dict[str, Any], base: Base) -> dict[str, Any]:
    names = ", ".join(sorted(one.pop("names")))
    if one["eps"] is None:
        del one["eps"]
    return {**one, "name": names, "lr_ratio": one["lr"] / base.lr if base.lr else 1.0}
