"""What a check is, what it sees, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hptransfer.config import FieldProblem, TrainConfig
from hptransfer.document import Document
from hptransfer.findings.suppressions import Suppression
from hptransfer.law import Law
from hptransfer.planning import Plan
from hptransfer.quantities import scientific
from hptransfer.settings import TargetSettings

Severity = Literal["error", "warning"]
Needs = Literal["document", "config", "recorded", "law", "plan", "suppressions", "trainer", "trainer-plan"]
Value: TypeAlias = float | str | None


@dataclass(frozen=True)
class Tolerances:
    """How far a config may be from its plan and its law before it is a finding."""

    edited: float = 0.01  # relative, from the recorded plan
    lr_factor: float = 1.25
    batch_factor: float = 1.5
    weight_decay_factor: float = 2.0
    excess: float = 0.0025  # predicted excess loss over the plan's own, fraction
    reach_factor: float = 1.0  # how far outside the fitted range of the law, along each of its inputs


@dataclass(frozen=True)
class Slip:
    """A field that its trainer takes for something else than what is meant, or not at all."""

    field: str
    line: int | None
    message: str
    got: str = ""


@dataclass(frozen=True)
class TrainerFile:
    """What a trainer's own config says beside its values. Keys are our names."""

    format: str
    fields: Mapping[str, str]  # the trainer's names, as written
    lines: Mapping[str, int]
    defaults: frozenset[str]  # values that the file leaves to the trainer, or to the caller
    copied: frozenset[str]  # values that stand in one field as they are
    unknown: tuple[str, ...]  # values that nobody says
    slips: tuple[Slip, ...]
    decay_steps: float | None = None


@dataclass(frozen=True)
class Subject:
    """All that checks look at, parsed: one config, its law, and what the law says today."""

    document: Document
    problems: tuple[FieldProblem, ...]
    config: TrainConfig | None  # None where fields are missing or impossible
    law: Law | None = None  # None where it could not be found or read
    as_asked: Plan | None = None  # planned again; None where the law refuses
    at_own_batch: Plan | None = None  # planned again with the config's batch pinned
    refusal: str | None = None  # why the law refuses
    tolerances: Tolerances = Tolerances()
    wanted: TargetSettings | None = None  # what hptransfer.toml says this config is to train
    suppressions: tuple[Suppression, ...] = ()  # comments that silence findings
    unused: tuple[Suppression, ...] | None = None  # those that silenced none; None until that is known
    trainer: TrainerFile | None = None  # None: a config of ours

    def has(self, needs: Needs) -> bool:
        """Whether a check with these needs applies."""
        if needs == "document":
            return True
        if needs == "suppressions":
            return self.unused is not None
        if needs == "trainer":
            return self.trainer is not None
        if needs == "trainer-plan":
            return self.trainer is not None and self.has("plan")
        if needs == "recorded":
            return self.trainer is None and self.config is not None
        present = {"config": self.config, "law": self.law, "plan": self.at_own_batch}
        return self.config is not None and present[needs] is not None

    @property
    def settled(self) -> TrainConfig:
        """The config, for checks that need one."""
        assert self.config is not None  # noqa: S101 - `has` was asked first
        return self.config


@dataclass(frozen=True)
class Deviation:
    """What one check saw. `explains` lists findings, as `slug` or `slug:field`, that follow from it."""

    field: str
    message: str
    expected: Value = None
    got: Value = None
    explains: tuple[str, ...] = ()
    line: int | None = None  # where it is not the field's


@dataclass(frozen=True)
class Check:
    """An entry of the table of checks: what is wrong, why it matters, how to fix it."""

    id: str
    slug: str
    title: str
    why: str
    source: str
    fix: str  # FIELD stands for the field's name
    severity: Severity
    needs: Needs
    look: Callable[[Subject], Iterator[Deviation]]
    fixable: bool = False  # putting `expected` in the field's place is all that it takes
    fixable_in_trainers: bool = False  # where no plan is recorded that would have to follow


def shown(value: Value) -> str:
    """Write a value for a message.

    >>> shown(4194304.0), shown(0.00082693), shown(0.1), shown("cosine"), shown(None)
    ('4194304', '8.27e-04', '0.1', 'cosine', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return value
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.4g}"
    return str(int(value)) if 1 <= abs(value) < 1e10 and float(value).is_integer() else scientific(value, 3)


def times(got: float, expected: float) -> str:
    """Write a ratio as a factor.

    >>> times(1.7e-3, 8.3e-4), times(1, 1000)
    ('2.05x', '0.001x')
    """
    return f"{got / expected:.3g}x"


def beyond(got: float, expected: float, factor: float) -> bool:
    """Whether two positive numbers differ by more than a factor, either way (with room for rounding)."""
    return max(got / expected, expected / got) > factor * (1 + 1e-9)
