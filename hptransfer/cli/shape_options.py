"""The options that describe a model's shape, and the shape they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from hptransfer.cli.options import Depth, Experts, Ffn, HeadDim, Width, params_kind_of
from hptransfer.errors import UsageError
from hptransfer.quantities import parse_positive

if TYPE_CHECKING:
    from hptransfer.shapes import Shape

MAX_CONFIG_BYTES = 2**20
Size = int | None
_SIZES = ("width", "depth", "heads", "head_dim", "kv_heads", "ffn", "vocab", "experts", "active_experts")


@dataclass(frozen=True)
class ShapeOptions:
    """A model's shape."""

    PANEL: ClassVar[str] = "Model shape"

    width: Width = None
    depth: Depth = None
    heads: Annotated[Size, typer.Option("--heads", min=1, help="Attention heads.")] = None
    head_dim: HeadDim = None
    kv_heads: Annotated[
        Size, typer.Option("--kv-heads", min=1, help="Key-value heads (default: all heads).")
    ] = None
    ffn: Ffn = None
    vocab: Annotated[Size, typer.Option("--vocab", min=1, help="Vocabulary size.")] = None
    experts: Experts = None
    active_experts: Annotated[
        Size, typer.Option("--active-experts", min=1, help="Experts that see a token.")
    ] = None
    model_config: Annotated[
        str | None, typer.Option("--model-config", help="A Hugging Face config.json as the shape.")
    ] = None

    def describes_a_model(self, *, parametrized: bool) -> bool:
        """Whether anything is given that only a shape has a use for (experts are for laws too).

        Args:    parametrized: --head-dim and --ffn then say something without a whole shape.
        """
        only = [self.heads, self.kv_heads, self.vocab, self.active_experts, self.model_config]
        shared = [] if parametrized else [self.head_dim, self.ffn]
        return any(value is not None for value in [*only, *shared])

    def shape(self, *, gated: bool = True, tied: bool = False, parametrized: bool = False) -> Shape | None:
        """The shape, or None without width and depth.

        Raises:  UsageError for options without width and depth, or beside a config file; InputError or
                 FileError for a config that cannot be read.
        """
        if self.model_config is not None:
            from hptransfer.files import read_text
            from hptransfer.shapes import shape_from_model_config

            beside = [name for name in _SIZES if getattr(self, name) is not None]
            if beside:
                flag = "--" + beside[0].replace("_", "-")
                msg = f"--model-config brings the whole shape: leave out {flag}."
                raise UsageError(msg)
            text = read_text(self.model_config, max_bytes=MAX_CONFIG_BYTES)
            return shape_from_model_config(text, self.model_config)
        if self.width is None or self.depth is None:
            if self.describes_a_model(parametrized=parametrized):
                msg = "a shape needs --width and --depth, or --model-config."
                raise UsageError(msg)
            return None
        from hptransfer.shapes import make_shape

        return make_shape(
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            head_dim=self.head_dim,
            kv_heads=self.kv_heads,
            ffn=self.ffn,
            gated=gated,
            vocab=self.vocab,
            tied=tied,
            experts=self.experts or 1,
            active_experts=self.active_experts,
        )


def params_beside(
    shape: Shape, *, params: str | None, kind: str | None, law_kind: str, wanted: bool, checked: bool
) -> tuple[str | None, str | None]:
    """Params and what they count: as given, or the shape's where they are not.

    Args:    kind: as the user says; law_kind: what the law counts; wanted: whether the target lacks params
             without the shape; checked: whether given params must agree with the shape.
    Raises:  UsageError where they contradict each other, or the vocabulary is needed and not known.
    """
    from hptransfer.shapes import params_of, require_consistent_params

    stated = params_kind_of(kind)
    if params is not None:
        if checked:
            require_consistent_params(shape, parse_positive(params, "--params"), stated or "unspecified")
        return params, kind
    if not wanted:
        return None, kind
    counted = next((one for one in (stated, law_kind) if one not in (None, "unspecified")), "non-embedding")
    return str(params_of(shape, counted)), counted
