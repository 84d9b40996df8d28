"""Files as users have them: pipes, folders, names that are no text."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from hptransfer.cli import app
from hptransfer.law import law_to_json
from hptransfer.published import published_law
from tests.cli.conftest import Run

TARGET = ("--params", "7e9", "--tokens", "1e12")
NO_TEXT = os.fsdecode(b"sw\xffeep")


@pytest.fixture
def law(tmp_path: Path) -> str:
    """A law file's text."""
    return law_to_json(published_law("step-law"))


def test_a_law_from_a_pipe(run: Run, tmp_path: Path, law: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(law))
    writer.start()
    assert run("plan", "--law", "pipe", *TARGET).code == 0
    writer.join(timeout=10)


def test_a_folder_as_a_law_is_named(run: Run) -> None:
    assert "is a folder" in run("plan", "--law", ".", *TARGET).err


def test_a_sweep_whose_name_is_no_text(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    (tmp_path / "sweep.csv").rename(tmp_path / f"{NO_TEXT}.csv")
    assert run("fit", f"{NO_TEXT}.csv", "-o", "law.json").code == 0
    content = json.loads((tmp_path / "law.json").read_text(encoding="utf-8"))
    assert content["fit"]["sources"][0]["file"] == "sw?eep.csv"


def test_settings_that_are_no_text(run: Run, tmp_path: Path) -> None:
    """JSON escapes can spell half of a character."""
    run("simulate", "-o", "sweep.csv")
    header, *rows = (tmp_path / "sweep.csv").read_text().splitlines()
    runs = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    lines = (json.dumps(one | {"schedule": "\ud800"}) for one in runs)
    (tmp_path / "sweep.jsonl").write_text("\n".join(lines))
    assert run("fit", "sweep.jsonl").code == 0
    assert run("plan", *TARGET, "-o", "config.yaml").code == 0
    assert run("check", "config.yaml").code == 0


def test_a_law_whose_name_no_config_can_hold(run: Run, tmp_path: Path, law: str) -> None:
    (tmp_path / f"{NO_TEXT}.json").write_text(law)
    planned = run("plan", "--law", f"{NO_TEXT}.json", *TARGET, "-o", "config.yaml")
    assert planned.code == 2
    assert "Rename the file" in planned.err


def test_ctrl_c_inside_compiled_code_is_ctrl_c(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic's core reports it as a schema that cannot be built."""

    def interrupted(*_: object, **__: object) -> None:
        msg = "Error building `model` serializer:\n  KeyboardInterrupt: "
        raise ValueError(msg)

    monkeypatch.setattr(app, "make_app", interrupted)
    assert run("plan").code == app.EXIT_INTERRUPTED


def test_a_file_of_another_kind_is_named_for_what_it_is(run: Run, tmp_path: Path) -> None:
    """A law given as a config, and a sweep given as a law."""
    assert run("simulate", "-o", "sweep.csv").code == 0
    assert run("fit", "sweep.csv", "-o", "law.json", "--resamples", "0").code == 0
    checked = run("check", "law.json")
    assert checked.code == 2
    assert "is a law, not a config" in checked.out + checked.err
    planned = run("plan", "--law", "sweep.csv", "--params", "7e9", "--tokens", "1e12")
    assert planned.code == 2
    assert "a table of runs, it seems, not a law" in planned.err
    assert "hptransfer fit sweep.csv" in planned.err
