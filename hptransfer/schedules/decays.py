"""Decay shapes: progress of the decay (0 to 1) to a multiplier, floor included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.numerics import schedules as shapes
from hptransfer.schedules.options import FloatArray, Multiplier, Timeline


def _floored(shape: Multiplier) -> Callable[[Timeline, float], Multiplier]:
    def build(run: Timeline, _: float) -> Multiplier:
        ratio = run.options.final_ratio or 0.0
        return lambda q: shapes.floored(shape(q), final_ratio=ratio)

    return build


def _to_floor(shape: Callable[..., FloatArray]) -> Callable[[Timeline, float], Multiplier]:
    """Shapes that need somewhere above zero to end."""

    def build(run: Timeline, _: float) -> Multiplier:
        ratio = run.options.final_ratio
        if not ratio:
            msg = f"schedule: decay {run.options.decay} never reaches 0: give final_ratio > 0, such as 0.1."
            raise UsageError(msg)
        return partial(shape, final_ratio=ratio)

    return build


def _power_decay(run: Timeline, _: float) -> Multiplier:
    shape = partial(shapes.power, exponent=run.given("decay_power"))
    return lambda q: shapes.floored(shape(q), final_ratio=run.options.final_ratio or 0.0)


def _half_life(run: Timeline, decay_steps: float) -> Multiplier:
    half_lives = decay_steps / run.given("half_life_steps")
    return lambda q: np.asarray(0.5 ** (q * half_lives))


def _lowered_linear(run: Timeline, _: float) -> Multiplier:
    top, ratio = run.given("decay_start_ratio"), run.options.final_ratio or 0.0
    return lambda q: np.asarray(ratio + (top - ratio) * (1 - q))


DECAYS: dict[str, Callable[[Timeline, float], Multiplier]] = {
    "linear": _floored(shapes.linear),
    "1-sqrt": _floored(shapes.one_minus_sqrt),
    "cosine": _floored(shapes.cosine),
    "mirror-cosine": _floored(shapes.mirror_cosine),
    "square": _floored(shapes.one_minus_square),
    "sqrt": _floored(lambda q: shapes.power(q, exponent=0.5)),
    "power": _power_decay,
    "exponential": _to_floor(shapes.exponential),
    "half-life": _half_life,
    "megatron-exponential": _floored(shapes.megatron_exponential),
    "harmonic": _to_floor(shapes.harmonic),
    "lowered-linear": _lowered_linear,
}


def decay_of(run: Timeline, decay_steps: float) -> Multiplier:
    """The decay that the options name; UsageError with the nearest name otherwise."""
    name = run.options.decay or "linear"
    if name not in DECAYS:
        msg = f"schedule: no decay {plain(name)!r}.{did_you_mean(name, DECAYS)} Known: {', '.join(DECAYS)}."
        raise UsageError(msg)
    return DECAYS[name](run, decay_steps)


def decay_steps_of(run: Timeline) -> int:
    """Length of the decay in whole steps, checked to fit between warm-up and horizon."""
    steps = run.options.decay_steps
    if steps is None:
        steps = round((run.options.decay_fraction or 0.0) * run.steps)
    room = run.steps - run.warmup_steps
    if int(steps) != steps or steps < 0:
        msg = f"schedule: decay_steps: got {steps:g}, need a whole number, 0 or more."
        raise UsageError(msg)
    if steps > room:
        msg = (
            f"schedule: the decay of {steps} steps is longer than what is left after the warm-up: "
            f"{room} of {run.steps} steps. Shorten the decay or the warm-up."
        )
        raise UsageError(msg)
    return int(steps)
