"""A diagnosis in words and tables, and as JSON content."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hptransfer.cli.blocks import show_heat
from hptransfer.cli.render import count, rough, say, table
from hptransfer.errors import plain
from hptransfer.evidence.additions import Addition
from hptransfer.evidence.diagnosis import (
    CellGrid,
    Column,
    Diagnosis,
    Finding,
    Part,
    Verdict,
    diagnose,
    label_text,
)
from hptransfer.quantities import short_count
from hptransfer.readers.columns import quoted
from hptransfer.readers.mapping import Reading
from hptransfer.readers.survey import Survey

SHOWN_ADDITIONS = 12


@dataclass
class Report:
    """Everything there is to show. `fit` is the command to type, None where nothing can be fitted."""

    files: Sequence[str]
    survey: Survey
    diagnosis: Diagnosis | None
    additions: Sequence[Addition] = ()
    fit: str | None = None


def diagnosis_of(seen: Survey) -> Diagnosis | None:
    """Diagnose what a survey saw; None where there is no sweep."""
    if seen.sweep is None:
        return None
    return diagnose(
        seen.sweep,
        settings={name: Column(codes, seen.labels[name]) for name, codes in seen.codes.items()},
        others={header: Column(codes, seen.other_labels[header]) for header, codes in seen.others.items()},
        can_exclude_params=all("params" in mapped.columns for mapped in seen.maps),
    )


def next_step(report: Report) -> str:
    """The next command, or what has to be done first."""
    if report.fit is not None:
        return report.fit
    if report.additions:
        return "add the runs named above, then look again with hptransfer doctor"
    return f"hptransfer init {' '.join(map(quoted, report.files))}"


def reading_of_part(survey: Survey, part: Part) -> Reading:
    """How to read the part: what was understood of the sweep, and the conditions of the part."""
    own = Reading(
        where={name: _exact(value) for name, value in part.where},
        without=tuple((name, _exact(value)) for name, value in part.without),
        vary=part.vary,
    )
    return own.over(survey.reading)


def _exact(value: str | float) -> str:
    """Write a value so that it selects exactly the rows that have it."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


# --- JSON --------------------------------------------------------------------------------------------


def content(report: Report) -> dict[str, Any]:
    """The report as JSON content."""
    return {
        "files": list(report.files),
        "understood": _understood(report),
        "verdict": _verdict_content(report),
        "fit": report.fit,
        "findings": [dataclasses.asdict(finding) for finding in _findings(report)],
        "cells": [_cell_content(cell) for cell in _cells(report)],
        "add": [{**dataclasses.asdict(item), "runs": item.runs} for item in report.additions],
    }


def _understood(report: Report) -> dict[str, Any]:
    sweep = report.survey.sweep
    return {
        "columns": [{"file": m.file, **m.used} for m in report.survey.maps],
        "questions": list(report.survey.questions),
        "params_kind": None if sweep is None else sweep.params_kind,
        "loss_unit": None if sweep is None else sweep.loss_unit,
        "seq_len": None if sweep is None else sweep.seq_len,
        "runs": 0 if report.diagnosis is None else report.diagnosis.runs,
        "usable_runs": 0 if sweep is None else sweep.n_runs,
        "setting": {} if sweep is None else dict(sweep.setting),
    }


def _verdict_content(report: Report) -> dict[str, Any]:
    if report.diagnosis is None:
        return {
            "code": "nothing",
            "sentence": Verdict.NOTHING.value,
            "reason": " ".join(report.survey.unusable),
        }
    best, wider = report.diagnosis.best, report.diagnosis.wider
    return {
        **_part_content(best),
        "wider": None if wider is None else _part_content(wider),
    }


def _part_content(part: Part) -> dict[str, Any]:
    return {
        "code": part.verdict.name.lower().replace("_", "-"),
        "sentence": part.verdict.value,
        "reason": part.reason,
        "where": dict(part.where),
        "without": [list(condition) for condition in part.without],
        "vary": list(part.vary),
        "runs": part.sweep.n_runs,
        "cells": len(part.cells),
    }


def _cell_content(cell: CellGrid) -> dict[str, Any]:
    return {
        **cell.summary.model_dump(mode="json"),
        "lr": list(cell.lr),
        "batch_tokens": list(cell.batch_tokens),
        "brackets_lr": cell.is_bracketed,
        "searched_batches": cell.searched_batches,
        "gaps": cell.gaps,
    }


# --- words -------------------------------------------------------------------------------------------


