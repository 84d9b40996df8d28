"""The report in a real browser: `make test-browser` (Debian's chromium, driven by playwright)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.figures.conftest import SHIPPED

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def _hptransfer(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "hptransfer", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the shipped sweep, under a file name that would be markup if it were not escaped."""
    folder = tmp_path_factory.mktemp("report")
    odd = folder / "x<b>&'.csv"
    shutil.copy(SHIPPED, odd)
    _hptransfer(folder, "fit", odd.name, "--resamples", "20")
    _hptransfer(folder, "plan", "--params", "294912", "--tokens", "3145728", "-o", "config.yaml")
    _hptransfer(folder, "report", odd.name, "--plan", "config.yaml", "--law", "law.json")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "no chromium on the PATH: apt-get install chromium, or set CHROMIUM"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, shipped: Path) -> Iterator[Any]:
    """The open page; nothing may be asked of a network, nothing may complain."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(shipped.as_uri())
    yield page
    assert asked == [shipped.as_uri()]
    assert complaints == []
    context.close()


def test_every_figure_is_seen(page: Any) -> None:
    figures = page.locator("figure").all()
    assert len(figures) > 30
    for figure in figures:
        box = figure.locator("svg").bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 100


def test_hover_shows_the_run(page: Any) -> None:
    mark = page.locator("#figure-cell-20 .marks use").last  # the topmost where runs were repeated
    mark.scroll_into_view_if_needed()
    mark.hover()
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert "LR" in tip.inner_text()
    page.mouse.move(0, 0)
    assert not tip.is_visible()


def test_arrow_keys_walk_through_the_runs(page: Any) -> None:
    drawing = page.locator("#figure-cell-20 svg")
    drawing.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#tip").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text() != first
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_the_theme_can_be_switched(page: Any) -> None:
    paper = "getComputedStyle(document.querySelector('section')).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark page").click()
    assert page.evaluate(paper) != light
    page.get_by_role("button", name="Light page").click()
    assert page.evaluate(paper) == light


def test_the_systems_dark_theme_is_followed(page: Any) -> None:
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_figures_and_sections_have_names(page: Any) -> None:
    assert page.get_by_role("img", name="Learning rate over the run").count() == 1
    assert page.get_by_role("region", name="Where it comes from").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    unnamed = (
        "[...document.querySelectorAll('svg[role=img]')].filter(one => !one.querySelector('title')).length"
    )
    assert page.evaluate(unnamed) == 0


def test_a_phone_scrolls_one_way_only(page: Any) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_foreign_names_are_text(page: Any) -> None:
    assert "x<b>&'.csv" in page.locator(".subtitle").inner_text()
    assert page.locator(".subtitle b").count() == 0


def test_it_is_read_without_javascript(browser: Any, shipped: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(shipped.as_uri())
    assert page.get_by_role("img", name="Learning rate over the run").is_visible()
    assert page.locator(".marks use title").count() > 500
    context.close()
