"""What Optuna's storages have in common: a trial as they keep it, and its values as a run's columns.

Columns are named as `Study.trials_dataframe()` names them: `params_lr`, `user_attrs_tokens`, `value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hptransfer.readers.records import FlatRecord, flat_record, json_value, plain_value
from hptransfer.readers.tables import Value

STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
"""Trial states by the number that the journal writes."""


@dataclass
class Trial:
    """One trial; a parameter is its internal value and its distribution as JSON text."""

    number: int
    study: str
    state: str = "RUNNING"
    params: dict[str, tuple[float, str]] = field(default_factory=dict)
    values: list[float | None] = field(default_factory=list)
    user_attrs: dict[str, Any] = field(default_factory=dict)


def trial_name(trial: Trial) -> str:
    """Name a trial for messages."""
    return f"{trial.study}/{trial.number}"


def trial_record(trial: Trial, study_attrs: Mapping[str, Any]) -> FlatRecord:
    """Return a trial's columns; what was set on the whole study is `study_attrs_NAME`.

    Raises:  ValueError saying which parameter cannot be decoded.
    """
    record: FlatRecord = {"number": trial.number, "study": trial.study, "state": trial.state}
    if len(trial.values) <= 1:
        record["value"] = plain_value(trial.values[0] if trial.values else None)
    else:
        record |= {f"values_{i}": plain_value(value) for i, value in enumerate(trial.values)}
    record |= {f"params_{name}": param_value(name, *stored) for name, stored in trial.params.items()}
    record |= flat_record(trial.user_attrs, prefix="user_attrs_")
    return record | flat_record(study_attrs, prefix="study_attrs_")


def param_value(name: str, internal: float, distribution: str) -> Value:
    """Return a parameter as the objective saw it: a categorical one is stored as an index into its choices.

    Raises:  ValueError when the distribution is damaged or has no such choice.

    >>> param_value("b", 1.0, '{"name": "CategoricalDistribution", "attributes": {"choices": [64, 128]}}')
    128
    """
    kind, choices = _distribution(distribution)
    if kind == "CategoricalDistribution":
        index = int(internal)
        if index != internal or not 0 <= index < len(choices):
            msg = f"parameter {name}: index {internal:g} is not one of its {len(choices)} choices"
            raise ValueError(msg)
        return plain_value(choices[index])
    return int(internal) if kind.startswith("Int") else internal


@lru_cache(maxsize=1024)
def _distribution(text: str) -> tuple[str, tuple[Any, ...]]:
    """Return the name of a distribution, and its choices where it is categorical."""
    parsed = json_value(text)
    try:
        return str(parsed["name"]), tuple(parsed["attributes"].get("choices", ()))
    except (TypeError, KeyError, AttributeError) as error:
        msg = "a parameter's distribution has no name and attributes"
        raise ValueError(msg) from error
