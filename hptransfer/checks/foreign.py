"""Trainers' own configs as something to check: their values in our words, with their fields and lines.

Such a file does not say what it trains. The target and the law come from the caller, from `hptransfer.toml`,
or from the header or sidecar that hptransfer writes; all of these may come from a stranger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hptransfer.checks.base import Slip, TrainerFile
from hptransfer.config import (
    RUN_FIELDS,
    LawReference,
    RunValues,
    TrainConfig,
    config_from_plan,
)
from hptransfer.errors import UsageError, plain
from hptransfer.planning import Plan
from hptransfer.settings import TargetSettings
from hptransfer.trainers import (
    Format,
    Reading,
    detect,
    find_format,
    planned_for,
    read_text_as,
)
from hptransfer.trainers.base import Machine
from hptransfer.trainers.beside import read_beside

OPEN = ("peak_lr", "batch_tokens", "steps", "warmup_steps", "weight_decay", "final_lr_ratio")
"""Values that a config may leave unknown; for others the plan's stand in, so that nothing else is found."""
NEEDED = (*OPEN, "schedule", "beta1", "beta2", "eps", "grad_clip")


@dataclass(frozen=True)
class Told:
    """What a file's header or sidecar says of its plan; None where it says nothing usable."""

    target: TargetSettings | None = None
    law: str | None = None  # an id, or a path relative to the file
    digest: str | None = None


def format_of(file: str, text: str, name: str | None) -> Format:
    """Find the format of a file: by name, else the only one that it can be.

    Raises:  UsageError when none matches, or several do.
    """
    if name is not None:
        return find_format(name)
    found = detect(file, text)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(form.name for form in found)
        msg = f"can be read as {names}. Say which: --format {found[0].name}, or `format` in hptransfer.toml."
        raise UsageError(msg)
    if _is_law(text):
        msg = f"is a law, not a config: `hptransfer plan --law {plain(file)} ... -o CONFIG.yaml` makes one."
        raise UsageError(msg)
    msg = "is no config of a known format. Say which it is: --format, or `format` in hptransfer.toml."
    raise UsageError(msg)


def _is_law(text: str) -> bool:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"schema_version", "peak_lr", "fitted_on"} <= set(content)


def read_trainer_config(
    file: str, text: str, form: Format, *, world_size: int | None, seq_len: int | None
) -> Reading:
    """Read a trainer's config. Errors as `read_text_as`."""
    return read_text_as(text, file, form, Machine(world_size=world_size, seq_len=seq_len))


def told_by(file: str, text: str) -> Told:
    """Read what hptransfer wrote into a file's header, or into the sidecar beside it."""
    content = planned_for(text) or read_beside(file).plan
    target = content.get("target", content)
    wanted = {name: target[name] for name in TargetSettings.model_fields if target.get(name) is not None}
    law = content.get("law")
    reference = law if isinstance(law, dict) else {"id": law}
    name = reference.get("id") or reference.get("path")
    digest = reference.get("digest", content.get("digest"))
    return Told(
        target=_target(wanted),
        law=name if isinstance(name, str) else None,
        digest=digest if isinstance(digest, str) and digest else None,
    )


def _target(wanted: Mapping[str, Any]) -> TargetSettings | None:
    try:
        return TargetSettings.model_validate_json(json.dumps(wanted))
    except ValidationError:
        return None


def trainer_file(reading: Reading) -> TrainerFile:
    """What checks need of a reading beside its values."""
    values = reading.values
    decay_steps = reading.number("decay_steps")
    return TrainerFile(
        format=reading.format,
        fields={name: value.field for name, value in values.items() if value.field is not None},
        lines={name: value.line for name, value in values.items() if value.line is not None},
        defaults=frozenset(name for name, value in values.items() if not value.fields),
        copied=frozenset(
            name
            for name, value in values.items()
            if len(value.fields) == 1 and value.fields[0][1].value == value.value
        ),
        unknown=tuple(name for name in NEEDED if reading.get(name) is None),
        slips=tuple(Slip(trap.field, trap.line, trap.message, trap.got) for trap in reading.traps),
        decay_steps=decay_steps,
    )


def config_of(reading: Reading, planned: Plan, digest: str | None) -> tuple[TrainConfig, tuple[Slip, ...]]:
    """Make a native config of a plan with a reading's values; what cannot be is named and left out."""
    law = planned.law
    reference = LawReference(id=law.id, digest=digest or law.digest())
    config = config_from_plan(planned, reference)
    values, slips = config.planned.model_dump(), []
    for name in (*RUN_FIELDS, "warmup_tokens"):
        read = reading.get(name)
        candidate = {**values, name: _whole(read) if name in ("steps", "warmup_steps", "seq_len") else read}
        if read is None:
            candidate[name] = None if name in OPEN else values[name]
        try:
            RunValues.model_validate(candidate)
        except ValidationError as error:
            value = reading.values[name]
            message = f"got {plain(read, limit=60)}: {error.errors(include_url=False)[0]['msg']}."
            slips.append(Slip(value.field or name, value.line, message, plain(read, limit=60)))
        else:
            values = candidate
    if values["warmup_steps"] is not None and values["batch_tokens"] is not None:
        values["warmup_tokens"] = float(values["warmup_steps"] * values["batch_tokens"])
    return config.model_copy(update=values), tuple(slips)


def _whole(value: float | str | None) -> float | str | None:
    return int(value) if isinstance(value, float) and value.is_integer() else value
