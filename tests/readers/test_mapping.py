"""A saved mapping reads a sweep as its options would, and says what in it means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.errors import InputError
from hptransfer.readers import read_sweep
from hptransfer.readers.mapping import Reading, read_map
from tests.strategies import grid_columns, write_csv

TOML = """
source = "csv"
params_kind = "non-embedding"
batch_unit = "sequences"
seq_len = 2048
vary = ["weight_decay"]
[columns]
loss = "smooth loss"
[where]
schedule = "cosine"
beta2 = 0.95
[without]
params = [60000000]
"""
YAML = """
source: csv
params_kind: non-embedding
batch_unit: sequences
seq_len: 2048
vary: [weight_decay]
columns: {loss: smooth loss}
where: {schedule: cosine, beta2: 0.95}
without: {params: [60000000]}
"""
EXPECTED = Reading(
    source="csv",
    columns={"loss": "smooth loss"},
    where={"schedule": "cosine", "beta2": "0.95"},
    without=(("params", "60000000"),),
    vary=("weight_decay",),
    params_kind="non-embedding",
    batch_unit="sequences",
    seq_len=2048,
)


@pytest.mark.parametrize(("name", "text"), [("m.toml", TOML), ("m.yaml", YAML)])
def test_toml_and_yaml_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_map(str(tmp_path / name)) == EXPECTED


def test_an_option_counts_over_the_saved_mapping() -> None:
    given = Reading(columns={"lr": "LR"}, params_kind="total", vary=("beta2",))
    merged = given.over(EXPECTED)
    assert merged.columns == {"loss": "smooth loss", "lr": "LR"}
    assert (merged.params_kind, merged.seq_len) == ("total", 2048)
    assert merged.vary == ("weight_decay", "beta2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colums = {}", "unknown key 'colums'. Did you mean 'columns'"),
        ("[columns]\nlos = 'x'", "unknown name 'los'. Did you mean 'loss'"),
        ("[columns]\nloss = 3", "need the header as text"),
        ("columns = 3", "columns: need a table"),
        ("[where]\nlr = [1]", "where: need a table"),
        ("[without]\nlr = 1", "without: need a table"),
        ("vary = 'lr'", "vary: need a list"),
        ("seq_len = 0", "seq_len: got '0'"),
        ("loss_unit = 'nat'", "loss_unit: got 'nat', need one of nats"),
        ("source = 'parkuet'", "source: got 'parkuet', need one of"),
        ("batch_unit = [1]", "batch_unit: got"),
        ("a = ", "not valid TOML"),
    ],
)
def test_what_means_nothing_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_map(str(tmp_path / "m.toml"))
    assert message in str(caught.value)


def test_rows_with_an_unwanted_value_are_not_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "s.csv", grid_columns())
    assert read_sweep(path, without=[("params", "60M")]).cell_params.tolist() == [1.2e8] * 2 + [2.5e8] * 2
    both = read_sweep(path, where={"tokens": "2B"}, without=[("params", "60M"), ("params", "120M")])
    assert (both.n_cells, both.cell_params[0]) == (1, 2.5e8)
