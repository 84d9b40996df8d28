"""What runs say of the batch, in words, tables and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hptransfer.batches.sizes import critical_formula
from hptransfer.cli.render import count, count_interval, estimated_count, folded, table
from hptransfer.quantities import short_count

if TYPE_CHECKING:
    from hptransfer.batches.critical import CriticalBatch
    from hptransfer.batches.study import BatchStudy
    from hptransfer.law import ExponentTest, Note


def batch_content(study: BatchStudy, notes: Iterable[Note]) -> dict[str, Any]:
    """A study as JSON content; batches and tokens in tokens, steps in optimizer steps."""
    critical = None
    if study.critical is not None:
        critical = dataclasses.asdict(study.critical) | {"law": study.critical.law.model_dump(mode="json")}
    return {
        "lr_exponent": None if study.lr_exponent is None else study.lr_exponent.model_dump(mode="json"),
        "critical_batch": critical,
        "warnings": [{"code": note.code, "message": note.message} for note in notes],
    }


def show_study(study: BatchStudy) -> None:
    """Print how the LR follows the batch, then the critical batch."""
    if study.lr_exponent is not None:
        _show_exponent(study.lr_exponent)
    if study.critical is not None:
        _show_critical(study.critical)


def _show_exponent(test: ExponentTest) -> None:
    print(
        folded(
            f"Best LR at fixed params and tokens: {test.verdict} ({test.slices} batches in {test.cells} "
            "cells with their best LR inside its grid)."
        )
    )
    if test.flattens is not None:
        change, low, high = test.flattens
        shape = "it flattens" if high < 0 else "it steepens" if low > 0 else "no bend is seen"
        print(
            folded(
                f"Along the batch {shape}: its exponent changes by {change:+.2f} (90 %: {low:+.2f} to "
                f"{high:+.2f}) for a batch e times as large."
            )
        )
    print()


def _show_critical(found: CriticalBatch) -> None:
    several = len({level.params for level in found.levels}) > 1
    rows = (
        (
            *((short_count(level.params),) if several else ()),
            f"{level.loss:.4f}",
            estimated_count(level.critical_batch, level.interval),
            count_interval(level.interval),
            short_count(level.tokens_min),
            count(level.steps_min),
        )
        for level in found.levels
    )
    columns = ("loss#", "critical batch#", "90 % interval", "tokens, least#", "steps, least#")
    table("Critical batch, in tokens", ("params#", *columns) if several else columns, rows)
    print(
        folded(
            f"B_crit = {critical_formula(found.law)}; a loss takes E_min (1 + B / B_crit) tokens at batch B."
        )
    )
    print(
        folded(
            f"From {found.points} well-tuned points of {found.runs} runs or cells at {found.batches} batches "
            f"up to {short_count(found.largest)} tokens, off the fit by {found.residual_std:.2%}."
        )
    )
    if found.left_out:
        print(folded(f"Left out: {'; '.join(found.left_out)}."))
