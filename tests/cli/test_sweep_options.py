"""`--map` and `--where COL!=VALUE` on the command line."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.strategies import grid_columns, write_csv


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


def test_a_saved_mapping_keeps_the_format(run: Run, tmp_path: Path) -> None:
    """A mapping that init wrote with --source reads the file as that format again."""
    sweep, saved = tmp_path / "runs.csv", tmp_path / "runs.map.toml"
    write_csv(sweep, grid_columns())
    assert run("init", str(sweep), "--source", "csv", "-o", str(saved)).code == 0
    assert 'source = "csv"' in saved.read_text()
    saved.write_text(saved.read_text().replace('source = "csv"', 'source = "parquet"'))
    done = run("fit", str(sweep), "--map", str(saved), "-o", str(tmp_path / "law.json"))
    assert done.code == 2
    assert "--source parquet says" in done.err
