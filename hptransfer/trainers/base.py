"""What a format is: fields that stand for our values, and what a trainer makes of them.

A format names, as data, the fields that are one of our values as it is (`keys`), and has two functions for
the rest (schedule, batch, groups): `express` writes a recipe's into a draft, `interpret` takes them from a
file. Reading knows the trainer's own defaults, so that a missing field is a value as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hptransfer.errors import UsageError, plain
from hptransfer.law import Note
from hptransfer.trainers.recipe import Recipe, TensorGroup
from hptransfer.trainers.syntax import Scalar, Source, Syntax, Written

NOT_EXPRESSED: Final = "not-expressed"


@dataclass(frozen=True)
class Machine:
    """What formats need beside the plan: data-parallel ranks, sequences a rank takes at once, tokens each.

    None: not said.
    """

    world_size: int | None = None
    micro_batch: int | None = None
    seq_len: int | None = None


@dataclass(frozen=True)
class Key:
    """A field that is one of our values as it is, and what the trainer takes where it is missing."""

    ours: str
    field: str
    default: float | None = None
    whole: bool = False


@dataclass
class Draft:
    """A config while it is written: fields by dotted path in order, and what could not be expressed."""

    fields: dict[str, Scalar] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    held: set[str] = field(default_factory=set)  # of our values that no table of keys says
    only: set[str] = field(default_factory=set)  # paths below which a base may hold nothing else
    wholes: set[str] = field(default_factory=set)  # paths that are written as one

    def lose(self, message: str) -> None:
        """Note something that the format cannot express."""
        self.notes.append(Note(code=NOT_EXPRESSED, message=message))

    def alone(self, *paths: str) -> None:
        """Say what would mean something else if it stood in a base file beside the fields written here.

        Fields, or paths below which all stand: both are taken out of the base, what is written here aside.
        """
        self.only.update(paths)

    def whole(self, *paths: str) -> None:
        """Say which lists or calls are written as one, in place of what a base has there."""
        self.wholes.update(paths)

    def note(self, code: str, message: str) -> None:
        """Note something to know before running the config."""
        self.notes.append(Note(code=code, message=message))


@dataclass(frozen=True)
class Value:
    """One of our values as a config has it. No fields: the trainer's default, or from the command line."""

    value: float | int | str | None
    fields: tuple[tuple[str, Written], ...] = ()  # the trainer's names as written, the main one first

    @property
    def field(self) -> str | None:
        """The trainer's name of the main field."""
        return self.fields[0][0] if self.fields else None

    @property
    def line(self) -> int | None:
        """1-based line of the main field."""
        return self.fields[0][1].line if self.fields else None


@dataclass(frozen=True)
class Trap:
    """A field that the trainer takes for something else than what is meant, or not at all."""

    code: str
    field: str
    line: int | None
    message: str
    got: str = ""


@dataclass
class Reading:
    """A trainer's config in our words. `values` by our names; names whose value nobody knows are missing.

    Names: peak_lr, schedule, warmup_steps, final_lr_ratio, decay, decay_steps, steps, batch_tokens, seq_len,
    weight_decay, beta1, beta2, eps, grad_clip, optimizer; world_size and micro_batch where they are said.
    """

    format: str
    source: Source
    values: dict[str, Value] = field(default_factory=dict)
    traps: list[Trap] = field(default_factory=list)
    groups: dict[str, GroupReading] = field(default_factory=dict)  # by tensor class, or by the file's name
    unsaid: dict[str, str] = field(default_factory=dict)  # of values not known, the field that would say them

    def get(self, name: str) -> float | int | str | None:
        """One of our values, None where it is not known."""
        found = self.values.get(name)
        return None if found is None else found.value

    def number(self, name: str) -> float | None:
        """As `get`, for values that are numbers."""
        value = self.get(name)
        return None if value is None or isinstance(value, str) else value


@dataclass(frozen=True)
class GroupReading:
    """Values of one group of tensors, as far as the file gives them."""

    name: str
    values: Mapping[str, Value]  # lr, weight_decay, eps, init_std, multiplier
    pattern: str | None = None  # of tensor names


