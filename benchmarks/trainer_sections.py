"""Evidence on trainers' formats: what of them is proven, round trips, and the plans under configs/."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

from hptransfer.checking import check
from hptransfer.config import LawReference, config_from_plan
from hptransfer.planning import Target, plan
from hptransfer.published import published_law
from hptransfer.trainers import FORMATS, Format, Machine, Recipe, read_text_as, recipe_of, write_config
from hptransfer.trainers.base import NOT_EXPRESSED
from hptransfer.trainers.describing import CURVES
from hptransfer.trainers.recipe import inverse_sqrt_ratio
from hptransfer.trainers.writing import plain_values

PROJECT = Path(__file__).resolve().parents[1]
MACHINE = Machine(world_size=8, micro_batch=2, seq_len=2048)
SAID_BY = {
    "schedule": ("final_lr_ratio", "decay", "decay_steps", "warmup_steps"),
    "warm-up": ("warmup_steps",),
}
PARAMS, TOKENS = (7e7, 4e8, 1e9, 7e9, 7e10), (2e10, 1e11, 1e12)


def planned_recipes() -> Iterator[Recipe]:
    """Step Law's plans for a grid of targets, under every schedule that formats are asked about."""
    law = published_law("step-law")
    reference = LawReference(id=law.id, digest=law.digest())
    for params, tokens in product(PARAMS, TOKENS):
        recipe = recipe_of(config_from_plan(plan(law, Target(params=params, tokens=tokens)), reference))
        for curve in CURVES.values():
            falling = curve.name == "inverse-sqrt"  # to where its warm-up says
            ratio = inverse_sqrt_ratio(curve.warmup_steps, recipe.steps) if falling else curve.final_ratio
            yield replace(recipe, curve=replace(curve, final_ratio=ratio))


def worst_difference(recipe: Recipe, form: Format) -> float:
    """Largest relative difference of a number after writing and reading, of those not said to be lost."""
    made = write_config(recipe, form, MACHINE)
    reading = read_text_as(made.text, "config", form, MACHINE)
    said = " ".join(note.message for note in made.notes if note.code == NOT_EXPRESSED)
    lost = {name for word, names in SAID_BY.items() if word in said for name in names}
    worst = 0.0
    for name, value in plain_values(recipe).items():
        if value is None or name in said or name in lost:
            continue
        got = reading.get(name)
        if isinstance(value, str) or isinstance(got, str) or got is None:
            worst = max(worst, float(got != value))
        else:
            worst = max(worst, abs(got - value) / max(abs(value), 1e-300))
    return worst


def trainers() -> Iterator[tuple[str, str, str]]:
    """Proofs by kind, round trips, and how quickly the shipped plans are checked."""
    kinds = Counter(kind for form in FORMATS.values() for kind in form.proven)
    unproven = [name for name, form in FORMATS.items() if not form.proven]
    text = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    yield (f"{len(FORMATS)} formats, proofs by kind", text, f"unproven: {', '.join(unproven) or 'none'}")
    recipes = list(planned_recipes())
    differences = [worst_difference(recipe, form) for recipe in recipes for form in FORMATS.values()]
    shown = f"{max(differences):.1e}"
    yield (f"plan -> format -> read, {len(differences):,} files, worst relative difference", shown, "1e-11")
    start = time.process_time()
    report = check(str(PROJECT / "configs"))
    seconds = time.process_time() - start
    found = len(report.findings) + len(report.unreadable)
    yield (f"configs/, {len(report.checked)} checked: findings", f"{found} in {seconds:.1f} s", "0")


SECTIONS = {"trainers": trainers}
