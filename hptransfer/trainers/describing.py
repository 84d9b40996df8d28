"""What formats can say, found by writing: no list beside the code that could go stale."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hptransfer.trainers.base import NOT_EXPRESSED, Format, Machine
from hptransfer.trainers.recipe import Curve, Recipe
from hptransfer.trainers.writing import write_config

EXAMPLE: Final = Recipe(
    peak_lr=3e-4,
    curve=Curve("cosine", warmup_steps=100, final_ratio=0.1),
    batch_tokens=524_288,
    seq_len=2048,
    steps=10_000,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    eps=1e-8,
    grad_clip=1.0,
)
EXAMPLE_MACHINE: Final = Machine(world_size=8, micro_batch=4, seq_len=2048)
CURVES: Final = {
    "cosine": Curve("cosine", 100, 0.1),
    "linear": Curve("linear", 100, 0.1),
    "d2z": Curve("linear", 100, 0.0),
    "constant": Curve("constant", 100, 1.0),
    "inverse-sqrt": Curve("inverse-sqrt", 100, 0.1),
    "wsd (linear)": Curve("wsd", 100, 0.1, decay="linear", decay_steps=2000),
    "wsd (cosine)": Curve("wsd", 100, 0.1, decay="cosine", decay_steps=2000),
    "wsd (1-sqrt)": Curve("wsd", 100, 0.1, decay="1-sqrt", decay_steps=2000),
}
"""The schedules that formats are asked about, by the words to show."""


def schedules_held(form: Format) -> list[str]:
    """Which schedules a format can say without leaving anything out."""
    return [name for name, curve in CURVES.items() if _is_held(form, curve)]


def _is_held(form: Format, curve: Curve) -> bool:
    notes = write_config(replace(EXAMPLE, curve=curve), form, EXAMPLE_MACHINE).notes
    return all(note.code != NOT_EXPRESSED for note in notes)


def field_names(form: Format) -> dict[str, str]:
    """Our values to the format's fields, for those that are one field."""
    return {key.ours: key.field for key in form.keys}
