"""The critical batch: where more batch buys few steps for many tokens, from runs at several batches.

Optimal, acceptable and critical batch are three numbers (docs/batch.md). This is the third: the scale of
McCandlish's hyperbola E = E_min (1 + B / B_crit), at which a loss costs twice the fewest tokens and twice the
fewest steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.batches.points import BatchPoints
from hptransfer.errors import RefusalError
from hptransfer.estimators.common import Runs, usable_runs
from hptransfer.law import PowerLaw, Uncertainty
from hptransfer.numerics.critical_batch import SAME_LOSS, HyperbolaFit, fit_hyperbola
from hptransfer.numerics.own_points import own_points
from hptransfer.plans.prediction import variance_parts
from hptransfer.quantities import short_count
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep

SOURCE = "McCandlish's hyperbola (arXiv:1812.06162, Eq. 2.11) fitted to runs at several batches"
MIN_LRS = 3  # tried at a batch, for its best one to lie inside
MIN_CLUSTERS = 3  # cells, or runs, that an interval rests on
MIN_BATCHES = 3
MOST_MODELS = 12  # each brings a curve of its own to the fit, whose time grows with their cube
SAME_BATCH = 0.02  # natural logs
EXPONENT_SPAN = math.log(3.0)  # of tokens, from which the critical batch's own exponent is fitted
NEIGHBOURS = 2  # batches to either side of a cell's best that place its best batch
MOST_HALF_WIDTH = math.log(10.0)  # of the 90 % interval; a wider one is no answer
MOST_BEYOND = math.log(8.0)
"""How far beyond the largest batch a critical one is believed: there the largest costs an eighth more tokens,
about what noise in the choice of each cell's best batch can feign."""


@dataclass(frozen=True)
class Level:
    """One loss of one model on its hyperbola: fewest tokens and fewest optimizer steps that reach it."""

    params: float
    loss: float
    tokens_min: float
    steps_min: float
    critical_batch: float  # tokens
    interval: tuple[float, float]  # 90 %


@dataclass(frozen=True)
class CriticalBatch:
    """A fitted critical batch.

    Attributes:
        law:         critical batch (tokens) against the fewest tokens that reach the same loss (`tokens`).
        levels:      one a (model, tokens) of the points, at the loss of its best point.
        points, runs, batches: how many there were on the costly side.
        residual_std: of log loss (of log tokens where all points have one loss).
        largest:     batch, tokens.
        left_out:    what took no part, in words.
    """

    law: PowerLaw
    levels: tuple[Level, ...]
    points: int
    runs: int
    batches: int
    residual_std: float
    largest: float
    left_out: tuple[str, ...]


def critical_batch(sweep: Sweep) -> CriticalBatch:
    """Critical batch of a sweep over LR and batch at several tokens.

    Raises:  RefusalError (no-batch, one-batch, one-lr, lr-on-edge, few-batches, batch-not-costly,
             tokens-not-varied, critical-batch-unknown) saying what the sweep lacks and what to add.
    """
    points, left_out = tuned_points(sweep)
    return critical_batch_of_points(points, left_out=left_out)


def tuned_points(sweep: Sweep) -> tuple[BatchPoints, tuple[str, ...]]:
    """The loss at the best LR of every (cell, batch), smoothed where enough LRs were tried.

    Returns: the points, and in words how many batches were left out, and why. Errors as `critical_batch`.
    """
    if not sweep.has_batch:
        msg = "no-batch: not every run says its batch. Add a column batch_tokens, or batch_seqs and seq_len."
        raise RefusalError(msg)
    runs, _ = usable_runs(sweep)
    key = np.column_stack([runs.cell, np.round(runs.log_batch / SAME_BATCH)])
    _, slice_of = np.unique(key, axis=0, return_inverse=True)
    slice_of = slice_of.ravel().astype(np.int64)
    order = np.lexsort([runs.log_lr, slice_of])
    slice_of, rows = slice_of[order], order
    best, searched, inside = _searched(runs.log_lr[rows], runs.loss[rows], slice_of)
    own = own_points(
        log_lr=runs.log_lr[rows],
        log_batch=np.zeros(len(rows)),
        log_loss=np.log(runs.loss[rows]),
        cell=slice_of,
    )
    _require_several_batches(runs, searched)
    keep = searched & inside
    first = rows[best]
    cell = runs.cell[first]
    params = np.exp(runs.log_params[cell])
    _, model = np.unique(np.round(np.log(params) / SAME_BATCH), return_inverse=True)
    points = BatchPoints(
        params=params,
        batch_tokens=np.exp(runs.log_batch[first]),
        tokens=np.exp(runs.log_tokens[cell]),
        loss=np.exp(own.log_loss),
        model=model.ravel().astype(np.int64),
        run=cell,
    ).take(keep)
    texts = (
        (int((~searched).sum()), f"batches with fewer than {MIN_LRS} LRs"),
        (int((searched & ~inside).sum()), "batches whose best LR is on the edge of its LRs"),
    )
    return points, tuple(f"{count} {text}" for count, text in texts if count)


