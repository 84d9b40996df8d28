"""Evidence for `hptransfer check`: which mutations of configs it catches, and what thousands of configs cost.

Every field of every format that holds a number is mutated by every operator; a mutation counts as one that
changes training when the trainer's value, read back in our words, moves by more than the check's tolerance.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hptransfer.checking import check
from hptransfer.config import LawReference, config_from_plan, config_to_yaml, number_text
from hptransfer.errors import HptransferError
from hptransfer.planning import Target, plan
from hptransfer.published import published_law
from hptransfer.settings import TargetSettings
from hptransfer.trainers import FORMATS, Format, Reading, read_text_as, recipe_of, write_config
from hptransfer.trainers.base import Machine

Row = tuple[str, str, str]

PROJECT = Path(__file__).resolve().parents[1]
LAW = published_law("step-law")
TARGETS = ((3e8, 6e9), (1e9, 2e10), (7e9, 1e12))
MACHINE = Machine(world_size=8, micro_batch=1, seq_len=2048)
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_NUMBER_LINE = re.compile(
    rf"\s*(?:--[\w-]+[ =]|[\"']?[\w.-]+[\"']?\s*[:=]\s*\[?)(?P<number>{_NUMBER})(?:,\s*{_NUMBER})*[\s\],\\]*"
)
TOLERATED = {  # relative change of a value that training does not feel, as the checks have it
    "peak_lr": 0.25, "batch_tokens": 0.5, "weight_decay": 1.0, "steps": 0.01, "warmup_steps": 1.0,
    "final_lr_ratio": 0.0, "eps": 2.0, "grad_clip": 0.5, "beta1": 0.0, "beta2": 0.0, "decay_steps": 0.5,
}  # fmt: skip
FLOOR_DIFFERENCE, MEMORY_FACTOR = 0.02, 1.5


@dataclass(frozen=True)
class Good:
    """A config that is right: its text in a format, and what it is for."""

    form: str
    target: TargetSettings
    text: str


def good_configs() -> Iterator[Good]:
    """The plan of every target in every format, ours included."""
    for params, tokens in TARGETS:
        target = Target(params=params, tokens=tokens, params_kind="non-embedding")
        wanted = TargetSettings(params=params, tokens=tokens, params_kind="non-embedding")
        config = config_from_plan(plan(LAW, target), LawReference(id=LAW.id, digest=LAW.digest()))
        yield Good("native", wanted, config_to_yaml(config))
        for name, form in FORMATS.items():
            try:
                made = write_config(recipe_of(config), form, MACHINE)
            except HptransferError:  # a batch that does not divide
                continue
            yield Good(name, wanted, made.text)


def scaled(factor: float) -> Callable[[str, str], str | None]:
    def mutate(old: str, _: str) -> str | None:
        value = float(old) * factor
        return str(round(value)) if re.fullmatch(r"-?\d+", old) and round(value) else number_text(value)

    return mutate


OPERATORS: dict[str, Callable[[str, str], str | None]] = {
    "x10": scaled(10),
    "/10": scaled(0.1),
    "x2": scaled(2),
    "unit (x 2048)": scaled(2048),
    "unit (/ 2048)": scaled(1 / 2048),
    "as text": lambda old, _: f'"{old}"',
    "as words": lambda _, __: '"abc"',
}


def mutations(text: str) -> Iterator[tuple[str, int, str]]:
    """Every (operator, line, mutated text) of the lines that give a field a number."""
    lines = text.splitlines()
    numbered = [(i, found) for i, line in enumerate(lines) if (found := _number_in(line)) is not None]
    for place, (i, (start, end)) in enumerate(numbered):
        old = lines[i][start:end]
        for operator, mutate in OPERATORS.items():
            new = mutate(old, text)
            if new is not None and new != old:
                yield operator, i, _with_line(lines, i, lines[i][:start] + new + lines[i][end:])
        if place + 1 < len(numbered):
            j, (from_, to) = numbered[place + 1]
            other = lines[j][from_:to]
            if other != old:
                swapped = [*lines]
                swapped[i] = lines[i][:start] + other + lines[i][end:]
                swapped[j] = lines[j][:from_] + old + lines[j][to:]
                yield "swap", i, "\n".join(swapped) + "\n"
        yield "dropped", i, "\n".join([*lines[:i], *lines[i + 1 :]]) + "\n"


TRAPS = (  # what trainers accept or ignore in silence: format, pattern, replacement
    ("hf", r'"warmup_steps": \d+', '"warmup_ratio": 0.03'),
    ("hf", r'("learning_rate"): [^,]+', r'\1: "abc"'),
    ("hf", r'("learning_rate"): [^,]+', r"\1: -1.0"),
    ("hf", r'("adam_beta2"): [^,]+', r"\1: 1.5"),
    ("hf", r'"adam_beta2": [^,]+,', ""),
    ("hf", r'("lr_scheduler_type"): "[^"]+"', r'\1: "linear"'),
    ("litgpt", r"^( *)lr_warmup_steps: .*", r"\g<0>\n\1lr_warmup_fraction: 0.01"),
    ("litgpt", r"^( *)max_tokens: .*", r"\g<0>\n\1max_steps: 10"),
    ("nanogpt", r"^lr_decay_iters = .*", "lr_decay_iters = 600000"),
    ("nanogpt", r"^decay_lr = .*", "decay_lr = False"),
)


def traps(good: Good) -> Iterator[tuple[str, int, str]]:
    """The traps of a good config's format, as mutations."""
    for form, pattern, new in TRAPS:
        match = re.search(pattern, good.text, re.MULTILINE) if form == good.form else None
        if match is not None:
            text = good.text[: match.start()] + match.expand(new) + good.text[match.end() :]
            yield "trainer trap", good.text.count("\n", 0, match.start()), text


