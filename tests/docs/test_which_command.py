"""Every command of the page of situations runs, in the page's order, in one folder."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from tests.cli.conftest import Run, run  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/which-command.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`hptransfer ([^`]+)`", PAGE)


def prepare(run: Run, folder: Path) -> None:  # noqa: F811
    """Put the files in place that the page supposes."""
    assert run("simulate", "-o", "sweep.csv").code == 0
    assert run("simulate", "--seed", "1", "-o", "other.csv").code == 0
    assert run("fit", "other.csv", "-o", "other.json", "--estimator", "near-optimal").code == 0
    assert run("simulate", "--curves", "-o", "curves.csv").code == 0
    for name in ("width_sweep.csv", "coordinates.csv"):
        shutil.copy(ROOT / "examples" / name, folder)
    (folder / "targets.csv").write_text("params,tokens\n7e9,1e12\n1e9,1e11\n")
    rows = [
        f"{n},{d},{1.8 + 480 / n**0.35 + 2080 / d**0.37}" for n in (1e7, 1e8, 1e9) for d in (1e9, 1e10, 1e11)
    ]
    (folder / "points.csv").write_text("\n".join(["params,tokens,loss", *rows]) + "\n")


def test_every_command_runs_as_printed(run: Run, tmp_path: Path) -> None:  # noqa: F811
    prepare(run, tmp_path)
    assert len(COMMANDS) > 30
    for command in COMMANDS:
        done = run(*shlex.split(command))
        assert done.code == 0, f"{command}\n{done.out}{done.err}"


def test_every_command_has_a_situation() -> None:
    """A command nobody is sent to is a command nobody finds."""
    reference = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    listed = reference.split("Commands:\n")[1].split("\n\n")[0]
    commands = set(re.findall(r"^  ([a-z]+)", listed, flags=re.MULTILINE)) - {"formats"}
    assert commands <= {command.split()[0] for command in COMMANDS}
    assert all(f"## `hptransfer {command}`" in reference for command in commands), (
        "COMMANDS in docs/generate.py"
    )
