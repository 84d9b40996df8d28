"""Tables of tuned runs: batch, tokens or steps, loss; params and LR are not asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hptransfer.errors import InputError
from hptransfer.readers import read_tuned_runs
from hptransfer.readers.mapping import Reading


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text(text)
    return path


def test_batch_steps_and_loss_are_enough(tmp_path: Path) -> None:
    points, _ = read_tuned_runs(write(tmp_path, "batch_tokens,steps,loss\n1000,500,3.0\n2000,300,3.0\n"))
    assert points.tokens.tolist() == [5e5, 6e5]
    assert points.batch_tokens.tolist() == [1000, 2000]
    assert points.model.tolist() == [0, 0]


def test_params_tell_models_apart_and_readings_of_one_run_belong_together(tmp_path: Path) -> None:
    rows = "1e6,1000,500,3.0\n1e6,1000,800,2.9\n2e6,1000,500,2.8\n1e6,2000,300,3.0\n"
    points, _ = read_tuned_runs(write(tmp_path, "params,batch_tokens,steps,loss\n" + rows))
    assert points.model.tolist() == [0, 0, 1, 0]
    assert points.run.tolist() == [0, 0, 2, 1]


def test_sequences_and_perplexity_are_converted(tmp_path: Path) -> None:
    table = write(tmp_path, "batch_seqs,steps,loss\n8,500,20.0\n16,300,20.0\n")
    points, _ = read_tuned_runs(table, Reading(seq_len=128, loss_unit="perplexity"))
    assert points.batch_tokens.tolist() == [1024, 2048]
    assert points.loss == pytest.approx(np.log(20.0))


def test_diverged_rows_are_counted(tmp_path: Path) -> None:
    points, warnings = read_tuned_runs(
        write(tmp_path, "batch_tokens,steps,loss\n1000,500,nan\n2000,300,3.0\n")
    )
    assert len(points) == 1
    assert "1 diverged" in dict(warnings)["rows-set-aside"]


def test_without_a_batch_it_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column for the batch. Add batch_tokens"):
        read_tuned_runs(write(tmp_path, "tokens,loss\n1e6,3.0\n2e6,2.9\n"))
