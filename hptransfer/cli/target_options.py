"""The target of a plan, as the options give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from hptransfer.cli import completing
from hptransfer.cli.options import (
    Depth,
    Experts,
    ParamsKindOption,
    SeqLen,
    Width,
    pairs,
    params_kind_of,
)
from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.quantities import parse_positive

if TYPE_CHECKING:
    from hptransfer.anchoring import Anchor
    from hptransfer.law import Law
    from hptransfer.planning import Target

ANCHOR = "--anchor"
Text = str | None


@dataclass(frozen=True)
class ScaleOptions:
    """Where a law is evaluated: a scale, and what laws in other quantities need beside it."""

    PANEL: ClassVar[str] = "Target"

    params: Annotated[Text, typer.Option("--params", help="Parameters of the target: 7e9, 7B.")] = None
    tokens: Annotated[Text, typer.Option("--tokens", help="Training tokens of the target: 1e12, 1T.")] = None
    batch_tokens: Annotated[
        Text, typer.Option("--batch-tokens", help="Pin the batch: tokens per optimizer step.")
    ] = None
    width: Width = None
    depth: Depth = None
    experts: Experts = None
    loss: Annotated[
        Text, typer.Option("--loss", help="Loss the run is to reach, nats per token (laws in loss).")
    ] = None
    active_ratio: Annotated[
        Text, typer.Option("--active-ratio", help="Active over all experts, such as 1/32 (MoE laws).")
    ] = None
    flops_per_token: Annotated[
        Text,
        typer.Option("--flops-per-token", help="M of laws in C = M * tokens, in place of width and depth."),
    ] = None

    def scale(self) -> Target:
        """The target of --params and --tokens."""
        from hptransfer.planning import target_scale

        params, tokens = target_scale(
            params=_positive(self.params, "--params"), tokens=_positive(self.tokens, "--tokens"), flops=None
        )
        return replace(self._common(), params=params, tokens=tokens)

    def _common(self) -> Target:
        from hptransfer.planning import Target

        return Target(
            params=1.0,
            tokens=1.0,
            batch_tokens=_positive(self.batch_tokens, "--batch-tokens"),
            width=self.width,
            depth=self.depth,
            loss=_positive(self.loss, "--loss"),
            active_ratio=_ratio(self.active_ratio, "--active-ratio"),
            experts=self.experts,
            flops_per_token=_positive(self.flops_per_token, "--flops-per-token"),
        )


@dataclass(frozen=True)
class TargetOptions(ScaleOptions):
    """The target of a plan, or many."""

    flops: Annotated[
        Text, typer.Option("--flops", help="Compute in place of --params or --tokens, by C = 6 N D.")
    ] = None
    targets: Annotated[
        Text, typer.Option("--targets", help="CSV of targets: params,tokens[,batch_tokens]; - is stdin.")
    ] = None
    unique_tokens: Annotated[
        Text,
        typer.Option("--unique-tokens", help="Different tokens, where the run sees its data repeatedly."),
    ] = None
    batch_rule: Annotated[
        Text,
        typer.Option(
            "--batch-rule",
            metavar="NAME[:SETTING=VALUE]",
            help="How the LR follows the batch: law, linear, sqrt, sde, saturating, surge.",
            autocompletion=completing.batch_rules,
        ),
    ] = None
    seq_len: SeqLen = None
    params_kind: ParamsKindOption = None

    def target(self) -> Target:
        """One target from two of --params, --tokens and --flops."""
        from hptransfer.planning import target_scale

        params, tokens = target_scale(
            params=_positive(self.params, "--params"),
            tokens=_positive(self.tokens, "--tokens"),
            flops=_positive(self.flops, "--flops"),
        )
        approximated = self.flops is not None
        return replace(self._common(), params=params, tokens=tokens, flops_approximated=approximated)

    def many(self, path: str) -> list[Target]:
        """Many targets from a CSV; --params, --tokens and --flops do not go with it."""
        if self.params or self.tokens or self.flops:
            msg = "--targets brings its own params and tokens: leave out --params, --tokens and --flops."
            raise UsageError(msg)
        from hptransfer.files import read_text
        from hptransfer.plans.targets import read_targets

        return read_targets(read_text(path).splitlines(), path, self._common())

    def _common(self) -> Target:
        kind = params_kind_of(self.params_kind) or "unspecified"
        unique = _positive(self.unique_tokens, "--unique-tokens")
        return replace(
            super()._common(),
            seq_len=self.seq_len,
            params_kind=kind,
            unique_tokens=unique,
            batch_rule=self.batch_rule,
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


def anchored(law: Law, anchors: Sequence[Anchor], wanted: TargetOptions) -> Law:
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
