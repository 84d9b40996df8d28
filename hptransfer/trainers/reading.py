"""A trainer's config as our values, each with the field and line it stands in; and which format it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from hptransfer.errors import InputError, Problem, plain
from hptransfer.trainers.base import Fields, Format, Machine, Reading
from hptransfer.trainers.own_rules import groups_from, widths_from
from hptransfer.trainers.recipe import Curve, Recipe
from hptransfer.trainers.syntax import Source
from hptransfer.trainers.tensor_names import base_group
from hptransfer.trainers.writing import MARK

PLAN = re.compile(rf"{re.escape(MARK)}(\{{.*\}})")
_NEEDED = (
    "peak_lr",
    "schedule",
    "warmup_steps",
    "final_lr_ratio",
    "steps",
    "batch_tokens",
    "seq_len",
    "weight_decay",
    "beta1",
    "beta2",
    "eps",
    "grad_clip",
)
_FLAGS = {"batch_tokens": "--world-size (or --from-world-size) and --seq-len", "seq_len": "--seq-len"}


def read_text_as(text: str, name: str, form: Format, machine: Machine | None = None) -> Reading:
    """Read a config of a known format; `name` is the file as the user gave it.

    Raises:  InputError with the line when the text is not of the format's syntax.
    """
    return interpret(form.syntax.parse(text, name), form, machine or Machine())


def interpret(source: Source, form: Format, machine: Machine) -> Reading:
    """Take our values from a parsed text."""
    reading = Reading(form.name, source)
    fields = Fields(reading, machine)
    for key in form.keys:
        fields.take(key.ours, key.field, key.default, whole=key.whole)
    form.interpret(fields)
    return reading


def detect(path: str, text: str, formats: Iterable[Format]) -> list[Format]:
    """All formats that a file can be: by the end of its name, its syntax and its fields.

    Two matching is possible, for instance a YAML file with fields of both; none as well.
    """
    suffix = PurePath(path).suffix.lower()
    known = [form for form in formats if suffix in form.syntax.suffixes] or list(formats)
    parsed: dict[str, Source | None] = {}
    found = []
    for form in known:
        if form.syntax.name not in parsed:
            try:
                parsed[form.syntax.name] = form.syntax.parse(text, path)
            except InputError:
                parsed[form.syntax.name] = None
        source = parsed[form.syntax.name]
        if source is not None and _has_marks(source, form):
            found.append(form)
    return found


def _has_marks(source: Source, form: Format) -> bool:
    if any(_has(source, name) for name in form.excludes):
        return False
    return any(all(_has(source, name) for name in marks) for marks in form.marks)


def _has(source: Source, name: str) -> bool:
    return name in source.fields or name in source.blocks


def planned_for(text: str) -> dict[str, Any]:
    """What the header of a written config says about its plan: target and law; empty without one."""
    match = PLAN.search(text)
    if match is None:
        return {}
    try:
        content = json.loads(match.group(1))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def recipe_from(reading: Reading) -> Recipe:
    """Make a recipe of what was read.

    Raises:  InputError naming what neither the file nor the command line says, and every value that is no
             number.
    """
    name = reading.source.name
    problems = [
        Problem(name, trap.line, trap.field, trap.message) for trap in reading.traps if _stops(trap.code)
    ]
    if not problems:
        missing = [ours for ours in _NEEDED if reading.get(ours) is None]
        problems = [Problem(name, None, ours, _missing(ours, reading)) for ours in missing]
    if problems:
        raise InputError(problems)
    number = {ours: float(reading.number(ours) or 0.0) for ours in _NEEDED if ours != "schedule"}
    decay_steps = reading.number("decay_steps")
    decay = reading.get("decay")
    recipe = Recipe(
        peak_lr=number["peak_lr"],
        curve=Curve(
            name=str(reading.get("schedule")),
            warmup_steps=int(number["warmup_steps"]),
            final_ratio=number["final_lr_ratio"],
            decay=None if decay is None else str(decay),
            decay_steps=None if decay_steps is None else int(decay_steps),
        ),
        batch_tokens=int(number["batch_tokens"]),
        seq_len=int(number["seq_len"]),
        steps=int(number["steps"]),
        weight_decay=number["weight_decay"],
        beta1=number["beta1"],
        beta2=number["beta2"],
        eps=number["eps"],
        grad_clip=number["grad_clip"],
        optimizer=str(reading.get("optimizer") or "adamw"),
    )
    groups = groups_from(reading, base_group(recipe))
    return replace(recipe, groups=groups, widths=widths_from(reading))


def _stops(code: str) -> bool:
    return code in ("not-a-number", "not-whole")


def _missing(ours: str, reading: Reading) -> str:
    return f"the file does not say it ({plain(reading.format)}).{_way_out(ours, reading)}"


def _way_out(ours: str, reading: Reading) -> str:
    field, of_steps = reading.unsaid.get(ours), reading.unsaid.get("steps")
    if field is None:
        return f" Give {_FLAGS[ours]}." if ours in _FLAGS else ""
    if field not in reading.source.fields:
        return f" Add {plain(field)} to it."
    if of_steps is None or ours == "steps":
        return ""
    return f" {plain(field)} is a share of the steps: add {plain(of_steps)} to it."
