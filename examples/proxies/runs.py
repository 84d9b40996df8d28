"""Runs as rows: what a plan file asks for, and what a results file says came out. Standard library only."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One training run: everything that decides its loss. `lr` is the peak (under muP: of the base width)."""

    parametrization: str
    width: int
    tokens: int
    batch_tokens: int
    lr: float
    seed: int

    @property
    def name(self) -> str:
        """What the run is called in plans and results: no two different runs share it."""
        size = f"w{self.width}-t{self.tokens}-b{self.batch_tokens}"
        return f"{self.parametrization}-{size}-lr{self.lr:.6g}-s{self.seed}"

    def require_runnable(self) -> None:
        """Raise ValueError unless all numbers are positive and whole steps make up the tokens."""
        if min(self.width, self.tokens, self.batch_tokens, self.lr) <= 0 or self.seed < 0:
            msg = f"{self.name}: width, tokens, batch_tokens and lr have to be positive, seed at least 0."
            raise ValueError(msg)
        if self.tokens % self.batch_tokens:
            msg = f"{self.name}: {self.tokens} tokens are no whole number of batches of {self.batch_tokens}."
            raise ValueError(msg)


COLUMNS = tuple(field.name for field in fields(Run))


def read_plan(path: Path) -> list[Run]:
    """The runs of a plan file, a CSV with the columns of `Run` (others are ignored), in order.

    Raises:  ValueError naming file and line for a missing column, a bad number, or a run asked for twice.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            msg = f"{path}: no column {', '.join(missing)}. A plan has the columns {', '.join(COLUMNS)}."
            raise ValueError(msg)
        runs: dict[str, Run] = {}
        for row in reader:
            run = _run(row, f"{path}, line {reader.line_num}")
            if run.name in runs:
                msg = f"{path}, line {reader.line_num}: {run.name} was asked for above."
                raise ValueError(msg)
            runs[run.name] = run
    return list(runs.values())


def read_losses(path: Path) -> dict[Run, float]:
    """Losses of a results file by run; nan where a run blew up."""
    with path.open(newline="", encoding="utf-8") as stream:
        return {_run(row, str(path)): float(row["loss"]) for row in csv.DictReader(stream)}


def _run(row: dict[str, str], where: str) -> Run:
    try:
        run = Run(
            parametrization=row["parametrization"],
            width=int(row["width"]),
            tokens=int(row["tokens"]),
            batch_tokens=int(row["batch_tokens"]),
            lr=float(row["lr"]),
            seed=int(row["seed"]),
        )
        run.require_runnable()
    except (TypeError, ValueError) as error:
        msg = f"{where}: {error}"
        raise ValueError(msg) from None
    return run


def write_plan(path: Path, runs: Iterable[Run]) -> None:
    """Write a plan file, one run a row."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(run, column) for column in COLUMNS] for run in runs)
