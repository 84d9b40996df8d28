"""Headers find their canonical names, or the error prints the exact option to add."""

from __future__ import annotations

import pytest

from hptransfer.errors import InputError
from hptransfer.readers.columns import CANONICAL, QUANTITIES, column_option, is_recognized, map_columns

PLAIN = ["params", "tokens", "lr", "loss"]


@pytest.mark.parametrize("name", CANONICAL)
def test_every_canonical_name_is_recognized(name: str) -> None:
    headers = list(dict.fromkeys([*PLAIN, name]))
    assert map_columns("f", headers, {}).columns[name] == name


@pytest.mark.parametrize(
    ("header", "name"),
    [("N", "params"), ("D", "tokens"), ("bs", "batch_seqs"), ("ti", "steps"), ("Learning Rate", "lr"),
     ("eval.loss", "loss"), ("smooth loss", "loss"), ("Val-Loss", "loss"), ("sequence_length", "seq_len")],
)  # fmt: skip
def test_known_headers_mean_their_quantity(header: str, name: str) -> None:
    headers = [h for h in PLAIN if h != name] + [header]
    assert map_columns("f", headers, {}).columns[name] == header
    assert is_recognized(header)


@pytest.mark.parametrize("header", ["n", "d", "note", ""])
def test_other_headers_mean_nothing(header: str) -> None:
    assert not is_recognized(header)
    assert header not in map_columns("f", [*PLAIN, header], {}).columns.values()


def test_two_columns_for_one_quantity_are_asked_about() -> None:
    with pytest.raises(InputError) as caught:
        map_columns("f", ["N", "D", "lr", "train/loss", "eval/loss"], {})
    assert str(caught.value) == (
        "f: 2 columns can be loss: 'train/loss', 'eval/loss'. Say which: "
        "--column loss=train/loss or --column loss=eval/loss"
    )


def test_everything_wrong_with_the_headers_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        map_columns("f", ["N", "params", "tokens", "tokens", "batch"], {})
    assert len(caught.value.problems) == 5  # params twice, tokens repeated, batch unclear, no lr, no loss


def test_an_assigned_header_means_nothing_else() -> None:
    columns = map_columns("f", ["params", "tokens", "lr", "loss", "bs"], {"batch_tokens": "bs"}).columns
    assert columns["batch_tokens"] == "bs"
    assert "batch_seqs" not in columns


def test_a_fallback_counts_only_where_nothing_better_is_there() -> None:
    assert map_columns("f", [*PLAIN, "active_params"], {}).columns["params"] == "params"
    only_active = map_columns("f", ["active_params", *PLAIN[1:]], {})
    assert only_active.columns["params"] == "active_params"
    assert only_active.params_kind == "active"


def test_an_unclear_header_is_ignored_where_its_quantity_is_known() -> None:
    columns = map_columns("f", [*PLAIN, "batch_tokens", "batch_size"], {}).columns
    assert set(columns) & set(QUANTITIES) == {*PLAIN, "batch_tokens"}


@pytest.mark.parametrize(
    ("header", "option"),
    [
        ("loss", "--column loss=loss"),
        ("smooth loss", '--column "loss=smooth loss"'),
        ("$(rm -rf)", "--column 'loss=$(rm -rf)'"),
        ("a`b`", "--column 'loss=a`b`'"),
    ],
)
def test_options_are_printed_ready_for_a_shell(header: str, option: str) -> None:
    assert column_option("loss", header) == option
