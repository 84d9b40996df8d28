"""Planted faults raise their warning, sound sweeps none of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hptransfer.fitting import fit
from hptransfer.law import Law
from hptransfer.sweep import SetAside, Sweep
from tests.sweeps import noisy_sweep

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import planted_faults

SEEDS = (1, 2)


def fitted(sweep: Sweep) -> Law:
    return fit(sweep, resamples=planted_faults.RESAMPLES)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sound_sweep_is_not_accused(seed: int) -> None:
    assert not planted_faults.raised(planted_faults.sound, seed) & set(planted_faults.WATCHED)


@pytest.mark.parametrize(
    "name",
    [
        "edge: one cell's grid stops short of its optimum",
        "collinear: 20 tokens per param everywhere",
        "mislabelled rows: losses under the next LR too",
        "mislabelled cell: tokens 2.5x too high",
        "unit slip in one cell: batch, LR or loss",
        "two settings: half of the runs, LR 1.2x",
        "two settings: half of the cells",
        "repeats under another setting",
    ],
)
def test_a_planted_fault_is_named(name: str) -> None:
    fault = planted_faults.FAULTS[name]
    for seed in SEEDS:
        assert planted_faults.raised(fault.make, seed) & set(fault.expected), seed


def test_the_message_names_cell_figure_and_unit() -> None:
    columns = planted_faults.sound(np.random.default_rng(5))
    columns["batch_tokens"][columns["cell"] == 4] /= 2048
    law = fitted(planted_faults.as_sweep(columns))
    (message,) = (note.message for note in law.warnings if note.code == "unit-slip")
    assert "100M params / 8B tokens" in message
    assert "sequences of 2048 tokens" in message


def test_evidence_is_kept_with_the_law_and_a_wrong_cell_stands_out_in_it() -> None:
    columns = planted_faults.sound(np.random.default_rng(5))
    columns["lr"][columns["cell"] == 7] *= 3
    law = fitted(planted_faults.as_sweep(columns))
    assert law.fit is not None
    assert law.fit.evidence is not None
    evidence = law.fit.evidence
    assert len(evidence.influence) == 12
    worst = max(evidence.influence, key=lambda cell: abs(cell.t["peak_lr"]))
    assert (worst.params, worst.tokens) == pytest.approx((2e8, 8e9))
    assert evidence.correlation == pytest.approx(0.0, abs=1e-9)
    assert evidence.repeats is None
    assert evidence.noise_std == pytest.approx(0.001, rel=0.5)


def test_copied_rows_are_counted() -> None:
    from dataclasses import replace

    copies = tuple(SetAside("a.csv", line, "duplicate", "the same run as line 2") for line in (3, 4))
    law = fitted(replace(noisy_sweep(), set_aside=copies))
    (message,) = (note.message for note in law.warnings if note.code == "duplicated-rows")
    assert message.startswith("2 rows repeat another one in every number (the first: a.csv, line 3)")


def test_one_factor_at_a_time_gives_no_batch_law_to_use() -> None:
    """A row of LRs at the middle batch and a column of batches at the middle LR, in every cell."""
    columns = planted_faults.sound(np.random.default_rng(5))
    keep = np.zeros(len(columns["lr"]), dtype=bool)
    for cell in np.unique(columns["cell"]):
        here = columns["cell"] == cell
        lr, batch = (np.sort(np.unique(columns[name][here])) for name in ("lr", "batch_tokens"))
        on_row = columns["batch_tokens"] == batch[len(batch) // 2]
        on_column = columns["lr"] == lr[len(lr) // 2]
        keep |= here & (on_row | on_column)
    crosses = {name: values[keep] for name, values in columns.items()}
    law, full = fitted(planted_faults.as_sweep(crosses)), fitted(planted_faults.as_sweep(columns))
    assert (law.batch_tokens, law.lr_batch_exponent) == (None, None)
    assert {"one-at-a-time", "no-batch-law", "fixed-batch"} <= {note.code for note in law.warnings}
    assert full.batch_tokens is not None
    assert "one-at-a-time" not in {note.code for note in full.warnings}


def test_lrs_at_one_batch_give_a_law_at_that_batch_only() -> None:
    columns = planted_faults.sound(np.random.default_rng(6))
    columns["batch_tokens"][:] = 524_288.0
    law = fitted(planted_faults.as_sweep(columns))
    assert law.batch_tokens is None
    assert {"fixed-batch", "no-batch-law"} <= {note.code for note in law.warnings}
