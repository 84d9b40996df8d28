"""What shapes a schedule: its options, the timeline a kind builds a curve from, and what a kind is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.numerics import schedules as shapes
from hptransfer.quantities import parse_number

FloatArray: TypeAlias = NDArray[np.float64]
Multiplier: TypeAlias = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Options:
    """What shapes a schedule beside its length. A kind uses the fields it lists; None is not set."""

    final_ratio: float | None = None  # last lr / peak lr
    decay: str | None = None  # a name in DECAYS
    decay_fraction: float | None = None  # of all steps, warm-up included
    decay_steps: int | None = None  # in place of decay_fraction
    decay_power: float | None = None
    decay_start_ratio: float | None = None  # lowered-linear: lr / peak lr at which the decay starts
    half_life_steps: float | None = None
    power: float | None = None
    timescale: float | None = None  # inverse-sqrt, in steps; by default the warm-up
    milestones: tuple[float, ...] | None = None  # rising fractions of the run
    factors: tuple[float, ...] | None = None  # lr / peak lr after each milestone
    checkpoints: tuple[float, ...] | None = None  # wsd-s: steps at which a decay ends
    gamma: float | None = None
    phi: float | None = None
    cooldown: str | None = None  # infinite: a name in COOLDOWNS
    cooldown_end: float | None = None  # fraction of the run
    constant_ratio: float | None = None  # lr / peak lr between cooldown and annealing
    annealing_start: float | None = None  # fraction of the run
    decay_start: float | None = None  # wsdc: fraction of the run
    decay_end: float | None = None  # wsdc: fraction of the run
    batch_seqs: float | None = None
    seq_len: float | None = None
    coefficient: float | None = None
    exponent: float | None = None
    grad_norms: tuple[float, ...] | None = None
    smoothing: int | None = None  # odd width of a median filter
    adam: bool | None = None


@dataclass(frozen=True)
class Timeline:
    """What a kind builds its curve from."""

    steps: int
    warmup_steps: int
    peak_lr: float
    options: Options

    def after_warmup(self, t: FloatArray) -> FloatArray:
        """Progress from the end of the warm-up to the horizon."""
        return shapes.progress(t, start=self.warmup_steps, end=self.steps)

    def given(self, name: str) -> Any:
        """An option's value; UsageError when it is not set."""
        value = getattr(self.options, name)
        if value is None:
            msg = f"schedule: needs {name}, which has no published default here; give it as {name}=..."
            raise UsageError(msg)
        return value


@dataclass(frozen=True)
class Kind:
    """An entry of the table: what it is, where it comes from, which options it takes (with defaults)."""

    title: str
    source: str
    build: Callable[[Timeline], Multiplier]
    options: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)  # values for options that have no default
    experimental: str = ""  # what could not be verified
    warms_up: bool = True


COMMON: dict[str, Any] = {
    "steps": int,
    "warmup_steps": int,
    "warmup_start": float,
    "peak_lr": float,
    "count_from": int,
}
_WANTED = {
    int: "a whole number",
    int | None: "a whole number",
    bool | None: "true or false",
    tuple[float, ...] | None: "numbers joined by +, as in 0.8+0.9",
}


def parse_option(option: str, text: str) -> Any:
    """Read an option's value as its type in `Options` demands."""
    hints = {**get_type_hints(Options), **COMMON}
    if option not in hints:
        msg = f"schedule: unknown option {plain(option)!r}.{did_you_mean(option, hints)}"
        raise UsageError(msg)
    wanted = hints[option]
    try:
        if wanted in (str, str | None):
            return text
        if wanted == bool | None:
            return {"true": True, "false": False}[text.lower()]
        if wanted in (int, int | None):
            value = parse_number(text)
            return int(value) if value == int(value) else value
        if wanted == tuple[float, ...] | None:
            return tuple(parse_number(part) for part in text.split("+"))
        return parse_number(text)
    except (ValueError, KeyError):
        msg = f"schedule: {option}: got {plain(text)!r}, need {_WANTED.get(wanted, 'a number')}."
        raise UsageError(msg) from None


def spec_with(spec: str, options: Mapping[str, object]) -> str:
    """Add options that are not None to a spec; what the spec says itself comes last and wins."""
    name, _, text = spec.partition(":")
    given = [f"{option}={value}" for option, value in options.items() if value is not None]
    both = ",".join([*given, *filter(None, [text])])
    return f"{name}:{both}" if both else name
