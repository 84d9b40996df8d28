"""Files of finished runs become a sweep, or an error that says what to do."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hptransfer.errors import FileError, InputError, RefusalError, UsageError
from hptransfer.readers import read_sweep
from tests.strategies import Columns, csv_text, grid_columns, jittered_sweeps, write_csv

STEP_LAW = Path(__file__).parents[3] / "shared/data/steplaw/dense_lr_bs_loss_upto_537M.csv"
N_RUNS = 72  # of grid_columns()

TextFile = Callable[..., Path]


@pytest.fixture
def text_file(tmp_path: Path) -> TextFile:
    def write(text: str | bytes, name: str = "sweep.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def sweep_text(**changed: Sequence[object]) -> str:
    """Return the text of the standard grid, columns replaced or added."""
    return csv_text({**grid_columns(), **changed})


def four_rows(**changed: Sequence[object]) -> str:
    columns: Columns = {
        "params": [1e8] * 4,
        "tokens": [2e9] * 4,
        "lr": [1e-3, 2e-3, 1e-3, 2e-3],
        "batch_tokens": [65536, 65536, 131072, 131072],
        "loss": [3.1, 3.0, 3.05, 3.2],
    }
    return csv_text({**columns, **changed})


# --- what is read ------------------------------------------------------------------------------------


def test_a_plain_csv_is_read_as_it_is(text_file: TextFile) -> None:
    path = text_file(sweep_text())
    sweep = read_sweep(path)
    columns = grid_columns()
    for name in ("params", "tokens", "lr", "batch_tokens", "loss"):
        assert getattr(sweep, name).tolist() == columns[name]
    assert (sweep.n_runs, sweep.n_cells, sweep.has_batch) == (N_RUNS, 6, True)
    assert sweep.line.tolist() == list(range(2, N_RUNS + 2))
    assert [code for code, _ in sweep.warnings] == ["params-kind-unspecified"]
    (source,) = sweep.sources
    assert source.file == "sweep.csv"
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.columns == {name: name for name in columns}


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda text: text.encode("utf-8-sig"), id="byte-order-mark"),
        pytest.param(lambda text: text.encode("utf-16"), id="utf-16"),
        pytest.param(lambda text: text.replace("\n", "\r\n").encode(), id="crlf"),
        pytest.param(lambda text: text.replace("\n", "\r").encode(), id="cr"),
        pytest.param(lambda text: text.replace(",", ";").encode(), id="semicolons"),
        pytest.param(lambda text: text.replace(",", "\t").encode(), id="tabs"),
        pytest.param(lambda text: text.replace("params", " params ", 1).encode(), id="blanks-in-header"),
        pytest.param(lambda text: gzip.compress(text.encode()), id="gzip"),
        pytest.param(lambda text: text.rstrip("\n").encode(), id="no-last-newline"),
        pytest.param(lambda text: ("\n\n" + text + "\n").encode(), id="blank-lines"),
    ],
)
def test_the_same_table_in_another_dress_is_the_same_sweep(
    convert: Callable[[str], bytes], text_file: TextFile
) -> None:
    data = convert(sweep_text())
    sweep = read_sweep(text_file(data))
    plain = read_sweep(text_file(sweep_text(), "plain.csv"))
    assert sweep.loss.tolist() == plain.loss.tolist()
    assert sweep.cell.tolist() == plain.cell.tolist()
    assert sweep.sources[0].sha256 == hashlib.sha256(data).hexdigest()


def test_latin_1_in_names_is_kept(text_file: TextFile) -> None:
    text = sweep_text(dataset=["données"] * N_RUNS)
    assert read_sweep(text_file(text.encode("latin-1"))).setting == {"dataset": "données"}
    assert read_sweep(text_file(text)).setting == {"dataset": "données"}


def test_standard_input_is_read_as_dash() -> None:
    sweep = read_sweep("-", stdin=io.BytesIO(sweep_text().encode()))
    assert (sweep.n_runs, sweep.sources[0].file) == (N_RUNS, "-")


def test_json_lines_are_read_like_csv(text_file: TextFile) -> None:
    columns = grid_columns()
    rows = [
        {
            "params": n,
            "tokens": d,
            "batch_tokens": b,
            "config": {"lr": lr},
            "loss": loss,
            "tags": ["a"],
            "x": None,
        }
        for n, d, lr, b, loss in zip(*columns.values(), strict=True)
    ]
    text = "\n".join(map(json.dumps, rows))
    sweep = read_sweep(text_file(text, "runs.jsonl"), columns={"lr": "config.lr"})
    assert sweep.lr.tolist() == columns["lr"]
    assert sweep.loss.tolist() == columns["loss"]
    from_stdin = read_sweep("-", stdin=io.BytesIO(text.encode()), columns={"lr": "config.lr"})
    assert from_stdin.loss.tolist() == columns["loss"]


def test_json_nan_is_diverged_and_null_is_missing(text_file: TextFile) -> None:
    row = '{"params": 1e8, "tokens": "2B", "batch_tokens": 65536, "lr": %s, "loss": %s}\n'
    text = (
        row % ("1e-3", "3.0") + row % ("2e-3", "NaN") + row % ("4e-3", '"Infinity"') + row % ("8e-3", "null")
    )
    sweep = read_sweep(text_file(text, "runs.jsonl"))
    assert sweep.diverged.tolist() == [False, True, True]
    assert [(run.reason, run.line) for run in sweep.set_aside] == [("missing-value", 4)]


def test_several_files_are_one_sweep(text_file: TextFile) -> None:
    columns = grid_columns()
    first = {name: values[:30] for name, values in columns.items()}
    second = {name.replace("loss", "val_loss"): values[30:] for name, values in columns.items()}
    paths = [text_file(csv_text(first), "a.csv"), text_file(csv_text(second), "b.csv")]
    sweep = read_sweep(paths)
    assert sweep.loss.tolist() == columns["loss"]
    assert [source.file for source in sweep.sources] == ["a.csv", "b.csv"]
    assert sweep.line[30] == 2


def test_numbers_may_be_written_as_people_write_them(text_file: TextFile) -> None:
    text = "params,tokens,lr,batch_tokens,loss\n124M,1.2B,1e-3,524_288,3.0\n124M,1.2B,2e-3,512Ki,3.1\n"
    sweep = read_sweep(text_file(text))
    assert sweep.params.tolist() == [124e6, 124e6]
    assert sweep.batch_tokens.tolist() == [524_288, 524_288]


# --- units -------------------------------------------------------------------------------------------


def step_law_like(seq_len: int = 2048) -> Columns:
    """Return rows as Step Law publishes them: tokens are rounded labels of steps x sequences x length."""
    sequences = [32, 64, 128, 256] * 2
    tokens = [1e10] * 4 + [2e10] * 4
    steps = [int(d / (s * seq_len)) + 3 for d, s in zip(tokens, sequences, strict=True)]
    return {
        "N": [214_663_680] * 8,
        "D": list(tokens),
        "lr": [1e-3, 1.4e-3, 2e-3, 2.8e-3] * 2,
        "bs": list(sequences),
        "ti": list(steps),
        "loss": [3.0 + 0.01 * i for i in range(8)],
        "smooth loss": [2.9 + 0.01 * i for i in range(8)],
    }


def test_raw_step_law_headers_need_only_the_loss_column(text_file: TextFile) -> None:
    path = text_file(csv_text(step_law_like()))
    sweep = read_sweep(path, columns={"loss": "smooth loss"})
    assert sweep.seq_len == 2048
    assert sweep.batch_tokens.tolist() == [65_536, 131_072, 262_144, 524_288] * 2
    assert sweep.loss[0] == 2.9
    assert sweep.params_kind == "unspecified"
    with pytest.raises(InputError) as caught:
        read_sweep(path)
    assert '--column "loss=smooth loss"' in str(caught.value)
    assert "--column loss=loss" in str(caught.value)


def test_tokens_come_from_steps_where_no_column_has_them(text_file: TextFile) -> None:
    columns = step_law_like()
    del columns["D"], columns["loss"]
    sweep = read_sweep(text_file(csv_text(columns)), seq_len=2048)
    steps, sequences = np.array(columns["ti"], dtype=float), np.array(columns["bs"], dtype=float)
    assert sweep.tokens.tolist() == (steps * sequences * 2048).tolist()
    assert sweep.n_cells == 2


def test_a_batch_in_sequences_needs_the_sequence_length(text_file: TextFile) -> None:
    columns = step_law_like()
    del columns["ti"], columns["loss"]
    path = text_file(csv_text(columns))
    with pytest.raises(InputError, match="--seq-len"):
        read_sweep(path)
    assert read_sweep(path, seq_len=1024).batch_tokens[0] == 32 * 1024


def test_runs_that_contradict_the_inferred_sequence_length_are_named(text_file: TextFile) -> None:
    columns = step_law_like()
    del columns["loss"]
    columns["ti"][2] = 10
    with pytest.raises(InputError, match=r"line 4, seq_len: .* need 2048 as in most runs"):
        read_sweep(text_file(csv_text(columns)))


def test_a_batch_given_twice_in_different_units_is_an_error(text_file: TextFile) -> None:
    text = four_rows(batch_seqs=[32, 32, 64, 65], seq_len=[2048, 2048, 2048, 4096])
    with pytest.raises(
        InputError, match="line 5, batch_tokens: got 131072, but batch_seqs x seq_len = 266240"
    ):
        read_sweep(text_file(text), vary=["seq_len"])


def test_tokens_that_are_not_steps_times_batch_are_warned_about(text_file: TextFile) -> None:
    sweep = read_sweep(text_file(four_rows(steps=[30_518, 30_518, 15_259, 9_000])))
    assert "in 1 of 4 runs" in dict(sweep.warnings)["tokens-steps-mismatch"]


def test_a_sweep_without_a_batch_is_a_sweep(text_file: TextFile) -> None:
    columns = grid_columns(batches=(65_536,))
    del columns["batch_tokens"]
    sweep = read_sweep(text_file(csv_text(columns)))
    assert np.isnan(sweep.batch_tokens).all()
    assert not sweep.has_batch


def test_a_batch_column_of_unclear_unit_is_asked_about(text_file: TextFile) -> None:
    text = four_rows().replace("batch_tokens", "batch_size", 1)
    with pytest.raises(InputError) as caught:
        read_sweep(text_file(text))
    assert "--column batch_tokens=batch_size or --column batch_seqs=batch_size" in str(caught.value)
    assert read_sweep(text_file(text), columns={"batch_tokens": "batch_size"}).batch_tokens[0] == 65_536


# --- what is set aside, and what counts as diverged --------------------------------------------------


def test_rows_that_lack_a_value_are_set_aside_and_nan_losses_diverged(text_file: TextFile) -> None:
    sweep = read_sweep(text_file(four_rows(loss=["", "nan", "inf", 3.0], lr=[1e-3, 2e-3, 3e-3, ""])))
    assert sweep.diverged.tolist() == [True, True]
    assert [(run.line, run.reason, run.message) for run in sweep.set_aside] == [
        (2, "missing-value", "no loss"),
        (5, "missing-value", "no lr"),
    ]


def test_a_run_without_loss_that_is_flagged_as_diverged_is_diverged(text_file: TextFile) -> None:
    sweep = read_sweep(text_file(four_rows(loss=["", 3.0, 3.1, ""], diverged=[1, 0, 0, ""])))
    assert sweep.diverged.tolist() == [True, False, False]
    assert [run.line for run in sweep.set_aside] == [5]


def test_repeated_rows_are_kept_once_and_repeated_runs_stay(text_file: TextFile) -> None:
    lines = four_rows().splitlines()
    text = "\n".join([*lines, lines[2], lines[2], lines[1].replace("3.1", "3.11")])
    sweep = read_sweep(text_file(text))
    assert sweep.n_runs == 5
    assert [(run.line, run.reason, run.message) for run in sweep.set_aside] == [
        (6, "duplicate", "the same run as line 3 (3 copies)"),
        (7, "duplicate", "the same run as line 3 (3 copies)"),
    ]


def test_equal_rows_of_different_seeds_are_different_runs(text_file: TextFile) -> None:
    same = {"lr": [1e-3] * 4, "batch_tokens": [65_536] * 4, "loss": [3.0] * 4}
    assert read_sweep(text_file(four_rows(**same, seed=[1, 2, 3, 3]))).n_runs == 3  # type: ignore[arg-type]


@given(jittered_sweeps(), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_row_order_does_not_change_the_sweep(tmp_path: Path, drawn: tuple[Columns, int], seed: int) -> None:
    columns, n_cells = drawn
    order = np.random.default_rng(seed).permutation(len(columns["lr"]))
    sweep = read_sweep(write_csv(tmp_path / "a.csv", columns))
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    other = read_sweep(write_csv(tmp_path / "b.csv", shuffled))
    assert sweep.n_cells == n_cells
    assert other.cell_params.tolist() == sweep.cell_params.tolist()
    assert other.cell_tokens.tolist() == sweep.cell_tokens.tolist()
    assert other.cell.tolist() == sweep.cell[order].tolist()
    assert other.loss.tolist() == sweep.loss[order].tolist()


# --- settings ----------------------------------------------------------------------------------------


def test_a_constant_setting_is_recorded(text_file: TextFile) -> None:
    text = sweep_text(schedule=["cosine"] * N_RUNS, wd=["0.1", "0.10"] * (N_RUNS // 2))
    assert read_sweep(text_file(text)).setting == {"schedule": "cosine", "weight_decay": 0.1}


@pytest.mark.parametrize(
    ("column", "recorded"),
    [
        ([0.02] * N_RUNS, {"warmup_fraction": 0.02}),
        ([0.02, 0.01] * (N_RUNS // 2), {}),
        (["2 %"] * N_RUNS, {}),
        ([2000] * N_RUNS, {}),  # steps under a wrong name
    ],
)
def test_a_warm_up_is_recorded_where_all_runs_agree_and_refuses_nothing(
    text_file: TextFile, column: list[object], recorded: dict[str, float]
) -> None:
    assert read_sweep(text_file(sweep_text(warmup_fraction=column))).setting == recorded


def test_a_setting_that_varies_is_refused_with_a_way_out(text_file: TextFile) -> None:
    path = text_file(sweep_text(schedule=["cosine"] * 48 + ["wsd x"] * 24))
    with pytest.raises(RefusalError) as caught:
        read_sweep(path)
    assert str(caught.value) == (
        "schedule varies inside the sweep: cosine (48 runs), wsd x (24 runs). Keep one with "
        "--where schedule=cosine, or add --vary schedule where the varying is the point."
    )
    assert read_sweep(path, where={"schedule": "cosine"}).setting == {"schedule": "cosine"}
    assert read_sweep(path, where={"schedule": "cosine"}).n_runs == 48
    varied = read_sweep(path, vary=["schedule"])
    assert (varied.n_runs, varied.setting) == (N_RUNS, {})


def test_where_compares_numbers_as_numbers_and_knows_headers(text_file: TextFile) -> None:
    path = text_file(sweep_text(Cooldown=["0.10", "0.2"] * (N_RUNS // 2)))
    assert read_sweep(path, where={"Cooldown": ".1"}).n_runs == N_RUNS // 2
    assert read_sweep(path, where={"params": "60M"}).n_cells == 2


def test_where_spares_the_rows_it_leaves_out(text_file: TextFile) -> None:
    path = text_file(four_rows(lr=[1e-3, 2e-3, "high", 0], width=[1, 1, 2, 2]))
    assert read_sweep(path, where={"width": "1"}).n_runs == 2


def test_where_that_matches_nothing_names_what_is_there(text_file: TextFile) -> None:
    path = text_file(sweep_text(schedule=["cosine"] * N_RUNS))
    with pytest.raises(UsageError, match=r"schedule=wsd matches no run: schedule is cosine \(72 runs\)"):
        read_sweep(path, where={"schedule": "wsd"})
    with pytest.raises(UsageError, match=r"no column 'shedule'\. Did you mean 'schedule'"):
        read_sweep(path, where={"shedule": "wsd"})


def test_vary_names_settings_only(text_file: TextFile) -> None:
    with pytest.raises(UsageError, match=r"'shedule' is no setting\. Did you mean 'schedule'"):
        read_sweep(text_file(sweep_text()), vary=["shedule"])


def test_a_setting_unknown_for_some_runs_is_warned_about(text_file: TextFile) -> None:
    sweep = read_sweep(text_file(four_rows(optimizer=["adamw", "", "", "adamw"])))
    assert sweep.setting == {"optimizer": "adamw"}
    assert "optimizer in 2 of 4 runs" in dict(sweep.warnings)["setting-unknown"]


def test_one_sequence_length_is_the_sweeps_and_two_are_refused(text_file: TextFile) -> None:
    assert read_sweep(text_file(four_rows(seq_len=[2048] * 4))).seq_len == 2048
    path = text_file(four_rows(seq_len=[2048, 2048, 4096, 4096]))
    with pytest.raises(RefusalError, match="seq_len varies"):
        read_sweep(path)
    assert read_sweep(path, vary=["seq_len"]).seq_len is None


# --- kinds, units of loss, traps ---------------------------------------------------------------------


def test_params_kind_comes_from_the_argument_else_the_header(text_file: TextFile) -> None:
    path = text_file(four_rows().replace("params", "params_non_embedding", 1))
    assert read_sweep(path).params_kind == "non-embedding"
    assert read_sweep(path).warnings == ()
    assert read_sweep(path, params_kind="total").params_kind == "total"


def test_files_that_count_params_differently_are_an_error(text_file: TextFile) -> None:
    first = text_file(four_rows().replace("params", "params_non_embedding", 1), "a.csv")
    second = text_file(four_rows().replace("params", "total_params", 1), "b.csv")
    with pytest.raises(InputError, match="--params-kind"):
        read_sweep([first, second])


def test_the_loss_unit_is_recorded(text_file: TextFile) -> None:
    path = text_file(four_rows())
    assert read_sweep(path).loss_unit == "nats"
    assert read_sweep(path, loss_unit="bpb").loss_unit == "bpb"


@pytest.mark.parametrize("lrs", [[1e-5, 1.01e-5, 1e-5, 1e-5], [1e-9, 1e-7, 3e-8, 1e-6]])
def test_lrs_that_look_like_the_last_of_a_schedule_are_warned_about(
    lrs: list[object], text_file: TextFile
) -> None:
    assert "last-lr" in dict(read_sweep(text_file(four_rows(lr=lrs))).warnings)


def test_a_chain_of_close_labels_is_warned_about(text_file: TextFile) -> None:
    columns = grid_columns(params=(1e8,), tokens=(2e9,), batches=(65_536, 131_072))
    columns["params"] = [1e8 * 1.015**i for i in range(8)]
    sweep = read_sweep(text_file(csv_text(columns)))
    assert "params spread over 11.0%" in dict(sweep.warnings)["wide-cell"]


# --- errors ------------------------------------------------------------------------------------------


def test_all_bad_rows_are_reported_at_once(text_file: TextFile) -> None:
    path = text_file(four_rows(lr=["fast", 2e-3, "0,003", 1e-3], loss=[3, 3, 3, "x"]))
    with pytest.raises(InputError) as caught:
        read_sweep(path)
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert sorted(places) == [(2, "lr"), (4, "lr"), (5, "loss")]
    assert "line 2, lr: got 'fast', need a number such as 0.003, 7B or 524_288." in str(caught.value)
    assert "decimal comma" in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [("lr", 0), ("lr", -1e-3), ("params", "-7B"), ("tokens", "inf"), ("batch_tokens", 0), ("loss", -1)],
)
def test_impossible_numbers_are_errors(column: str, value: object, text_file: TextFile) -> None:
    good: Columns = {
        "params": [1e8] * 4,
        "tokens": [2e9] * 4,
        "lr": [1e-3] * 4,
        "batch_tokens": [1] * 4,
        "loss": [3] * 4,
    }
    text = four_rows(**{column: [value, *good[column][1:]]})
    with pytest.raises(InputError, match=f"line 2, {column}: got .* need a positive"):
        read_sweep(text_file(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("\n\n", "empty", id="blank"),
        pytest.param("params,tokens,lr,loss\n", "a header but no runs", id="header-only"),
        pytest.param("1e8,2e9,1e-3,3.0\n1e8,2e9,2e-3,3.1\n", "need a header line", id="no-header"),
        pytest.param(
            "params,tokns,lr,loss\n1,2,3,4\n", "no column for tokens. Did you mean 'tokns'", id="missing"
        ),
        pytest.param(
            "params,tokens,lr,lr,loss\n1,2,3,3,4\n", "2 columns are named 'lr'", id="repeated-header"
        ),
        pytest.param("params,tokens,lr,loss\n1,2,3\n", "line 2: got 3 fields, need 4", id="short-row"),
        pytest.param("params,tokens,lr,loss\n1,2,3,4,5\n", "line 2: got 5 fields, need 4", id="long-row"),
        pytest.param('{"params": 1\n', "line 1: not valid JSON", id="bad-json"),
        pytest.param("[1, 2]\n", "entry 1 is 1; need an array of JSON objects", id="json-array"),
        pytest.param('{"a":' * 1000 + "1" + "}" * 1000, "nested deeper", id="deep-json"),
        pytest.param('{"a":' * 100_000 + "1" + "}" * 100_000, "nested deeper", id="very-deep-json"),
        pytest.param('{"lr": ' + "9" * 5000 + "}", "not valid JSON", id="huge-integer"),
    ],
)
def test_unusable_text_is_an_input_error(text: str, message: str, text_file: TextFile) -> None:
    with pytest.raises(InputError) as caught:
        read_sweep(text_file(text))
    assert message in str(caught.value)


def test_a_number_too_large_for_a_float_is_a_bad_number(text_file: TextFile) -> None:
    text = '{"params": 1, "tokens": 1, "lr": 1%s, "loss": 3}' % ("0" * 400)
    with pytest.raises(InputError, match="line 1, lr: got '1000"):
        read_sweep(text_file(text))


def test_every_bad_json_line_is_named(text_file: TextFile) -> None:
    good = '{"params": 1e8, "tokens": 2e9, "lr": 1e-3, "loss": 3}'
    with pytest.raises(InputError) as caught:
        read_sweep(text_file(f"{good}\noops\n{good}\n3\n", "runs.jsonl"))
    assert [problem.line for problem in caught.value.problems] == [2, 4]


def test_a_known_json_key_that_comes_late_is_not_dropped_silently(text_file: TextFile) -> None:
    good = '{"params": 1e8, "tokens": 2e9, "lr": 1e-3, "loss": 3}\n'
    late = '{"params": 1e8, "tokens": 2e9, "lr": 1e-3, "loss": 3, "schedule": "wsd", "note": 1}\n'
    with pytest.raises(InputError, match="line 10001: key 'schedule' comes up here first"):
        read_sweep(text_file(good * 10_000 + late, "runs.jsonl"))


def test_runs_of_which_none_is_usable_are_refused_with_the_reason(text_file: TextFile) -> None:
    with pytest.raises(RefusalError, match=r"none of the 4 runs is usable \(no tokens in 4\)"):
        read_sweep(text_file(four_rows(tokens=[""] * 4)))


def test_lines_are_counted_through_quoted_line_breaks(text_file: TextFile) -> None:
    text = 'run,params,tokens,lr,loss\n"two\nlines",1e8,2e9,1e-3,3\nb,1e8,2e9,x,3\n"c\r\nc",1e8,2e9,1e-3,y\n'
    with pytest.raises(InputError) as caught:
        read_sweep(text_file(text))
    assert [problem.line for problem in caught.value.problems] == [4, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": {"los": "loss"}}, "unknown name 'los'. Did you mean 'loss'"),
        ({"columns": {"loss": "smooth los"}}, "has no such column.* Its columns: params, tokens"),
        ({"params_kind": "totl"}, "Did you mean 'total'"),
        ({"loss_unit": "nat"}, "Did you mean 'nats'"),
        ({"seq_len": 0}, "--seq-len"),
        ({"cell_tolerance": 2.0}, "--cell-tolerance"),
    ],
)
def test_arguments_that_name_nothing_are_usage_errors(
    arguments: dict[str, object], message: str, text_file: TextFile
) -> None:
    with pytest.raises(UsageError, match=message):
        read_sweep(text_file(sweep_text()), **arguments)  # type: ignore[arg-type]


def test_no_files_at_all_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no sweep file"):
        read_sweep([])


def test_limits_are_errors_that_name_their_flag(text_file: TextFile) -> None:
    path = text_file(sweep_text())
    with pytest.raises(FileError, match=r"more than 71 rows.*--max-rows"):
        read_sweep(path, max_rows=71)
    assert read_sweep(path, max_rows=72).n_runs == 72
    with pytest.raises(FileError, match=r"more than 100 bytes.*--max-bytes"):
        read_sweep(path, max_bytes=100)


def test_limits_hold_for_all_files_together_and_for_decompressed_bytes(text_file: TextFile) -> None:
    text = sweep_text()
    path = text_file(gzip.compress(text.encode()))
    assert read_sweep(path, max_bytes=len(text)).n_runs == N_RUNS
    with pytest.raises(FileError, match="--max-bytes"):
        read_sweep([path, path], max_bytes=len(text))
    with pytest.raises(FileError, match="--max-rows"):
        read_sweep([path, path], max_rows=N_RUNS)


def test_very_many_problems_stop_the_reading(text_file: TextFile) -> None:
    text = "params,tokens,lr,loss\n" + "1e8,2e9,x,3\n" * 20_000
    with pytest.raises(InputError, match="stopped after 10,000") as caught:
        read_sweep(text_file(text))
    assert len(caught.value.problems) == 10_000


# --- real data ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not STEP_LAW.exists(), reason="needs ../shared/data/steplaw beside the project")
def test_the_published_step_law_grid_is_15_cells() -> None:
    sweep = read_sweep(STEP_LAW, columns={"loss": "smooth loss"})
    assert (sweep.n_runs, sweep.n_cells, sweep.seq_len) == (1746, 15, 2048)
    assert sweep.set_aside == ()
    assert sweep.diverged.mean() == pytest.approx(0.09, abs=0.01)  # 9 % by the data's own description


def test_runs_of_several_files_say_which_file(tmp_path: Path) -> None:
    header = "params,tokens,lr,batch_tokens,loss\n"
    for name, lr in (("a.csv", "1e-3"), ("b.csv", "2e-3")):
        (tmp_path / name).write_text(f"{header}1e8,2e9,{lr},65536,3.0\n1e8,2e9,4e-3,65536,3.{lr[0]}\n")
    both = read_sweep([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert [both.where(run) for run in range(both.n_runs)] == [
        f"{tmp_path / name}, line {line}" for name in ("a.csv", "b.csv") for line in (2, 3)
    ]
    assert read_sweep(tmp_path / "a.csv").where(0) == "line 2"


@pytest.mark.parametrize(("losses", "helps"), [(["3.0", "oops", "2.9"], True), (["a", "b", "c"], False)])
def test_unusable_rows_name_the_option_that_sets_them_aside(
    tmp_path: Path, losses: list[str], helps: bool
) -> None:
    """Only where it leaves runs: a table without one good row needs another cure."""
    columns: dict[str, Sequence[object]] = {
        "params": [1e8] * 3,
        "tokens": [2e9] * 3,
        "lr": [1e-3, 2e-3, 3e-3],
        "loss": losses,
    }
    with pytest.raises(InputError) as caught:
        read_sweep(write_csv(tmp_path / "s.csv", columns))
    assert ("--skip-bad-rows" in str(caught.value)) == helps
