"""Shared test inputs: simulated sweeps as columns, CSV text of columns, hypothesis strategies for both."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

Columns = dict[str, list[object]]


def grid_columns(
    *,
    params: Sequence[float] = (6e7, 1.2e8, 2.5e8),
    tokens: Sequence[float] = (2e9, 4e9),
    lrs: Sequence[float] = (5e-4, 1e-3, 2e-3, 4e-3),
    batches: Sequence[float] = (65_536, 131_072, 262_144),
) -> Columns:
    """Return a full noise-free grid of simulated runs: a quadratic bowl in log LR and log batch."""
    n, d, lr, batch = (axis.ravel() for axis in np.meshgrid(params, tokens, lrs, batches, indexing="ij"))
    floor = 1.7 + 400 * n**-0.34 + 410 * d**-0.28
    bowl = 0.02 * np.log(lr / 1.5e-3) ** 2 + 0.016 * np.log(batch / 1.2e5) ** 2
    return {
        "params": n.tolist(),
        "tokens": d.tolist(),
        "lr": lr.tolist(),
        "batch_tokens": batch.tolist(),
        "loss": (floor + bowl).tolist(),
    }


def csv_text(columns: Mapping[str, Sequence[object]], *, delimiter: str = ",") -> str:
    """Write columns as a delimited text table; floats keep all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def write_csv(path: Path, columns: Mapping[str, Sequence[object]], *, delimiter: str = ",") -> Path:
    """Write columns to a file and return its path."""
    path.write_text(csv_text(columns, delimiter=delimiter), encoding="utf-8")
    return path


@st.composite
def jittered_sweeps(draw: st.DrawFn) -> tuple[Columns, int]:
    """Draw a sweep whose cells lie apart but whose labels jitter within 2 %, and its number of cells."""
    factors = st.floats(1.2, 4.0)
    params = np.cumprod([5e7, *draw(st.lists(factors, min_size=0, max_size=3))])
    tokens = np.cumprod([1e9, *draw(st.lists(factors, min_size=0, max_size=3))])
    columns = grid_columns(params=params.tolist(), tokens=tokens.tolist())
    n_runs = len(columns["params"])
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for name in ("params", "tokens"):
        jitter = rng.uniform(1.0, 1.0199, n_runs)
        columns[name] = (np.array(columns[name], dtype=float) * jitter).tolist()
    return columns, len(params) * len(tokens)
