"""Chromium, and reports of a shipped sweep, of Step Law's grid and of a large sweep to open in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from hptransfer.fitting import fit
from hptransfer.planning import Target, plan
from hptransfer.reporting.gathering import gather
from hptransfer.reporting.page import report_page
from tests.figures.conftest import SHIPPED

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PROJECT = Path(__file__).resolve().parents[2]
STEP_LAW = PROJECT.parent / "shared/data/steplaw/dense_lr_bs_loss_upto_537M.csv"
HOSTILE_FILE = "x<b>&'.csv"
READERS = {
    "shipped": ("--params-kind", "non-embedding"),
    "step-law": ("--column", "loss=smooth loss", "--params-kind", "non-embedding"),
}
TARGETS = {"shipped": ("294912", "3145728"), "step-law": ("7e9", "1e12")}


@dataclass
class Opened:
    """A page, what it asked of the network, and what its console said."""

    page: Any
    file: Path
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "no chromium on the PATH: apt-get install chromium, or set CHROMIUM"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def _hptransfer(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "hptransfer", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session", params=list(READERS))
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a sweep under a file name that would be markup if it were not escaped."""
    source = SHIPPED if request.param == "shipped" else STEP_LAW
    if not source.exists():
        pytest.skip("needs ../shared/data/steplaw")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / HOSTILE_FILE).symlink_to(source)
    reading = (HOSTILE_FILE, *READERS[request.param])
    params, tokens = TARGETS[request.param]
    _hptransfer(folder, "fit", *reading, "--resamples", "20")
    _hptransfer(folder, "plan", "--params", params, "--tokens", tokens, "-o", "config.yaml")
    _hptransfer(folder, "report", *reading, "--plan", "config.yaml", "--law", "law.json")
    return folder / "report.html"


@pytest.fixture(scope="session")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """100 cells of 100 runs, and the seconds that the page took."""
    sweep = run_path(str(PROJECT / "benchmarks" / "report_sections.py"))["large_sweep"]()
    law = fit(sweep, resamples=0)
    planned = plan(law, Target(params=2e10, tokens=4e11))
    start = time.process_time()
    page = report_page(gather(sweep, law, planned))
    took = time.process_time() - start
    file = tmp_path_factory.mktemp("large") / "report.html"
    file.write_text(page, encoding="utf-8")
    return file, took


def opened_in(browser: Any, file: Path, **options: Any) -> Opened:
    """Open a file in a tab of its own, listening."""
    wanted = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", **options}
    opened = Opened(browser.new_context(**wanted).new_page(), file)
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.on("console", lambda message: opened.said.append(message.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.page.goto(file.as_uri())
    return opened


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The open report; nothing may be asked of a network, nothing may complain."""
    opened = opened_in(browser, report)
    yield opened.page
    opened.page.context.close()
    assert opened.asked == [report.as_uri()]
    assert opened.said == []
