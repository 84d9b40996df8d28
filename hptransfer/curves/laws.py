"""Loss curves -> a law of loss against the learning rates seen; predictions for any other schedule.

Two laws: `multi-power` (Luo et al. 2025) and `annealing` (Tissue et al. 2024). Neither has an LR optimum of
its own: they rank schedules at one well-tuned peak, near the shapes and horizons they were fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy.stats import t as student_t

from hptransfer.curves.record import Curve, pick
from hptransfer.errors import RefusalError, UsageError, plain
from hptransfer.law import Note
from hptransfer.numerics import curves as numeric
from hptransfer.schedules import Schedule
from hptransfer.sweep import FloatArray, IntArray

LawName = Literal["multi-power", "annealing"]
LAW_NAMES: tuple[LawName, ...] = get_args(LawName)

_COEFFICIENTS: Mapping[LawName, tuple[str, ...]] = {
    "multi-power": ("floor", "coefficient", "exponent", "gain", "log_saturation", "beta", "gamma"),
    "annealing": ("floor", "coefficient", "gain", "exponent"),
}
FORMULAS: Mapping[LawName, str] = {
    "multi-power": (
        "floor + coefficient * S^-exponent - gain * sum_k (lr_k-1 - lr_k) * "
        "(1 - (1 + e^log_saturation * lr_k^-gamma * S_k)^-beta)"
    ),
    "annealing": "floor + coefficient * S1^-exponent - gain * S2",
}
_MAX_POINTS = 300  # a curve, in the Multi-Power fit: block means beyond
_MIN_POINTS = 8  # a law of 4 or 7 parameters
_PEAK_TOLERANCE = 0.01


@dataclass(frozen=True)
class CurveLaw:
    """A fitted law; `coefficients` in the units of the LR that was logged."""

    name: LawName
    coefficients: Mapping[str, float]
    runs: tuple[str, ...]
    points: int
    peak_lr: float
    warmup_steps: int
    longest: int  # last step among the fitted curves
    lowest_lr: float  # after the warm-up
    mean_abs_error: float  # over the fitted points, in the unit of the loss
    objective: float  # sum of Huber losses of log residuals
    warnings: tuple[Note, ...]

    @property
    def parameters(self) -> FloatArray:
        """The coefficients as the numeric core orders them."""
        return np.array([self.coefficients[name] for name in _COEFFICIENTS[self.name]])


@dataclass(frozen=True)
class PredictedCurve:
    """A law's curve under a schedule: loss at steps, and what grouping LR drops may have changed at most."""

    steps: IntArray
    lr: FloatArray
    loss: FloatArray
    grouping_error: float
    warnings: tuple[Note, ...] = ()

    @property
    def final_loss(self) -> float:
        """Loss at the last step."""
        return float(self.loss[-1])


@dataclass(frozen=True)
class HeldOut:
    """How well a law predicts a run it was not fitted on."""

    run: str
    mean_abs_error: float
    final_logged: float
    final_predicted: float


@dataclass(frozen=True)
class Extrapolation:
    """The end of an unfinished run; `parts` are the standard deviations (of log loss) in the interval."""

    run: str
    last_step: int
    final_step: int
    loss: float
    interval: tuple[float, float]
    parts: Mapping[str, float]
    warnings: tuple[Note, ...]


