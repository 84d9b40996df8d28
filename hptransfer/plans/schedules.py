"""A plan under another schedule than that of the law's runs, and the schedule of a config as a function.

A law's peak LR is the best one under the schedule of its runs. Another schedule has another best peak: the
convex bound gives the ratio (`conversion`). numpy is imported where a schedule is made: a plan under the
law's own schedule must not wait for it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from hptransfer.errors import UsageError, plain
from hptransfer.law import Law, Note
from hptransfer.planning import Plan, ScheduleChange
from hptransfer.plans.decay_conventions import PYTORCH, law_convention
from hptransfer.plans.derivation import (
    HOLDING,
    OptionValue,
    Origin,
    Settled,
    is_power_scheduler,
    own_decay_fraction,
    own_schedule,
    power_schedule_lr,
    power_schedule_options,
)
from hptransfer.plans.prediction import NORMAL_95
from hptransfer.quantities import significant

if TYPE_CHECKING:
    from hptransfer.config import RunValues
    from hptransfer.plans.conversion import Converted
    from hptransfer.schedules import Schedule

SOURCE = "convex bound, arXiv:2501.18965"
_SET_BY_PLAN = ("steps", "peak_lr", "count_from")


def with_schedule(planned: Plan, wanted: str, *, proxy: str | None = None) -> Plan:
    """Plan the same target under another schedule: the best peak LR moves by the ratio of the shapes.

    Args:    wanted, proxy: `NAME[:OPTION=VALUE,...]` (a comma may stand for the colon); proxy is the schedule
             of the runs behind the law, in place of what the law records. Warm-up as planned unless given.
    Raises:  UsageError where a schedule cannot be built, or nobody knows that of the law's runs.
    """
    if _kind_of(wanted) == "power":
        return _with_power_schedule(planned, wanted)
    target = _made(wanted, planned, "--schedule")
    source = _proxy_schedule(planned, target, proxy)
    moved = _converted(source, target)
    changed = _on_schedule(planned, target, ScheduleChange(wanted, proxy, moved.shape_factor))
    return _with_moved_lr(changed, source, target, moved)


def _with_power_schedule(planned: Plan, wanted: str) -> Plan:
    """Let the run follow a law of the Power Scheduler's form; its peak is where the warm-up ends."""
    law, run = planned.law, planned.rounded
    if not is_power_scheduler(law):
        msg = (
            f"--schedule power: it is a law of the LR in tokens itself, and law {plain(law.id)} has another "
            "form (LR / batch = a tokens^b). Use --law power-scheduler, one of `hptransfer fit SWEEP "
            "--estimator power-scheduler`, or another --schedule."
        )
        raise UsageError(msg)
    batch = run.batch_tokens or 0.0
    options = power_schedule_options(law, batch_tokens=batch, seq_len=planned.seq_len)
    warmup = _made(wanted, planned, "--schedule", **options).warmup_steps
    top = significant(power_schedule_lr(law, batch_tokens=batch, tokens=max(warmup, 1) * batch))
    target = _made(wanted, planned, "--schedule", peak_lr=top, **options)
    changed = _on_schedule(planned, target, ScheduleChange(wanted, None, 1.0))
    text = "the law's LR at the tokens of the warm-up: where the schedule is highest"
    origin = Origin(text, planned.origins["peak_lr"].source)
    return replace(
        changed,
        rounded=replace(changed.rounded, peak_lr=top),
        origins={**changed.origins, "rounded.peak_lr": origin},
    )


def _on_schedule(planned: Plan, target: Schedule, change: ScheduleChange) -> Plan:
    """The plan with another schedule, its LR as it was."""
    run = planned.rounded
    tokens = target.warmup_steps * (run.batch_tokens or 0.0)
    given = target.warmup_steps != run.warmup_steps
    return replace(
        planned,
        rounded=replace(
            run, warmup_steps=target.warmup_steps, warmup_tokens=tokens if given else run.warmup_tokens
        ),
        recipe={
            **planned.recipe,
            "schedule": Settled(target.name, Origin(_described(target), "the user")),
        },
        final_lr_ratio=_final_ratio(target),
        schedule_options=_options(target),
        schedule_change=change,
        origins=_origins(planned, target, warmup_given=given),
    )


