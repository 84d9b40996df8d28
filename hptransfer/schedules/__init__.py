"""Learning-rate schedules by name, and one record that a training loop can call.

A schedule is a multiplier of the peak LR, so that ratios between parameter groups survive. Time t counts
optimizer updates from 0 to `steps`. Which t an update uses is the schedule's `count_from`:

- 0 (default; torch and transformers): an update uses the number of updates done before it, so the first one
  after a warm-up from zero has LR 0 and the value at t = steps is never used;
- 1: an update counts itself, so the first one has LR peak / warmup_steps and the last one the final LR.
"""

from __future__ import annotations

from hptransfer.schedules.decays import DECAYS
from hptransfer.schedules.kinds import KINDS, find_kind
from hptransfer.schedules.options import Kind, Options
from hptransfer.schedules.record import CountFrom, Schedule, schedule, schedule_from_spec

__all__ = [
    "DECAYS",
    "KINDS",
    "CountFrom",
    "Kind",
    "Options",
    "Schedule",
    "find_kind",
    "schedule",
    "schedule_from_spec",
]
