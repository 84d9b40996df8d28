"""Which runs did not finish: fewer steps or tokens than planned, or a tracker's word for it."""

from __future__ import annotations

import numpy as np

from hptransfer.quantities import short_count
from hptransfer.readers.runs import RawRuns
from hptransfer.readers.units import LABEL_TOLERANCE
from hptransfer.sweep import BoolArray, SetAside

UNFINISHED_STATES = frozenset({
    "running", "crashed", "failed", "killed", "preempted", "preempting", "pending", "fail", "error",
    "scheduled", "pruned", "waiting", "queued", "unfinished", "interrupted", "cancelled",
    "canceled", "timeout", "oom",
})  # fmt: skip
"""What W&B, MLflow, Optuna, Ray Tune and SLURM call a run that did not reach its end."""


def unfinished_runs(runs: RawRuns) -> list[SetAside | None]:
    """Say for every run why it counts as unfinished; None for a finished or diverged one.

    A run is unfinished that took fewer steps, or saw fewer tokens, than the file says were planned. Its
    tracker's state counts where the file does not tell both. A run without a finite loss ended because it
    diverged: that is what it shows.
    """
    reasons: list[SetAside | None] = [None] * len(runs)
    diverged = ~np.isfinite(runs.quantity("loss")) & ~runs.no_loss
    compared = np.zeros(len(runs), dtype=np.bool_)
    for name in ("steps", "tokens"):
        done, planned = runs.quantity(name), runs.quantity(f"planned_{name}")
        compared |= np.isfinite(done) & np.isfinite(planned)
        for row in np.flatnonzero(
            (done < planned * (1 - LABEL_TOLERANCE)) & (planned - done > 1) & ~diverged
        ):
            message = f"{short_count(done[row])} of {short_count(planned[row])} planned {name}"
            reasons[row] = runs.set_aside(row, "unfinished", message)
    for row in np.flatnonzero(_has_unfinished_state(runs) & ~compared & ~diverged):
        state = runs.labels["state"][runs.codes["state"][row]]
        reasons[row] = runs.set_aside(row, "unfinished", f"its state is {state!r}")
    return reasons


def _has_unfinished_state(runs: RawRuns) -> BoolArray:
    if "state" not in runs.codes:
        return np.zeros(len(runs), dtype=np.bool_)
    says_so = [str(label).strip().lower() in UNFINISHED_STATES for label in runs.labels["state"]]
    return np.array([*says_so, False])[runs.codes["state"]]  # an unknown state, -1, is the last entry
