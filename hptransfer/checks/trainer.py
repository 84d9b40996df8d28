"""Checks of trainers' own configs, which record no plan: the schedule and the rest against the law's plan."""

from __future__ import annotations

from collections.abc import Iterator

from hptransfer.checks.base import Check, Deviation, Subject, TrainerFile, beyond, shown, times
from hptransfer.config import TrainConfig

SAME_CURVE = {"trapezoid": "wsd", "d2z": "linear"}
ABSOLUTE_FLOOR = frozenset(["nanotron", "olmo-core"])  # one number for every group, whatever its LR
WSD_DECAY_SHARE = 0.2  # of the run, where a plan says no more than `wsd`
DECAY_FACTOR = 1.5
WARMUP_FACTOR = 2.0
FLOOR_DIFFERENCE = 0.02  # of the peak LR
MEMORY_FACTOR = 1.5  # of 1 / (1 - beta), the steps that a moment remembers
EPS_FACTOR = 3.0
CLIP_FACTOR = 1.5


def _file(subject: Subject) -> TrainerFile:
    assert subject.trainer is not None  # noqa: S101 - these checks need one
    return subject.trainer


def _left_out(subject: Subject, name: str) -> str:
    return " (the trainer's own default: the file leaves it out)" if name in _file(subject).defaults else ""


def _traps(subject: Subject) -> Iterator[Deviation]:
    for slip in _file(subject).slips:
        yield Deviation(slip.field, f"{slip.field}: {slip.message}", got=slip.got, line=slip.line)


def _unknown(subject: Subject) -> Iterator[Deviation]:
    """Values that neither the file nor hptransfer.toml says, so that nothing can be judged by them."""
    trapped = {slip.field for slip in _file(subject).slips}
    for name in _file(subject).unknown:
        if _file(subject).fields.get(name) not in trapped:
            yield Deviation(name, f"{name} is not known: the file does not say it.")


def _schedule(subject: Subject) -> Iterator[Deviation]:
    config, decay = subject.settled, _file(subject).decay_steps
    planned = SAME_CURVE.get(config.planned.schedule, config.planned.schedule)
    if config.schedule != planned:
        own = _left_out(subject, "schedule")
        text = f"the schedule is {config.schedule}, the law's runs had {planned}{own}."
        yield Deviation("schedule", text, planned, config.schedule)
    elif decay is not None and config.steps is not None:
        yield from _decay(config, decay, config.steps)


def _decay(config: TrainConfig, decay: float, steps: int) -> Iterator[Deviation]:
    expected = WSD_DECAY_SHARE * steps
    if decay + (config.warmup_steps or 0) > steps:
        text = f"warm-up and decay take {shown(decay + (config.warmup_steps or 0))} of {steps} steps."
        yield Deviation("decay_steps", text, expected, decay)
    elif decay <= 0 or beyond(decay, expected, DECAY_FACTOR):
        text = f"the LR decays over {shown(decay)} steps, planned are {shown(expected)} of {steps}."
        yield Deviation("decay_steps", text, expected, decay)


def _warmup(subject: Subject) -> Iterator[Deviation]:
    plan, got = subject.at_own_batch, subject.settled.warmup_steps
    expected = None if plan is None else plan.rounded.warmup_steps
    if not expected or got is None:
        return
    if got == 0 or beyond(got, expected, WARMUP_FACTOR):
        text = (
            f"warm-up takes {got} steps, planned are {expected} (allowed x{WARMUP_FACTOR:g} either way)"
            f"{_left_out(subject, 'warmup_steps')}."
        )
        yield Deviation("warmup_steps", text, expected, got)


def _floor(subject: Subject) -> Iterator[Deviation]:
    got, planned = subject.settled.final_lr_ratio, subject.settled.planned.final_lr_ratio
    if got is not None and planned is not None and abs(got - planned) > FLOOR_DIFFERENCE:
        text = (
            f"the LR ends at {shown(got)} of its peak, planned is {shown(planned)} (allowed "
            f"{FLOOR_DIFFERENCE:g} either way){_left_out(subject, 'final_lr_ratio')}."
        )
        yield Deviation("final_lr_ratio", text, planned, got)


def _floor_above_group(subject: Subject) -> Iterator[Deviation]:
    """A floor that is one number for all groups, under groups whose LR is below it."""
    config = subject.settled
    if _file(subject).format not in ABSOLUTE_FLOOR or not config.final_lr_ratio or config.peak_lr is None:
        return
    floor = config.final_lr_ratio * config.peak_lr
    for name, group in (config.param_groups or {}).items():
        if group.lr is not None and 0 < group.lr < floor * (1 - 1e-9):
            text = f"the floor {shown(floor)} is above the LR {shown(group.lr)} of {name} tensors: it rises."
            yield Deviation("final_lr_ratio", text, group.lr, floor)


