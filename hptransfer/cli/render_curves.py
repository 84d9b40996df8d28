"""Curve laws and their predictions as tables, CSV and JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from hptransfer.cli.render import print_json, say, table
from hptransfer.curves.laws import FORMULAS, CurveLaw, Extrapolation
from hptransfer.curves.study import Study
from hptransfer.errors import plain


def csv_text(study: Study) -> str:
    """Whole predicted curves: run,step,lr,loss, the run being the schedule's spec."""
    lines = ["run,step,lr,loss\n"]
    for spec, curve in study.predictions.items():
        name = '"' + plain(spec).replace('"', '""') + '"'
        points = zip(curve.steps.tolist(), curve.lr.tolist(), curve.loss.tolist(), strict=True)
        lines += [f"{name},{step},{lr!r},{loss:.6f}\n" for step, lr, loss in points]
    return "".join(lines)


def print_study(study: Study) -> None:
    """Print everything but the whole curves as JSON."""
    print_json(
        {
            "law": study.chosen,
            "laws": {name: _law_content(law) for name, law in study.laws.items()},
            "held_out": {name: [dataclasses.asdict(t) for t in tests] for name, tests in study.tests.items()},
            "predictions": [
                {
                    "schedule": spec,
                    "steps": int(curve.steps[-1]),
                    "final_loss": curve.final_loss,
                    "other_law": study.beside[spec],
                    "grouping_error": curve.grouping_error,
                }
                for spec, curve in study.predictions.items()
            ],
            "extrapolation": _extrapolation_content(study.extrapolation),
            "warnings": [{"code": note.code, "message": note.message} for note in study.warnings],
        }
    )


def _law_content(law: CurveLaw) -> dict[str, Any]:
    content = dataclasses.asdict(law)
    content["formula"] = FORMULAS[law.name]
    content["warnings"] = [{"code": note.code, "message": note.message} for note in law.warnings]
    return content


def _extrapolation_content(found: Extrapolation | None) -> dict[str, Any] | None:
    if found is None:
        return None
    content = dataclasses.asdict(found)
    del content["warnings"]
    return content


def show_study(study: Study) -> None:
    """Print the laws, their errors on runs not fitted, and the ranking or the extrapolation."""
    for law in study.laws.values():
        coefficients = ((name, f"{value:.6g}") for name, value in law.coefficients.items())
        table(f"Law {law.name}", ("coefficient", "value#"), coefficients)
        say(f"loss = {FORMULAS[law.name]}")
        say(f"{law.points:,} points of {len(law.runs)} runs, mean absolute error {law.mean_abs_error:.4f}.\n")
    _show_tests(study)
    if study.predictions:
        rows = (
            (plain(spec), f"{int(c.steps[-1]):,}", f"{c.final_loss:.4f}", f"{study.beside[spec]:.4f}")
            for spec, c in study.predictions.items()
        )
        columns = ("schedule", "steps#", f"final loss ({study.chosen})#", "by the other law#")
        table("Predicted, best first", columns, rows)
    if study.extrapolation is not None:
        found = study.extrapolation
        low, high = found.interval
        say(
            f"Run {plain(found.run)}, logged to step {found.last_step:,}: at step {found.final_step:,} "
            f"the loss is predicted as {found.loss:.4f}, 90 % interval {low:.4f} to {high:.4f}."
        )


def _show_tests(study: Study) -> None:
    by_law = list(study.tests.items())
    if not by_law[0][1]:
        return
    rows = [
        (
            plain(tests[0].run),
            *(f"{test.mean_abs_error:.4f}" for test in tests),
            f"{tests[0].final_logged:.4f}",
            *(f"{test.final_predicted:.4f}" for test in tests),
        )
        for tests in zip(*(tests for _, tests in by_law), strict=True)
    ]
    means = [f"{sum(t.mean_abs_error for t in tests) / len(tests):.4f}" for _, tests in by_law]
    rows.append(("mean", *means, "", *("" for _ in by_law)))
    columns = (
        "run not fitted",
        *(f"mean abs error, {name}#" for name, _ in by_law),
        "last loss logged#",
        *(f"{name}#" for name, _ in by_law),
    )
    table("Tested on runs not fitted", columns, rows)
