"""The options that ask for a parametrization, and the scaling they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

from hptransfer.cli import completing
from hptransfer.cli.options import Depth, Ffn, HeadDim, Width, one_of, pairs
from hptransfer.errors import UsageError, plain
from hptransfer.quantities import parse_number, parse_positive

if TYPE_CHECKING:
    from hptransfer.parametrizations.scaling import Scaling

OPTIMIZERS: tuple[Literal["adamw", "sgd", "muon"], ...] = ("adamw", "sgd", "muon")
MUON_FOR_MUP = "muon-spectral"
Text = str | None
Size = int | None


@dataclass(frozen=True)
class ScalingOptions:
    """A parametrization, the proxy it scales from, and the choices in between."""

    PANEL: ClassVar[str] = "Values by tensor class"

    parametrization: Annotated[
        Text,
        typer.Option(
            "--parametrization",
            help="Add values by tensor class: mup, completep, u-mup, sp, ...",
            autocompletion=completing.rule_sets,
        ),
    ] = None
    width: Width = None
    depth: Depth = None
    head_dim: HeadDim = None
    ffn: Ffn = None
    base_width: Annotated[
        Size, typer.Option("--base-width", min=1, help="Width that the base LR was tuned at.")
    ] = None
    base_depth: Annotated[
        Size, typer.Option("--base-depth", min=1, help="Depth of the proxy, in blocks.")
    ] = None
    base_head_dim: Annotated[
        Size, typer.Option("--base-head-dim", min=1, help="Head dimension of the proxy.")
    ] = None
    base_ffn: Annotated[Size, typer.Option("--base-ffn", min=1, help="Feed-forward width of the proxy.")] = (
        None
    )
    fan: Annotated[
        list[str] | None,
        typer.Option("--fan", metavar="CLASS=IN,OUT", help="Fan-in and fan-out ratio of a tensor class."),
    ] = None
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule", metavar="NAME=CHOICE", help="Where sources disagree, such as weight-decay=keep."
        ),
    ] = None
    optimizer: Annotated[Text, typer.Option("--optimizer", help="adamw, sgd or muon (tensor classes).")] = (
        None
    )
    base_init_std: Annotated[
        Text, typer.Option("--base-init-std", help="Init std of the proxy (default 0.02; u-mup 1).")
    ] = None
    base_eps: Annotated[
        Text, typer.Option("--base-eps", help="Adam epsilon of the proxy (default: the plan's).")
    ] = None
    base_weight_decay: Annotated[
        Text, typer.Option("--base-weight-decay", help="Weight decay of the proxy (default: the plan's).")
    ] = None
    lr_width_exponent: Annotated[
        float | None,
        typer.Option(
            "--lr-width-exponent", help="Measured drift of the base LR with width (hptransfer width)."
        ),
    ] = None
    base_tokens: Annotated[
        Text, typer.Option("--base-tokens", help="Tokens of the proxy (complete-d-p).")
    ] = None
    base_batch_tokens: Annotated[
        Text, typer.Option("--base-batch-tokens", help="Batch tokens of the proxy (complete-d-p).")
    ] = None
    proxy_parametrization: Annotated[
        Text,
        typer.Option(
            "--proxy-parametrization",
            help="What the proxies behind the law used, if it does not say.",
            autocompletion=completing.rule_sets,
        ),
    ] = None

    def scaling(self, *, tokens: float, batch_tokens: float | None, optimizer: str) -> Scaling | None:
        """The scaling, or None where no parametrization is asked for.

        Args:    tokens, batch_tokens: of the target, for rule sets that scale with them;
                 optimizer: of the law's runs, where --optimizer does not say another.
        Raises:  UsageError for options that make no sense alone or together.
        """
        if self.parametrization is None:
            self._refuse_orphans()
            return None
        from hptransfer.parametrizations.scaling import Scaling

        if self.width is None:
            msg = "--parametrization needs --width, the target's, and --base-width, the proxy's."
            raise UsageError(msg)
        chosen = one_of(self.optimizer or optimizer, OPTIMIZERS, "--optimizer")
        wanted = self.parametrization
        return Scaling(
            rule_set=MUON_FOR_MUP if (wanted, chosen) == ("mup", "muon") else wanted,
            width=self.width,
            base_width=self.base_width,
            depth=self.depth,
            base_depth=self.base_depth,
            head_dim=self.head_dim,
            base_head_dim=self.base_head_dim,
            ffn=self.ffn,
            base_ffn=self.base_ffn,
            fans=fans(self.fan or []),
            batch_ratio=_ratio(batch_tokens, self.base_batch_tokens, "--base-batch-tokens"),
            token_ratio=_ratio(tokens, self.base_tokens, "--base-tokens"),
            optimizer=chosen,
            choices=pairs(self.rule or [], "--rule"),
            lr_width_exponent=self.lr_width_exponent,
            base_init_std=_positive(self.base_init_std, "--base-init-std"),
            base_eps=_positive(self.base_eps, "--base-eps"),
            base_weight_decay=_weight_decay(self.base_weight_decay),
            proxies=self.proxy_parametrization,
        )

    def _refuse_orphans(self) -> None:
        """Options that say nothing without --parametrization must not be dropped silently."""
        needed_elsewhere = ("parametrization", "width", "depth", "head_dim", "ffn")
        given = [
            name for name, value in vars(self).items() if value is not None and name not in needed_elsewhere
        ]
        if given:
            flag = "--" + given[0].replace("_", "-")
            msg = f"{flag} goes with --parametrization, such as --parametrization mup."
            raise UsageError(msg)


def fans(options: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Read repeated `CLASS=IN,OUT` options: fan-in and fan-out ratio to the proxy's tensor."""
    read = {}
    for name, text in pairs(options, "--fan").items():
        parts = text.split(",")
        if len(parts) != 2:
            msg = f"--fan {plain(name)}: got {plain(text)!r}, need fan-in and fan-out ratio, such as 4,2."
            raise UsageError(msg)
        ratio_in, ratio_out = (parse_positive(part, f"--fan {plain(name)}") for part in parts)
        read[name] = (ratio_in, ratio_out)
    return read


def _ratio(target: float | None, base: Text, flag: str) -> float | None:
    if base is None:
        return None
    if target is None:
        msg = f"{flag}: the batch of the target is not known; pin it with --batch-tokens."
        raise UsageError(msg)
    return target / parse_positive(base, flag)


def _positive(text: Text, flag: str) -> float | None:
    return None if text is None else parse_positive(text, flag)


def _weight_decay(text: Text) -> float | None:
    """A weight decay; zero is one."""
    if text is None:
        return None
    try:
        value = parse_number(text)
    except ValueError:
        value = -1.0
    if value < 0:
        msg = f"--base-weight-decay: got {plain(text)!r}, need zero or a positive number."
        raise UsageError(msg)
    return value
