"""Units are settled by arithmetic where it can settle them, and asked for where it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from hptransfer.errors import InputError, RefusalError
from hptransfer.readers import read_sweep
from hptransfer.sweep import Sweep
from tests.strategies import Columns, write_csv

SEQ_LEN = 2048
SEQUENCES = [32, 64, 128, 256]
STEPS = [4000, 2000, 1000, 500]
TOKENS = [float(32 * SEQ_LEN * 4000)] * 4
BASE: Columns = {"params": [1e8] * 4, "lr": [1e-3, 2e-3, 3e-3, 4e-3], "loss": [3.0, 2.9, 2.95, 3.1]}
BATCH_TOKENS = [n * SEQ_LEN for n in SEQUENCES]


def read(folder: Path, columns: Mapping[str, Sequence[object]], **arguments: object) -> Sweep:
    return read_sweep(write_csv(folder / "s.csv", {**BASE, **columns}), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "arguments"),
    [
        pytest.param({"gbs": SEQUENCES, "steps": STEPS, "tokens": TOKENS}, {}, id="sequences-by-arithmetic"),
        pytest.param({"gbs": BATCH_TOKENS, "steps": STEPS, "tokens": TOKENS}, {}, id="tokens-by-arithmetic"),
        pytest.param(
            {"gbs": SEQUENCES, "tokens": TOKENS, "seq_len": [SEQ_LEN] * 4}, {}, id="under-one-sequence"
        ),
        pytest.param(
            {"gbs": SEQUENCES, "tokens": TOKENS}, {"seq_len": SEQ_LEN}, id="under-one-stated-sequence"
        ),
        pytest.param({"gbs": BATCH_TOKENS, "tokens": TOKENS}, {"batch_unit": "tokens"}, id="stated-tokens"),
        pytest.param(
            {"batch_tokens": SEQUENCES, "tokens": TOKENS},
            {"batch_unit": "sequences", "seq_len": SEQ_LEN},
            id="header-overruled",
        ),
        pytest.param({"steps": STEPS, "tokens": TOKENS}, {}, id="from-steps"),
        pytest.param(
            {
                "micro_batch_size": [4] * 4,
                "grad_accum": [1, 2, 4, 8],
                "num_gpus": [8] * 4,
                "seq_len": [SEQ_LEN] * 4,
                "tokens": TOKENS,
            },
            {},
            id="per-device",
        ),
        pytest.param(
            {
                "batch_size": [n // 8 for n in SEQUENCES],
                "max_iters": STEPS,
                "tokens": TOKENS,
                "block_size": [SEQ_LEN] * 4,
            },
            {},
            id="nanogpt-micro-steps",
        ),
    ],
)
def test_the_batch_is_in_tokens_however_it_was_counted(
    tmp_path: Path, columns: Mapping[str, Sequence[object]], arguments: dict[str, object]
) -> None:
    sweep = read(tmp_path, columns, **arguments)
    assert sweep.batch_tokens.tolist() == BATCH_TOKENS
    assert sweep.tokens.tolist() == TOKENS


def test_a_batch_that_nothing_settles_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"gbsz": SEQUENCES, "tokens": TOKENS})
    for way_out in ("--column batch_tokens=gbsz", "--column batch_seqs=gbsz", "--batch-unit", "--seq-len"):
        assert way_out in str(caught.value)


def test_arithmetic_needs_most_runs_to_agree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--batch-unit"):
        read(tmp_path, {"gbs": [32, 77, 500, 256], "steps": STEPS, "tokens": TOKENS})


def test_tokens_come_from_steps_and_batch(tmp_path: Path) -> None:
    sweep = read(tmp_path, {"max_steps": STEPS, "batch_tokens": BATCH_TOKENS})
    assert sweep.tokens.tolist() == TOKENS


def test_rounded_labels_give_one_batch(tmp_path: Path) -> None:
    """Tokens are labels rounded to three digits; the batch they imply is one level, not four."""
    tokens = [float(f"{65_536 * n:.2e}") for n in (3000, 4010, 5003, 6007)]
    sweep = read(tmp_path, {"steps": [3000, 4010, 5003, 6007], "tokens": tokens})
    assert len(set(sweep.batch_tokens.tolist())) == 1
    assert sweep.batch_tokens[0] == pytest.approx(65_536, rel=0.005)
    assert "batch-from-steps" in dict(sweep.warnings)


def test_a_batch_per_device_that_cannot_be_completed_is_no_batch(tmp_path: Path) -> None:
    sweep = read(tmp_path, {"per_device_train_batch_size": [4] * 4, "tokens": TOKENS})
    assert not sweep.has_batch
    assert "batch-per-device" in dict(sweep.warnings)


@pytest.mark.parametrize(
    ("shape", "kind", "params"),
    [
        # 12 depth width^2 of arXiv:2001.08361, section 2.1
        pytest.param({"width": [512] * 4, "depth": [8] * 4}, None, 12 * 8 * 512**2, id="classical"),
        pytest.param(
            {"width": [512] * 4, "depth": [8] * 4, "d_ff": [2048] * 4},
            None,
            12 * 8 * 512**2,
            id="ffn-of-4-widths",
        ),
        # the first row of Step Law's released grid: h 960, ffnh 9368, numl 7, and its N
        pytest.param(
            {"h": [960] * 4, "ffnh": [9368] * 4, "numl": [7] * 4}, None, 214_663_680, id="gated-step-law"
        ),
        pytest.param(
            {"width": [512] * 4, "depth": [8] * 4, "vocab_size": [50_000] * 4},
            "total",
            12 * 8 * 512**2 + 50_000 * 512,
            id="with-embedding",
        ),
    ],
)
def test_params_come_from_a_shape(
    tmp_path: Path, shape: Mapping[str, Sequence[object]], kind: str | None, params: float
) -> None:
    columns = {name: values for name, values in BASE.items() if name != "params"}
    path = write_csv(tmp_path / "s.csv", {**columns, "tokens": TOKENS, **shape})
    sweep = read_sweep(path, params_kind=kind)  # type: ignore[arg-type]
    assert sweep.params.tolist() == [params] * 4
    assert sweep.params_kind == (kind or "non-embedding")
    assert "params-from-shape" in dict(sweep.warnings)


def test_a_shape_without_vocabulary_gives_no_total(tmp_path: Path) -> None:
    columns = {name: values for name, values in BASE.items() if name != "params"}
    path = write_csv(tmp_path / "s.csv", {**columns, "tokens": TOKENS, "width": [512] * 4, "depth": [8] * 4})
    with pytest.raises(InputError, match="vocab_size"):
        read_sweep(path, params_kind="total")


def test_the_header_of_the_loss_says_its_unit(tmp_path: Path) -> None:
    columns = {name: values for name, values in BASE.items() if name != "loss"}
    path = write_csv(tmp_path / "s.csv", {**columns, "tokens": TOKENS, "val_ppl": [20, 19, 21, 25]})
    assert read_sweep(path).loss_unit == "perplexity"
    assert read_sweep(path, loss_unit="nats").loss_unit == "nats"


def test_losses_too_large_for_nats_are_doubted(tmp_path: Path) -> None:
    sweep = read(tmp_path, {"tokens": TOKENS, "loss": [20.0, 19.0, 21.0, 25.0]})
    assert "loss-unit-doubtful" in dict(sweep.warnings)


# --- finished against planned ------------------------------------------------------------------------


def test_runs_that_saw_less_than_planned_are_set_aside(tmp_path: Path) -> None:
    sweep = read(tmp_path, {"tokens": [1e9, 1e9, 4e8, 9.95e8], "max_tokens": [1e9] * 4})
    assert [(run.line, run.reason, run.message) for run in sweep.set_aside] == [
        (4, "unfinished", "400M of 1B planned tokens")
    ]


def test_steps_count_as_well_as_tokens(tmp_path: Path) -> None:
    sweep = read(tmp_path, {"_step": [1000, 999, 500, 1000], "max_steps": [1000] * 4, "tokens": TOKENS})
    assert [run.message for run in sweep.set_aside] == ["500 of 1K planned steps"]


@pytest.mark.parametrize("word", ["crashed", "FAILED", "running", "PRUNED"])
def test_a_trackers_state_counts_where_nothing_is_planned(tmp_path: Path, word: str) -> None:
    states: Sequence[object] = ["finished", word, "TERMINATED", "COMPLETE"]
    assert [r.line for r in read(tmp_path, {"tokens": TOKENS, "State": states}).set_aside] == [3]
    whole: dict[str, Sequence[object]] = {"tokens": TOKENS, "max_tokens": TOKENS, "State": states}
    assert read(tmp_path, whole).set_aside == ()  # it crashed after its last step


def test_a_diverged_run_that_stopped_early_bounds_the_cell_it_was_planned_for(tmp_path: Path) -> None:
    columns: Columns = {
        "tokens": [1e9, 1e9, 1e9, 2e8],
        "max_tokens": [1e9] * 4,
        "loss": [3.0, 2.9, 3.1, "nan"],
    }
    sweep = read(tmp_path, columns)
    assert (sweep.n_cells, sweep.n_runs, sweep.set_aside) == (1, 4, ())
    assert sweep.diverged.tolist() == [False, False, False, True]


def test_a_sweep_of_unfinished_runs_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match=r"none of the 4 runs is finished .*--column"):
        read(tmp_path, {"tokens": TOKENS, "_step": [10] * 4, "max_steps": [1000] * 4})


def test_missing_marks_of_spreadsheets_are_missing(tmp_path: Path) -> None:
    sweep = read(tmp_path, {"tokens": TOKENS, "loss": ["-", "--", 3.0, 2.9]})
    assert [run.message for run in sweep.set_aside] == ["no loss", "no loss"]
    assert np.isfinite(sweep.loss).all()


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        pytest.param("params", [0.00461] * 4, "got 0.00461.*millions or billions.*0.00461M", id="params"),
        pytest.param(
            "tokens", [0.3] * 4, "got 0.3, need a positive number of training tokens.*0.3B", id="tokens"
        ),
        pytest.param("batch_tokens", [0.5] * 4, "got 0.5, need.*0.5M", id="batch"),
    ],
)
def test_counts_below_one_are_counted_in_another_unit(
    tmp_path: Path, column: str, values: list[float], said: str
) -> None:
    """No run has half a token; a sweep in billions of tokens gave laws that were off by 1e9 per exponent."""
    columns: dict[str, Sequence[object]] = {"tokens": TOKENS, "batch_tokens": BATCH_TOKENS, column: values}
    with pytest.raises(InputError, match=f"line 2, {column}: {said}"):
        read(tmp_path, columns)
    written: dict[str, Sequence[object]] = {**columns, column: [f"{value}M" for value in values]}
    assert len(read(tmp_path, written).lr) == 4


def test_tokens_far_from_steps_times_batch_ask_about_units(tmp_path: Path) -> None:
    columns: dict[str, Sequence[object]] = {"tokens": [2.6] * 4, "batch_tokens": BATCH_TOKENS, "steps": STEPS}
    assert "millions or billions" in dict(read(tmp_path, columns).warnings)["tokens-steps-mismatch"]
