"""What `hptransfer curves` does with a file of curves: fit both laws, test them, predict and rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hptransfer.curves.laws import (
    LAW_NAMES,
    CurveLaw,
    Extrapolation,
    HeldOut,
    LawName,
    PredictedCurve,
    extrapolate,
    fit_curve_law,
    held_out,
    predict_schedule,
    warmup_of,
)
from hptransfer.curves.record import Curve, pick
from hptransfer.law import Note
from hptransfer.schedules import schedule_from_spec


@dataclass(frozen=True)
class Study:
    """Both fitted laws, their errors on runs not fitted, and predictions of the chosen one."""

    laws: Mapping[LawName, CurveLaw]
    chosen: LawName
    tests: Mapping[LawName, tuple[HeldOut, ...]]
    predictions: Mapping[str, PredictedCurve]  # spec -> curve, the lowest final loss first
    beside: Mapping[str, float]  # spec -> final loss by the other law
    extrapolation: Extrapolation | None
    warnings: tuple[Note, ...]


def study_curves(
    curves: Sequence[Curve],
    *,
    fit_on: Sequence[str],
    law: LawName,
    warmup_steps: int,
    specs: Sequence[str],
    steps: int | None,
    unfinished: str | None,
) -> Study:
    """Fit on the named runs (all, when none is named; an unfinished run is among them) and predict.

    Predicted schedules warm up as the fitted runs did: the Multi-Power Law counts that rise as well.

    Raises:  UsageError for runs that are not there; RefusalError from the fits.
    """
    fitted_on = [pick(curves, run) for run in fit_on] or list(curves)
    laws = {name: fit_curve_law(fitted_on, law=name, warmup_steps=warmup_steps) for name in LAW_NAMES}
    used = {unfinished, *(curve.run for curve in fitted_on)}
    rest = [curve for curve in curves if curve.run not in used]
    common = {
        "steps": max(curve.last_step for curve in curves) if steps is None else steps,
        "warmup_steps": max(warmup_of(curve, warmup_steps=warmup_steps) for curve in fitted_on),
        "peak_lr": laws[law].peak_lr,
    }
    schedules = {spec: schedule_from_spec(spec, **common) for spec in specs}
    extrapolation = None
    predicted: dict[str, PredictedCurve] = {}
    other = next(name for name in LAW_NAMES if name != law)
    beside: dict[str, float] = {}
    if unfinished is not None:
        known = [*(c for c in fitted_on if c.run != unfinished), pick(curves, unfinished)]
        extrapolation = extrapolate(
            known, unfinished, schedules[specs[0]], law=law, warmup_steps=warmup_steps
        )
    else:
        predicted = {spec: predict_schedule(laws[law], made) for spec, made in schedules.items()}
        beside = {spec: predict_schedule(laws[other], made).final_loss for spec, made in schedules.items()}
    notes = [
        *laws[law].warnings,
        *(note for curve in predicted.values() for note in curve.warnings),
        *(extrapolation.warnings if extrapolation else ()),
    ]
    return Study(
        laws=laws,
        chosen=law,
        tests={name: tuple(held_out(laws[name], curve) for curve in rest) for name in LAW_NAMES},
        predictions=dict(sorted(predicted.items(), key=lambda item: item[1].final_loss)),
        beside=beside,
        extrapolation=extrapolation,
        warnings=tuple(dict.fromkeys(notes)),
    )
