"""Rows whose labels are wrong: a loss that another LR or batch of the same cell has too.

`doctor` leaves such model sizes out of what it proposes; `fit` warns of them. Rounding explains some equal
losses, so they are counted against what chance makes (`numerics.ties`).
"""

from __future__ import annotations

import numpy as np

from hptransfer.numerics.ties import chance_of, equal_losses
from hptransfer.quantities import short_count
from hptransfer.sweep import BoolArray, Sweep

CHANCE = 1e-3
"""Equal losses less likely than this by chance mean that rows are mislabelled."""

SHOWN = 6

REPEATED_EVERYWHERE = (
    "in all model sizes runs have exactly the loss of a run with another LR or batch: the losses are made "
    "up, or labels are wrong throughout. Nothing is left out for it."
)


def mislabelled_sizes(sweep: Sweep) -> tuple[list[float], bool]:
    """Params of the model sizes where more runs share a loss under other LRs or batches than by chance.

    Where all of several sizes do, none is named, and the second value is True.
    """
    rows = np.flatnonzero(~sweep.diverged & (sweep.loss > 0))
    if not len(rows):
        return [], False
    is_equal, expected = equal_losses(
        sweep.loss[rows], sweep.lr[rows], sweep.batch_tokens[rows], sweep.cell[rows]
    )
    params = sweep.cell_params[sweep.cell[rows]]
    sizes = np.unique(params)
    found = [
        float(size)
        for size in sizes
        if chance_of(int(is_equal[params == size].sum()) // 2, float(expected[params == size].sum()) / 2)
        < CHANCE / len(sizes)
    ]
    everywhere = len(found) == len(sizes)
    return ([] if everywhere else found), everywhere


def mislabelled_text(sweep: Sweep, size: float) -> str:
    """Name a mislabelled model size, with the first of its lines."""
    rows = np.flatnonzero(is_size(sweep, size) & ~sweep.diverged)
    equal, _ = equal_losses(sweep.loss[rows], sweep.lr[rows], sweep.batch_tokens[rows], sweep.cell[rows])
    where = [sweep.where(int(row)) for row in rows[equal][np.argsort(sweep.line[rows[equal]])]]
    first = rows[equal][0]
    same = rows[(sweep.loss[rows] == sweep.loss[first]) & (sweep.cell[rows] == sweep.cell[first])]
    shown = ", ".join(where[:SHOWN]) + (", ..." if len(where) > SHOWN else "")
    lrs = " and ".join(f"{lr:g}" for lr in np.unique(sweep.lr[same]))
    return (
        f"{short_count(size)} params ({size:.0f}): {len(where)} runs have exactly the loss of a run with "
        f"another LR or batch ({shown}; for example loss {sweep.loss[same[0]]:.7g} at LR {lrs}). "
        "Rounding does not explain that: labels are wrong."
    )


def is_size(sweep: Sweep, size: float) -> BoolArray:
    """Runs of a model size, (n_runs,)."""
    return np.asarray(sweep.cell_params[sweep.cell] == size)