def fit_curve_law(
    curves: Sequence[Curve],
    *,
    law: LawName = "multi-power",
    warmup_steps: int = 0,
    near: CurveLaw | None = None,
) -> CurveLaw:
    """Fit a law to all points after the warm-up of one or more curves that share peak LR, batch and model.

    Args:    warmup_steps: of all runs, used before each curve's first point; the rise in a curve that logs
             its own warm-up is taken from the curve; near: the same law fitted to similar data, to start at.
    Raises:  UsageError without curves; RefusalError for too few points or peaks that differ.
    """
    if not curves:
        msg = "curves: no run to fit on."
        raise UsageError(msg)
    peak_lr = _common_peak(curves)
    paths = [numeric.lr_path(c.steps, c.lr, warmup_steps=warmup_steps) for c in curves]
    warm = [_after_warmup(c, path) for c, path in zip(curves, paths, strict=True)]
    points = sum(len(c.steps) for c in warm)
    if points < _MIN_POINTS:
        msg = f"curves: {points} points after the warm-up; need {_MIN_POINTS} or more to fit a law."
        raise RefusalError(msg)
    fit = _FITS[law](warm, paths, peak_lr, None if near is None else near.parameters)
    errors = np.concatenate(
        [_predict(law, fit.parameters, p, c.steps)[0] - c.loss for c, p in zip(warm, paths, strict=True)]
    )
    return CurveLaw(
        name=law,
        coefficients=dict(zip(_COEFFICIENTS[law], map(float, fit.parameters), strict=True)),
        runs=tuple(c.run for c in curves),
        points=points,
        peak_lr=peak_lr,
        warmup_steps=warmup_steps,
        longest=max(c.last_step for c in curves),
        lowest_lr=min(float(c.lr.min()) for c in warm),
        mean_abs_error=float(np.abs(errors).mean()),
        objective=fit.objective,
        warnings=() if _anneals(paths) else (_NO_ANNEALING,),
    )


_NO_ANNEALING = Note(
    code="no-annealing",
    message="no fitted run lowers its LR after the warm-up: what a decay gains is not determined.",
)


def predict_schedule(law: CurveLaw, schedule: Schedule, *, steps: IntArray | None = None) -> PredictedCurve:
    """The whole loss curve of a schedule, or the loss at `steps` of it.

    Raises:  RefusalError for a schedule that decays when no fitted run did.
    """
    path = schedule.peak_lr * schedule.curve()
    if _NO_ANNEALING in law.warnings and _anneals([path]):
        _refuse_decay(schedule.name)
    if steps is None:
        steps = np.arange(schedule.warmup_steps + 1, schedule.steps + 1)
    loss, error = _predict(law.name, law.parameters, path, steps)
    return PredictedCurve(steps, path[steps], loss, error, tuple(_reach(law, schedule)))


def held_out(law: CurveLaw, curve: Curve) -> HeldOut:
    """Predict a logged run from its LRs alone, and compare."""
    path = numeric.lr_path(curve.steps, curve.lr, warmup_steps=law.warmup_steps)
    warm = _after_warmup(curve, path)
    loss, _ = _predict(law.name, law.parameters, path, warm.steps)
    error = float(np.abs(loss - warm.loss).mean())
    return HeldOut(curve.run, error, float(warm.loss[-1]), float(loss[-1]))


BACKTEST_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)


def extrapolate(
    curves: Sequence[Curve],
    run: str,
    schedule: Schedule,
    *,
    law: LawName = "multi-power",
    warmup_steps: int = 0,
    confidence: float = 0.9,
) -> Extrapolation:
    """Predict the end of an unfinished run that goes on as `schedule` says; other curves help the fit.

    The interval adds up four things, as variances: the law's own record (the run is cut at shares of what is
    known, refitted and predicted to the last known point; the error a unit of log LR area, times the log area
    still ahead), the difference between the two laws, the scatter of the last points, and where a decay is
    still ahead, how well other curves that decay are predicted when they are left out of the fit.

    Raises:  UsageError when the run is not there or already past the schedule's end; RefusalError when the
             schedule decays and no curve shows a decay.
    """
    target = pick(curves, run)
    others = [curve for curve in curves if curve.run != run]
    if schedule.steps <= target.last_step:
        msg = (
            f"run {plain(run)}: its last step {target.last_step:,} is not before the end, {schedule.steps:,}."
        )
        raise UsageError(msg)
    known = numeric.lr_path(target.steps, target.lr, warmup_steps=warmup_steps)
    planned = schedule.peak_lr * schedule.curve()
    path = np.concatenate([known, planned[len(known) :]])
    fitted = {
        name: fit_curve_law([*others, target], law=name, warmup_steps=warmup_steps) for name in LAW_NAMES
    }
    if _NO_ANNEALING in fitted[law].warnings and _anneals([path]):
        _refuse_decay(run)
    end = np.array([schedule.steps])
    log_ends = {name: math.log(_predict(name, f.parameters, path, end)[0][0]) for name, f in fitted.items()}
    area = np.cumsum(path)
    ahead = math.log(area[-1] / area[target.last_step])
    parts = {
        "record": ahead * _rms(_backtest(others, target, known, fitted=fitted[law])),
        "laws": abs(log_ends["multi-power"] - log_ends["annealing"]) / math.sqrt(2),
        "scatter": _scatter(fitted[law], target, known),
    }
    notes = [*_continuity(target, planned, run), *_reach(fitted[law], schedule)]
    if _anneals([path[target.last_step :]]):
        shapes = _leave_one_out(others, target, fitted=fitted[law])
        parts["shapes"] = _rms(shapes) if shapes else 0.0
        notes += [] if shapes else [_UNTESTED_DECAY]
    half = student_t.ppf(0.5 + confidence / 2, df=3) * math.hypot(*parts.values())
    log_end = log_ends[law]
    return Extrapolation(
        run=run,
        last_step=target.last_step,
        final_step=schedule.steps,
        loss=math.exp(log_end),
        interval=(math.exp(log_end - half), math.exp(log_end + half)),
        parts=parts,
        warnings=tuple(notes),
    )