def _searched(
    log_lr: FloatArray, loss: FloatArray, slice_of: IntArray
) -> tuple[IntArray, BoolArray, BoolArray]:
    """Per slice: row of its best run, whether enough LRs were tried, whether the best one is inside them."""
    starts = np.flatnonzero(np.diff(slice_of, prepend=-1))
    ends = np.append(starts[1:], len(slice_of))
    best = np.array([a + int(loss[a:b].argmin()) for a, b in zip(starts, ends, strict=True)], dtype=np.int64)
    levels = np.array([len(np.unique(log_lr[a:b])) for a, b in zip(starts, ends, strict=True)])
    low, high = log_lr[starts], log_lr[ends - 1]
    return best, levels >= MIN_LRS, (log_lr[best] > low) & (log_lr[best] < high)


def _require_several_batches(runs: Runs, searched: BoolArray) -> None:
    n_batches = len(np.unique(np.round(runs.log_batch / SAME_BATCH)))
    if n_batches < 2:
        msg = (
            "one-batch: all runs have one batch, so they cannot say what a larger one costs. Add runs at two "
            "or more other batches, each with several LRs."
        )
        raise RefusalError(msg)
    if not searched.any():
        msg = (
            f"one-lr: no batch was tried with {MIN_LRS} or more LRs. The best LR moves with the batch, so "
            "the cost of a batch cannot be told from that of its LR. If every run's LR was tuned, say so: "
            "--tuned."
        )
        raise RefusalError(msg)


def critical_batch_of_points(points: BatchPoints, *, left_out: Sequence[str] = ()) -> CriticalBatch:
    """Fit the hyperbola to well-tuned runs. Errors as `critical_batch`."""
    if not len(points):
        msg = (
            "lr-on-edge: at every batch the best LR is the lowest or the highest tried, so no loss is that "
            "of a tuned run. Add LRs beyond the edges."
        )
        raise RefusalError(msg)
    costly = _costly_side(points)
    comparable = _comparable(points, costly)
    spare = _beyond_most_models(points, comparable)
    used = points.take(comparable & ~spare)
    _require_enough(points, used)
    n_runs = len(np.unique(used.run))
    spread = float(np.ptp(np.log(used.tokens)))
    fitted = _fitted(used, free_exponent=spread >= EXPONENT_SPAN and n_runs > MIN_CLUSTERS)
    largest = float(used.batch_tokens.max())
    law = _law(fitted, _without_lowest(used, free_exponent=fitted.exponent != 0.0), largest)
    cheap = len(points) - int(costly.sum())
    lone = int((costly & ~comparable).sum())
    texts = (
        [f"{cheap} points below their cell's best batch, where a larger one costs nothing"] if cheap else []
    )
    texts += [f"{lone} points of models with one number of tokens, or one batch"] if lone else []
    texts += (
        [f"{int(spare.sum())} points of models beyond the {MOST_MODELS} with most"] if spare.any() else []
    )
    return CriticalBatch(
        law=law,
        levels=tuple(_levels(used, fitted, law)),
        points=len(used),
        runs=n_runs,
        batches=_count(np.log(used.batch_tokens)),
        residual_std=float(np.sqrt((fitted.residual**2).mean())),
        largest=largest,
        left_out=(*left_out, *texts),
    )


def _fitted(points: BatchPoints, *, free_exponent: bool) -> HyperbolaFit:
    log_tokens, log_size, log_loss = (np.log(a) for a in (points.tokens, points.batch_tokens, points.loss))
    return fit_hyperbola(
        log_tokens=log_tokens,
        log_batch=log_size,
        log_loss=log_loss,
        group=points.model,
        cluster=points.run,
        free_exponent=free_exponent,
    )