def _number_in(line: str) -> tuple[int, int] | None:
    """Where a line `name: number` (YAML, JSON, Python) has its number, a list's first; None for others."""
    match = _NUMBER_LINE.fullmatch(line)
    return None if match is None else match.span("number")


def _with_line(lines: list[str], i: int, new: str) -> str:
    return "\n".join([*lines[:i], new, *lines[i + 1 :]]) + "\n"


def matters(good: Good, mutated: str) -> bool:
    """Whether a trainer would train otherwise by more than the tolerance, or not start at all."""
    if good.form == "native":
        return True  # an edit without a reason is a finding by itself
    form = FORMATS[good.form]
    try:
        before, after = (_read(text, form) for text in (good.text, mutated))
    except HptransferError:
        return True
    if len(after.traps) > len(before.traps):
        return True
    return any(_moved(name, before.number(name), after.number(name)) for name in TOLERATED) or (
        before.get("schedule") != after.get("schedule")
    )


def _read(text: str, form: Format) -> Reading:
    return read_text_as(text, "config", form, MACHINE)


def _moved(name: str, before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    if name == "final_lr_ratio":
        return abs(before - after) > FLOOR_DIFFERENCE
    if name.startswith("beta"):
        before, after = 1 - before, 1 - after
        low, high = sorted((before, after))
        return low <= 0 or high / low > MEMORY_FACTOR
    low, high = sorted((before, after))
    return low != high and (low <= 0 or high / low > 1 + TOLERATED[name])


def judged(good: Good, text: str, folder: Path) -> bool:
    """Whether check finds anything in a text that it does not find in the good one."""
    suffix = ".yaml" if good.form == "native" else FORMATS[good.form].syntax.suffixes[0]
    file = folder / f"config{suffix}"
    file.write_text(text)
    report = check(
        str(file), law=LAW, format=good.form, target=good.target, world_size=8, seq_len=2048,
        ignore=["outside-fitted-range"],
    )  # fmt: skip
    return bool(report.findings or report.unreadable)


@dataclass
class Tally:
    """Counts of one operator, and examples of what was missed."""

    caught: int = 0
    missed: int = 0
    harmless_found: int = 0
    harmless: int = 0


def mutation_table() -> tuple[dict[str, Tally], Counter[str], int, int]:
    """Run all mutations: tallies by operator, missed fields, false alarms, good configs."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    missed: Counter[str] = Counter()
    goods = list(good_configs())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alarms = sum(judged(good, good.text, folder) for good in goods)
        for good in goods:
            for operator, line, text in (*mutations(good.text), *traps(good)):
                tally, found = tallies[operator], judged(good, text, folder)
                if not matters(good, text):
                    tally.harmless += 1
                    tally.harmless_found += found
                elif found:
                    tally.caught += 1
                else:
                    tally.missed += 1
                    missed[f"{good.form}: {operator} of `{good.text.splitlines()[line].strip()}`"] += 1
    return dict(tallies), missed, alarms, len(goods)


def _overall(tallies: dict[str, Tally]) -> tuple[int, int]:
    """Mutations that change training: caught, and all."""
    caught = sum(tally.caught for tally in tallies.values())
    return caught, caught + sum(tally.missed for tally in tallies.values())


def mutations_section() -> Iterator[Row]:
    """Mutations of every numeric field of every format: caught or missed per operator."""
    tallies, missed, alarms, goods = mutation_table()
    for operator, tally in tallies.items():
        total = tally.caught + tally.missed
        text = f"{tally.caught} of {total} caught; {tally.harmless} within tolerance"
        yield (f"check, mutation {operator}", text, "95 % of those that change training")
    caught, total = _overall(tallies)
    yield ("check, all mutations", f"{caught} of {total} caught ({caught / total:.1%})", "95 %")
    yield ("check, false alarms on good configs", f"{alarms} of {goods}", "none")
    for name in missed:
        yield ("check, missed", name, "listed")


def many_configs(count: int = 5_000) -> Iterator[Row]:
    """A folder of thousands of configs: time and peak memory of one process."""
    with tempfile.TemporaryDirectory() as name:
        for i in range(count):
            shutil.copy(PROJECT / "configs/step-law-7b-1t.yaml", f"{name}/{i}.yaml")
        start = time.perf_counter()
        command = [sys.executable, "-m", "hptransfer", "check", name, "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=False)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    yield (f"check of {count} configs", f"{seconds:.0f} s, {peak:.0f} MB, exit {done.returncode}", "")


def page() -> str:
    """The mutation table as a page of the docs."""
    tallies, missed, alarms, goods = mutation_table()
    caught, total = _overall(tallies)
    rows = (
        f"| {name} | {t.caught} | {t.missed} | {t.harmless_found} of {t.harmless} |"
        for name, t in tallies.items()
    )
    misses = [f"- {name} ({times} times)" for name, times in missed.items()] or ["None."]
    return "\n".join([PAGE_HEAD.format(goods=goods, formats=", ".join(["native", *FORMATS])), *rows, "",
        f"{caught} of {total} caught ({caught / total:.1%}); {alarms} false alarms on {goods} good configs.",
        "", "## Missed", "", *misses, ""])  # fmt: skip


PAGE_HEAD = """\
<!-- written by benchmarks/check_sections.py: do not edit -->

# What `check` catches

Plans of a published law for three targets, written in every format ({goods} configs that are right:
{formats}), are spoiled: every field with a number, by every operator, one at a time. A mutation counts when
what the trainer reads moves by more than the tolerance of the check that is responsible (LR x1.25, batch
x1.5, weight decay and warm-up x2, floor 0.02 of the peak, memory of the betas x1.5, epsilon x3, clipping
x1.5, steps 1 %), or when the file can no longer be read as it was; in a config of ours every edit counts. So
this shows that nothing slips past the checks, not that the tolerances are the right ones. Files are given
their target, law, world size and sequence length.

| operator | caught | missed | within tolerance, and found all the same |
|---|---|---|---|"""

SECTIONS = {"check-mutations": mutations_section, "check-many": many_configs}

if __name__ == "__main__":
    (PROJECT / "docs/check-mutations.md").write_text(page(), encoding="utf-8")
