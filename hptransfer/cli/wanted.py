"""The target of a plan, as the options give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hptransfer.cli.options import pairs, params_kind_of
from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.files import read_text
from hptransfer.planning import Target, target_scale
from hptransfer.quantities import parse_positive
from hptransfer.targets import read_targets

if TYPE_CHECKING:
    from hptransfer.anchoring import Anchor
    from hptransfer.law import Law

ANCHOR = "--anchor"


@dataclass(frozen=True)
class Wanted:
    """The target as the options give it."""

    params: str | None
    tokens: str | None
    flops: str | None
    batch_tokens: str | None
    seq_len: int | None
    width: int | None
    depth: int | None
    params_kind: str | None
    loss: str | None = None
    active_ratio: str | None = None
    experts: int | None = None
    flops_per_token: str | None = None

    def target(self) -> Target:
        """One target from two of --params, --tokens and --flops."""
        params, tokens = target_scale(
            params=_positive(self.params, "--params"),
            tokens=_positive(self.tokens, "--tokens"),
            flops=_positive(self.flops, "--flops"),
        )
        approximated = self.flops is not None
        return replace(self._common(), params=params, tokens=tokens, flops_approximated=approximated)

    def targets(self, path: str) -> list[Target]:
        """Many targets from a CSV; --params, --tokens and --flops do not go with it."""
        if self.params or self.tokens or self.flops:
            msg = "--targets brings its own params and tokens: leave out --params, --tokens and --flops."
            raise UsageError(msg)
        return read_targets(read_text(path).splitlines(), path, self._common())

    def _common(self) -> Target:
        return Target(
            params=1.0,
            tokens=1.0,
            batch_tokens=_positive(self.batch_tokens, "--batch-tokens"),
            seq_len=self.seq_len,
            width=self.width,
            depth=self.depth,
            loss=_positive(self.loss, "--loss"),
            active_ratio=_ratio(self.active_ratio, "--active-ratio"),
            experts=self.experts,
            flops_per_token=_positive(self.flops_per_token, "--flops-per-token"),
            params_kind=params_kind_of(self.params_kind) or "unspecified",
        )


def read_anchors(options: Sequence[str]) -> tuple[Anchor, ...]:
    """Read repeated --anchor options: NAME=VALUE pairs with commas between them.

    Raises:  UsageError naming what is unknown, missing or no positive number.
    """
    if not options:
        return ()
    from hptransfer.anchoring import Anchor

    return tuple(_read_anchor(option, Anchor) for option in options)


def _read_anchor(option: str, record: type[Anchor]) -> Anchor:
    given = pairs(option.split(","), ANCHOR)
    known, needed = list(record.model_fields), ("params", "tokens", "lr")
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f" Known: {', '.join(known)}."
            msg = f"{ANCHOR}: {plain(name)!r} is nothing that an anchor has.{hint}"
            raise UsageError(msg)
    missing = [name for name in needed if name not in given]
    if missing:
        lacks = ", ".join(missing)
        msg = (
            f"{ANCHOR}: {lacks} missing, need params=N,tokens=D,lr=LR, and batch_tokens=B where it was tuned."
        )
        raise UsageError(msg)
    values = {name: parse_positive(text, f"{ANCHOR} {name}") for name, text in given.items()}
    absurd = [name for name, value in values.items() if not 1e-30 <= value <= 1e30]
    if absurd:
        msg = f"{ANCHOR}: {absurd[0]} is beyond anything that can be run."
        raise UsageError(msg)
    return record.model_validate(values)


def anchored(law: Law, anchors: Sequence[Anchor], wanted: Wanted) -> Law:
    """Move a law to the level of the anchors, counting params as the target does; without any, the law."""
    if not anchors:
        return law
    from hptransfer.anchoring import anchor

    return anchor(law, anchors, params_kind=params_kind_of(wanted.params_kind) or "unspecified")


def _positive(text: str | None, flag: str) -> float | None:
    return None if text is None else parse_positive(text, flag)


def _ratio(text: str | None, flag: str) -> float | None:
    """A share above 0 and up to 1, as a number or a fraction such as 1/32."""
    if text is None:
        return None
    above, _, below = text.partition("/")
    value = parse_positive(above, flag) / (parse_positive(below, flag) if below else 1.0)
    if value > 1:
        msg = f"{flag}: got {plain(text)!r}, need a share up to 1 such as 1/32 or 0.03125."
        raise UsageError(msg)
    return value
