"""`hptransfer schema`, and configs that name a schema to editors."""

from __future__ import annotations

from pathlib import Path

from hptransfer.cli import schema
from tests.cli.conftest import Run


def test_the_program_writes_a_schema_and_configs_name_it(run: Run, tmp_path: Path) -> None:
    assert run("schema", "config", "-o", "config.schema.json").code == 0
    (tmp_path / "hptransfer.toml").write_text('config_schema = "config.schema.json"\n')
    options = ("--params", "1e9", "--tokens", "1e11", "--params-kind", "non-embedding")
    assert run("plan", *options, "-o", "configs/a.yaml").code == 0
    first = (tmp_path / "configs/a.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../config.schema.json"
    assert run("check", "configs").code == 0


def test_the_example_of_the_help_runs(run: Run, tmp_path: Path) -> None:
    assert run(*schema.EXAMPLE.removeprefix("Example: hptransfer ").split()).code == 0
    assert (tmp_path / "config.schema.json").exists()
    assert run("schema", "confg").code == 2