class Fields:
    """A config while it is read: looks fields up, notes where they stand and which are no numbers."""

    def __init__(self, reading: Reading, machine: Machine) -> None:
        self.reading, self.machine = reading, machine
        self.source = reading.source

    def __contains__(self, name: str) -> bool:
        return name in self.source.fields

    def text(self, name: str, default: str | None = None) -> str | None:
        """A field's text, or the default where it is missing or no text."""
        written = self.source.fields.get(name)
        return written.value if written is not None and isinstance(written.value, str) else default

    def number(
        self, name: str, default: float | None = None, *, whole: bool = False, endless: bool = False
    ) -> float | None:
        """A field's number; what is written but no number is a trap, and None. `endless`: infinity is one."""
        written = self.source.fields.get(name)
        if written is None or written.value is None:
            return default
        value = written.value
        if isinstance(value, bool | str):
            self.trap("not-a-number", name, _not_a_number(written))
            return None
        if isinstance(value, float) and not (math.isfinite(value) or (endless and value > 0)):
            self.trap("not-a-number", name, f"got {plain(written.text, limit=60)}, need a finite number.")
            return None
        if whole and value != int(value):
            self.trap("not-whole", name, f"got {plain(written.text, limit=60)}, need a whole number.")
            return None
        if whole and isinstance(value, float):
            self.trap("not-whole", name, f"is written {plain(written.text, limit=60)}, need {int(value)}.")
            return int(value)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A field's yes or no."""
        written = self.source.fields.get(name)
        return written.value if written is not None and isinstance(written.value, bool) else default

    def trap(self, code: str, name: str, message: str) -> None:
        """Note a trap at a field."""
        written = self.source.fields.get(name)
        line, got = (None, "") if written is None else (written.line, plain(written.text, limit=60))
        self.reading.traps.append(Trap(code, name, line, message, got))

    def put(self, ours: str, value: float | str | None, *names: str) -> None:
        """Set one of our values, which stands in these fields (those that are there); None is not known."""
        if value is None:
            if names:
                self.reading.unsaid[ours] = names[0]
            return
        found = tuple((name, self.source.fields[name]) for name in names if name in self)
        self.reading.values[ours] = Value(value, found)

    def group(self, name: str, path: str, keys: Iterable[str]) -> GroupReading:
        """Values of a group of tensors that stand below a path; the name is also its pattern."""
        values = {}
        for key in keys:
            number = self.number(f"{path}.{key}")
            if number is not None:
                values[key] = Value(number, ((f"{path}.{key}", self.source.fields[f"{path}.{key}"]),))
        return GroupReading(name, values, pattern=name)

    def take(self, ours: str, name: str, default: float | None = None, *, whole: bool = False) -> None:
        """Set one of our values to a field's number."""
        self.put(ours, self.number(name, default, whole=whole, endless=ours == "grad_clip"), name)


def _not_a_number(written: Written) -> str:
    text = plain(written.text, limit=60)
    try:
        float(str(written.value))
    except ValueError:
        return f"got {text}, need a number."
    return f"{text} is text to this file's parser, not a number. Write it with a dot and a signed exponent."


PROOFS: Final[Mapping[str, str]] = {
    "own parser": "the trainer's own parser or classes take the file and have our numbers",
    "fields": "every field we write is in the source of the released package, which was not run",
    "field list": "every field we write is in a list read from the source of what has no release",
    "LR curve": "the trainer's own scheduler gives our LR in every part of the run, for the schedules there",
    "LR formula": "as *LR curve*, by its LR function written anew from its source in closed form",
    "tensor classes": "its own optimizer gives every tensor class the planned LR, weight decay and epsilon",
    "trained": "a small training on a CPU used our LR at every step",
}
"""What a test against a trainer's own package or source can prove."""


@dataclass(frozen=True)
class Format:
    """A trainer's format. See the module docstring."""

    name: str
    title: str
    version: str  # the release it was made for and is tested with
    syntax: Syntax
    keys: tuple[Key, ...]
    express: Callable[[Recipe, Machine, Draft], None]
    interpret: Callable[[Fields], None]
    marks: tuple[tuple[str, ...], ...]  # sets of fields: a file with all of one set is taken for this format
    lacks: Mapping[str, float | None] = field(
        default_factory=dict
    )  # values without a field, and what it uses
    needs: tuple[str, ...] = ()  # of the machine, for writing
    differences: tuple[str, ...] = ()  # of its LR curve from ours, in words
    proven: Mapping[str, str] = field(default_factory=dict)  # words of PROOFS to the test that proves each
    usage: str = ""  # how the trainer is given the file
    holds_groups: bool = False
    own_rules: str | None = (
        None  # the one rule set that it scales by itself, taking no values by tensor class
    )
    fixed: Mapping[str, Scalar] = field(default_factory=dict)  # written as they are
    excludes: tuple[str, ...] = ()  # fields that say it is another format

    @property
    def lr_of(self) -> str:
        """How LRs differ between tensors, in words."""
        if self.own_rules is not None:
            return f"by {self.own_rules} only"
        return "by tensor class" if self.holds_groups else "one for all"


