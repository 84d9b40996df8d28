"""Samples of trackers' files, and opening them as the tables that `read_sweep` sees."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hptransfer.readers.sources import open_source
from hptransfer.readers.streams import ByteBudget
from hptransfer.readers.tables import Ledger, ProblemLog, Value

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Opened:
    """A source read to its end: one mapping a run, the places of the runs, the digest."""

    rows: Sequence[Mapping[str, Value]]
    places: Sequence[str]
    sha256: str
    file: str

    def column(self, header: str) -> list[Value]:
        """One column of all runs."""
        return [row[header] for row in self.rows]


def opened(path: Path, *, source: str | None = None, max_bytes: int = 10**8) -> Opened:
    """Read a source; raise what is wrong with it."""
    log = ProblemLog()
    rows, places = [], []
    with open_source(str(path), Ledger(ByteBudget(max_bytes), log), source=source) as found:
        headers = found.table.headers
        for chunk in found.table.chunks(headers):
            rows += [dict(zip(headers, values, strict=True)) for values in zip(*chunk.columns, strict=True)]
            places += [found.table.place(number) for number in chunk.lines]
        log.raise_if_any()
        return Opened(rows, places, found.sha256(), found.file)


def unpacked(name: str, folder: Path) -> Path:
    """Unpack a compressed sample into a folder and return its path."""
    path = folder / name
    path.write_bytes(gzip.decompress((DATA / f"{name}.gz").read_bytes()))
    return path
