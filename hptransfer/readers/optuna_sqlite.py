"""Optuna's SQLite storage: one row a trial, of all studies in the file (choose one with --where study=NAME).

Tables (schema version 12, Optuna 5): studies, study_user_attributes, trials, trial_params, trial_values,
trial_user_attributes.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from hptransfer.readers.optuna_trials import Trial, trial_name, trial_record
from hptransfer.readers.records import Record, RecordTable, json_value
from hptransfer.readers.sqlite import is_sqlite, open_database, table_names
from hptransfer.readers.streams import file_sha256, spend_file
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place

_TABLES = {"studies", "trials", "trial_params", "trial_values", "trial_user_attributes"}
_INFINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf}
_TRIALS = """
    SELECT trials.trial_id, trials.number, trials.state, studies.study_id, studies.study_name
    FROM trials JOIN studies ON trials.study_id = studies.study_id ORDER BY trials.trial_id
"""
_PARAMS = (
    "SELECT param_name, param_value, distribution_json FROM trial_params WHERE trial_id = ? ORDER BY param_id"
)
_VALUES = "SELECT value, value_type FROM trial_values WHERE trial_id = ? ORDER BY objective"
_TRIAL_ATTRS = "SELECT key, value_json FROM trial_user_attributes WHERE trial_id = ? ORDER BY key"
_STUDY_ATTRS = "SELECT key, value_json FROM study_user_attributes WHERE study_id = ? ORDER BY key"


def _recognizes(place: Place) -> bool:
    return is_sqlite(place.start) and table_names(place.path) >= _TABLES


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    spend_file(place.path, ledger.budget)
    with open_database(place.path) as database:
        records = _records(database, place.path, ledger)
        table = RecordTable(place.path, records, ledger.log, empty="the Optuna database holds no trials.")
        yield OpenTable(table, place.name, partial(file_sha256, place.path))


def _records(database: sqlite3.Connection, path: str, ledger: Ledger) -> Iterator[Record]:
    study_attrs: dict[int, dict[str, Any]] = {}
    for number, (trial_id, trial_number, state, study_id, study) in enumerate(database.execute(_TRIALS), 1):
        trial = Trial(trial_number, study, state)
        try:
            if study_id not in study_attrs:
                study_attrs[study_id] = _attrs(database, _STUDY_ATTRS, study_id)
            trial.params = {n: (v, d) for n, v, d in database.execute(_PARAMS, (trial_id,)) if v is not None}
            trial.values = [_INFINITE.get(kind, v) for v, kind in database.execute(_VALUES, (trial_id,))]
            trial.user_attrs = _attrs(database, _TRIAL_ATTRS, trial_id)
            values = trial_record(trial, study_attrs[study_id])
        except ValueError as error:
            ledger.log.add(path, None, None, f"trial {trial_name(trial)}: {error}.")
            continue
        yield Record(number, values, trial_name(trial))


def _attrs(database: sqlite3.Connection, query: str, row_id: int) -> dict[str, Any]:
    return {key: json_value(text) for key, text in database.execute(query, (row_id,))}


FORMAT = Format("optuna-sqlite", "Optuna's SQLite storage", _recognizes, _open)
