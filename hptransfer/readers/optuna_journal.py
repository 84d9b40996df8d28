"""Optuna's journal file: one operation a line, replayed as Optuna replays it.

Studies and trials have no id of their own: they are counted in the order of their creation (Optuna 5,
`JournalOperation`). Operations that change nothing here (heartbeats, intermediate values) are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hptransfer.readers.optuna_trials import STATES, Trial, trial_name, trial_record
from hptransfer.readers.records import Record, RecordTable, json_value
from hptransfer.readers.streams import TextSource
from hptransfer.readers.tables import ProblemLog

_NEED = "need an operation of an Optuna journal"


def optuna_journal_table(source: TextSource, lines: Iterator[str], log: ProblemLog) -> RecordTable:
    """Open a journal; its trials are known when all of it is read."""
    records = _records(source.path, lines, log)
    return RecordTable(source.path, records, log, empty="the Optuna journal holds no trials.")


def looks_like_optuna_journal(_source: TextSource, first_line: str) -> bool:
    """Tell by the first operation."""
    return first_line.startswith("{") and '"op_code"' in first_line and '"worker_id"' in first_line


@dataclass
class _Study:
    name: str
    user_attrs: dict[str, Any] = field(default_factory=dict)
    n_trials: int = 0


@dataclass
class _Journal:
    """What the operations so far have made; a study that was deleted is None."""

    studies: list[_Study | None] = field(default_factory=list)
    trials: list[tuple[int, Trial]] = field(default_factory=list)  # with the study's id

    def create_study(self, operation: Mapping[str, Any]) -> None:
        self.studies.append(_Study(str(operation["study_name"])))

    def delete_study(self, operation: Mapping[str, Any]) -> None:
        self.studies[operation["study_id"]] = None

    def set_study_attr(self, operation: Mapping[str, Any]) -> None:
        study = self.studies[operation["study_id"]]
        if study is not None:
            study.user_attrs |= operation["user_attr"]

    def create_trial(self, operation: Mapping[str, Any]) -> None:
        study = self.studies[operation["study_id"]]
        if study is None:
            return
        values = operation.get("values")
        value = operation.get("value")
        distributions = operation.get("distributions", {})
        params = operation.get("params", {})
        trial = Trial(
            number=study.n_trials,
            study=study.name,
            state=STATES[operation.get("state", 0)],
            params={name: (internal, distributions[name]) for name, internal in params.items()},
            values=list(values or ([] if value is None else [value])),
            user_attrs=dict(operation.get("user_attrs", {})),
        )
        study.n_trials += 1
        self.trials.append((operation["study_id"], trial))

    def set_param(self, operation: Mapping[str, Any]) -> None:
        stored = (operation["param_value_internal"], operation["distribution"])
        self._trial(operation).params[operation["param_name"]] = stored

    def set_state(self, operation: Mapping[str, Any]) -> None:
        trial = self._trial(operation)
        trial.state = STATES[operation["state"]]
        if operation["values"] is not None:
            trial.values = list(operation["values"])

    def set_trial_attr(self, operation: Mapping[str, Any]) -> None:
        self._trial(operation).user_attrs |= operation["user_attr"]

    def _trial(self, operation: Mapping[str, Any]) -> Trial:
        index: int = operation["trial_id"]
        return self.trials[index][1]


_APPLY: Mapping[int, Callable[[_Journal, Mapping[str, Any]], None]] = {
    0: _Journal.create_study,
    1: _Journal.delete_study,
    2: _Journal.set_study_attr,
    4: _Journal.create_trial,
    5: _Journal.set_param,
    6: _Journal.set_state,
    8: _Journal.set_trial_attr,
}


def _records(path: str, lines: Iterator[str], log: ProblemLog) -> Iterator[Record]:
    journal = _Journal()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            operation = json_value(line)
            apply = _APPLY.get(operation["op_code"])
            if apply is not None:
                apply(journal, operation)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if not line.endswith("\n"):
                break  # the last operation is still being written
            what = str(error) if isinstance(error, ValueError) else "an operation that makes no sense here"
            log.add(path, number, None, f"{what}; {_NEED}.")
    yield from _trials(path, journal, log)


def _trials(path: str, journal: _Journal, log: ProblemLog) -> Iterator[Record]:
    for number, (study_id, trial) in enumerate(journal.trials, start=1):
        study = journal.studies[study_id]
        if study is None:
            continue
        try:
            values = trial_record(trial, study.user_attrs)
        except ValueError as error:
            log.add(path, None, None, f"trial {trial_name(trial)}: {error}.")
            continue
        yield Record(number, values, trial_name(trial))
