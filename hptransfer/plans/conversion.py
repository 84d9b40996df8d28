"""Moving a well-tuned peak LR to another schedule, another horizon, or a run that goes on for longer.

Between shapes at one horizon the convex bound decides (numerics/convex_bound.py); between horizons a power
law whose exponent is measured, because the bound's -1/2 shrinks the LR more than sweeps show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hptransfer.errors import UsageError
from hptransfer.law import Note
from hptransfer.numerics import convex_bound
from hptransfer.schedules import Schedule

THEORY_EXPONENT = -0.5
DEFAULT_EXPONENT = -0.27
SHAPE_STD = 0.1  # natural log: how far ratios seen between schedules lie from the bound's (docs/schedules.md)
MOST_POINTS = 100_000


@dataclass(frozen=True)
class MeasuredExponent:
    """How the best peak LR was seen to move with the horizon, at fixed batch and model: tokens^exponent."""

    exponent: float
    setting: str
    source: str
    certainty: str


EXPONENTS = (
    MeasuredExponent(
        -0.27, "WSD, 48M to 983M, 6B to 300B tokens", "OpenEuroLLM sweep", "refitted; the default"
    ),
    MeasuredExponent(
        -0.24, "WSD, 20 % cooldown, 124M, 15k to 50k steps", "fabian-sp/lr-scheduling", "refitted"
    ),
    MeasuredExponent(
        -0.27, "WSD, 10 % cooldown, 124M, 15k to 50k steps", "fabian-sp/lr-scheduling", "refitted"
    ),
    MeasuredExponent(
        -0.09, "WSD, 40 to 90 % cooldown (-0.07 to -0.12)", "fabian-sp/lr-scheduling", "refitted"
    ),
    MeasuredExponent(-0.32, "cosine", "Bjorck et al. 2024, arXiv:2409.19913", "second-hand"),
    MeasuredExponent(THEORY_EXPONENT, "any fixed shape", "convex bound, arXiv:2501.18965", "theory: a limit"),
)


@dataclass(frozen=True)
class Converted:
    """A peak LR moved to another schedule: the value used, and what theory alone would give."""

    peak_lr: float
    shape_factor: float
    horizon_factor: float
    horizon_exponent: float
    theory_peak_lr: float
    warnings: tuple[Note, ...]


def best_scale(schedule: Schedule) -> float:
    """The peak LR that minimizes the convex bound for this shape, in units of D / G.

    Runs longer than `MOST_POINTS` are seen at so many evenly spaced steps: a fixed shape's scale goes with
    steps^-0.5 (the limit that section 2.1 of the bound's paper gives), so that nothing else changes.
    """
    points = min(schedule.steps, MOST_POINTS)
    shape = schedule.multiplier(np.arange(points) * (schedule.steps / points))
    last = int(np.flatnonzero(shape)[-1])
    return convex_bound.bound_terms(shape[: last + 1]).best_scale * math.sqrt(points / schedule.steps)


def convert_peak_lr(
    peak_lr: float, *, source: Schedule, target: Schedule, horizon_exponent: float = DEFAULT_EXPONENT
) -> Converted:
    """Best peak LR for `target`, given the one tuned for `source` (same model, data and batch).

    peak_lr * scale(target) / scale(source, stretched to the target's steps) * (steps ratio)^horizon_exponent.

    Raises:  UsageError when a stretched source does not fit.
    """
    ratio = target.steps / source.steps
    shape = best_scale(target) / best_scale(stretched(source, target.steps))
    horizon = ratio**horizon_exponent
    return Converted(
        peak_lr=peak_lr * shape * horizon,
        shape_factor=shape,
        horizon_factor=horizon,
        horizon_exponent=horizon_exponent,
        theory_peak_lr=peak_lr * best_scale(target) / best_scale(source),
        warnings=tuple(_conversion_notes(source, target)),
    )


def stretched(schedule: Schedule, steps: int) -> Schedule:
    """The same shape over another number of steps: everything counted in steps grows with it."""
    ratio = steps / schedule.steps
    options = schedule.options
    scaled = replace(
        options,
        decay_steps=None if options.decay_steps is None else round(options.decay_steps * ratio),
        half_life_steps=None if options.half_life_steps is None else options.half_life_steps * ratio,
        timescale=None if options.timescale is None else options.timescale * ratio,
        checkpoints=None
        if options.checkpoints is None
        else tuple(float(round(step * ratio)) for step in options.checkpoints),
    )
    return replace(schedule, steps=steps, warmup_steps=round(schedule.warmup_steps * ratio), options=scaled)


def _conversion_notes(source: Schedule, target: Schedule) -> list[Note]:
    notes = []
    constant = [s.name for s in (source, target) if s.curve()[-1] >= 1]
    if constant:
        message = (
            f"{' and '.join(constant)} never falls: its factor depends on the logarithm of the horizon, "
            "and its best LR on when it is stopped."
        )
        notes.append(Note(code="constant-schedule", message=message))
    ratio = max(target.steps / source.steps, source.steps / target.steps)
    if ratio > 4:
        message = (
            f"the horizons are {ratio:.3g}x apart; the exponents were measured over 3x to 50x, with scatter."
        )
        notes.append(Note(code="far-horizon", message=message))
    return notes


@dataclass(frozen=True)
class Extension:
    """Two ways of going on with a WSD run beyond its horizon, at the same peak LR."""

    steps: int
    longer: int
    switch_step: int  # two-stage: lower the LR here, where the first cooldown would have begun
    factor: float  # two-stage: by this factor
    longer_cooldown: float | None  # in place of it: this cooldown fraction of the longer run; None: none does
    bound_unchanged: float  # the bound relative to the two-stage run's, LR and cooldown fraction kept
    bound_retuned: float  # the same for a run of this length tuned from scratch


_GRID_STEPS = 4_000  # the ratios hardly depend on the number of steps


def extend(*, steps: int, longer: int, cooldown: float) -> Extension:
    """How to go on to `longer` steps with a run tuned for `steps` with a linear cooldown fraction.

    Raises:  UsageError when longer <= steps, or for a cooldown outside 0 to 1.
    """
    if not steps < longer or not 0 < cooldown < 1:
        msg = (
            f"extend: got {steps} to {longer} steps, cooldown {cooldown:g}; "
            "need a longer run and 0 < cooldown < 1."
        )
        raise UsageError(msg)
    n, m = _GRID_STEPS, round(_GRID_STEPS * longer / steps)
    if m > 100 * n:
        msg = f"extend: {longer / steps:.3g}x as long is a new run, not an extension; plan it anew."
        raise UsageError(msg)
    factor = convex_bound.two_stage_factor(n, longer=m, cooldown=cooldown)
    tuned = convex_bound.bound_terms(convex_bound.trapezoid(n, cooldown=cooldown)).best_scale
    lowered = convex_bound.two_stage(m, switch=n * (1 - cooldown), factor=factor, cooldown=cooldown)
    two_stage = convex_bound.bound_terms(lowered).at(tuned)
    fresh = convex_bound.bound_terms(convex_bound.trapezoid(m, cooldown=cooldown))
    return Extension(
        steps=steps,
        longer=longer,
        switch_step=round(steps * (1 - cooldown)),
        factor=factor,
        longer_cooldown=convex_bound.longer_cooldown(n, longer=m, cooldown=cooldown),
        bound_unchanged=fresh.at(tuned) / two_stage,
        bound_retuned=fresh.best_bound / two_stage,
    )


@dataclass(frozen=True)
class Branch:
    """One horizon taken from a WSD trunk: leave it at `start`, decay until `end`."""

    start: int
    end: int


def branch_plan(horizons: Sequence[int], *, decay_fraction: float) -> tuple[list[Branch], int, int]:
    """Branches that give every horizon from one constant-LR trunk; updates in all, and as separate runs.

    The trunk is as long as the last branch needs; its last branch goes on from its end.
    """
    if not horizons or min(horizons) < 1 or not 0 < decay_fraction < 1:
        msg = "branches: need horizons of 1 step or more, and 0 < decay fraction < 1."
        raise UsageError(msg)
    branches = [Branch(end - math.ceil(decay_fraction * end), end) for end in sorted(set(horizons))]
    trunk = max(branch.start for branch in branches)
    total = trunk + sum(branch.end - branch.start for branch in branches)
    return branches, total, sum(branch.end for branch in branches)