def _without_lowest(points: BatchPoints, *, free_exponent: bool) -> HyperbolaFit | None:
    """The fit without the lowest batch of every (model, tokens), where the hyperbola is least likely to hold.

    None where too little is left for one.
    """
    keep = np.ones(len(points), dtype=np.bool_)
    for rows in _cells(points):
        keep[rows[points.batch_tokens[rows].argmin()]] = False
    fewer = points.take(keep & _comparable(points, keep))
    if len(fewer) == 0 or _count(np.log(fewer.batch_tokens)) < MIN_BATCHES:
        return None
    return _fitted(fewer, free_exponent=free_exponent)


def _cells(points: BatchPoints) -> list[IntArray]:
    """Rows of the points of each (model, tokens)."""
    key = np.column_stack([points.model, np.round(np.log(points.tokens) / SAME_BATCH)])
    _, cell = np.unique(key, axis=0, return_inverse=True)
    return [np.flatnonzero(cell.ravel() == one) for one in range(int(cell.max(initial=-1)) + 1)]


def _costly_side(points: BatchPoints) -> BoolArray:
    """Points at or above the best batch of their model and tokens: below, the hyperbola does not hold.

    The best batch is the vertex of a parabola in log batch through the best point and its neighbours, so that
    noise in one run does not choose.
    """
    keep = np.ones(len(points), dtype=np.bool_)
    log_size, log_loss = np.log(points.batch_tokens), np.log(points.loss)
    for cell in _cells(points):
        if np.ptp(log_loss[cell]) <= SAME_LOSS:
            continue
        lowest = _best_log_batch(log_size[cell], log_loss[cell])
        keep[cell] = log_size[cell] >= lowest - SAME_BATCH
    return keep


def _best_log_batch(log_batch: FloatArray, log_loss: FloatArray) -> float:
    """Log batch of lowest loss, between the batches tried; (n,) each, points at one batch are averaged."""
    _, index, counts = np.unique(np.round(log_batch / SAME_BATCH), return_inverse=True, return_counts=True)
    log_batch, log_loss = (np.bincount(index.ravel(), values) / counts for values in (log_batch, log_loss))
    best = int(log_loss.argmin())
    near = slice(max(best - NEIGHBOURS, 0), best + NEIGHBOURS + 1)
    if len(log_batch[near]) < MIN_BATCHES:
        return float(log_batch[best])
    x = log_batch[near] - log_batch[best]
    curve, slope, _ = np.polyfit(x, log_loss[near], 2)
    if curve <= 0:
        return float(log_batch[best])
    return float(log_batch[best] + np.clip(-slope / (2 * curve), x[0], x[-1]))


def _comparable(points: BatchPoints, costly: BoolArray) -> BoolArray:
    """Costly points of models that can reach one loss at two batches.

    With one loss for all that takes two batches; else two numbers of tokens too.
    """
    keep = costly.copy()
    one_loss = bool(np.ptp(np.log(points.loss)) <= SAME_LOSS)
    for model in np.unique(points.model):
        rows = np.flatnonzero(costly & (points.model == model))
        several = _count(np.log(points.batch_tokens[rows])) > 1 and (
            one_loss or _count(np.log(points.tokens[rows])) > 1
        )
        if not several:
            keep[rows] = False
    return keep


def _beyond_most_models(points: BatchPoints, rows: BoolArray) -> BoolArray:
    """Points of models beyond the MOST_MODELS with most of the marked ones; of equals the larger stay."""
    models, first, counts = np.unique(points.model[rows], return_index=True, return_counts=True)
    order = np.lexsort([-points.params[rows][first], -counts])
    return rows & np.isin(points.model, models[order[MOST_MODELS:]])


def _count(log_values: FloatArray) -> int:
    """How many values differ by more than labels do."""
    return len(np.unique(np.round(log_values / SAME_BATCH)))


