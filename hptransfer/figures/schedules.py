"""LR over the run: of schedules, and of the one that a plan asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hptransfer.config import run_values
from hptransfer.errors import UsageError
from hptransfer.planning import Plan
from hptransfer.plans.schedules import schedule_of
from hptransfer.schedules import Schedule
from hptransfer.sweep import FloatArray

POINTS = 801


@dataclass(frozen=True)
class ScheduleFigure:
    """LR at steps, both (n,), of each schedule by name."""

    curves: Mapping[str, tuple[FloatArray, FloatArray]]


def schedule_figure(schedules: Mapping[str, Schedule]) -> ScheduleFigure:
    """Curves of schedules: evenly spread steps, and both sides of the end of the warm-up."""
    return ScheduleFigure({name: _curve(made) for name, made in schedules.items()})


def _curve(made: Schedule) -> tuple[FloatArray, FloatArray]:
    corners = np.array([0.0, made.warmup_steps, made.steps])
    t = np.unique(np.concatenate([np.linspace(0, made.steps, POINTS).round(), corners]))
    return t, made.peak_lr * made.multiplier(t)


def planned_schedule(plan: Plan) -> Schedule | None:
    """The schedule of a plan; None where it has no LR, no steps, or a schedule of no known kind."""
    if plan.rounded.peak_lr is None or plan.rounded.steps is None:
        return None
    try:
        return schedule_of(run_values(plan))
    except UsageError:  # a kind that nobody knows, or that needs more than a plan holds
        return None
