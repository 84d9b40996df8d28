"""The track record goes from `fit --backtest` into the law and into plans; forms are compared."""

from __future__ import annotations

import json

from tests.cli.conftest import Run


def test_a_plan_quotes_the_laws_own_backtest(run: Run) -> None:
    assert run("simulate", "-o", "sweep.csv").code == 0
    fitted = run("fit", "sweep.csv", "--estimator", "near-optimal", "--resamples", "20", "--backtest")
    assert fitted.code == 0
    assert "Track record: On" in fitted.out
    target = ("--law", "law.json", "--params", "7e9", "--tokens", "1e12")
    assert "Track record: On" in run("plan", *target).out
    record = json.loads(run("plan", *target, "--json").out)["track_record"]
    assert record["mean_excess"]["near-optimal"] >= 0
    assert "step-law" in record["mean_excess"]


def test_select_form_names_the_fit_line_to_use(run: Run) -> None:
    assert run("simulate", "-o", "sweep.csv").code == 0
    chosen = run("backtest", "sweep.csv", "--select-form")
    assert chosen.code == 0
    assert "(chosen)" in chosen.out
    assert "fit sweep.csv --estimator" in chosen.err


def test_the_next_command_fits_what_was_tested(run: Run) -> None:
    assert run("simulate", "-o", "sweep.csv").code == 0
    done = run(
        "backtest", "sweep.csv", "--estimator", "near-optimal", "--params-kind", "total", "--resamples", "0"
    )
    assert done.err.splitlines()[-1] == (
        "next: hptransfer fit sweep.csv --params-kind total --estimator near-optimal -o law.json"
    )
