"""Clean runs -> LossPoints: (params, tokens, loss) of finished runs, whatever is known of their LR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np

from hptransfer.losses.points import LossPoints
from hptransfer.readers.cleaning import CleanRuns, loss_unit_warning
from hptransfer.readers.settings import constant_settings, unknown_settings
from hptransfer.sweep import CELL_TOLERANCE, FloatArray, cell_spread, group_cells

POINT_COLUMNS = ("params", "tokens", "loss")
"""Columns that a loss law cannot do without."""


def make_loss_points(
    cleaned: CleanRuns, *, vary: Collection[str]
) -> tuple[LossPoints, tuple[tuple[str, str], ...]]:
    """Take the points of the runs with a finite loss, and warn of what a person should know.

    Raises:  RefusalError when a setting varies that is not in `vary`.
    """
    setting = constant_settings(cleaned.runs.raw, vary=vary)
    ended = cleaned.take(np.isfinite(cleaned.runs.raw.quantity("loss")))
    raw, tokens = ended.runs.raw, ended.runs.scale.tokens
    points = LossPoints(raw.quantity("params"), tokens, raw.quantity("loss"), cleaned.loss_unit)
    warnings = (
        *cleaned.warnings,
        *unknown_settings(cleaned.runs.raw, setting.keys()),
        *loss_unit_warning(points.loss, points.unit),
        *set_aside_warning(cleaned, n_diverged=len(cleaned.runs.raw) - len(raw)),
        *_untuned_warning(points, raw.quantity("lr")),
    )
    return points, warnings


def set_aside_warning(cleaned: CleanRuns, *, n_diverged: int) -> list[tuple[str, str]]:
    """Count the rows that are no points, by reason, with the first of them as an example."""
    counts = Counter(run.reason for run in cleaned.set_aside) + Counter(diverged=n_diverged)
    if not counts:
        return []
    n_rows = len(cleaned.runs.raw) + len(cleaned.set_aside)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    first = next((f" (first: {run.where}: {run.message})" for run in cleaned.set_aside), "")
    return [("rows-set-aside", f"{counts.total()} of {n_rows} rows are no points: {reasons}{first}.")]


def _untuned_warning(points: LossPoints, lr: FloatArray) -> list[tuple[str, str]]:
    """Warn when runs of one scale differ in LR: their losses are then not those of well-tuned runs."""
    known = np.isfinite(lr)
    cells = group_cells(points.params[known], points.tokens[known], tolerance=CELL_TOLERANCE)
    spread = cell_spread(lr[known], cells.index, n_cells=len(cells.params))
    n_searched = int((spread > CELL_TOLERANCE).sum())
    if not n_searched:
        return []
    message = (
        f"at {n_searched} of {len(cells.params)} scales the runs differ in LR: a loss law is about "
        "well-tuned runs. `hptransfer fit` takes the best of each scale, or keep the tuned ones with --where."
    )
    return [("untuned-runs", message)]
