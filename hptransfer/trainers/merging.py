"""A recipe written into a config that somebody has: only what it says changes, and that is proven by reading.

The file keeps its comments, order, quotes, indentation and line ends. Fields that would say something else
beside the recipe's (a fraction of warm-up beside its steps, the options of another schedule) are taken out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from hptransfer.errors import InputError, Problem, plain
from hptransfer.law import Note
from hptransfer.trainers.base import NOT_EXPRESSED, Draft, Format, Machine, Reading
from hptransfer.trainers.reading import PLAN, interpret
from hptransfer.trainers.recipe import Recipe
from hptransfer.trainers.syntax import Source, Written
from hptransfer.trainers.syntax.editing import inherited, stale, with_fields, without
from hptransfer.trainers.syntax.source import unusable
from hptransfer.trainers.writing import Output, draft_of, sidecar_of

OF_THE_SCHEDULE = ("schedule", "warmup_steps", "final_lr_ratio", "decay", "decay_steps")


def merged_config(
    recipe: Recipe,
    form: Format,
    machine: Machine,
    *,
    base: str,
    name: str,
    provenance: Mapping[str, Any] | None = None,
) -> Output:
    """Write a recipe into the text `base` of the file `name`, which says what `machine` leaves open.

    Raises:  InputError when the base is not of the format's syntax, holds a field twice, or would change or
             mean something else than is shown; as `draft_of`.
    """
    before = _parsed(base, form, name)
    machine = _machine_of(interpret(before, form, machine), machine, ("world_size", "micro_batch"))
    draft = draft_of(recipe, form, machine)
    trimmed = _trimmed(before, form, draft)
    values = draft.fields | dict.fromkeys(inherited(trimmed, draft.fields, draft.only))
    after = _parsed_again(with_fields(trimmed, form.syntax, values, wholes=draft.wholes), form, name)
    _require_kept(before, after, values, draft.only | draft.wholes)
    reading = interpret(after, form, machine)
    _require_same_meaning(reading, form, machine, draft)
    notes = (*draft.notes, *_doubts(reading, recipe))
    text = _with_provenance(after.text, provenance or {})
    lossy = any(note.code == NOT_EXPRESSED for note in notes)
    wanted = lossy or not form.syntax.comments
    return Output(text, notes, sidecar_of(recipe, form, notes, provenance or {}) if wanted else None)


def machine_of_base(machine: Machine, base: str, form: Format, name: str) -> Machine:
    """The machine, with the micro batch, world size and sequence length of a base where nobody says others.

    Raises:  InputError when the base is empty or not of the format's syntax.
    """
    read = interpret(_parsed(base, form, name), form, machine)
    return _machine_of(read, machine, ("world_size", "micro_batch", "seq_len"))


def _parsed(base: str, form: Format, name: str) -> Source:
    if not base.strip():
        raise unusable(name, None, "is empty. Leave out --base to write a whole config.")
    return form.syntax.parse(base, name)


def _machine_of(reading: Reading, machine: Machine, names: Iterable[str]) -> Machine:
    said = {key: reading.values[key] for key in names if key in reading.values}
    own = {
        key: int(value.value)
        for key, value in said.items()
        if isinstance(value.value, float | int)
        and value.value >= 1
        and value.fields
        and getattr(machine, key) is None
    }
    return replace(machine, **own)


def _trimmed(source: Source, form: Format, draft: Draft) -> Source:
    """The source without what may not stand beside the draft's fields."""
    for path in stale(source, draft.fields, draft.only):
        source = _parsed_again(without(source, path), form, source.name)
    return source


