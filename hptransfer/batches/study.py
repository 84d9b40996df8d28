"""What runs say of the batch, in one record: how the LR follows it, and the critical batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from hptransfer.batches.critical import CriticalBatch, critical_batch, critical_batch_of_points
from hptransfer.batches.exponent import lr_batch_test
from hptransfer.batches.points import BatchPoints
from hptransfer.errors import RefusalError
from hptransfer.law import ExponentTest, Note
from hptransfer.quantities import short_count
from hptransfer.sweep import Sweep

Found = TypeVar("Found")


@dataclass(frozen=True)
class BatchStudy:
    """Both answers; None where `notes` say what the runs lack."""

    lr_exponent: ExponentTest | None
    critical: CriticalBatch | None
    notes: tuple[Note, ...]


def study_sweep(sweep: Sweep) -> BatchStudy:
    """Ask a sweep both questions.

    Raises:  RefusalError with both reasons when it can answer neither.
    """
    exponent, no_exponent = _tried(lambda: lr_batch_test(sweep))
    critical, no_critical = _tried(lambda: critical_batch(sweep))
    if exponent is None and critical is None:
        reasons = list(dict.fromkeys(reason for reason in (no_exponent, no_critical) if reason is not None))
        raise RefusalError("\n".join(reasons))
    notes = [] if no_exponent is None else [Note(code="no-lr-exponent", message=no_exponent)]
    notes += [] if no_critical is None else [Note(code="no-critical-batch", message=no_critical)]
    return BatchStudy(exponent, critical, (*notes, *_doubts(critical)))


def study_tuned_runs(points: BatchPoints) -> BatchStudy:
    """Fit the critical batch to runs that were tuned already. Errors as `critical_batch_of_points`."""
    found = critical_batch_of_points(points)
    return BatchStudy(None, found, tuple(_doubts(found)))


def _tried(ask: Callable[[], Found]) -> tuple[Found | None, str | None]:
    try:
        return ask(), None
    except RefusalError as error:
        return None, str(error)


def _doubts(found: CriticalBatch | None) -> Iterator[Note]:
    """What a person should know of a critical batch beside its interval."""
    if found is None:
        return
    beyond = max(level.critical_batch for level in found.levels) / found.largest
    if beyond > 1.0:
        text = (
            f"the critical batch lies up to {beyond:.2g}x beyond the largest batch tried "
            f"({short_count(found.largest)} tokens): it is the hyperbola's, continued."
        )
        yield Note(code="critical-beyond-batches", message=text)
    if not found.law.exponents:
        text = (
            "the runs span too few tokens to say how the critical batch grows with them (others measured "
            "about tokens^0.46): hold it near these tokens only."
        )
        yield Note(code="critical-batch-constant", message=text)
