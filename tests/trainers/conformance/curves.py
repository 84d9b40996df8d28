"""The plan that trainers are asked about, and its learning rates by our own schedules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hptransfer.schedules import schedule
from hptransfer.trainers import FORMATS, Curve, Machine, Recipe, write_config
from hptransfer.trainers.base import NOT_EXPRESSED
from hptransfer.trainers.syntax import Scalar
from tests.trainers.recipes import RECIPE

STEPS, WARMUP, DECAY = 40, 8, 12
PLAN = replace(RECIPE, steps=STEPS, batch_tokens=64 * 2048, curve=Curve("cosine", WARMUP, 0.1))
MACHINE = Machine(world_size=1, micro_batch=4, seq_len=2048)
CURVES = {
    "constant": Curve("constant", WARMUP, 1.0),
    "linear": Curve("linear", WARMUP, 0.1),
    "d2z": Curve("linear", WARMUP, 0.0),
    "cosine": Curve("cosine", WARMUP, 0.1),
    "cosine to 0": Curve("cosine", WARMUP, 0.0),
    "inverse-sqrt": Curve("inverse-sqrt", WARMUP, 0.5),
    "wsd": Curve("wsd", WARMUP, 0.0, decay="linear", decay_steps=DECAY),
    "wsd to 0.1": Curve("wsd", WARMUP, 0.1, decay="linear", decay_steps=DECAY),
    "wsd cosine": Curve("wsd", WARMUP, 0.0, decay="cosine", decay_steps=DECAY),
    "wsd 1-sqrt": Curve("wsd", WARMUP, 0.0, decay="1-sqrt", decay_steps=DECAY),
}
AFTER_WARMUP = slice(WARMUP, None)


def with_curve(name: str) -> Recipe:
    """The plan under one of the schedules above."""
    return replace(PLAN, curve=CURVES[name])


def held(name: str) -> list[str]:
    """Of the schedules above, those that a format says it can express: each has to be proven."""
    return [
        curve
        for curve in CURVES
        if all(
            note.code != NOT_EXPRESSED
            for note in write_config(with_curve(curve), FORMATS[name], MACHINE).notes
        )
    ]


def written(name: str, recipe: Recipe) -> dict[str, Scalar]:
    """Fields of what we write in a format, as the file's syntax has them."""
    text = write_config(recipe, FORMATS[name], MACHINE).text
    return {path: field.value for path, field in FORMATS[name].syntax.parse(text, name).fields.items()}


def planned_lrs(recipe: Recipe) -> NDArray[np.float64]:
    """LR of every step by our own schedules, step t using t as torch and transformers do."""
    curve = recipe.curve
    options: dict[str, Any] = {}
    if curve.name in ("linear", "cosine", "wsd"):
        options["final_ratio"] = curve.final_ratio
    if curve.name == "wsd":
        options |= {"decay": curve.decay, "decay_steps": curve.decay_steps}
    made = schedule(
        curve.name, steps=recipe.steps, warmup_steps=curve.warmup_steps, peak_lr=recipe.peak_lr, **options
    )
    return recipe.peak_lr * np.asarray(made.multiplier(np.arange(recipe.steps, dtype=float)))


def scheduled_lrs(
    kind: Any, options: Any, *, peak_lr: float, warmup_steps: int, steps: int
) -> NDArray[np.float64]:
    """LR of every step by transformers' scheduler of a name."""
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak_lr)
    scheduler = get_scheduler(
        kind,
        optimizer,
        num_warmup_steps=warmup_steps,
        num_training_steps=steps,
        scheduler_specific_kwargs=options,
    )
    lrs = []
    for _ in range(steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(lrs)