def _optimizer(subject: Subject) -> Iterator[Deviation]:
    config, planned = subject.settled, subject.settled.planned
    factors = {"eps": EPS_FACTOR, "grad_clip": CLIP_FACTOR, "beta1": MEMORY_FACTOR, "beta2": MEMORY_FACTOR}
    for name, factor in factors.items():
        got, expected = getattr(config, name), getattr(planned, name)
        is_beta = name.startswith("beta")
        a, b = (1 - got, 1 - expected) if is_beta else (got, expected)
        if (a == 0) != (b == 0) or (a and b and beyond(a, b, factor)):
            how = f"its memory is {times(b, a)}" if is_beta and a and b else f"allowed x{factor:g} either way"
            text = f"{name} is {got:g}, planned is {expected:g} ({how}){_left_out(subject, name)}."
            yield Deviation(name, text, expected, got)


def _left_to_defaults(subject: Subject) -> Iterator[Deviation]:
    """Values of weight that a file leaves to the trainer, though they happen to be right today."""
    for name in ("peak_lr", "weight_decay"):
        if name in _file(subject).defaults:
            text = f"{name} is left to the trainer, whose default is {shown(getattr(subject.settled, name))}."
            yield Deviation(name, text)


CHECKS = (
    Check(
        id="HPT601",
        slug="trainer-trap",
        title="A field that the trainer takes for something else, or not at all",
        why="Trainers accept text for numbers, fields that they ignore and pairs that exclude each other.",
        source="each trainer's own parser, see docs/trainers.md",
        fix="Correct FIELD as the message says.",
        severity="error",
        needs="trainer",
        look=_traps,
    ),
    Check(
        id="HPT602",
        slug="value-unknown",
        title="A value that nobody says",
        why="What is not known cannot be judged: a batch per device depends on the number of devices.",
        source="the format's fields",
        fix="Say it in the file, or `world_size` and `seq_len` in its entry of hptransfer.toml.",
        severity="warning",
        needs="trainer",
        look=_unknown,
    ),
    Check(
        id="HPT603",
        slug="off-plan-schedule",
        title="Another schedule than the law's",
        why="A peak LR is tuned for one schedule: under another the best one differs.",
        source="the law's setting; for conversions docs/schedules.md",
        fix="Take the law's schedule, or convert the LR: `hptransfer schedule convert`.",
        severity="error",
        needs="trainer-plan",
        look=_schedule,
    ),
    Check(
        id="HPT604",
        slug="off-plan-warmup",
        title="Warm-up much shorter or longer than planned",
        why="Too short a warm-up can make a run diverge at the planned LR, too long a one wastes steps.",
        source="the law's setting, else 1 % of the run",
        fix="Write the planned number of steps into FIELD.",
        severity="warning",
        needs="trainer-plan",
        look=_warmup,
        fixable=True,
    ),
    Check(
        id="HPT605",
        slug="off-plan-floor",
        title="The LR ends elsewhere than planned",
        why="The end of the schedule is where most of the loss is gained; the peak was tuned with its floor.",
        source="the law's setting",
        fix="Write the planned floor into FIELD; some trainers want it absolute, some as a ratio.",
        severity="error",
        needs="trainer-plan",
        look=_floor,
    ),
    Check(
        id="HPT606",
        slug="off-plan-optimizer",
        title="Betas, epsilon or clipping other than planned",
        why="Defaults differ between trainers: beta2 is 0.999 in some and 0.95 in others.",
        source="the law's setting, else the plan's defaults",
        fix="Write the planned value into FIELD, or leave this check out where it is meant.",
        severity="warning",
        needs="trainer-plan",
        look=_optimizer,
        fixable=True,
    ),
    Check(
        id="HPT607",
        slug="floor-above-group",
        title="An absolute floor above the LR of a tensor class",
        why="Under muP hidden matrices have a smaller LR: under one floor for all it rises as others decay.",
        source="nanotron's and OLMo-core's schedulers",
        fix="Lower the floor below the smallest LR of a group.",
        severity="error",
        needs="trainer-plan",
        look=_floor_above_group,
    ),
    Check(
        id="HPT608",
        slug="left-to-default",
        title="LR or weight decay left to the trainer",
        why="The default of another version, or of another trainer, is another value.",
        source="each trainer's defaults",
        fix="Write FIELD out.",
        severity="warning",
        needs="trainer-plan",
        look=_left_to_defaults,
    ),
)
