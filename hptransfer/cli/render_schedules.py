"""Schedules as tables, CSV, JSON and pictures. Knows records, computes nothing beyond sums."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hptransfer.cli.blocks import show_course
from hptransfer.cli.render import number, print_json, say, table
from hptransfer.cli.talk import Talk
from hptransfer.errors import plain
from hptransfer.law import Note
from hptransfer.plans.conversion import EXPONENTS, Branch, Converted, Extension, best_scale
from hptransfer.schedules import DECAYS, KINDS, Schedule
from hptransfer.schedules.options import FloatArray

_SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 1.0)


def warn_experimental(schedules: Iterable[Schedule], talk: Talk) -> None:
    """Say which schedules stand on something unverified."""
    doubts = {made.name: KINDS[made.name].experimental for made in schedules}
    talk.warn(
        Note(code="experimental", message=f"{name}: {doubt}.") for name, doubt in doubts.items() if doubt
    )


def _summary(made: Schedule) -> dict[str, float]:
    updates = made.multipliers()
    return {
        "area": float(made.peak_lr * updates.sum()),
        "mean_multiplier": float(updates.mean()),
        "final_ratio": float(made.multiplier(made.steps)),
        "first_update": float(updates[0]),
        "last_update": float(updates[-1]),
    }


def _content(made: Schedule) -> dict[str, Any]:
    options = {name: value for name, value in dataclasses.asdict(made.options).items() if value is not None}
    return {
        "name": made.name,
        "steps": made.steps,
        "warmup_steps": made.warmup_steps,
        "warmup_start": made.warmup_start,
        "peak_lr": made.peak_lr,
        "count_from": made.count_from,
        "options": options,
        "experimental": KINDS[made.name].experimental or None,
        **_summary(made),
    }


def print_schedule(made: Schedule) -> None:
    """Print one schedule as JSON, every update's multiplier included."""
    print_json({**_content(made), "multiplier": made.multipliers().tolist()})


def print_schedules(schedules: Mapping[str, Schedule]) -> None:
    """Print schedules side by side as JSON."""
    print_json(
        [
            {"spec": spec, **_content(made), "best_peak_lr_factor": factor}
            for (spec, made), factor in zip(schedules.items(), _factors(schedules.values()), strict=True)
        ]
    )


def csv_text(made: Schedule) -> str:
    """Every update as step,lr,multiplier; floats keep all their digits."""
    multipliers = made.multipliers()
    lrs = made.peak_lr * multipliers
    rows = (
        f"{i},{lr!r},{m!r}\n"
        for i, (lr, m) in enumerate(zip(lrs.tolist(), multipliers.tolist(), strict=True))
    )
    return "step,lr,multiplier\n" + "".join(rows)


def show_schedules(schedules: Mapping[str, Schedule]) -> None:
    """Print the curves at shares of the run, then area, mean and last value of each."""
    rows = [
        [
            f"{share:.0%}",
            *(f"{float(made.multiplier(share * made.steps)):.4f}" for made in schedules.values()),
        ]
        for share in _SHARES
    ]
    table("Multiplier of the peak LR", ["share of the run", *(f"{plain(s)}#" for s in schedules)], rows)
    factors = _factors(schedules.values())
    summary = (
        (
            plain(spec),
            f"{made.steps:,}",
            number(made.peak_lr),
            f"{sums['area']:.6g}",
            f"{sums['mean_multiplier']:.4f}",
            f"{sums['final_ratio']:.4g}",
            f"{factor:.3f}",
        )
        for (spec, made), factor in zip(schedules.items(), factors, strict=True)
        for sums in [_summary(made)]
    )
    columns = ("schedule", "steps#", "peak_lr#", "area#", "mean#", "final ratio#", "best peak LR, relative#")
    table("Sums over all updates", columns, summary)
    longest = max(map(len, map(plain, schedules)))
    for spec, made in schedules.items():
        show_course(made, plain(spec).ljust(longest))


def _factors(schedules: Iterable[Schedule]) -> list[float]:
    """Best peak LR of each shape in the convex bound, relative to the first."""
    scales = [best_scale(made) for made in schedules]
    return [scale / scales[0] for scale in scales]