def require_machine(format_name: str, machine: Machine, needs: Iterable[str]) -> None:
    """Refuse to write a number that depends on the machine without knowing the machine.

    Raises:  UsageError naming the flags.
    """
    words = {
        "world_size": "--world-size N (data-parallel ranks)",
        "micro_batch": "--micro-batch N (sequences a rank takes at once)",
        "seq_len": "--seq-len N (tokens per sequence)",
    }
    missing = [words[name] for name in needs if getattr(machine, name) is None]
    if missing:
        msg = (
            f"{format_name} writes the batch per device, so the file depends on the machine. "
            f"Add {' and '.join(missing)}."
        )
        raise UsageError(msg)


def floor_ratio(floor: float | None, peak: float | None) -> float | None:
    """Last LR over peak LR of an absolute floor, to the digits that survive writing it.

    >>> floor_ratio(1.0002e-05, 8.335e-04)
    0.012
    """
    return None if floor is None or not peak else float(f"{floor / peak:.12g}")


NO_CLIPPING: Final = 1e30
"""A norm that never clips, for trainers that clip always: a norm of 0 would zero every gradient."""


def express_clip(recipe: Recipe, draft: Draft, name: str) -> None:
    """Write the largest gradient norm of a trainer that always clips."""
    draft.fields[name] = recipe.grad_clip or NO_CLIPPING


def interpret_clip(fields: Fields, name: str, default: float) -> None:
    """Take the largest gradient norm of a trainer that always clips."""
    norm = fields.number(name, default, endless=True)
    if norm == 0:
        fields.trap(
            "zeroes-gradients", name, "clips every gradient to nothing. For no clipping give 1.0e+30."
        )
    fields.put("grad_clip", 0 if norm is not None and norm >= NO_CLIPPING else norm, name)


@dataclass(frozen=True)
class Split:
    """A batch as ranks take it: sequences = micro_batch * accumulation * world_size."""

    micro_batch: int
    accumulation: int
    world_size: int

    @property
    def sequences(self) -> int:
        """Sequences per optimizer step."""
        return self.micro_batch * self.accumulation * self.world_size


def split_batch(recipe: Recipe, machine: Machine) -> Split:
    """Split a batch over ranks and micro-steps; what is not said is 1.

    Raises:  UsageError when it does not divide, with batches that do.
    """
    sequences = recipe.batch_seqs
    micro, world = machine.micro_batch or 1, machine.world_size or 1
    unit = micro * world
    if sequences % unit:
        below = sequences // unit * unit
        near = [str(n * recipe.seq_len) for n in (below, below + unit) if n]
        msg = (
            f"a batch of {sequences} sequences does not divide by {micro} on each of {world} ranks. "
            f"Plan with --batch-tokens {' or '.join(near)}, give another --micro-batch or --world-size, or "
            "--fit-batch to take the nearest batch that divides, with the LR that goes with it."
        )
        raise UsageError(msg)
    return Split(micro, sequences // unit, world)


def fitting_batch(batch_tokens: float, *, seq_len: int, machine: Machine) -> int:
    """The batch (tokens) nearest by ratio that divides over ranks and micro-steps.

    >>> fitting_batch(1_000_000, seq_len=2048, machine=Machine(world_size=48, micro_batch=2))
    983040
    """
    unit = seq_len * (machine.micro_batch or 1) * (machine.world_size or 1)
    below = max(1, int(batch_tokens // unit))
    nearest = below if batch_tokens / (below * unit) <= (below + 1) * unit / batch_tokens else below + 1
    return nearest * unit


def plain_groups(groups: Mapping[str, TensorGroup] | None, recipe: Recipe) -> bool:
    """Whether groups say nothing beyond the base values."""
    return groups is None or all(
        (g.lr, g.weight_decay, g.eps, g.multiplier) == (recipe.peak_lr, recipe.weight_decay, recipe.eps, 1.0)
        for g in groups.values()
    )
