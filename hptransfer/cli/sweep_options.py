"""How a sweep is to be read: options that commands on finished runs share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from hptransfer.cli import completing
from hptransfer.cli.options import ParamsKindOption, SeqLen, one_of, pairs, params_kind_of
from hptransfer.errors import UsageError, plain

if TYPE_CHECKING:
    from hptransfer.readers.mapping import Reading
    from hptransfer.sweep import Sweep

Texts = list[str] | None

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="CSV, JSON, a tracker's database or folder; - is stdin."),
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

LOSS_UNITS: tuple[Literal["nats", "bits", "bpb", "perplexity"], ...] = ("nats", "bits", "bpb", "perplexity")
BATCH_UNITS: tuple[Literal["tokens", "sequences"], ...] = ("tokens", "sequences")


@dataclass(frozen=True)
class InputOptions:
    """What a file holds where it does not say so itself, and how much of it is taken."""

    PANEL: ClassVar[str] = "How the sweep is read"

    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="The files' format, where it is not recognized."),
    ] = None
    column: Column = None
    cell_tolerance: Annotated[
        float,
        typer.Option("--cell-tolerance", min=0.0, max=0.5, help="Runs this close in scale share a cell."),
    ] = 0.02
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Refuse longer inputs.")] = 1_000_000
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", min=1, help="Refuse larger inputs (decompressed bytes).")
    ] = 1_000_000_000

    def limits(self) -> dict[str, Any]:
        """Arguments of every reader that are not about meaning."""
        return {"max_rows": self.max_rows, "max_bytes": self.max_bytes}


@dataclass(frozen=True)
class ReadingOptions(InputOptions):
    """What the rows and columns of a sweep mean."""

    where: Where = None
    vary: Vary = None
    saved_map: Annotated[
        str | None,
        typer.Option("--map", metavar="FILE", help="Saved mapping, TOML or YAML (see hptransfer init)."),
    ] = None
    params_kind: ParamsKindOption = None
    loss_unit: Annotated[
        str | None,
        typer.Option(
            "--loss-unit",
            help="nats, bits, bpb or perplexity (default: by header, nats).",
            autocompletion=completing.one_of(LOSS_UNITS),
        ),
    ] = None
    batch_unit: Annotated[
        str | None,
        typer.Option("--batch-unit", help="What the batch column counts: tokens or sequences."),
    ] = None
    seq_len: SeqLen = None

    def reading(self) -> Reading:
        """Put the options over the saved mapping; what an option says counts."""
        from hptransfer.readers.mapping import read_map

        given = self._given()
        return given if self.saved_map is None else given.over(read_map(self.saved_map))

    def _given(self) -> Reading:
        from hptransfer.readers.mapping import Reading

        wanted, unwanted = _conditions(self.where or [])
        loss_unit, batch_unit = self.loss_unit, self.batch_unit
        return Reading(
            source=self.source,
            columns=pairs(self.column or [], "--column"),
            where=wanted,
            without=unwanted,
            vary=tuple(self.vary or ()),
            params_kind=params_kind_of(self.params_kind),
            loss_unit=None if loss_unit is None else one_of(loss_unit, LOSS_UNITS, "--loss-unit"),
            batch_unit=None if batch_unit is None else one_of(batch_unit, BATCH_UNITS, "--batch-unit"),
            seq_len=self.seq_len,
        )


@dataclass(frozen=True)
class SweepOptions(ReadingOptions):
    """How a sweep becomes runs that a law can be fitted to."""

    skip_bad_rows: Annotated[
        bool,
        typer.Option("--skip-bad-rows", help="Set unusable rows aside instead of refusing the sweep."),
    ] = False

    def sweep(self, files: list[str]) -> Sweep:
        """Read the files."""
        from hptransfer.readers import read_sweep

        reading = self.reading().arguments()
        return read_sweep(files, cell_tolerance=self.cell_tolerance, **self.limits(), **reading)

    def inputs(self, files: list[str]) -> list[str]:
        """Every file that is read: an output must not replace one."""
        return [*files, *([self.saved_map] if self.saved_map else [])]

    def _given(self) -> Reading:
        return dataclasses.replace(super()._given(), skip_bad_rows=self.skip_bad_rows)


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


def fit_line(files: Sequence[str], reading: Reading, *more: str) -> str:
    """The command that fits files as they were read, quoted for a shell; `more`: options beside those."""
    from hptransfer.readers.columns import quoted

    return " ".join(["hptransfer fit", *map(quoted, files), *reading_options(reading), *more, "-o law.json"])


def reading_options(reading: Reading) -> list[str]:
    """Write a reading as the options that say it, quoted for a shell."""
    from hptransfer.readers.columns import column_option, quoted

    options = [column_option(name, header) for name, header in reading.columns.items()]
    options += [f"--where {quoted(f'{name}={value}')}" for name, value in reading.where.items()]
    options += [f"--where {quoted(f'{name}!={value}')}" for name, value in reading.without]
    options += [f"--vary {quoted(name)}" for name in reading.vary]
    stated = {
        "--source": reading.source,
        "--params-kind": reading.params_kind,
        "--loss-unit": reading.loss_unit,
        "--batch-unit": reading.batch_unit,
        "--seq-len": reading.seq_len,
    }
    options += [f"{flag} {value}" for flag, value in stated.items() if value is not None]
    return [*options, "--skip-bad-rows"] if reading.skip_bad_rows else options
