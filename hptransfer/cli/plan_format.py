"""`hptransfer plan --format`: a plan written as a trainer's config."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from hptransfer.cli.base_options import BaseOptions, write_trainer_config
from hptransfer.cli.machine_options import MachineOptions
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hptransfer.anchoring import Anchor
    from hptransfer.cli.talk import Talk
    from hptransfer.law import Law
    from hptransfer.planning import Plan, Target
    from hptransfer.project import ResolvedLaw


def require_format(options: MachineOptions, base: BaseOptions) -> None:
    """Refuse options of trainers' formats where none is named."""
    if base.base is not None or base.write:
        msg = "--base and --write go with --format NAME (see `hptransfer formats`)."
        raise UsageError(msg)
    if options.world_size is not None or options.micro_batch is not None or options.fit_batch:
        msg = "--world-size, --micro-batch and --fit-batch go with --format NAME (see `hptransfer formats`)."
        raise UsageError(msg)


def plan_fitted(
    law: Law, target: Target, options: MachineOptions, *, rounding: Literal["pow2", "sequences", "none"]
) -> Plan:
    """Plan, and with --fit-batch plan again at the nearest batch that divides: the LR follows the law."""
    from hptransfer.planning import plan

    planned = plan(law, target, rounding=rounding)
    if not options.fit_batch or planned.rounded.batch_tokens is None:
        return planned
    from hptransfer.trainers.base import fitting_batch

    batch = fitting_batch(planned.rounded.batch_tokens, seq_len=planned.seq_len, machine=options.machine())
    if batch == planned.rounded.batch_tokens:
        return planned
    return plan(law, replace(target, batch_tokens=float(batch)), rounding="none")


def write_plan(
    planned: Plan,
    law: ResolvedLaw,
    anchors: Sequence[Anchor],
    format_name: str,
    options: MachineOptions,
    base: BaseOptions,
    output: str | None,
    *,
    force: bool,
    talk: Talk,
) -> None:
    """Write a plan as a trainer's config, or into one."""
    from hptransfer.config import config_from_plan
    from hptransfer.trainers import find_format, provenance_of, recipe_of

    reference = law.reference_from(output or base.base or "-")
    config = config_from_plan(planned, reference, anchors=anchors)
    write_trainer_config(
        recipe_of(config),
        find_format(format_name),
        options.machine(),
        base,
        output,
        provenance=provenance_of(config),
        inputs=law.files,
        force=force,
        talk=talk,
    )
