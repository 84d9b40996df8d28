"""Optuna's storages, as Optuna 5.0 wrote them: categoricals by index, states, attributes."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import pytest

from hptransfer.errors import InputError
from hptransfer.readers import read_sweep
from hptransfer.readers.optuna_trials import param_value
from tests.readers.data.runs import simulated_runs
from tests.readers.samples import DATA, opened, unpacked

RUNS = simulated_runs()
COLUMNS = {
    "lr": "params_lr",
    "batch_tokens": "params_batch_tokens",
    "params": "user_attrs_params",
    "tokens": "user_attrs_tokens",
    "loss": "value",
}
JOURNAL = DATA / "optuna.log"


@pytest.fixture(params=["database", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked("optuna.db", tmp_path) if request.param == "database" else JOURNAL


def test_both_storages_give_what_the_objective_saw(storage: Path) -> None:
    sweep = read_sweep(storage, columns=COLUMNS)
    grid = slice(0, len(RUNS))
    for name in ("params", "tokens", "lr", "batch_tokens", "loss"):
        assert getattr(sweep, name)[grid].tolist() == pytest.approx([run[name] for run in RUNS]), name


def test_trials_have_states_values_and_the_studys_attributes(storage: Path) -> None:
    found = opened(storage)
    assert found.column("state") == ["COMPLETE"] * len(RUNS) + ["FAIL", "COMPLETE", "FAIL"]
    assert found.column("value")[-3:] == ["", math.inf, ""]  # a NaN fails a trial
    assert set(found.column("study_attrs_optimizer")) == {"adamw"}
    assert found.places[0] == "run simulated/0"


def test_problems_name_the_trial(tmp_path: Path) -> None:
    text = JOURNAL.read_text().replace('"param_value_internal":0.0005,', '"param_value_internal":"fast",', 1)
    (tmp_path / "study.log").write_text(text)
    with pytest.raises(InputError, match=r"study\.log, run simulated/0, params_lr: got 'fast'"):
        read_sweep(tmp_path / "study.log", columns=COLUMNS)


def test_an_index_without_a_choice_is_an_error_that_names_the_trial(tmp_path: Path) -> None:
    database = unpacked("optuna.db", tmp_path)
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE trial_params SET param_value = 7 WHERE trial_id = 3 AND param_name != 'lr'"
        )
    connection.close()
    with pytest.raises(InputError, match="trial simulated/2: parameter batch_tokens: index 7 is not one of"):
        opened(database)


@pytest.mark.parametrize(
    ("distribution", "internal", "value"),
    [
        ({"name": "IntDistribution", "attributes": {"low": 1, "high": 8}}, 4.0, 4),
        ({"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 8}}, 4.0, 4),
        ({"name": "LogUniformDistribution", "attributes": {"low": 1e-4, "high": 1}}, 1e-3, 1e-3),
        ({"name": "CategoricalDistribution", "attributes": {"choices": ["a", None, True]}}, 1.0, ""),
        ({"name": "CategoricalDistribution", "attributes": {"choices": ["a", None, True]}}, 2.0, "true"),
    ],
)
def test_parameters_are_decoded_by_their_distribution(
    distribution: dict[str, object], internal: float, value: object
) -> None:
    assert param_value("x", internal, json.dumps(distribution)) == value


def operations(*changes: dict[str, object]) -> str:
    """A journal of one study and these operations."""
    first: dict[str, object] = {"op_code": 0, "study_name": "s", "directions": [1]}
    return "".join(json.dumps({"worker_id": "w", **change}) + "\n" for change in (first, *changes))


TRIAL: dict[str, object] = {"op_code": 4, "study_id": 0, "state": 1, "value": 3.0}


def test_a_deleted_study_is_left_out(tmp_path: Path) -> None:
    other: dict[str, object] = {"op_code": 0, "study_name": "kept", "directions": [1]}
    text = operations(TRIAL, {"op_code": 1, "study_id": 0}, other, {**TRIAL, "study_id": 1, "value": 2.0})
    (tmp_path / "a.log").write_text(text)
    assert opened(tmp_path / "a.log").column("value") == [2.0]


def test_a_journal_that_is_being_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(operations(TRIAL) + '{"op_code": 5, "trial')
    assert opened(tmp_path / "a.log").column("value") == [3.0]


@pytest.mark.parametrize(
    "operation",
    [
        {"op_code": 5, "trial_id": 9, "param_name": "lr", "param_value_internal": 1, "distribution": "{}"},
        {"op_code": 4, "study_id": 0, "state": 77},
        {"op_code": 6, "trial_id": 0, "state": 1, "values": 3},
        {"op_code": 5, "trial_id": 0, "param_name": "lr"},
    ],
)
def test_operations_that_make_no_sense_are_named_by_line(
    operation: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "a.log").write_text(operations(TRIAL, operation))
    with pytest.raises(InputError, match=r"a\.log, line 3: .*need an operation of an Optuna journal"):
        opened(tmp_path / "a.log")
