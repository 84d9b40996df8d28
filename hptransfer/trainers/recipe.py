"""What a trainer is told, in our words and units, whatever format it is told in.

A recipe is the part of a native config that training needs: writers turn it into a trainer's fields, readers
into values from which it can be made again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hptransfer.errors import RefusalError, UsageError, plain
from hptransfer.plans.derivation import OptionValue
from hptransfer.quantities import significant

if TYPE_CHECKING:
    from hptransfer.config import TrainConfig
    from hptransfer.parametrizations.grouping import Group


@dataclass(frozen=True)
class Curve:
    """The learning rate over the run, as multipliers of the peak; names as in `hptransfer.schedules`.

    Warm-up is linear from 0. `decay` (a shape) and `decay_steps` belong to wsd, which decays at the end only.
    """

    name: str
    warmup_steps: int
    final_ratio: float  # last LR over peak LR
    decay: str | None = None
    decay_steps: int | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)  # what else its kind takes


@dataclass(frozen=True)
class TensorGroup:
    """Values of one tensor class. Factors are over the base values; None: left to the model."""

    lr: float
    weight_decay: float
    eps: float
    init_std: float | None = None
    multiplier: float = 1.0


@dataclass(frozen=True)
class Widths:
    """Sizes that muP-aware trainers scale by themselves; None where nobody says them."""

    rule_set: str
    width: int | None
    base_width: int | None
    head_dim: int | None = None
    base_head_dim: int | None = None


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of one run. Batch in tokens per optimizer step, steps in optimizer steps."""

    peak_lr: float
    curve: Curve
    batch_tokens: int
    seq_len: int
    steps: int
    weight_decay: float
    beta1: float
    beta2: float
    eps: float
    grad_clip: float  # 0: none
    optimizer: str = "adamw"
    groups: Mapping[str, TensorGroup] | None = None  # by tensor class
    widths: Widths | None = None

    @property
    def batch_seqs(self) -> int:
        """Sequences per optimizer step.

        Raises:  UsageError when the batch holds no whole number of sequences.
        """
        if self.batch_tokens % self.seq_len:
            below = self.batch_tokens // self.seq_len * self.seq_len
            near = [str(near) for near in (below, below + self.seq_len) if near]
            msg = (
                f"a batch of {self.batch_tokens} tokens is no whole number of sequences of {self.seq_len} "
                f"tokens. Plan with --batch-tokens {' or '.join(near)}, or give --fit-batch."
            )
            raise UsageError(msg)
        return self.batch_tokens // self.seq_len

    @property
    def final_lr(self) -> float:
        """Learning rate at the end of the run, to the digits that matter."""
        return float(f"{self.peak_lr * self.curve.final_ratio:.12g}")


_NEEDED = ("peak_lr", "batch_tokens", "steps", "warmup_steps", "weight_decay")


def recipe_of(config: TrainConfig, *, seq_len: int | None = None) -> Recipe:
    """Take the recipe out of a native config; `seq_len` replaces the config's own.

    Raises:  RefusalError when the config leaves open what every trainer needs.
    """
    weight_decay, scaling = config.weight_decay, config.plan.scaling
    if weight_decay is None and scaling is not None:
        weight_decay = scaling.base_weight_decay  # the proxy's, from which those of the groups come
    for name in _NEEDED:
        if getattr(config, name) is None and not (name == "weight_decay" and weight_decay is not None):
            hint = (
                "--batch-tokens B" if name in ("batch_tokens", "steps", "warmup_steps") else "another --law"
            )
            msg = f"the plan has no {name}: its law says nothing about it. Plan with {hint}."
            raise RefusalError(msg)
    assert config.peak_lr is not None  # noqa: S101 - checked above, which type checkers cannot see
    assert config.batch_tokens is not None  # noqa: S101
    assert config.steps is not None  # noqa: S101
    assert weight_decay is not None  # noqa: S101
    if config.batch_tokens != int(config.batch_tokens):
        msg = (
            f"a batch of {config.batch_tokens:.6g} tokens is no whole number. Plan with --round sequences or "
            "--batch-tokens."
        )
        raise UsageError(msg)
    return Recipe(
        peak_lr=config.peak_lr,
        curve=_curve(config),
        batch_tokens=int(config.batch_tokens),
        seq_len=seq_len or config.seq_len,
        steps=config.steps,
        weight_decay=weight_decay,
        beta1=config.beta1,
        beta2=config.beta2,
        eps=config.eps,
        grad_clip=config.grad_clip,
        optimizer=config.optimizer,
        groups=None if config.param_groups is None else tensor_groups(config.param_groups, eps=config.eps),
        widths=_widths(config),
    )


