"""Checks for values in the wrong unit. Each explains what follows from it: one slip is one finding."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hptransfer.checks.base import Check, Deviation, Subject, shown, times

_SEQUENCES_FACTOR = 4.0  # a batch in sequences is ~ seq_len too small; the batch meant may differ as well
_TEN_FACTOR = 1.25  # how near a power of ten counts as one
_STEPS_FACTOR = 1.25
_FOLLOWS_FROM_BATCH = (
    "edited:batch_tokens",
    "off-law-batch",
    "off-law-lr",
    "off-law-weight-decay",
    "steps-tokens",
    "warmup-disagrees",
)
_FOLLOWS_FROM_LR = ("edited:peak_lr", "off-law-lr")
_FOLLOWS_FROM_WARMUP = ("warmup-disagrees", "warmup-beyond-run")


def _near(ratio: float, factor: float) -> bool:
    return 1 / factor <= ratio <= factor


def _batch_unit(subject: Subject) -> Iterator[Deviation]:
    """A batch about seq_len times too small (sequences for tokens) or too large (tokens times seq_len)."""
    config, planned = subject.settled, subject.settled.planned.batch_tokens
    got, seq_len = config.batch_tokens, config.seq_len
    if got is None or planned is None or seq_len <= _SEQUENCES_FACTOR**2:
        return
    if _near(planned / got / seq_len, _SEQUENCES_FACTOR):
        what = f"looks like sequences: times seq_len {seq_len} it is {shown(got * seq_len)} tokens"
    elif _near(got / planned / seq_len, _SEQUENCES_FACTOR):
        what = f"looks multiplied by seq_len {seq_len} once too often"
    else:
        return
    text = f"batch_tokens {shown(got)} {what}; planned were {shown(planned)} tokens."
    yield Deviation("batch_tokens", text, planned, got, explains=_FOLLOWS_FROM_BATCH)


def _lr_unit(subject: Subject) -> Iterator[Deviation]:
    """A peak LR off by a power of ten, or scaled by the sequences of a batch (a per-sequence LR)."""
    config, planned = subject.settled, subject.settled.planned.peak_lr
    got = config.peak_lr
    if got is None or planned is None:
        return
    power = round(math.log10(got / planned))
    sequences = (config.batch_tokens or config.seq_len) / config.seq_len
    if power and _near(got / planned / 10.0**power, _TEN_FACTOR):
        what = f"a slip by a power of ten (10^{power})"
    elif sequences > _TEN_FACTOR**2 and _near(planned / got / sequences, _TEN_FACTOR):
        what = f"an LR per sequence of the batch (of {shown(sequences)})"
    else:
        return
    text = f"peak_lr {shown(got)} is {times(got, planned)} the planned {shown(planned)}: {what}, it seems."
    yield Deviation("peak_lr", text, planned, got, explains=_FOLLOWS_FROM_LR)


def _warmup_unit(subject: Subject) -> Iterator[Deviation]:
    """Warm-up tokens that look like steps, or warm-up steps that look like tokens."""
    config, planned = subject.settled, subject.settled.planned
    batch = planned.batch_tokens
    if batch is None or batch <= _STEPS_FACTOR**2 or not planned.warmup_steps or not planned.warmup_tokens:
        return
    pairs = (
        ("warmup_tokens", "steps", config.warmup_tokens, planned.warmup_tokens, planned.warmup_steps),
        ("warmup_steps", "tokens", config.warmup_steps, planned.warmup_steps, planned.warmup_tokens),
    )
    for name, looks_like, got, expected, other in pairs:
        if got and _near(got / other, _STEPS_FACTOR):
            text = f"{name} {shown(got)} looks like {looks_like}; planned were {shown(expected)}."
            explains = (f"edited:{name}", *_FOLLOWS_FROM_WARMUP)
            yield Deviation(name, text, expected, got, explains=explains)


CHECKS = (
    Check(
        id="HPT301",
        slug="batch-unit",
        title="Batch in sequences where tokens are meant",
        why="Trainers and papers count a batch in sequences or in tokens: the two differ by seq_len.",
        source="for example OpenEuroLLM's gbsz and Step Law's bs count sequences, their laws count tokens",
        fix="Write tokens: sequences x seq_len.",
        severity="error",
        needs="config",
        look=_batch_unit,
        fixable=True,
    ),
    Check(
        id="HPT302",
        slug="lr-unit",
        title="Peak LR off by a power of ten, or per sequence",
        why="3e-3 for 3e-4 is one keystroke, and ten times the LR can cost the run.",
        source="definition",
        fix="Put the planned value back; if it is meant, say so under `override: {lr-unit: reason}`.",
        severity="error",
        needs="config",
        look=_lr_unit,
        fixable=True,
    ),
    Check(
        id="HPT303",
        slug="warmup-unit",
        title="Warm-up in steps where tokens are meant, or the reverse",
        why="Trainers count warm-up in steps, in samples or in tokens.",
        source="definition: warmup_tokens = warmup_steps x batch_tokens",
        fix="Put tokens into warmup_tokens and steps into warmup_steps.",
        severity="error",
        needs="config",
        look=_warmup_unit,
        fixable=True,
    ),
)
