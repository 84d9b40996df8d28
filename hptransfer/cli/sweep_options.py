"""How a sweep is to be read: options that commands on finished runs share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hptransfer.cli.options import one_of, pairs, params_kind_of
from hptransfer.errors import UsageError, plain

if TYPE_CHECKING:
    from hptransfer.readers.mapping import Reading

Texts = list[str] | None

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="CSV, JSON, a tracker's database or folder; - is stdin."),
]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="The files' format, where it is not recognized."),
]
Column = Annotated[
    Texts,
    typer.Option("--column", metavar="NAME=HEADER", help='Read NAME from HEADER, e.g. loss="smooth loss".'),
]
Where = Annotated[
    Texts,
    typer.Option(
        "--where", metavar="COL=VALUE", help="Use only rows where COL is VALUE; COL!=VALUE: where it is not."
    ),
]
Vary = Annotated[Texts, typer.Option("--vary", metavar="COL", help="Let setting COL vary inside the sweep.")]
SavedMap = Annotated[
    str | None,
    typer.Option("--map", metavar="FILE", help="Saved mapping, TOML or YAML (see hptransfer init)."),
]
LossUnitOption = Annotated[
    str | None, typer.Option("--loss-unit", help="nats, bits, bpb or perplexity (default: by header, nats).")
]
BatchUnitOption = Annotated[
    str | None,
    typer.Option("--batch-unit", help="What the batch column counts: tokens or sequences."),
]
SkipBadRows = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Set unusable rows aside instead of refusing the sweep.")
]
CellTolerance = Annotated[
    float, typer.Option("--cell-tolerance", min=0.0, max=0.5, help="Runs this close in scale share a cell.")
]
MaxRows = Annotated[int, typer.Option("--max-rows", min=1, help="Refuse longer inputs.")]
MaxBytes = Annotated[
    int, typer.Option("--max-bytes", min=1, help="Refuse larger inputs (decompressed bytes).")
]

LOSS_UNITS: tuple[Literal["nats", "bits", "bpb", "perplexity"], ...] = ("nats", "bits", "bpb", "perplexity")
BATCH_UNITS: tuple[Literal["tokens", "sequences"], ...] = ("tokens", "sequences")


def reading_of(
    *,
    saved_map: str | None,
    column: Texts,
    where: Texts,
    vary: Texts,
    params_kind: str | None,
    loss_unit: str | None,
    batch_unit: str | None,
    seq_len: int | None,
    skip_bad_rows: bool = False,
) -> Reading:
    """Put the options over the saved mapping; what an option says counts."""
    from hptransfer.readers.mapping import Reading, read_map

    wanted, unwanted = _conditions(where or [])
    given = Reading(
        columns=pairs(column or [], "--column"),
        where=wanted,
        without=unwanted,
        vary=tuple(vary or ()),
        params_kind=params_kind_of(params_kind),
        loss_unit=None if loss_unit is None else one_of(loss_unit, LOSS_UNITS, "--loss-unit"),
        batch_unit=None if batch_unit is None else one_of(batch_unit, BATCH_UNITS, "--batch-unit"),
        seq_len=seq_len,
        skip_bad_rows=skip_bad_rows,
    )
    return given if saved_map is None else given.over(read_map(saved_map))


def _conditions(options: Iterable[str]) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Split `--where` options into wanted and unwanted values."""
    wanted, unwanted = [], []
    for option in options:
        name, separator, value = option.partition("!=")
        if not separator or "=" in name:
            wanted.append(option)
        elif name.strip() and value:
            unwanted.append((name.strip(), value))
        else:
            msg = f"--where: got {plain(option)!r}, need NAME=VALUE or NAME!=VALUE."
            raise UsageError(msg)
    return pairs(wanted, "--where"), tuple(unwanted)


def reading_options(reading: Reading) -> list[str]:
    """Write a reading as the options that say it, quoted for a shell."""
    from hptransfer.readers.columns import column_option, quoted

    options = [column_option(name, header) for name, header in reading.columns.items()]
    options += [f"--where {quoted(f'{name}={value}')}" for name, value in reading.where.items()]
    options += [f"--where {quoted(f'{name}!={value}')}" for name, value in reading.without]
    options += [f"--vary {quoted(name)}" for name in reading.vary]
    stated = {
        "--params-kind": reading.params_kind,
        "--loss-unit": reading.loss_unit,
        "--batch-unit": reading.batch_unit,
        "--seq-len": reading.seq_len,
    }
    options += [f"{flag} {value}" for flag, value in stated.items() if value is not None]
    return [*options, "--skip-bad-rows"] if reading.skip_bad_rows else options