def provenance_of(config: TrainConfig) -> dict[str, float | str]:
    """What a config was planned for, as headers of trainers' configs say it."""
    target, law = config.target, config.law
    return {
        "law": law.id or law.path or "",
        "law_digest": law.digest,
        "params": target.params,
        "params_kind": target.params_kind,
        "tokens": target.tokens,
        **({} if config.plan.batch_rule is None else {"batch_rule": config.plan.batch_rule}),
    }


DEFAULT_DECAY_FRACTION = 0.2
"""Share of the run that wsd decays over where nobody says it, as in `hptransfer.schedules`."""


def _curve(config: TrainConfig) -> Curve:
    """The schedule of a config under one name for each curve."""
    name, steps, warmup = (
        config.schedule.lower().replace("_", "-"),
        config.steps or 0,
        config.warmup_steps or 0,
    )
    options = dict(config.schedule_options)
    floor = config.final_lr_ratio or 0.0
    if name in ("wsd", "trapezoid"):
        decay_steps = int(float(str(options.pop("decay_steps", round(DEFAULT_DECAY_FRACTION * steps)))))
        decay = str(options.pop("decay", "linear"))
        if decay_steps:
            return Curve("wsd", warmup, floor, decay=decay, decay_steps=decay_steps, options=options)
        return Curve("constant", warmup, 1.0)
    if name == "d2z":
        return Curve("linear", warmup, 0.0)
    if name in ("constant", "wsm"):
        return Curve("constant", warmup, 1.0)
    if name == "inverse-sqrt" and not options:
        return Curve(name, warmup, inverse_sqrt_ratio(warmup, steps))
    return Curve(name, warmup, floor, options=options)


def with_batch(recipe: Recipe, batch_tokens: int) -> Recipe:
    """The same tokens in other batches: LR by the square root of the ratio, schedule over as many tokens.

    Weight decay stays. Square-root rule for adaptive optimizers: arXiv:2205.10287.
    """
    ratio = batch_tokens / recipe.batch_tokens
    curve, groups = recipe.curve, recipe.groups
    steps = math.ceil(recipe.steps / ratio)
    decay_steps = None if curve.decay_steps is None else max(1, round(curve.decay_steps / ratio))
    return replace(
        recipe,
        peak_lr=significant(recipe.peak_lr * math.sqrt(ratio)),
        curve=replace(curve, warmup_steps=round(curve.warmup_steps / ratio), decay_steps=decay_steps),
        batch_tokens=batch_tokens,
        steps=steps,
        groups=None
        if groups is None
        else {
            name: replace(group, lr=significant(group.lr * math.sqrt(ratio)))
            for name, group in groups.items()
        },
    )


def inverse_sqrt_ratio(warmup_steps: float, steps: float) -> float:
    """Last LR over peak LR of an inverse square root whose timescale is the warm-up (10,000 without one).

    >>> inverse_sqrt_ratio(100, 400)
    0.5
    """
    timescale = warmup_steps or 10_000
    return math.sqrt(timescale / (steps + timescale - warmup_steps))


def tensor_groups(planned: Mapping[str, Group], *, eps: float) -> dict[str, TensorGroup]:
    """A plan's groups as trainers are told them; `eps` is that of classes which have none of their own.

    Raises:  RefusalError when the plan does not know a class's LR or weight decay.
    """
    groups = {}
    for name, group in planned.items():
        if group.lr is None or group.weight_decay is None:
            msg = (
                f"the plan does not know LR or weight decay of {plain(name)} tensors: plan with base values."
            )
            raise RefusalError(msg)
        groups[name] = TensorGroup(
            lr=group.lr,
            weight_decay=group.weight_decay,
            eps=eps if group.eps is None else group.eps,
            init_std=group.init_std,
            multiplier=1.0 if group.multiplier is None else group.multiplier,
        )
    return groups


def _widths(config: TrainConfig) -> Widths | None:
    scaling = config.plan.scaling
    if scaling is None:
        return None
    return Widths(
        rule_set=scaling.rule_set,
        width=scaling.width,
        base_width=scaling.base_width,
        head_dim=scaling.head_dim,
        base_head_dim=scaling.base_head_dim,
    )
