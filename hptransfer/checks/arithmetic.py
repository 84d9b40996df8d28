"""Checks of what must follow from other values in the same file."""

from __future__ import annotations

from collections.abc import Iterator

from hptransfer.checks.base import Check, Deviation, Subject, shown, times
from hptransfer.errors import UsageError, plain

_ROUNDING = 1 + 1e-9


def _steps_tokens(subject: Subject) -> Iterator[Deviation]:
    """steps x batch against tokens; one batch of difference is allowed."""
    config = subject.settled
    if config.steps is None or config.batch_tokens is None:
        return
    covered, tokens = config.steps * config.batch_tokens, config.target.tokens
    if abs(covered - tokens) > config.batch_tokens * _ROUNDING:
        text = (
            f"steps x batch_tokens = {config.steps} x {shown(config.batch_tokens)} = {shown(covered)} tokens "
            f"is {times(covered, tokens)} the target's {shown(tokens)} (allowed: one batch of difference)."
        )
        yield Deviation("steps", text, tokens / config.batch_tokens, config.steps)


def _warmup_beyond_run(subject: Subject) -> Iterator[Deviation]:
    config = subject.settled
    pairs = (
        ("warmup_tokens", config.warmup_tokens, config.target.tokens, "tokens of the run"),
        ("warmup_steps", config.warmup_steps, config.steps, "steps of the run"),
    )
    for name, warmup, run, what in pairs:
        if warmup is not None and run is not None and warmup > run * _ROUNDING:
            text = f"{name} {shown(warmup)} is beyond the {shown(run)} {what}: the peak LR is never reached."
            yield Deviation(name, text, run, warmup)


def _warmup_disagrees(subject: Subject) -> Iterator[Deviation]:
    """warmup_tokens against warmup_steps x batch; one batch of difference is allowed."""
    config = subject.settled
    if config.warmup_steps is None or config.batch_tokens is None:
        return
    covered = config.warmup_steps * config.batch_tokens
    if abs(covered - config.warmup_tokens) > config.batch_tokens * _ROUNDING:
        text = (
            f"warmup_steps x batch_tokens = {shown(covered)} tokens, but warmup_tokens says "
            f"{shown(config.warmup_tokens)} (allowed: one batch of difference)."
        )
        yield Deviation("warmup_steps", text, config.warmup_tokens / config.batch_tokens, config.warmup_steps)


def _schedule_impossible(subject: Subject) -> Iterator[Deviation]:
    """A schedule of ours whose parts do not fit together; other names are the trainer's business."""
    config = subject.settled
    if not config.schedule_options or config.steps is None:
        return
    from hptransfer.plans.schedules import schedule_of

    try:
        schedule_of(config)
    except UsageError as error:
        yield Deviation("schedule_options", plain(error, limit=400))


CHECKS = (
    Check(
        id="HPT201",
        slug="steps-tokens",
        title="Steps times batch are not the tokens",
        why="The run trains on another number of tokens than its LR and batch were planned for.",
        source="definition: steps = ceil(tokens / batch_tokens)",
        fix="Change steps to ceil(tokens / batch_tokens), or plan again for the tokens that are meant.",
        severity="error",
        needs="config",
        look=_steps_tokens,
    ),
    Check(
        id="HPT202",
        slug="warmup-beyond-run",
        title="Warm-up longer than the run",
        why="The schedule never reaches its peak LR.",
        source="definition",
        fix="Shorten FIELD; 1 % of the run is the default.",
        severity="error",
        needs="config",
        look=_warmup_beyond_run,
    ),
    Check(
        id="HPT203",
        slug="warmup-disagrees",
        title="Warm-up in tokens and in steps disagree",
        why="Trainers read one of the two: which run it becomes depends on the trainer.",
        source="definition: warmup_tokens = warmup_steps x batch_tokens",
        fix="Change warmup_steps to ceil(warmup_tokens / batch_tokens).",
        severity="error",
        needs="config",
        look=_warmup_disagrees,
    ),
    Check(
        id="HPT204",
        slug="schedule-impossible",
        title="A schedule whose parts do not fit together",
        why="A decay longer than what is left after the warm-up, or an option that the schedule does not "
        "have, becomes whatever the trainer makes of it.",
        source="definitions of `hptransfer schedule list`",
        fix="Correct the schedule, or plan again with `hptransfer plan --schedule`.",
        severity="error",
        needs="config",
        look=_schedule_impossible,
    ),
)