def _is_at_or_below(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _parsed_again(text: str, form: Format, name: str) -> Source:
    try:
        return form.syntax.parse(text, name)
    except InputError as error:
        first = error.problems[0]
        why = " ".join(filter(None, (first.column, first.message.rstrip("."))))
        msg = (
            f"cannot be edited, its text would break: {why}. First write out what stands for other places "
            "(anchors), and values over several lines on one."
        )
        raise unusable(name, None, msg) from None


def _require_kept(before: Source, after: Source, values: Collection[str], only: Collection[str]) -> None:
    """Refuse where another field than those set would change: one that takes its value from them."""
    problems = []
    for path in before.fields.keys() | after.fields.keys():
        was, now = before.fields.get(path), after.fields.get(path)
        if _is_at_or_below(path, only) or _is_at_or_below(path, values) or _is_same(was, now):
            continue
        if now is None and any(value.startswith(f"{path}.") for value in values):
            continue  # was null, and has something below it now
        line = (was or now or Written(None, 0, "", 0, 0)).line or None
        msg = (
            "shares its place in this file with what the plan sets, through an anchor: it would go from "
            f"{_shown(was)} to {_shown(now)}. Write its value out first."
        )
        problems.append(Problem(before.name, line, plain(path), msg))
    if problems:
        raise InputError(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or "")))


def _is_same(was: Written | None, now: Written | None) -> bool:
    return was is not None and now is not None and repr(was.value) == repr(now.value)


def _shown(written: Written | None) -> str:
    return "nothing" if written is None else plain(written.value, limit=60)


def _require_same_meaning(merged: Reading, form: Format, machine: Machine, draft: Draft) -> None:
    """Refuse where the trainer would read something else than in a file of its own."""
    text = form.syntax.compose(draft.fields, [])
    alone = interpret(form.syntax.parse(text, merged.source.name), form, machine)
    problems = []
    for ours in alone.values:
        free = alone.get(ours) is None or ("schedule" not in draft.held and ours in OF_THE_SCHEDULE)
        if merged.get(ours) != alone.get(ours) and not free:
            problems.append(_misread(ours, merged, alone))
    problems += [] if alone.groups else _own_lrs(merged)
    if problems:
        raise InputError(sorted(problems, key=lambda problem: problem.line or 0))


def _doubts(merged: Reading, recipe: Recipe) -> list[Note]:
    """What the merged file still has that its trainer takes otherwise, and a model of another width."""
    traps = [Note(code=t.code, message=f"{_where(t.line)}{t.field}: {t.message}") for t in merged.traps]
    width = merged.number("width")
    if recipe.widths is None or width in (None, recipe.widths.width):
        return traps
    said = f"the plan is for width {recipe.widths.width}, this file's model has {width:g}: plan with --width."
    return [*traps, Note(code="width-differs", message=said)]


def _own_lrs(merged: Reading) -> list[Problem]:
    """Groups of tensors that keep an LR or an epsilon of their own beside a plan that has one for all."""
    values = {
        value.field or name: (value, reading.pattern or name, name)
        for reading in merged.groups.values()
        for name, value in reading.values.items()
        if name != "weight_decay" and value.value != merged.get({"lr": "peak_lr"}.get(name, name))
    }
    return [
        Problem(
            merged.source.name,
            value.line,
            field,
            f"gives {plain(pattern, limit=80)} their own {name}, {plain(value.value)}, and the plan has one "
            "for all tensors. Take that group out, or plan with --parametrization.",
        )
        for field, (value, pattern, name) in values.items()
    ]


def _where(line: int | None) -> str:
    return "" if line is None else f"line {line}, "


def _misread(ours: str, merged: Reading, alone: Reading) -> Problem:
    value = merged.values.get(ours)
    got = "nothing" if value is None else plain(value.value, limit=60)
    name = ours if value is None or value.field is None else value.field
    msg = (
        f"{merged.format} would read {ours} as {got}, the plan says {plain(alone.get(ours), limit=60)}: "
        "something else in this file decides. Take that out."
    )
    return Problem(merged.source.name, None if value is None else value.line, name, msg)


def _with_provenance(text: str, provenance: Mapping[str, Any]) -> str:
    """What the header of a file that we wrote says of its plan is that of the plan it holds now."""
    found = PLAN.search(text)
    if found is None or not provenance:
        return text
    start, end = found.span(1)
    return text[:start] + json.dumps(provenance) + text[end:]
