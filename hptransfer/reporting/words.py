"""Numbers and warnings the way a reader who was not in the room wants them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from hptransfer.law import Note
from hptransfer.quantities import short_count, spans_decades

DASH: Final = "–"

MEANINGS: Final[dict[str, str]] = {
    "anchored": "The level of the law comes from one tuned model, its slopes from papers.",
    "anchors-disagree": "The tuned models given as anchors do not lie on one law of this kind.",
    "base-lr-drifts": "The base LR still moves with model size, which the parametrization should prevent.",
    "base-lr-transfers": "The base LR does not move with model size, as the parametrization promises.",
    "batch-exceeds-run": "The batch is larger than everything the run would ever see.",
    "batch-not-whole-sequences": "The batch would cut a sequence in two.",
    "bend": "The optima do not follow a straight line in logs: far away the law may be off.",
    "default-law": "Nobody chose a law, so a published one was taken.",
    "edge-optimum": "Somewhere the best run is the last one of its grid: the true optimum may lie beyond.",
    "experimental": "The law rests on numbers that could not be verified.",
    "fixed-batch": "All runs used one batch: the LR belongs to it, and nothing is known of better batches.",
    "flops-approximated": "Compute was turned into params or tokens by C = 6 N D.",
    "implausible-lr": "No run would survive such a learning rate.",
    "loss-at-bound": "A coefficient of the loss law ended at the limit of what it may be.",
    "loss-collinear": "Params and tokens moved together, so the loss law cannot tell their effects apart.",
    "loss-no-backtest": "The loss law could not be tested on larger runs left out of its fit.",
    "mup-base-lr": "The LR is a base LR: each tensor class multiplies it by a factor of its own.",
    "no-batch-law": "The sweep does not show how the best batch moves with scale.",
    "no-excess": "What being off the optimum costs is not known.",
    "no-interval": "There is no interval: how sure the value is, nobody can say from this law.",
    "no-loss-law": "The loss to expect is not known.",
    "no-lr-law": "This law does not speak of the learning rate.",
    "not-identifiable": "The runs alone cannot separate the effect of params from that of tokens.",
    "one-at-a-time": "Batches were tried at one LR only: they show the best batch for that LR only.",
    "one-batch-cells": "Cells that tried a single batch say nothing of the best one.",
    "one-lr-cells": "Cells that tried a single LR say nothing of the best one.",
    "optimizer-differs": "The runs behind the law used another optimizer.",
    "other-law": "The law was fitted to other runs than the ones shown here.",
    "outside-fitted-range": "The target lies beyond the runs: the line is extended, and the interval grows.",
    "params-kind-unspecified": "Nobody said which parameters were counted; another count moves the plan.",
    "recalled-setting": "A setting of the law's runs is known by hearsay only.",
    "single-params": "One model size only: nothing is known of how the optimum moves with size.",
    "single-tokens": "One length of run only: nothing is known of how the optimum moves with it.",
    "surface-failed": "The loss surface could not be fitted, so a simpler recipe was used.",
}
"""What each warning's code means, in one sentence; the warning itself has the numbers and the way out."""


def lr(value: float | None) -> str:
    """A learning rate.

    >>> lr(9.4781e-4), lr(None)
    ('9.48e-04', '–')
    """
    return DASH if value is None else f"{value:.2e}"


def count(value: float | None) -> str:
    """A count with all its digits.

    >>> count(4194304.0)
    '4,194,304'
    """
    return DASH if value is None else f"{round(value):,}"


def short(value: float | None) -> str:
    """A count as people say it."""
    return DASH if value is None else short_count(value)


def plain_number(value: float | None, digits: int = 4) -> str:
    """A number with some significant digits."""
    return DASH if value is None else f"{value:.{digits}g}"


def percent(fraction: float | None, digits: int = 2) -> str:
    """A share of the loss or the compute.

    >>> percent(0.00213), percent(None)
    ('0.21 %', '–')
    """
    return DASH if fraction is None else f"{100 * fraction:.{digits}f} %"


def lr_span(bounds: tuple[float, float] | None) -> str:
    """An interval of learning rates."""
    return DASH if bounds is None else f"{lr(bounds[0])} to {lr(bounds[1])}"


def short_span(bounds: tuple[float, float] | None) -> str:
    """An interval of counts."""
    if bounds is None:
        return DASH
    write = "{:.1e}".format if spans_decades(bounds) else short
    return f"{write(bounds[0])} to {write(bounds[1])}"


def number_span(bounds: tuple[float, float] | None) -> str:
    """An interval of plain numbers."""
    return DASH if bounds is None else f"{plain_number(bounds[0])} to {plain_number(bounds[1])}"


def times(factor: float) -> str:
    """How many times, and how many powers of ten that is.

    >>> times(40.0)
    '40x (1.6 decades)'
    """
    return f"{factor:.3g}x ({math.log10(factor):.2g} decades)"


def several(number: int, what: str) -> str:
    """A number of things.

    >>> several(1, "run"), several(2, "run")
    ('1 run', '2 runs')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def listed(parts: Iterable[str]) -> str:
    """Parts as a phrase.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    items = list(parts)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def meaning(note: Note) -> str:
    """What a warning's code means; empty for a code that says it all in its message."""
    return MEANINGS.get(note.code, "")
