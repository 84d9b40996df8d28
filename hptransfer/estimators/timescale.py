"""AdamW's averaging timescale from a sweep that varies weight decay.

tau = batch_tokens / (peak_lr * weight_decay * tokens), a fraction of the run, weight decay as in PyTorch's
AdamW (multiplied by the LR). Its best value moves with tokens per param: Bergsma et al. 2025,
arXiv:2505.13738.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hptransfer.errors import plain
from hptransfer.estimators.common import MIN_SPAN
from hptransfer.law import Law, Note, PowerLaw, Uncertainty
from hptransfer.numerics.bracketing import bracketed_minimum
from hptransfer.numerics.ordinary import fit_ordinary
from hptransfer.plans.prediction import is_mup, uses_adam
from hptransfer.sweep import FloatArray, IntArray, Sweep

MIN_CELLS = 3
"""Cells that bracket their best weight decay which a line with a measured scatter needs."""

MIN_VALUES = 3
"""Positive weight decays that can bracket a best one: two can be ranked only."""


def with_timescale(law: Law, sweep: Sweep) -> Law:
    """Return the law with what the sweep says about weight decay: a timescale law, or why there is none.

    A sweep that does not vary weight decay leaves the law as it is.
    """
    if sweep.weight_decay is None:
        return law
    if not uses_adam(law):
        optimizer = plain(law.setting["optimizer"], limit=60)
        return _without(
            law,
            f"the runs used {optimizer}, and the timescale is AdamW's.",
            "Plans give no weight decay: take the one that was best in the sweep.",
        )
    if is_mup(law):
        return _without(
            law,
            "under µP the LR of the matrices, which the timescale needs, is not the LR of the sweep.",
            "Plans with --parametrization, which says the matrices' LR, use Power Lines' timescale.",
        )
    best = best_weight_decays(sweep)
    if len(best) < MIN_CELLS:
        return _without(
            law,
            f"{len(best)} of {sweep.n_cells} cells bracket their best weight decay, a timescale law needs "
            f"{MIN_CELLS}. A cell does with {MIN_VALUES} or more positive weight decays at one LR and batch "
            "and the best inside them; two only rank.",
        )
    cells = np.array(list(best))
    ratio = np.log(sweep.cell_tokens[cells] / sweep.cell_params[cells])
    if np.ptp(ratio) < np.log(MIN_SPAN):
        return _without(law, "all cells that bracket their best weight decay have the same tokens per param.")
    line = fit_ordinary(np.column_stack([np.ones(len(cells)), ratio]), np.log([t for _, t in best.values()]))
    assert line is not None  # noqa: S101 - three cells that differ in their ratio
    level, slope = line.coefficients.tolist()
    tau = PowerLaw(
        log_coefficient=level,
        exponents={"tokens_per_param": slope},
        uncertainty=Uncertainty(
            covariance=tuple(tuple(row) for row in line.covariance.tolist()),
            quantile=line.quantile,
            cell_std=line.residual_std,
        ),
        source=f"best weight decay of {len(best)} cells of the sweep",
    )
    return law.model_copy(update={"tau_ema": tau})


def best_weight_decays(sweep: Sweep) -> dict[int, tuple[float, float]]:
    """Best weight decay and its timescale (fraction of the run), by cell.

    Read at the LR and batch of the cell's lowest loss among those tried with enough weight decays. Cells
    that do not bracket it are left out.
    """
    found = {}
    for cell in range(sweep.n_cells):
        searched = list(_searched_slices(sweep, cell))
        if not searched:
            continue
        rows = min(searched, key=lambda rows: float(sweep.loss[rows].min()))
        log_best = bracketed_minimum(np.log(_weight_decay(sweep)[rows]), np.log(sweep.loss[rows]))
        if log_best is not None:
            best, run = float(np.exp(log_best)), rows[0]
            step = sweep.lr[run] * best * sweep.cell_tokens[cell]
            found[cell] = (best, float(sweep.batch_tokens[run] / step))
    return found


def _searched_slices(sweep: Sweep, cell: int) -> Iterator[IntArray]:
    """Finished runs of a cell at one LR and batch, where these tried enough positive weight decays."""
    weight_decay = _weight_decay(sweep)
    usable = (sweep.cell == cell) & ~sweep.diverged & (weight_decay > 0) & np.isfinite(sweep.batch_tokens)
    rows = np.flatnonzero(usable)
    points = np.column_stack([sweep.lr[rows], sweep.batch_tokens[rows]])
    keys, index = np.unique(points, axis=0, return_inverse=True)
    for key in range(len(keys)):
        of_slice = rows[index.ravel() == key]
        if len(np.unique(weight_decay[of_slice])) >= MIN_VALUES:
            yield of_slice


def _weight_decay(sweep: Sweep) -> FloatArray:
    return np.full(sweep.n_runs, np.nan) if sweep.weight_decay is None else sweep.weight_decay


def _without(law: Law, why: str, instead: str = "Plans use Power Lines' timescale.") -> Law:
    note = Note(code="no-timescale-law", message=f"weight decay varies, but {why} {instead}")
    return law.model_copy(update={"warnings": (*law.warnings, note)})