def schedule_of(values: RunValues) -> Schedule:
    """The schedule of a config, with `lr_at(update)` for a training loop.

    Raises:  UsageError where its parts do not fit together, or it has no steps.
    """
    from hptransfer.schedules import schedule
    from hptransfer.schedules.kinds import find_kind

    if values.steps is None:
        msg = "a schedule needs its number of steps."
        raise UsageError(msg)
    options: dict[str, Any] = dict(values.schedule_options)
    name = values.schedule.strip().lower().replace("_", "-")
    if name != "power" and "final_ratio" in find_kind(name).options and values.final_lr_ratio is not None:
        options["final_ratio"] = values.final_lr_ratio
    warmup_steps = values.warmup_steps or 0
    return schedule(name, steps=values.steps, warmup_steps=warmup_steps, peak_lr=values.peak_lr, **options)


def with_colon(spec: str) -> str:
    """A spec as `NAME:OPTION=VALUE,...`, also where a comma follows the name."""
    return spec if ":" in spec else spec.replace(",", ":", 1)


def _kind_of(spec: str) -> str:
    return with_colon(spec).partition(":")[0].strip()


def _made(spec: str, planned: Plan, flag: str, **defaults: Any) -> Schedule:
    """A schedule over the plan's steps, with its warm-up unless the spec gives one."""
    from hptransfer.schedules import schedule_from_spec

    run = planned.rounded
    if run.steps is None:
        msg = f"{flag}: without a batch there is no number of steps. Pin one with --batch-tokens."
        raise UsageError(msg)
    spec = with_colon(spec)
    given = {item.partition("=")[0].strip() for item in spec.partition(":")[2].split(",")}
    if given.intersection(_SET_BY_PLAN):
        msg = (
            f"{flag}: {', '.join(sorted(given.intersection(_SET_BY_PLAN)))}: the plan sets it. Leave it out."
        )
        raise UsageError(msg)
    if _kind_of(spec) == "refined":
        msg = (
            f"{flag} refined: needs the gradient norms of a finished run; see `hptransfer schedule refined`."
        )
        raise UsageError(msg)
    common = {"steps": run.steps, "warmup_steps": run.warmup_steps or 0, **defaults}
    return schedule_from_spec(spec, **common)


def _proxy_schedule(planned: Plan, target: Schedule, proxy: str | None) -> Schedule:
    """The schedule of the law's runs over the plan's steps, with the same warm-up as the target."""
    from hptransfer.schedules import KINDS

    law = planned.law
    warmup = {"warmup_steps": target.warmup_steps}
    if proxy is not None:
        return _made(proxy, planned, "--proxy-schedule", **warmup)
    name = own_schedule(law)
    if "schedule" not in law.setting or name not in KINDS or name in ("power", "refined"):
        said = f"records schedule {plain(name, limit=60)!r}" if "schedule" in law.setting else "records none"
        msg = (
            f"--schedule {target.name}: the best peak LR moves with the schedule, and law {plain(law.id)} "
            f"{said}, from which it cannot be moved. Say what its runs used: "
            "--proxy-schedule cosine:final_ratio=0.1."
        )
        raise UsageError(msg)
    own: dict[str, Any] = {"final_ratio": planned.final_lr_ratio}
    fraction = own_decay_fraction(law)
    if fraction is not None:
        own["decay_fraction"] = float(fraction.value)
    if "decay_type" in law.setting:
        own["decay"] = str(law.setting["decay_type"])
    return _made(name, planned, f"law {plain(law.id)}", **warmup, **own)


def _converted(source: Schedule, target: Schedule) -> Converted:
    """The ratio between the shapes; exactly 1 between equal ones."""
    from hptransfer.plans.conversion import convert_peak_lr

    moved = convert_peak_lr(1.0, source=source, target=target)
    same = source.name == target.name and source.options == target.options
    return replace(moved, shape_factor=1.0) if same else moved


def _final_ratio(schedule: Schedule) -> float:
    """Last LR over peak LR."""
    return significant(float(schedule.multiplier(schedule.steps)))