def _require_enough(points: BatchPoints, used: BatchPoints) -> None:
    """Raise RefusalError naming the first thing that the points lack."""
    n_batches = _count(np.log(points.batch_tokens))
    if n_batches < MIN_BATCHES:
        msg = (
            f"few-batches: the tuned runs have {n_batches} batches, a hyperbola needs {MIN_BATCHES}. Add "
            "runs at larger batches, each with LRs on both sides of its best one."
        )
        raise RefusalError(msg)
    one_loss = bool(np.ptp(np.log(points.loss)) <= SAME_LOSS)
    tokens = [_count(np.log(points.tokens[points.model == m])) for m in np.unique(points.model)]
    if not one_loss and max(tokens) < 2:
        msg = (
            "tokens-not-varied: every model was trained on one number of tokens, so nothing shows how many "
            "more tokens a larger batch needs for the same loss. Add runs of the same params at other tokens."
        )
        raise RefusalError(msg)
    if (
        len(used) == 0
        or _count(np.log(used.batch_tokens)) < MIN_BATCHES
        or len(np.unique(used.run)) < MIN_CLUSTERS
    ):
        edge = short_count(float(points.batch_tokens.max()))
        msg = (
            f"batch-not-costly: the best batches lie at or near the largest that were tried (up to {edge} "
            f"tokens), which leaves {len(used)} of {len(points)} points where a larger batch costs "
            "something. Add runs at 4 and 16 times larger batches."
        )
        raise RefusalError(msg)


def _law(fitted: HyperbolaFit, other: HyperbolaFit | None, largest: float) -> PowerLaw:
    """The critical batch as a power law in the fewest tokens.

    Args:    other: a fit as good, whose difference widens the interval.
    Raises:  RefusalError where the points do not determine it.
    """
    half = None
    if fitted.covariance is not None and fitted.degrees > 0:
        from scipy.special import stdtrit

        quantile = float(stdtrit(fitted.degrees, 0.95))
        apart = 0.0 if other is None else _log_critical(other, fitted.centre) - fitted.log_batch
        half = quantile * (float(fitted.covariance[0, 0]) + apart**2 / 2) ** 0.5
    far = fitted.log_batch > math.log(largest) + MOST_BEYOND
    if fitted.at_bound or far or half is None or not half <= MOST_HALF_WIDTH:
        bounds = "" if half is None else f", 90 % interval x{math.exp(min(half, 50.0)):.3g} either way"
        msg = (
            f"critical-batch-unknown: batches up to {short_count(largest)} tokens do not determine it (best "
            f"fit {short_count(math.exp(fitted.log_batch))} tokens{bounds}): they cost too few tokens, or "
            "differ too much between cells. Add runs at 4 and 16 times larger batches, with their own LRs."
        )
        raise RefusalError(msg)
    assert fitted.covariance is not None  # noqa: S101 - half is not None
    kept = 2 if fitted.exponent != 0.0 else 1
    to_raw = np.array([[1.0, -fitted.centre], [0.0, 1.0]])
    raw = to_raw @ fitted.covariance @ to_raw.T
    form = None
    if other is not None:
        form = (_log_critical(other, 0.0) - _log_critical(fitted, 0.0), other.exponent - fitted.exponent)[
            :kept
        ]
    return PowerLaw(
        log_coefficient=_log_critical(fitted, 0.0),
        exponents={"tokens": fitted.exponent} if kept == 2 else {},
        uncertainty=Uncertainty(
            covariance=tuple(tuple(row) for row in ((raw + raw.T) / 2)[:kept, :kept].tolist()),
            quantile=quantile,
            form=form,
        ),
        source=SOURCE,
    )


def _log_critical(fitted: HyperbolaFit, log_tokens_min: float) -> float:
    """Log of the critical batch at log E_min."""
    return fitted.log_batch + fitted.exponent * (log_tokens_min - fitted.centre)


def _levels(used: BatchPoints, fitted: HyperbolaFit, law: PowerLaw) -> list[Level]:
    """The hyperbola of the best point of every (model, tokens), by params and tokens."""
    assert law.uncertainty is not None  # noqa: S101 - `_law` gives one
    found: dict[tuple[float, float], int] = {}
    for row in np.lexsort([used.loss, used.tokens, used.params]):
        found.setdefault((float(used.params[row]), round(math.log(used.tokens[row]) / SAME_BATCH)), int(row))
    levels = []
    for row in found.values():
        log_min = float(fitted.log_tokens_min[row])
        log_critical = _log_critical(fitted, log_min)
        parts = variance_parts(law, law.uncertainty, {"tokens": log_min})
        half = law.uncertainty.quantile * (parts.sampling + parts.form) ** 0.5
        levels.append(
            Level(
                params=float(used.params[row]),
                loss=float(used.loss[row]),
                tokens_min=math.exp(log_min),
                steps_min=math.exp(log_min - log_critical),
                critical_batch=math.exp(log_critical),
                interval=(math.exp(log_critical - half), math.exp(log_critical + half)),
            )
        )
    return levels