def show(report: Report) -> None:
    """Print the report."""
    survey = report.survey
    for mapped in survey.maps:
        pairs = ((name, plain(header)) for name, header in mapped.used.items())
        table(f"{plain(mapped.file)}: how its columns are read", ("meaning", "column"), pairs)
    say(_units_line(report) + "\n")
    if report.diagnosis is not None:
        columns = (
            "params#",
            "tokens#",
            "runs#",
            "diverged#",
            "LRs#",
            "batches#",
            "best loss#",
            "at lr#",
            "at batch#",
        )
        table("Cells", (*columns, "on the edge~", "tried~"), map(_cell_row, report.diagnosis.best.cells))
        show_heat(report.diagnosis.best.sweep)
    findings = list(_findings(report))
    if report.diagnosis is not None or findings:
        say("Wrong or worth knowing:" if findings else "Nothing is wrong.")
    for finding in findings:
        say(f"  [{finding.code}] {plain(finding.message, limit=900)}")
    say(verdict_line(report))
    if report.diagnosis is not None and report.diagnosis.wider is not None:
        wider = report.diagnosis.wider
        options = " ".join(f"--vary {name}" for name in wider.vary)
        say(f"With {options}: {wider.verdict.value}; {wider.reason} It mixes those settings.")
    if report.additions:
        shown = report.additions[:SHOWN_ADDITIONS]
        table("Runs to add", ("params#", "tokens#", "lr", "batch", "why~"), map(_addition_row, shown))
        if len(shown) < len(report.additions):
            print(f"... and {len(report.additions) - len(shown)} more cells (--json shows all).")


def verdict_line(report: Report) -> str:
    """The verdict in one line."""
    if report.diagnosis is None:
        return f"Verdict: {Verdict.NOTHING.value}: {' '.join(report.survey.unusable)}"
    part = report.diagnosis.best
    conditions = _conditions(part)
    selected = f" From the {part.sweep.n_runs} runs with {conditions}." if conditions else ""
    return f"Verdict: {part.verdict.value}: {part.reason}{selected}"


def _conditions(part: Part) -> str:
    wanted = [f"{name}={label_text(value)}" for name, value in part.where]
    unwanted = [f"{name}!={_exact(value)}" for name, value in part.without]
    return ", ".join([*wanted, *unwanted, *(f"any {name}" for name in part.vary)])


def _units_line(report: Report) -> str:
    sweep = report.survey.sweep
    if sweep is None:
        return "No sweep could be made of it."
    seq_len = (
        f"{sweep.seq_len} tokens a sequence" if sweep.seq_len else "sequence length not the same or unknown"
    )
    setting = "".join(f", {name} {label_text(value)}" for name, value in sweep.setting.items())
    return (
        f"{sweep.n_runs} usable runs in {sweep.n_cells} cells; params {sweep.params_kind}, "
        f"loss in {sweep.loss_unit}, {seq_len}{setting}."
    )


def _cell_row(cell: CellGrid) -> tuple[str, ...]:
    summary = cell.summary
    return (
        short_count(summary.params),
        short_count(summary.tokens),
        str(summary.runs),
        str(summary.diverged),
        str(len(cell.lr)),
        str(len(cell.batch_tokens)),
        f"{summary.best_loss:.4f}",
        rough(summary.best_lr),
        count(summary.best_batch_tokens),
        ", ".join(summary.edges) or "-",
        f"LR {_span(cell.lr, '{:.3g}'.format)}, batch {_span(cell.batch_tokens, short_count)}",
    )


def _span(levels: Sequence[float], write: Callable[[float], str]) -> str:
    """From where to where."""
    if not levels:
        return "-"
    return write(levels[0]) if len(levels) == 1 else f"{write(levels[0])} to {write(levels[-1])}"


def _addition_row(item: Addition) -> tuple[str, ...]:
    return (
        short_count(item.params),
        short_count(item.tokens),
        ", ".join(f"{lr:.3g}" for lr in item.lr),
        ", ".join(count(batch) for batch in item.batch_tokens) or "-",
        item.why,
    )


def _cells(report: Report) -> Sequence[CellGrid]:
    return () if report.diagnosis is None else report.diagnosis.best.cells


def _findings(report: Report) -> Iterator[Finding]:
    """What the reading found, then what the diagnosis did."""
    yield from (Finding("open-question", question) for question in report.survey.questions)
    if report.diagnosis is not None:
        yield from report.diagnosis.findings
