"""A schedule with all its choices made and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.numerics import schedules as shapes
from hptransfer.schedules.kinds import KINDS, find_kind
from hptransfer.schedules.options import COMMON, FloatArray, Kind, Multiplier, Options, Timeline, parse_option

CountFrom = Literal[0, 1]

POWER_SCHEDULER_MAX_LR = 0.02


@dataclass(frozen=True)
class Schedule:
    """A schedule with all its choices made. Make one with `schedule` or `schedule_from_spec`."""

    name: str
    steps: int
    warmup_steps: int
    warmup_start: float
    peak_lr: float
    count_from: CountFrom
    options: Options

    @cached_property
    def _after_warmup(self) -> Multiplier:
        return KINDS[self.name].build(Timeline(self.steps, self.warmup_steps, self.peak_lr, self.options))

    def multiplier(self, t: ArrayLike) -> FloatArray:
        """lr / peak lr at times t >= 0, any shape; after the horizon the last value holds."""
        time = np.minimum(np.asarray(t, dtype=np.float64), self.steps)
        if time.size and not time.min() >= 0:
            msg = f"schedule {self.name}: got step {time.min():g}, need 0 or more."
            raise UsageError(msg)
        shape = self._after_warmup(time)
        if not self.warmup_steps:
            return shape
        rise = shapes.linear_warmup(time, warmup_steps=self.warmup_steps, start_ratio=self.warmup_start)
        return np.where(time < self.warmup_steps, rise, shape)

    def multiplier_at(self, update: int) -> float:
        """Multiplier of one update, counted from 0: what torch's LambdaLR wants."""
        return float(self.multiplier(update + self.count_from))

    def lr_at(self, update: int) -> float:
        """Learning rate of one update, counted from 0 (updates done before it)."""
        return self.peak_lr * self.multiplier_at(update)

    def multipliers(self) -> FloatArray:
        """Multipliers of all updates, shape (steps,)."""
        return self.multiplier(np.arange(self.steps) + self.count_from)

    def curve(self) -> FloatArray:
        """Multipliers at t = 0 ... steps, shape (steps + 1,), whatever the updates use of it."""
        return self.multiplier(np.arange(self.steps + 1))


def schedule(
    name: str,
    *,
    steps: int,
    warmup_steps: int = 0,
    warmup_start: float | None = None,
    peak_lr: float | None = None,
    count_from: CountFrom = 0,
    **options: Any,
) -> Schedule:
    """Make a schedule of a kind in `KINDS`.

    Args:    steps, warmup_steps: optimizer updates; warmup_start: lr / peak lr at t = 0 (default 0);
             peak_lr: default 1, so that `lr_at` gives multipliers (power: 0.02, its cap);
             options: fields of `Options` that the kind takes.
    Raises:  UsageError naming the option, what was got and what is needed.

    >>> wsd = schedule("wsd", steps=1000, warmup_steps=100, decay_fraction=0.2, peak_lr=3e-4)
    >>> [wsd.lr_at(update) for update in (0, 50, 500, 900)]
    [0.0, 0.00015, 0.0003, 0.00015]
    """
    kind = find_kind(name)
    for option in options:
        _check_known(option, name, kind)
    chosen = replace(Options(), **{**kind.options, **{k: v for k, v in options.items() if v is not None}})
    _check_lengths(name, kind, steps=steps, warmup_steps=warmup_steps)
    _check_values(name, chosen)
    default_peak = POWER_SCHEDULER_MAX_LR if name == "power" else 1.0
    made = Schedule(
        name=name,
        steps=steps,
        warmup_steps=warmup_steps,
        warmup_start=_warmup_start(name, warmup_start, chosen),
        peak_lr=_positive(name, "peak_lr", default_peak if peak_lr is None else peak_lr),
        count_from=count_from,
        options=chosen,
    )
    made.multiplier(0.0)  # whatever cannot be built says so now, not in the training loop
    return made


def schedule_from_spec(spec: str, **common: Any) -> Schedule:
    """Make a schedule from text `NAME[:OPTION=VALUE,...]`; lists are joined by `+`, `common` are defaults.

    >>> schedule_from_spec("wsd:decay=1-sqrt,decay_fraction=0.1", steps=1000).options.decay
    '1-sqrt'
    """
    name, _, text = spec.partition(":")
    given: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        option, separator, value = (part.strip() for part in item.partition("="))
        if not separator or not value:
            msg = f"schedule {plain(spec)!r}: got {plain(item)!r}, need OPTION=VALUE."
            raise UsageError(msg)
        given[option] = parse_option(option, value)
    known = {**find_kind(name).options, **COMMON}
    fitting = {option: value for option, value in common.items() if option in known}
    merged = {**fitting, **given}
    if "steps" not in merged:
        msg = f"schedule {plain(spec)!r}: needs its number of steps: --steps N, or {plain(name)}:steps=N."
        raise UsageError(msg)
    return schedule(name, **merged)


def _check_known(option: str, name: str, kind: Kind) -> None:
    if option not in kind.options:
        known = ", ".join(kind.options) or "no options"
        hint = did_you_mean(option, kind.options)
        msg = f"schedule {name}: has no option {plain(option)!r}.{hint} It takes {known}."
        raise UsageError(msg)


def _check_lengths(name: str, kind: Kind, *, steps: int, warmup_steps: int) -> None:
    for option, value, least in (("steps", steps, 1), ("warmup_steps", warmup_steps, 0)):
        if isinstance(value, bool) or int(value) != value or value < least:
            msg = f"schedule {name}: {option}: got {value!r}, need a whole number, {least} or more."
            raise UsageError(msg)
    if warmup_steps >= steps:
        msg = (
            f"schedule {name}: the warm-up of {warmup_steps} steps does not end before the run of {steps} "
            "steps. Shorten the warm-up or lengthen the run."
        )
        raise UsageError(msg)
    if warmup_steps and not kind.warms_up:
        msg = f"schedule {name}: makes its own warm-up; leave out warmup_steps."
        raise UsageError(msg)


_RATIOS = ("final_ratio", "decay_start_ratio", "constant_ratio", "decay_fraction")
_FRACTIONS = ("cooldown_end", "annealing_start", "decay_start", "decay_end")
_POSITIVE = (
    "decay_power",
    "half_life_steps",
    "power",
    "timescale",
    "phi",
    "batch_seqs",
    "seq_len",
    "coefficient",
)


def _check_values(name: str, options: Options) -> None:
    for option in fields(options):
        value = getattr(options, option.name)
        if value is None:
            continue
        if option.name in (*_RATIOS, *_FRACTIONS) and not 0 <= value <= 1:
            msg = f"schedule {name}: {option.name}: got {value:g}, need a fraction from 0 to 1."
            raise UsageError(msg)
        if option.name in _POSITIVE:
            _positive(name, option.name, value)
    if options.gamma is not None and not 0 <= options.gamma < 1:
        msg = f"schedule {name}: gamma: got {options.gamma:g}, need 0 to below 1 (paper 0.5, its code 0.45)."
        raise UsageError(msg)


def _positive(name: str, option: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        msg = f"schedule {name}: {option}: got {value:g}, need a positive number."
        raise UsageError(msg)
    return value


def _warmup_start(name: str, given: float | None, options: Options) -> float:
    if given is None:
        return options.final_ratio or 0.0 if name == "rewarmed" else 0.0
    if not 0 <= given <= 1:
        msg = f"schedule {name}: warmup_start: got {given:g}, need a fraction of the peak from 0 to 1."
        raise UsageError(msg)
    return given
