"""Recipes and machines for tests of formats: strategies, and one recipe that reads well."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from hptransfer.parametrizations import rule_set, rule_set_ids
from hptransfer.parametrizations.grouping import Base, param_groups
from hptransfer.parametrizations.scaling import Scaling
from hptransfer.quantities import significant
from hptransfer.trainers import Curve, Machine, Recipe
from hptransfer.trainers.recipe import Widths, inverse_sqrt_ratio, tensor_groups

RECIPE = Recipe(
    peak_lr=8.335e-4,
    curve=Curve("cosine", warmup_steps=100, final_ratio=0.1),
    batch_tokens=524_288,
    seq_len=2048,
    steps=2000,
    weight_decay=0.06344,
    beta1=0.9,
    beta2=0.95,
    eps=1e-8,
    grad_clip=1.0,
)
MACHINE = Machine(world_size=8, micro_batch=4, seq_len=2048)
WSD = Curve("wsd", warmup_steps=100, final_ratio=0.1, decay="linear", decay_steps=400)

numbers = st.floats(1e-6, 0.99).map(significant)


@st.composite
def curves(draw: st.DrawFn, steps: int) -> Curve:
    """Draw a curve that fits into a run."""
    warmup = draw(st.integers(1, steps // 2))
    name = draw(st.sampled_from(["constant", "linear", "cosine", "inverse-sqrt", "wsd", "multi-step"]))
    floor = draw(st.just(0.0) | numbers)
    if name == "constant":
        return Curve(name, warmup, 1.0)
    if name == "inverse-sqrt":
        return Curve(name, warmup, inverse_sqrt_ratio(warmup, steps))
    if name == "wsd":
        decay = draw(st.sampled_from(["linear", "cosine", "1-sqrt"]))
        return Curve(name, warmup, floor, decay=decay, decay_steps=draw(st.integers(1, steps - warmup - 1)))
    return Curve(name, warmup, floor)


@st.composite
def recipes(draw: st.DrawFn) -> tuple[Recipe, Machine]:
    """Draw a recipe whose batch divides over the machine drawn with it."""
    seq_len = draw(st.sampled_from([128, 1024, 2048, 4096, 8192]))
    world, micro = draw(st.integers(1, 1024)), draw(st.integers(1, 64))
    accumulation = draw(st.integers(1, 32))
    steps = draw(st.integers(4, 10**6))
    recipe = Recipe(
        peak_lr=draw(numbers),
        curve=draw(curves(steps)),
        batch_tokens=seq_len * world * micro * accumulation,
        seq_len=seq_len,
        steps=steps,
        weight_decay=draw(st.just(0.0) | numbers),
        beta1=draw(numbers),
        beta2=draw(numbers),
        eps=draw(st.sampled_from([1e-8, 1e-12, 1e-15, 3.3e-7])),
        grad_clip=draw(st.sampled_from([0.0, 0.5, 1.0, 2.5])),
    )
    return recipe, Machine(world_size=world, micro_batch=micro, seq_len=seq_len)


RULE_SETS = [name for name in rule_set_ids() if "adam" in rule_set(name).optimizers]
"""Parametrizations whose optimizer is AdamW."""


def parametrized(recipe: Recipe, name: str, *, ratio: int = 8) -> Recipe:
    """The recipe with the values by tensor class of a rule set, `ratio` times as wide as the proxy."""
    scaling = Scaling(
        rule_set=name,
        width=256 * ratio,
        base_width=256,
        depth=24,
        base_depth=4,
        head_dim=64,
        base_head_dim=64,
        batch_ratio=2.0,
        token_ratio=4.0,
    )
    base = Base(lr=recipe.peak_lr, init_std=0.02, weight_decay=recipe.weight_decay, eps=recipe.eps)
    groups = tensor_groups(param_groups(scaling, base).groups, eps=recipe.eps)
    widths = Widths(name, scaling.width, scaling.base_width, scaling.head_dim, scaling.base_head_dim)
    return replace(recipe, groups=groups, widths=widths)


@st.composite
def parametrized_recipes(draw: st.DrawFn) -> tuple[Recipe, Machine]:
    """Draw a recipe in a parametrization, or with base values only."""
    recipe, machine = draw(recipes())
    name = draw(st.none() | st.sampled_from(RULE_SETS))
    if name is None:
        return recipe, machine
    return parametrized(recipe, name, ratio=draw(st.integers(1, 64))), machine


def with_curve(curve: Curve) -> Recipe:
    """The recipe of these tests with another curve."""
    return replace(RECIPE, curve=curve)