_UNTESTED_DECAY = Note(
    code="decay-untested",
    message=(
        "a decay is still ahead, and there are not enough other curves with decays to tell how well the law "
        "predicts one: the interval does not cover that."
    ),
)


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def _backtest(others: Sequence[Curve], target: Curve, path: FloatArray, *, fitted: CurveLaw) -> list[float]:
    """Log error at the last known points a unit of log LR area ahead, for each share of the run kept."""
    area = np.cumsum(path)
    last = max(3, len(target.steps) // 20)
    rates = []
    for share in BACKTEST_SHARES:
        head = _head(target, int(share * len(target.steps)))
        try:
            refitted = _refit([*others, head], fitted)
        except RefusalError:  # too short a head
            continue
        predicted, _ = _predict(fitted.name, refitted.parameters, path, target.steps[-last:])
        error = float(numeric.log_residuals(predicted, target.loss[-last:]).mean())
        rates.append(error / math.log(area[-1] / area[head.last_step]))
    if not rates:
        msg = f"run {plain(target.run)}: too short to test the law on its own past; log more of it first."
        raise RefusalError(msg)
    return rates


def _leave_one_out(others: Sequence[Curve], target: Curve, *, fitted: CurveLaw) -> list[float]:
    """Log error at the end of each other curve that decays, predicted without it; needs two such curves."""
    decaying = [
        curve
        for curve in others
        if _anneals([numeric.lr_path(curve.steps, curve.lr, warmup_steps=fitted.warmup_steps)])
    ]
    if len(decaying) < 2:
        return []
    errors = []
    for left_out in decaying:
        rest = [curve for curve in others if curve is not left_out]
        end = held_out(_refit([*rest, target], fitted), left_out)
        errors.append(math.log(end.final_logged / end.final_predicted))
    return errors


def _refit(curves: Sequence[Curve], fitted: CurveLaw) -> CurveLaw:
    return fit_curve_law(curves, law=fitted.name, warmup_steps=fitted.warmup_steps, near=fitted)


def _head(curve: Curve, count: int) -> Curve:
    """The first `count` points, at least one."""
    count = max(count, 1)
    return replace(curve, steps=curve.steps[:count], lr=curve.lr[:count], loss=curve.loss[:count])


def _scatter(law: CurveLaw, target: Curve, path: FloatArray) -> float:
    tail = max(3, len(target.steps) // 5)
    predicted, _ = _predict(law.name, law.parameters, path, target.steps[-tail:])
    return float(np.std(numeric.log_residuals(predicted, target.loss[-tail:])))


def _common_peak(curves: Sequence[Curve]) -> float:
    peaks = [curve.peak_lr for curve in curves]
    if max(peaks) > min(peaks) * (1 + _PEAK_TOLERANCE):
        low, high = curves[int(np.argmin(peaks))], curves[int(np.argmax(peaks))]
        msg = (
            f"curves: peak LR {low.peak_lr:.3g} in run {plain(low.run)}, {high.peak_lr:.3g} in "
            f"{plain(high.run)}; these laws hold at one peak. Choose runs with --fit RUN."
        )
        raise RefusalError(msg)
    return max(peaks)


def warmup_of(curve: Curve, *, warmup_steps: int) -> int:
    """Steps that a run took to its peak: as logged, else `warmup_steps` before its first point."""
    return numeric.warmup_end(numeric.lr_path(curve.steps, curve.lr, warmup_steps=warmup_steps))


def _after_warmup(curve: Curve, path: FloatArray) -> Curve:
    """The points at or after the first step at the peak, step 0 excluded."""
    rows = curve.steps >= max(numeric.warmup_end(path), 1)
    return replace(curve, steps=curve.steps[rows], lr=curve.lr[rows], loss=curve.loss[rows])


def _anneals(paths: Sequence[FloatArray]) -> bool:
    return any(bool((np.diff(path) < 0).any()) for path in paths)


def _refuse_decay(what: str) -> None:
    msg = (
        f"{plain(what)} lowers the LR, and no fitted curve does: what that gains is not in the data. "
        "Add a curve with a decay (a short one is enough)."
    )
    raise RefusalError(msg)


def _predict(
    law: LawName, parameters: FloatArray, path: FloatArray, steps: IntArray
) -> tuple[FloatArray, float]:
    """Loss at steps under a path, and the largest effect of grouping (0 where there is none)."""
    if law == "multi-power":
        return numeric.multi_power_curve(parameters, path, steps)
    forward, annealed = numeric.annealing_areas(numeric.flatten_warmup(path))
    return numeric.annealing_loss(parameters, forward[steps], annealed[steps])[0], 0.0


def _fit_multi_power(
    curves: Sequence[Curve], paths: Sequence[FloatArray], peak_lr: float, near: FloatArray | None
) -> numeric.HuberFit:
    thin = [numeric.block_means(c.steps, c.loss, max_points=_MAX_POINTS) for c in curves]
    groups = [
        numeric.drop_groups(path, steps, bounds=numeric.group_bounds(path))
        for path, (steps, _) in zip(paths, thin, strict=True)
    ]
    loss = np.concatenate([loss for _, loss in thin])
    return numeric.fit_multi_power(numeric.stack_groups(groups), loss, peak_lr=peak_lr, near=near)


def _fit_annealing(
    curves: Sequence[Curve], paths: Sequence[FloatArray], _peak_lr: float, _near: FloatArray | None
) -> numeric.HuberFit:
    areas = [numeric.annealing_areas(numeric.flatten_warmup(path)) for path in paths]
    forward, annealed = (
        np.concatenate([area[i][c.steps] for area, c in zip(areas, curves, strict=True)]) for i in (0, 1)
    )
    return numeric.fit_annealing(forward, annealed, np.concatenate([c.loss for c in curves]))


_FITS = {"multi-power": _fit_multi_power, "annealing": _fit_annealing}


def _reach(law: CurveLaw, schedule: Schedule) -> list[Note]:
    """What takes a prediction outside what was fitted."""
    notes = []
    if abs(schedule.peak_lr / law.peak_lr - 1) > _PEAK_TOLERANCE:
        message = (
            f"{schedule.name}: peak {schedule.peak_lr:.3g}, fitted at {law.peak_lr:.3g}; these laws know no "
            "best LR, a higher peak always looks better."
        )
        notes.append(Note(code="other-peak", message=message))
    if schedule.steps > 1.05 * law.longest:
        factor = schedule.steps / law.longest
        message = f"{schedule.name}: {schedule.steps:,} steps are {factor:.2g}x the longest fitted curve."
        notes.append(Note(code="beyond-horizon", message=message))
    lowest = schedule.peak_lr * float(schedule.curve()[schedule.warmup_steps :].min())
    if lowest < 0.9 * law.lowest_lr:
        message = (
            f"{schedule.name}: falls to {lowest:.3g}, the fitted runs to {law.lowest_lr:.3g}; "
            "what the last part of the decay gains is extrapolated."
        )
        notes.append(Note(code="below-fitted-lr", message=message))
    return notes


def _continuity(target: Curve, planned: FloatArray, run: str) -> list[Note]:
    logged, expected = float(target.lr[-1]), float(planned[target.last_step])
    if abs(expected - logged) <= 0.02 * target.peak_lr:
        return []
    message = (
        f"{run}: its last logged LR is {logged:.3g}, the schedule has {expected:.3g} at that step; "
        "the prediction jumps there."
    )
    return [Note(code="lr-jump", message=message)]
