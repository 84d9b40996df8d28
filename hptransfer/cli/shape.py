"""`hptransfer shape`: parameters and FLOPs of a model's shape, or shapes for a number of parameters."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.shape_options import ShapeOptions
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError
from hptransfer.quantities import parse_positive

if TYPE_CHECKING:
    from hptransfer.shapes import Shape

EXAMPLE = "Example: hptransfer shape --params 7e9"


@with_groups
def command(
    described: ShapeOptions,
    params: Annotated[
        str | None, typer.Option("--params", help="Propose shapes with this many non-embedding parameters.")
    ] = None,
    aspect: Annotated[float, typer.Option("--aspect", min=1, help="Width over depth to aim at.")] = 128,
    gated: Annotated[bool, typer.Option("--gated/--no-gated", help="Three feed-forward matrices.")] = True,
    tied: Annotated[bool, typer.Option("--tied", help="One matrix for embedding and readout.")] = False,
    seq_len: Annotated[int, typer.Option("--seq-len", min=1, help="Tokens per sequence.")] = 2048,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count the parameters and training FLOPs per token of a shape, or propose shapes for --params.

    Biases are not counted. FLOPs: 6 per active matrix parameter, readout included, plus
    12 * depth * heads * head_dim * seq_len for attention.
    """
    from hptransfer.cli import render, render_width
    from hptransfer.shapes import propose_shapes

    shape = described.shape(gated=gated, tied=tied)
    if (shape is None) == (params is None):
        msg = "need either --params, to propose shapes, or a shape: --width and --depth, or --model-config."
        raise UsageError(msg)
    if shape is not None:
        shapes = [shape]
    else:
        wanted = parse_positive(params or "", "--params")
        shapes = propose_shapes(wanted, aspect=aspect, head_dim=described.head_dim or 128)
    contents = [_content(one, seq_len) for one in shapes]
    if json:
        render.print_json_lines(contents)
    else:
        render_width.show_shapes(contents, seq_len=seq_len)
    first = shapes[0]
    Talk(quiet=quiet).then(f"hptransfer plan --width {first.width} --depth {first.depth} --tokens 1e12")


def _content(shape: Shape, seq_len: int) -> dict[str, Any]:
    from hptransfer.shapes import count_params, flops_per_token

    counts = dataclasses.asdict(count_params(shape))
    return {
        **dataclasses.asdict(shape),
        "params": counts,
        "flops_per_token": flops_per_token(shape, seq_len=seq_len),
        "aspect": shape.width / shape.depth,
    }
