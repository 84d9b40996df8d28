"""How the best LR and activations move with width, and shapes, in tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hptransfer.cli.render import count, number, ratio, say, signed, table
from hptransfer.errors import plain

if TYPE_CHECKING:
    from hptransfer.parametrizations.coordinates import CoordinateCheck
    from hptransfer.parametrizations.widths import Transfer


def show_transfer(found: Iterable[Transfer]) -> None:
    """Print the best LR of each width and the verdict, per parametrization."""
    for one in found:
        rows = (
            (
                f"{at.width:g}",
                ratio(at.depth),
                str(at.runs),
                str(at.usable_lrs),
                ratio(at.best_loss),
                number(at.lr),
                plain(at.excluded or ""),
            )
            for at in one.widths
        )
        columns = ("width#", "depth#", "runs#", "usable LRs#", "best loss#", "best lr#", "left out because~")
        name = plain(one.parametrization or "all runs")
        table(name, columns, rows)
        for drift in one.drifts[1:]:
            interval_text = f"90 % {drift.low:+.3f} to {drift.high:+.3f}"
            say(f"{name}: {drift.per_doubling:+.3f} log2 per doubling of {drift.of} ({interval_text}).")
        say(f"{name}: {one.verdict}. {one.message}\n")


def show_shapes(contents: Sequence[dict[str, Any]], *, seq_len: int) -> None:
    """Print shapes with their parameters and training FLOPs per token, a row each."""
    rows = (
        (
            *(str(one[name]) for name in ("width", "depth", "heads", "kv_heads", "head_dim", "ffn")),
            *(count(one["params"][name]) for name in ("non_embedding", "total")),
            f"{one['flops_per_token']:.3e}",
            count(one["params"]["active"]),
            f"{one['aspect']:.3g}",
        )
        for one in contents
    )
    sizes = ("width#", "depth#", "heads#", "kv heads#", "head dim#", "ffn#")
    counted = ("non-embedding#", "total#", "FLOP per token#", "active~", "aspect~")
    table(f"Shapes (biases not counted; FLOP at {seq_len} tokens a sequence)", (*sizes, *counted), rows)


def show_coordinates(found: Iterable[CoordinateCheck]) -> None:
    """Print the exponents of width of every layer and the verdict, per parametrization."""
    for one in found:
        rows = (
            (
                layer.name,
                layer.kind,
                layer.quantity,
                signed(layer.first),
                signed(layer.trained),
                layer.verdict,
                layer.note,
            )
            for layer in one.layers
        )
        name = plain(one.parametrization or "all rows")
        columns = ("layer", "kind", "of", "first#", "trained#", "verdict", "note~")
        table(f"{name}: exponents of width", columns, rows)
        say(f"{name}: {one.verdict}. {one.looks_like}\n")