def _options(schedule: Schedule) -> dict[str, OptionValue]:
    """What a schedule's kind takes beside warm-up and final ratio, its decay in updates."""
    from hptransfer.schedules.decays import decay_steps_of
    from hptransfer.schedules.options import Timeline

    options = {name: value for name, value in asdict(schedule.options).items() if value is not None}
    if schedule.name != "power":  # its decay multiplies an LR that has fallen already
        options.pop("final_ratio", None)
    if schedule.name in HOLDING:
        timeline = Timeline(schedule.steps, schedule.warmup_steps, schedule.peak_lr, schedule.options)
        options["decay_steps"] = float(decay_steps_of(timeline))
        del options["decay_fraction"]
    return options


def _described(schedule: Schedule) -> str:
    """Name and options on one line.

    >>> from hptransfer.schedules import schedule
    >>> _described(schedule("wsd", steps=1000, decay_fraction=0.1))
    'wsd (decay linear, decay_steps 100, final_ratio 0)'
    """
    options = {**_options(schedule), "final_ratio": schedule.options.final_ratio}
    texts = [
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in options.items() if v is not None
    ]
    return f"{schedule.name} ({', '.join(texts)})" if texts else schedule.name


def _origins(planned: Plan, target: Schedule, *, warmup_given: bool) -> dict[str, Origin]:
    origins = dict(planned.origins)
    origins.pop("decay_steps", None)
    origins["schedule"] = origins["final_lr_ratio"] = Origin(_described(target), "the user")
    if warmup_given:
        origins["warmup_fraction"] = Origin(f"{target.warmup_steps} updates", "the user")
    return origins


def _with_moved_lr(planned: Plan, source: Schedule, target: Schedule, moved: Converted) -> Plan:
    """Move the LR and all that rests on it; an interval is widened by what the ratio is known to miss."""
    factor = moved.shape_factor
    if planned.peak_lr is None or factor == 1.0:
        return planned
    timescale = planned.weight_decay_timescale
    held = "weight_decay" in planned.law.setting and law_convention(planned.law) == PYTORCH
    around = planned.weight_decay_interval
    text = f"* {factor:.4g}, from {_described(source)} to {_described(target)}"
    origins = dict(planned.origins)
    for name in {"peak_lr", "rounded.peak_lr"} & set(origins):
        old = origins[name]
        origins[name] = Origin(f"{old.formula} {text}", f"{old.source}; {SOURCE}")
    return replace(
        planned,
        peak_lr=planned.peak_lr * factor,
        peak_lr_interval=_moved_interval(planned.peak_lr_interval, factor),
        rounded=replace(planned.rounded, peak_lr=_times(planned.rounded.peak_lr, factor)),
        plateaus={
            name: (low * factor, high * factor) if name.startswith("peak_lr") else (low, high)
            for name, (low, high) in planned.plateaus.items()
        },
        origins=origins,
        warnings=(*planned.warnings, *_notes(planned.law, source, moved)),
        weight_decay_timescale=None if timescale is None else timescale / factor,
        weight_decay=planned.weight_decay if held else _times(planned.weight_decay, 1 / factor),
        weight_decay_interval=None if around is None else (around[0] / factor, around[1] / factor),
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else significant(value * factor)


def _moved_interval(interval: tuple[float, float] | None, factor: float) -> tuple[float, float] | None:
    """Scale a 90 % interval and add, as a variance, how far measured ratios lie from the bound's."""
    from hptransfer.plans.conversion import SHAPE_STD

    if interval is None:
        return None
    low, high = map(math.log, interval)
    middle, half = (low + high) / 2, math.hypot((high - low) / 2, NORMAL_95 * SHAPE_STD)
    return factor * math.exp(middle - half), factor * math.exp(middle + half)


def _notes(law: Law, source: Schedule, moved: Converted) -> list[Note]:
    from hptransfer.plans.conversion import SHAPE_STD

    text = (
        f"the peak LR is {moved.shape_factor:.3g}x that of law {plain(law.id)}, whose runs used "
        f"{_described(source)}: the convex bound's ratio, from which measured ones differ by about "
        f"{SHAPE_STD:.0%}. Expected loss and excess are still those under the law's own schedule."
    )
    return [Note(code="schedule-converted", message=text), *moved.warnings]
