"""The options that ask for a parametrization, and the scaling they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hptransfer.cli.options import one_of, pairs
from hptransfer.errors import UsageError, plain
from hptransfer.quantities import parse_number, parse_positive

if TYPE_CHECKING:
    from hptransfer.scaling import Scaling

OPTIMIZERS: tuple[Literal["adamw", "sgd", "muon"], ...] = ("adamw", "sgd", "muon")
MUON_FOR_MUP = "muon-spectral"
Text = str | None
Size = int | None

ParametrizationOption = Annotated[
    Text,
    typer.Option("--parametrization", help="Add values by tensor class: mup, completep, u-mup, sp, ..."),
]
BaseWidth = Annotated[Size, typer.Option("--base-width", min=1, help="Width that the base LR was tuned at.")]
BaseDepth = Annotated[Size, typer.Option("--base-depth", min=1, help="Depth of the proxy, in blocks.")]
HeadDim = Annotated[Size, typer.Option("--head-dim", min=1, help="Head dimension (default: the proxy's).")]
BaseHeadDim = Annotated[Size, typer.Option("--base-head-dim", min=1, help="Head dimension of the proxy.")]
Ffn = Annotated[Size, typer.Option("--ffn", min=1, help="Feed-forward width.")]
BaseFfn = Annotated[Size, typer.Option("--base-ffn", min=1, help="Feed-forward width of the proxy.")]
Fan = Annotated[
    list[str] | None,
    typer.Option("--fan", metavar="CLASS=IN,OUT", help="Fan-in and fan-out ratio of a tensor class."),
]
Rule = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="NAME=CHOICE", help="Where sources disagree, such as weight-decay=keep."),
]
OptimizerOption = Annotated[Text, typer.Option("--optimizer", help="adamw, sgd or muon (tensor classes).")]
BaseInitStd = Annotated[
    Text, typer.Option("--base-init-std", help="Init std of the proxy (default 0.02; u-mup 1).")
]
BaseEps = Annotated[Text, typer.Option("--base-eps", help="Adam epsilon of the proxy (default: the plan's).")]
BaseWeightDecay = Annotated[
    Text, typer.Option("--base-weight-decay", help="Weight decay of the proxy (default: the plan's).")
]
LrWidthExponent = Annotated[
    float | None,
    typer.Option("--lr-width-exponent", help="Measured drift of the base LR with width (hptransfer width)."),
]
BaseTokens = Annotated[Text, typer.Option("--base-tokens", help="Tokens of the proxy (complete-d-p).")]
BaseBatchTokens = Annotated[
    Text, typer.Option("--base-batch-tokens", help="Batch tokens of the proxy (complete-d-p).")
]
ProxyParametrization = Annotated[
    Text,
    typer.Option("--proxy-parametrization", help="What the proxies behind the law used, if it does not say."),
]


@dataclass(frozen=True)
class WantedScaling:
    """A parametrization as the options give it."""

    parametrization: Text
    width: Size
    base_width: Size
    depth: Size
    base_depth: Size
    head_dim: Size
    base_head_dim: Size
    ffn: Size
    base_ffn: Size
    fan: list[str] | None
    rule: list[str] | None
    optimizer: Text
    base_init_std: Text
    base_eps: Text
    base_weight_decay: Text
    lr_width_exponent: float | None
    base_tokens: Text
    base_batch_tokens: Text
    proxy_parametrization: Text

    def scaling(self, *, tokens: float, batch_tokens: float | None, optimizer: str) -> Scaling | None:
        """The scaling, or None where no parametrization is asked for.

        Args:    tokens, batch_tokens: of the target, for rule sets that scale with them;
                 optimizer: of the law's runs, where --optimizer does not say another.
        Raises:  UsageError for options that make no sense alone or together.
        """
        if self.parametrization is None:
            self._refuse_orphans()
            return None
        from hptransfer.scaling import Scaling

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
