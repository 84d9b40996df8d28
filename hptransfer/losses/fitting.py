"""(params, tokens, loss) points -> LossLaw: the form they want, its coefficients, and how far they carry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.law import Input, LossFit, LossInteraction, LossLaw, LossTerm, Note, Uncertainty
from hptransfer.losses.law import loss_half_width, predict_loss
from hptransfer.losses.points import LossPoints, sweep_points
from hptransfer.numerics.loss_evidence import (
    choose_form,
    growth_beyond,
    held_out,
    lack_of_fit,
    predictive_covariance,
    resample,
)
from hptransfer.numerics.loss_law import FORMS, HUBER_DELTA, Form, Points, at_bounds, best_fits
from hptransfer.sweep import FloatArray, Sweep

AUTO = "auto"
MIN_POINTS = 6
MIN_SPREAD = 0.1
"""Natural logs that params, and tokens, must span."""

COLLINEAR = 0.99
"""Squared correlation of log params and log tokens from which the two terms cannot be told apart."""

LEAST_GROWTH = 0.005
"""Least growth of the spread per natural log beyond the data (0.5 %), whatever few held-out points say."""

UNKNOWN_GROWTH = 0.02
"""Growth assumed where there are too few points to hold any out: the upper end of what we measured."""

DEFAULT_RESAMPLES = 400


@dataclass(frozen=True)
class LossBacktest:
    """A loss law fitted on smaller compute, held to the larger. Errors in log loss, measured - predicted."""

    fitted: int
    held_out: int
    form: str
    mean_error: float
    rms_error: float
    median_half_width: float | None  # of the 90 % intervals
    covered: float | None  # share of held-out points inside them


def fit_loss_law(
    points: LossPoints,
    *,
    form: str = AUTO,
    seed: int = 0,
    resamples: int = DEFAULT_RESAMPLES,
    delta: float = HUBER_DELTA,
) -> tuple[LossLaw, tuple[Note, ...]]:
    """Fit what loss to expect at params and tokens.

    Args:
        form:      a name in `numerics.loss_law.FORMS`, or "auto": the simplest one unless a richer one
                   predicts held-out compute clearly better.
        resamples: bootstrap draws of the points; 0 gives a law without intervals.
        delta:     log loss beyond which a residual counts linearly.
    Returns: the law, and coded warnings (loss-collinear, loss-at-bound, loss-no-backtest).
    Raises:  RefusalError (too-few-loss-points) where points or their spread do not suffice; UsageError.
    """
    _require_form(form)
    _require_points(points)
    centred, centre = _centred(points)
    tried = {name: held_out(f, centred, delta=delta) for name, f in FORMS.items() if form in (AUTO, name)}
    chosen, p_values = choose_form(tried, order=list(tried))
    model, beyond = FORMS[chosen], tried[chosen]
    best = best_fits(model, centred, delta=delta).coefficients[0]
    predicted = model.model(best[None], centred.log_params, centred.log_tokens)[0][0]
    inside = max(lack_of_fit(centred.log_loss - predicted, n_coefficients=len(best)), 1e-9)
    growth = growth_beyond(beyond, inside=inside)
    draws = _draws(model, centred, best, seed=seed, resamples=resamples, delta=delta)
    uncertainty = None
    if resamples:
        covariance = predictive_covariance(model, centred, fit=best, draws=draws)
        uncertainty = Uncertainty(
            covariance=_nested(_uncentred_covariance(covariance, centre)),
            quantile=float(stats.t.ppf(0.95, max(len(points) - len(best), 1))),
            structural_std=inside,
            structural_slope=UNKNOWN_GROWTH if growth is None else max(growth, LEAST_GROWTH),
        )
    evidence = LossFit(
        form=chosen,
        points=len(points),
        seed=seed,
        resamples=resamples,
        residual_std=inside,
        p_values=p_values,
        held_out_error=float(np.abs(beyond.error).mean()) if len(beyond.error) else None,
        intervals=_intervals(model, draws, centre),
        at_bounds=at_bounds(model, best),
    )
    law = _law(points, best, centre, uncertainty, evidence)
    return law, tuple(_notes(points, evidence, has_backtest=growth is not None))


def loss_part(
    sweep: Sweep, *, floors: FloatArray | None = None, seed: int, resamples: int
) -> tuple[LossLaw | None, tuple[Note, ...]]:
    """The loss law of a sweep, or None and a coded warning that says why there is none."""
    try:
        return fit_loss_law(
            sweep_points(sweep, floors), seed=seed, resamples=min(resamples, DEFAULT_RESAMPLES)
        )
    except RefusalError as error:
        return None, (Note(code="no-loss-law", message=f"no loss law: {error}"),)


def backtest_loss(
    points: LossPoints, *, factor: float, form: str = AUTO, seed: int = 0, resamples: int = DEFAULT_RESAMPLES
) -> LossBacktest:
    """Fit on the points below 1 / factor of the largest compute and hold the law to the others.

    Raises:  UsageError where nothing is held out, RefusalError as in `fit_loss_law`.
    """
    below = points.log_flops <= points.log_flops.max() - math.log(factor) + 1e-9
    if below.all():
        msg = f"a hold-out factor of {factor:g} holds nothing out: it must be above 1, such as 4."
        raise UsageError(msg)
    law, _ = fit_loss_law(points.take(below), form=form, seed=seed, resamples=resamples)
    rest = _in_unit(points.take(~below))
    logs = {"params": np.log(rest.params), "tokens": np.log(rest.tokens)}
    error = np.log(rest.loss) - np.log(predict_loss(law, logs, np))
    half = loss_half_width(law, logs, np)
    return LossBacktest(
        fitted=int(below.sum()),
        held_out=len(rest),
        form=law.fit.form if law.fit is not None else form,
        mean_error=float(error.mean()),
        rms_error=float((error**2).mean() ** 0.5),
        median_half_width=None if half is None else float(np.median(half)),
        covered=None if half is None else float((np.abs(error) <= half).mean()),
    )


def _require_form(form: str) -> None:
    known = (AUTO, *FORMS)
    if form not in known:
        hint = did_you_mean(form, known) or f" Known: {', '.join(known)}."
        msg = f"no form of the loss law is called {plain(form)!r}.{hint}"
        raise UsageError(msg)


def _require_points(points: LossPoints) -> None:
    """Refuse what five coefficients cannot be fitted to."""
    if len(points) < MIN_POINTS:
        msg = (
            f"too-few-loss-points: {len(points)} points of (params, tokens, loss), a loss law needs "
            f"{MIN_POINTS}. Add runs at other params and other tokens."
        )
        raise RefusalError(msg)
    for name, values in (("params", points.params), ("tokens", points.tokens)):
        if np.ptp(np.log(values)) < MIN_SPREAD:
            msg = (
                f"too-few-loss-points: all points have about the same {name}, so nothing says how the loss "
                f"moves with it. Add runs at other {name}."
            )
            raise RefusalError(msg)


def _in_unit(points: LossPoints) -> LossPoints:
    """Losses that a law can be fitted to: perplexities become nats, the rest stays as it is."""
    if points.unit != "perplexity":
        return points
    loss = np.log(points.loss)
    if (loss <= 0).any():
        msg = "a perplexity of 1 or below is no loss to fit: check --loss-unit."
        raise RefusalError(msg)
    return LossPoints(points.params, points.tokens, loss, "nats")


def _centred(points: LossPoints) -> tuple[Points, tuple[float, float]]:
    """Logs in an order that does not depend on the file's, params and tokens from their means."""
    order = np.lexsort((points.loss, points.tokens, points.params))
    ordered = _in_unit(points.take(order))
    n, d = np.log(ordered.params), np.log(ordered.tokens)
    centre = (float(n.mean()), float(d.mean()))
    return Points(n - centre[0], d - centre[1], np.log(ordered.loss)), centre


