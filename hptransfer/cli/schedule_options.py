"""The options that plan under another schedule than that of the law's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from hptransfer.cli import completing
from hptransfer.errors import UsageError

if TYPE_CHECKING:
    from hptransfer.planning import Plan

SPEC = "NAME[:OPTION=VALUE,...]"


@dataclass(frozen=True)
class ScheduleOptions:
    """The schedule to run, and that of the proxies."""

    PANEL: ClassVar[str] = "Schedule"

    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            metavar=SPEC,
            help="To run in place of the proxies' own; the peak LR moves with it.",
            autocompletion=completing.schedules,
        ),
    ] = None
    proxy_schedule: Annotated[
        str | None,
        typer.Option(
            "--proxy-schedule",
            metavar=SPEC,
            help="Of the law's runs, where the law lacks it.",
            autocompletion=completing.schedules,
        ),
    ] = None
    decay_fraction: Annotated[
        float | None,
        typer.Option(
            "--decay-fraction", help="Of all steps, at the end of --schedule wsd, trapezoid, power."
        ),
    ] = None

    def applied(self, plans: Sequence[Plan]) -> list[Plan]:
        """The plans under the schedule that is asked for, if one is."""
        if self.schedule is None:
            if self.proxy_schedule is not None or self.decay_fraction is not None:
                msg = "--proxy-schedule and --decay-fraction go with --schedule NAME, such as --schedule wsd."
                raise UsageError(msg)
            return list(plans)
        from hptransfer.plans.schedules import with_colon, with_schedule
        from hptransfer.schedules.options import spec_with

        wanted = spec_with(with_colon(self.schedule), {"decay_fraction": self.decay_fraction})
        return [with_schedule(planned, wanted, proxy=self.proxy_schedule) for planned in plans]
