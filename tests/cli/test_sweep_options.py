"""`--map` and `--where COL!=VALUE` on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run


def test_a_saved_mapping_does_what_its_options_do(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    (tmp_path / "m.toml").write_text('params_kind = "total"\n[without]\nparams = [62914560]\n')
    assert run("fit", "sweep.csv", "--map", "m.toml", "-o", "a.json").code == 0
    options = ("--where", "params!=62914560", "--params-kind", "total")
    assert run("fit", "sweep.csv", *options, "-o", "b.json").code == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_condition_without_a_value_is_bad_usage(run: Run) -> None:
    run("simulate", "-o", "sweep.csv")
    for condition in ("params!=", "!=3", "params"):
        outcome = run("fit", "sweep.csv", "--where", condition)
        assert (outcome.code, "--where" in outcome.err) == (2, True)


def test_standard_input_is_read_once(run: Run) -> None:
    outcome = run("fit", "-", "-")
    assert (outcome.code, "given twice" in outcome.err) == (2, True)