def show_kinds(*, json: bool) -> None:
    """Print the table of schedules and the shapes of a decay."""
    if json:
        kinds = {
            name: {
                "title": kind.title,
                "source": kind.source,
                "options": dict(kind.options),
                "experimental": kind.experimental or None,
            }
            for name, kind in KINDS.items()
        }
        print_json({"schedules": kinds, "decays": list(DECAYS)})
        return
    rows = (
        (
            name,
            kind.title + (f" (experimental: {kind.experimental})" if kind.experimental else ""),
            ", ".join(f"{k}={_shown(v)}" for k, v in kind.options.items()) or "-",
            kind.source,
        )
        for name, kind in KINDS.items()
    )
    table("Schedules", ("name", "what", "options~", "source~"), rows)
    say("Decays: " + ", ".join(DECAYS) + ".")


def _shown(value: object) -> str:
    if value is None:
        return "?"
    return "+".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)


def show_converted(converted: Converted, *, json: bool) -> None:
    """Print a moved peak LR with its two factors, theory and the measured exponents beside it."""
    if json:
        exponents = [dataclasses.asdict(measured) for measured in EXPONENTS]
        content = {**dataclasses.asdict(converted), "measured_exponents": exponents}
        content["warnings"] = [{"code": n.code, "message": n.message} for n in converted.warnings]
        print_json(content)
        return
    rows = [
        ("peak_lr", number(converted.peak_lr), "use this"),
        ("shape factor", f"{converted.shape_factor:.4f}", "convex bound, both shapes at the target's steps"),
        (
            "horizon factor",
            f"{converted.horizon_factor:.4f}",
            f"steps ratio ^ {converted.horizon_exponent:g}",
        ),
        ("theory alone", number(converted.theory_peak_lr), "the bound at both horizons, about steps^-0.5"),
    ]
    table("Moved peak LR", ("", "value#", "from"), rows)
    measured = ((f"{m.exponent:g}", m.setting, m.source, m.certainty) for m in EXPONENTS)
    table(
        "Exponents of the best LR in the horizon", ("exponent#", "setting", "source~", "certainty~"), measured
    )


def show_extension(extension: Extension, *, json: bool) -> None:
    """Print the two ways of going on."""
    if json:
        print_json(dataclasses.asdict(extension))
        return
    cooldown = extension.longer_cooldown
    longer = "none is long enough" if cooldown is None else f"{cooldown:.3f} of {extension.longer:,} steps"
    rows = [
        ("two-stage", f"from step {extension.switch_step:,} on, LR x {extension.factor:.3f}", "1"),
        ("longer cooldown", longer, "-"),
        ("nothing changed", "same LR, same cooldown fraction", f"{extension.bound_unchanged:.3f}"),
        ("tuned from scratch", "a new run", f"{extension.bound_retuned:.3f}"),
    ]
    table(
        f"From {extension.steps:,} to {extension.longer:,} steps", ("way", "what", "bound, relative#"), rows
    )


def show_branches(branches: Sequence[Branch], total: int, separate: int, *, json: bool) -> None:
    """Print where each horizon leaves the trunk, and the cost."""
    if json:
        print_json(
            {"branches": [dataclasses.asdict(b) for b in branches], "updates": total, "separate": separate}
        )
        return
    rows = ((f"{b.end:,}", f"{b.start:,}", f"{b.end - b.start:,}") for b in branches)
    table("Branches of one trunk", ("horizon#", "save and leave at step#", "decay steps#"), rows)
    say(f"{total:,} updates in all; {separate:,} as separate runs ({1 - total / separate:.0%} saved).")


def show_merge(multipliers: FloatArray, weights: FloatArray, *, json: bool) -> None:
    """Print checkpoint weights beside the decay they stand for."""
    if json:
        print_json({"multiplier": multipliers.tolist(), "weight": weights.tolist()})
        return
    decayed = ["-", *(f"{value:.4f}" for value in multipliers)]
    rows = ((str(i), decayed[i], f"{weight:.4f}") for i, weight in enumerate(weights))
    table("Checkpoint weights", ("checkpoint#", "interval before it decayed to#", "weight#"), rows)
