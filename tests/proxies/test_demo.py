"""`make demo` runs on the real sweep, from an empty folder with only the shipped file in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_fits_the_real_sweep_and_finds_the_edit(tmp_path: Path) -> None:
    (tmp_path / "examples" / "proxies").mkdir(parents=True)
    shutil.copy(ROOT / "examples/proxies/sweep.csv", tmp_path / "examples/proxies/sweep.csv")
    program = tmp_path / "bin" / "hptransfer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hptransfer "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    command = ["sh", str(ROOT / "docs/demo.sh")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "585 small language models" in done.stdout
    assert "1 config checked, 0 errors" in done.stdout
    assert "HPT101 edited" in done.stdout
