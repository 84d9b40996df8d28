"""Headers find their canonical names, or the error prints the exact option to add."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from hptransfer.errors import InputError
from hptransfer.readers.columns import (
    CANONICAL,
    QUANTITIES,
    column_option,
    guess_columns,
    is_recognized,
    map_columns,
    recognize,
)

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
        "f: 2 columns can be loss: 'eval/loss', 'train/loss'. Say which: "
        "--column loss=eval/loss or --column loss=train/loss"
    )


def test_everything_wrong_with_the_headers_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        map_columns("f", ["N", "params", "tokens", "tokens", "batch"], {})
    assert len(caught.value.problems) == 4  # params twice, tokens repeated, no lr, no loss


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
    columns = map_columns("f", [*PLAIN, "batch_tokens", "batch_size"], {}).used
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


@pytest.mark.parametrize(
    ("header", "name"),
    [
        # W&B, MLflow, Ray and Optuna exports, nested configs
        ("config.optimizer.learning_rate", "lr"), ("config/lr", "lr"), ("params.lr", "lr"),
        ("params_lr", "lr"),
        ("user_attrs_tokens", "tokens"), ("metrics.eval/loss", "loss"), ("summary.eval/loss", "loss"),
        ("train/global_step", "steps"), ("_step", "steps"), ("State", "state"), ("status", "state"),
        # trainers
        ("per_device_train_batch_size", "micro_batch_seqs"),
        ("gradient_accumulation_steps", "grad_accumulation"),
        ("lr_scheduler_type", "schedule"), ("adam_beta2", "beta2"), ("max_iters", "planned_steps"),
        ("train_iters", "planned_steps"), ("block_size", "seq_len"), ("global_batch_size", "batch"),
        ("num_tokens_per_train_step", "batch_tokens"), ("throughput/total_tokens", "tokens"),
        ("parameter_count", "params"), ("hidden_size", "width"), ("n_layer", "depth"),
        ("num_hidden_layers", "depth"),
        ("intermediate_size", "ffn_width"), ("ffnh", "ffn_width"), ("h", "width"), ("numl", "depth"),
        ("eval/paloma/c4_en/bpb", "loss"), ("cooldown_frac", "cooldown_fraction"),
    ],
)  # fmt: skip
def test_headers_of_trackers_and_trainers_are_recognized(header: str, name: str) -> None:
    recognized = recognize(header)
    assert recognized is not None
    assert recognized[0] == name


def test_a_short_name_counts_behind_a_known_container_only() -> None:
    """Step Law's D/N is tokens per param, no N."""
    assert not is_recognized("D/N")
    assert is_recognized("config.N")


def test_a_nested_header_is_passed_over_where_a_whole_one_is_there() -> None:
    columns = map_columns("f", [*PLAIN, "scheduler.max_lr"], {}).columns
    assert columns["lr"] == "lr"


def test_a_nested_loss_is_never_passed_over() -> None:
    with pytest.raises(InputError, match="2 columns can be loss"):
        map_columns("f", [*PLAIN, "eval/c4/loss"], {})


def test_the_lr_that_trackers_log_is_used_for_want_of_a_better_one_only() -> None:
    both = map_columns("f", [*PLAIN, "train/learning_rate"], {})
    assert (both.columns["lr"], both.has_last_lr) == ("lr", False)
    logged = map_columns("f", ["params", "tokens", "loss", "train/learning_rate"], {})
    assert (logged.columns["lr"], logged.has_last_lr) == ("train/learning_rate", True)


def test_a_shape_beside_params_and_parts_of_a_stated_batch_are_not_used() -> None:
    parts = ["width", "hidden_size", "micro_batch_size", "world_size"]
    used = map_columns("f", [*PLAIN, "batch_tokens", *parts], {}).used
    assert set(used) == {*PLAIN, "batch_tokens"}


def test_headers_say_what_they_count() -> None:
    columns = map_columns("f", ["config.params_nonemb", "tokens", "lr", "val_bpb"], {})
    assert (columns.params_kind, columns.loss_unit) == ("non-embedding", "bpb")
    plain = map_columns("f", PLAIN, {})
    assert (plain.params_kind, plain.loss_unit) == ("unspecified", None)


def test_the_guess_takes_the_likeliest_and_says_what_it_would_ask() -> None:
    mapped, questions = guess_columns("f", ["N", "D", "lr", "loss", "smooth loss"], {})
    assert mapped.columns["loss"] == "smooth loss"
    assert [(q.name, q.headers) for q in questions] == [("loss", ("smooth loss", "loss"))]


def test_no_synonym_means_two_things() -> None:
    """Every header of the table is found under the name that lists it."""
    table = tomllib.loads(files("hptransfer.readers").joinpath("synonyms.toml").read_text())
    for name in CANONICAL:
        for key in ("headers", "fallback"):
            for header in table.get(name, {}).get(key, ()):
                assert recognize(header) is not None, header
                assert recognize(header)[0] == name, header  # type: ignore[index]