def _draws(
    form: Form, points: Points, best: FloatArray, *, seed: int, resamples: int, delta: float
) -> FloatArray:
    """Refits of resampled points, (n_draws, n_coefficients)."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(points), np.full(len(points), 1 / len(points)), size=resamples)
    return resample(form, points, start=best, counts=counts, delta=delta) if resamples else best[None][:0]


def _to_uncentred(size: int, centre: tuple[float, float]) -> FloatArray:
    """Linear map from coefficients about the centre to those of plain params and tokens."""
    change = np.eye(size)
    change[1, 2], change[3, 4] = centre
    return change


def _uncentred_covariance(covariance: FloatArray, centre: tuple[float, float]) -> FloatArray:
    change = _to_uncentred(len(covariance), centre)
    return np.asarray(change @ covariance @ change.T)


def _intervals(form: Form, draws: FloatArray, centre: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """90 % intervals of the resampled coefficients: floor, coefficients and exponents as they are written."""
    if not len(draws):
        return {}
    plain_draws = draws @ _to_uncentred(draws.shape[1], centre).T
    found = {}
    for column, name in zip(plain_draws.T, form.coefficients, strict=True):
        low, high = np.quantile(column, (0.05, 0.95))
        if name.startswith("log_"):
            low, high = np.exp((low, high))
        found[name.removeprefix("log_")] = (float(low), float(high))
    return found


def _law(
    points: LossPoints,
    best: FloatArray,
    centre: tuple[float, float],
    uncertainty: Uncertainty | None,
    evidence: LossFit,
) -> LossLaw:
    """Put the coefficients into a record, in plain params and tokens."""
    form = FORMS[evidence.form]
    by_name = dict(zip(form.coefficients, (_to_uncentred(len(best), centre) @ best).tolist(), strict=True))
    interaction = None
    if "growth" in by_name:
        interaction = LossInteraction(
            level_exponent=by_name["level_exponent"],
            growth=by_name["growth"],
            centre_params=centre[0],
            centre_tokens=centre[1],
        )
    inputs: Sequence[Input] = ("params", "tokens")
    return LossLaw(
        floor=math.exp(by_name["log_floor"]),
        terms=tuple(
            LossTerm(
                input=name,
                coefficient=math.exp(by_name[f"log_{name}_term"]),
                exponent=by_name[f"{name}_exponent"],
            )
            for name in inputs
        ),
        outer_exponent=math.exp(by_name.get("log_outer_exponent", 0.0)),
        interaction=interaction,
        uncertainty=uncertainty,
        fitted_on=_ranges(points),
        unit="nats" if points.unit == "perplexity" else points.unit,
        fit=evidence,
    )


def _ranges(points: LossPoints) -> dict[Input, tuple[float, float]]:
    columns: dict[Input, FloatArray] = {
        "params": points.params,
        "tokens": points.tokens,
        "flops": np.exp(points.log_flops),
    }
    return {name: (float(values.min()), float(values.max())) for name, values in columns.items()}


def _nested(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _notes(points: LossPoints, fit: LossFit, *, has_backtest: bool) -> list[Note]:
    """What to know before believing the law."""
    notes = []
    correlation = float(np.corrcoef(np.log(points.params), np.log(points.tokens))[0, 1])
    if correlation**2 > COLLINEAR:
        text = (
            f"params and tokens moved together (correlation {correlation:.3f}): the loss law holds along "
            "that line; its two terms cannot be told apart elsewhere."
        )
        notes.append(Note(code="loss-collinear", message=text))
    if fit.at_bounds:
        text = (
            f"the loss law's {', '.join(fit.at_bounds)} ended at the end of what is allowed: the points do "
            "not determine it. Predictions near the points stand, far ones do not."
        )
        notes.append(Note(code="loss-at-bound", message=text))
    if not has_backtest:
        text = (
            f"{fit.points} points are too few to hold larger compute out: how the loss law's interval grows "
            f"with distance is assumed ({UNKNOWN_GROWTH:.0%} per factor of e), not measured."
        )
        notes.append(Note(code="loss-no-backtest", message=text))
    return notes
