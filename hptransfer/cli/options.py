"""Options that several commands share, and how `NAME=VALUE` options are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar, get_args

import typer

from hptransfer.cli import completing
from hptransfer.errors import UsageError, did_you_mean, plain

ParamsKind = Literal["non-embedding", "total", "active", "unspecified"]
Choice = TypeVar("Choice", bound=str)

Force = Annotated[bool, typer.Option("--force", help="Replace an output file whose content differs.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No talk on stderr except errors.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No progress bar.")]
ParamsKindOption = Annotated[
    str | None,
    typer.Option(
        "--params-kind",
        help="What params counts: non-embedding, total or active.",
        autocompletion=completing.one_of(("non-embedding", "total", "active")),
    ),
]
Width = Annotated[
    int | None, typer.Option("--width", min=1, help="Model width (laws, tensor classes, shapes).")
]
Depth = Annotated[
    int | None, typer.Option("--depth", "--layers", min=1, help="Layers (laws, tensor classes, shapes).")
]
Experts = Annotated[int | None, typer.Option("--experts", min=1, help="Experts of a layer (MoE laws).")]
HeadDim = Annotated[int | None, typer.Option("--head-dim", min=1, help="Head dimension.")]
Ffn = Annotated[int | None, typer.Option("--ffn", min=1, help="Feed-forward width.")]
SeqLen = Annotated[int | None, typer.Option("--seq-len", min=1, help="Tokens per sequence.")]


def pairs(options: Iterable[str], flag: str) -> dict[str, str]:
    """Read repeated `NAME=VALUE` options into a mapping.

    Raises:  UsageError for an option without `=` or a name given twice with different values.
    """
    read: dict[str, str] = {}
    for option in options:
        name, separator, value = option.partition("=")
        name = name.strip()
        if not separator or not name or not value:
            msg = f"{flag}: got {plain(option)!r}, need NAME=VALUE."
            raise UsageError(msg)
        if read.setdefault(name, value) != value:
            msg = f"{flag}: {plain(name)!r} is given twice, as {plain(read[name])!r} and {plain(value)!r}."
            raise UsageError(msg)
    return read


def one_of(value: str, choices: Iterable[Choice], flag: str) -> Choice:
    """Return the choice that `value` names, else raise UsageError that lists them."""
    known = list(choices)
    for choice in known:
        if choice == value:
            return choice
    hint = did_you_mean(value, known)
    msg = f"{flag}: got {plain(value)!r}, need one of {', '.join(known)}.{hint}"
    raise UsageError(msg)


def params_kind_of(option: str | None) -> ParamsKind | None:
    """What --params-kind names; None when it is not given."""
    kinds: tuple[ParamsKind, ...] = get_args(ParamsKind)
    return None if option is None else one_of(option, kinds, "--params-kind")
