"""MLflow's SQLite store (its default): one row a run, named as `mlflow.search_runs` names its columns.

Tables (MLflow 3.17): runs(run_uuid, name, status, lifecycle_stage, experiment_id), experiments(name),
params(key, value, run_uuid), latest_metrics(key, value, is_nan, run_uuid), tags(key, value, run_uuid).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from hptransfer.readers.records import FlatRecord, Record, RecordTable
from hptransfer.readers.sqlite import is_sqlite, open_database, table_names
from hptransfer.readers.streams import file_sha256, spend_file
from hptransfer.readers.tables import Format, Ledger, OpenTable, Place, Value

STATUS = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
"""MLflow's run states by the number that the file store writes."""

_LARGEST_FLOAT = 1.797e308  # MLflow stores infinity as the largest float
_TABLES = {"experiments", "runs", "params", "latest_metrics", "tags"}
_OWN_TAGS = "mlflow."
_VALUES = {
    "params": "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key",
    "metrics": (
        "SELECT key, CASE is_nan WHEN 0 THEN value END FROM latest_metrics WHERE run_uuid = ? ORDER BY key"
    ),
    "tags": "SELECT key, value FROM tags WHERE run_uuid = ? ORDER BY key",
}
_RUNS = """
    SELECT runs.run_uuid, runs.name, runs.status, experiments.name
    FROM runs LEFT JOIN experiments ON runs.experiment_id = experiments.experiment_id
    WHERE runs.lifecycle_stage != 'deleted' ORDER BY runs.start_time, runs.run_uuid
"""


def metric_value(value: float | None) -> float:
    """Return a metric as it was logged: MLflow keeps NaN as a flag and infinity as the largest float."""
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) > _LARGEST_FLOAT else value


def is_own_tag(key: str) -> bool:
    """Whether MLflow itself set a tag (user, source, run name): no setting of the run."""
    return key.startswith(_OWN_TAGS)


def _recognizes(place: Place) -> bool:
    return is_sqlite(place.start) and table_names(place.path) >= _TABLES


@contextmanager
def _open(place: Place, ledger: Ledger) -> Iterator[OpenTable]:
    spend_file(place.path, ledger.budget)
    with open_database(place.path) as database:
        records = _records(database)
        empty = "the MLflow database holds no runs (deleted ones do not count)."
        table = RecordTable(place.path, records, ledger.log, empty=empty)
        yield OpenTable(table, place.name, partial(file_sha256, place.path))


def _records(database: sqlite3.Connection) -> Iterator[Record]:
    for number, (run_id, name, status, experiment) in enumerate(database.execute(_RUNS), start=1):
        values: FlatRecord = {"run_id": run_id, "status": status or "", "experiment": experiment or ""}
        for kind, query in _VALUES.items():
            for key, value in database.execute(query, (run_id,)):
                if not (kind == "tags" and is_own_tag(key)):
                    values[f"{kind}.{key}"] = _value(kind, value)
        yield Record(number, values, name or run_id)


def _value(kind: str, value: Value | None) -> Value:
    if kind == "metrics":
        return metric_value(None if value is None else float(value))
    return "" if value is None else value


FORMAT = Format("mlflow-sqlite", "MLflow's SQLite database", _recognizes, _open)
