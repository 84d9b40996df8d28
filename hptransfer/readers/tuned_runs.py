"""Clean runs -> BatchPoints: (batch, tokens, loss) of runs whose LR was tuned, whatever it was."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hptransfer.batches.points import BatchPoints, points_from_runs
from hptransfer.errors import InputError, Problem
from hptransfer.readers.cleaning import CleanRuns, loss_unit_warning
from hptransfer.readers.loss_points import set_aside_warning
from hptransfer.readers.settings import constant_settings, unknown_settings

TUNED_COLUMNS = ("tokens", "loss")
"""Columns that a critical batch cannot do without, beside the batch; tokens may come from steps."""


def make_tuned_runs(
    cleaned: CleanRuns, *, vary: Collection[str]
) -> tuple[BatchPoints, tuple[tuple[str, str], ...]]:
    """Take the points of the runs with a finite loss and a batch; one model where no column has params.

    Raises:  RefusalError when a setting varies that is not in `vary`; InputError without a batch.
    """
    setting = constant_settings(cleaned.runs.raw, vary=vary)
    batch = cleaned.runs.scale.batch_tokens
    if not np.isfinite(batch).any():
        message = "no column for the batch. Add batch_tokens, or batch_seqs and seq_len, or --column."
        raise InputError([Problem(cleaned.runs.raw.files[0], None, None, message)])
    ended = cleaned.take(np.isfinite(cleaned.runs.raw.quantity("loss")) & np.isfinite(batch))
    raw, scale = ended.runs.raw, ended.runs.scale
    loss, params = raw.quantity("loss"), raw.quantity("params")
    points = points_from_runs(
        params=np.where(np.isnan(params), 1.0, params),
        batch_tokens=scale.batch_tokens,
        tokens=scale.tokens,
        loss=np.log(loss) if cleaned.loss_unit == "perplexity" else loss,
    )
    warnings = (
        *cleaned.warnings,
        *unknown_settings(cleaned.runs.raw, setting.keys()),
        *loss_unit_warning(loss, cleaned.loss_unit),
        *set_aside_warning(cleaned, n_diverged=len(cleaned.runs.raw) - len(raw)),
    )
    return points, warnings
