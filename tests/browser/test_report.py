"""The report in a real browser: `make test-browser` (Debian's chromium, driven by playwright)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hptransfer.fitting import fit
from hptransfer.readers import read_sweep
from hptransfer.reporting.gathering import gather
from hptransfer.reporting.page import report_page
from tests.browser.conftest import HOSTILE_FILE, opened_in
from tests.figures.conftest import SHIPPED

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title=1>\"'&<!-- \u202etxt.exe \U0001f600 שלום"
RUNS = ".cells figure .marks"
BACKGROUND = "getComputedStyle(document.querySelector('section')).backgroundColor"


def test_every_figure_is_seen_and_not_empty(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = page.evaluate(
        """[...document.querySelectorAll('figure')].map(figure => {
          const svg = figure.querySelector('svg'), box = svg.getBoundingClientRect();
          return [figure.id, box.width, box.height, svg.querySelectorAll('path, use').length]; })"""
    )
    assert len(found) > 15
    for name, width, height, marks in found:
        assert width > 200, name
        assert height > 100, name
        assert marks > 8, name


def test_every_text_of_a_figure_lies_inside_it(page: Any) -> None:
    """Labels that run over the edge of a drawing are cut off."""
    cut = page.evaluate(
        """[...document.querySelectorAll('figure svg')].flatMap(svg => {
          const box = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter(text => {
            const own = text.getBoundingClientRect();
            return own.width > 0 && (own.left < box.left - 2 || own.right > box.right + 2
              || own.top < box.top - 2 || own.bottom > box.bottom + 2);
          }).map(text => svg.closest('figure').id + ': ' + text.textContent); })"""
    )
    assert cut == []


def test_hover_shows_the_run(page: Any) -> None:
    mark = page.locator(f"{RUNS} use").last  # the topmost where runs were repeated
    mark.scroll_into_view_if_needed()
    mark.hover()
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert "LR" in tip.inner_text()
    page.mouse.move(0, 0)
    assert not tip.is_visible()


def test_arrow_keys_walk_through_the_runs(page: Any) -> None:
    drawing = page.locator(".cells figure svg").first
    drawing.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#tip").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text() != first
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_the_keyboard_reaches_everything(page: Any) -> None:
    """Tab from the top: the button, links, folded tables and drawings, each with a visible focus."""
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.tagName.toLowerCase()"))
    assert {"button", "a", "summary", "svg"} <= seen
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_theme_can_be_switched(page: Any) -> None:
    light = page.evaluate(BACKGROUND)
    page.get_by_role("button", name="Dark page").click()
    assert page.evaluate(BACKGROUND) != light
    page.get_by_role("button", name="Light page").click()
    assert page.evaluate(BACKGROUND) == light


def test_the_systems_dark_theme_is_followed(page: Any) -> None:
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_figures_and_sections_have_names(page: Any) -> None:
    assert page.get_by_role("img", name="Learning rate over the run").count() == 1
    assert page.get_by_role("region", name="Where it comes from").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    unnamed = page.evaluate(
        """[...document.querySelectorAll('svg[role=img]')].filter(svg =>
          !svg.getAttribute('aria-labelledby').split(' ')
            .every(id => document.getElementById(id)?.textContent)).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_scrolls_one_way_only(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_file_name_is_text(page: Any) -> None:
    assert HOSTILE_FILE in page.locator(".subtitle").inner_text()
    assert page.locator(".subtitle b").count() == 0


def test_what_is_folded_is_printed_and_folded_again(page: Any) -> None:
    folded = page.locator("details:not([open])").count()
    assert folded > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == folded


def test_it_is_read_and_printed_without_javascript(browser: Any, report: Path) -> None:
    page = opened_in(browser, report, java_script_enabled=False).page
    assert page.get_by_role("img", name="Learning rate over the run").is_visible()
    assert page.locator(".marks use title").count() > 500
    page.emulate_media(media="print")
    assert page.locator("details table").first.is_visible()
    assert not page.locator("nav").is_visible()
    page.context.close()


def test_hostile_strings_are_shown_as_text(browser: Any, tmp_path: Path) -> None:
    """Names of files, runs and settings, from everywhere they can come from."""
    sweep = read_sweep([str(SHIPPED)])
    sources = tuple(dataclasses.replace(source, file=HOSTILE) for source in sweep.sources)
    hostile = dataclasses.replace(
        sweep, sources=sources, places=(f"run {HOSTILE}",) * sweep.n_runs, setting={"optimizer": HOSTILE}
    )
    file = tmp_path / "report.html"
    file.write_text(report_page(gather(hostile, fit(hostile, resamples=0), commands=[HOSTILE])), "utf-8")
    opened = opened_in(browser, file)
    page = opened.page
    assert page.title().startswith("hptransfer report")
    assert (page.locator("script").count(), page.locator("img[src]").count()) == (1, 0)
    assert "<img src=x onerror" in page.locator(".subtitle").inner_text()
    page.locator(f"{RUNS} use").last.hover()
    assert "\U0001f600 שלום" in page.locator("#tip").inner_text()
    assert (opened.asked, opened.said) == ([file.as_uri()], [])
    page.context.close()


def test_a_large_sweep_stays_usable(browser: Any, large_report: tuple[Path, float]) -> None:
    """100 cells, 10,000 runs: made in under 10 s, under 10 MB, opened at once, and hover still works."""
    file, took = large_report
    assert took < 10
    assert file.stat().st_size < 10e6
    opened = opened_in(browser, file)
    page = opened.page
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert ready < 5000  # ms
    assert page.locator(".cells figure").count() == 100
    assert page.locator(".marks use").count() >= 10_000
    mark = page.locator(f"{RUNS} use").nth(300)
    mark.scroll_into_view_if_needed()
    mark.hover()
    assert "LR" in page.locator("#tip").inner_text()
    assert (opened.asked, opened.said) == ([file.as_uri()], [])
    page.context.close()
