"""The page: complete, self-contained, safe, and the same for the same input."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from hptransfer.drawing.palette import DARK, LIGHT
from hptransfer.law import Law, Note
from hptransfer.planning import Plan, plan
from hptransfer.reporting import words
from hptransfer.reporting.gathering import Material, gather
from hptransfer.reporting.page import report_page
from hptransfer.sweep import Sweep, SweepSource

HOSTILE = "<script>alert(1)</script>\"'&<!-- \u202etxt.exe \U0001f600 שלום"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would make of it: elements, ids, links, text; open elements that were never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.urls: list[str] = []
        self.references: list[str] = []
        self.tags: Counter[str] = Counter()
        self.drawings: dict[str, Counter[str]] = {}
        self.open: list[str] = []
        self.words: list[str] = []
        self._figure: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.tags[tag] += 1
        if "id" in given:
            self.ids[given["id"]] += 1
        if tag == "figure":
            self._figure = given["id"]
            self.drawings[self._figure] = Counter()
        elif self._figure is not None:
            self.drawings[self._figure][tag] += 1
        for name, value in given.items():
            if name in ("href", "src", "xlink:href", "action", "data", "poster", "srcset"):
                self.urls.append(value)
            if name in ("aria-labelledby", "aria-describedby"):
                self.references += value.split()
            if "url(" in value:
                self.urls += re.findall(r"url\(([^)]*)\)", value)
            assert not name.startswith("on"), f"{tag} has {name}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag.lower()
        if tag == "figure":
            self._figure = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def material(sweep: Sweep, law: Law, planned: Plan) -> Material:
    return gather(sweep, law, planned, commands=["hptransfer report sweep.csv"], config="config.yaml")


@pytest.fixture(scope="module")
def page(material: Material) -> str:
    return report_page(material)


def test_every_figure_is_there_and_not_empty(page: str, material: Material) -> None:
    found = Page(page).drawings
    expected = {f"figure-cell-{i}" for i in range(len(material.cells))}
    for quantity in ("peak-lr", "batch-tokens"):
        expected |= {
            f"figure-{kind}-{quantity}-{axis}"
            for kind in ("optimum", "residual")
            for axis in ("params", "tokens")
        }
        expected.add(f"figure-cost-{quantity}")
    assert set(found) == expected | {"figure-loss", "figure-schedule"}
    for key, tags in found.items():
        assert tags["svg"] == 1, key
        assert tags["path"] > 5, key
        assert tags["text"] > 3, key


def test_a_pinned_batch_has_its_own_expected_loss(material: Material, planned: Plan) -> None:
    batch = 16 * (planned.rounded.batch_tokens or 0.0)
    pinned = plan(material.law, dataclasses.replace(planned.target, batch_tokens=batch))
    assert pinned.loss is not None
    assert pinned.run_loss is not None
    found = "".join(Page(report_page(dataclasses.replace(material, plan=pinned))).words)
    assert f"Expected loss{words.plain_number(pinned.run_loss, 4)}90 %" in found
    assert words.plain_number(pinned.run_loss, 4) != words.plain_number(pinned.loss, 4)
    assert "Running this pinned batch with its LR in place" in found
    assert "these rounded values" not in found


def test_every_run_has_its_text(page: str, sweep: Sweep) -> None:
    assert len(re.findall(r"<title>line \d+: LR [^<]*</title>", page)) == sweep.n_runs


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    parsed = Page(page)
    assert [url for url in parsed.urls if not url.startswith("#")] == []
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    outside = set(re.findall(r"\w+://[^\s\"'<)]+", page)) - {"http://www.w3.org/2000/svg"}
    assert outside == set()


def test_references_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    assert [name for name, times in parsed.ids.items() if times > 1] == []
    targets = {url.removeprefix("#") for url in parsed.urls} | set(parsed.references)
    assert targets - set(parsed.ids) == set()


def test_every_drawing_has_a_name_and_a_description(page: str) -> None:
    for tag in re.findall(r"<svg [^>]*role=\"img\"[^>]*>", page):
        assert re.search(r'aria-labelledby="(\S+)-title \1-desc"', tag)
    assert page.count('role="img"') == len(Page(page).drawings)
    assert '<html lang="en">' in page


def test_the_script_is_the_one_that_the_policy_allows(page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"sha256-{digest}" in page


def test_foreign_text_stays_text(sweep: Sweep, law: Law, planned: Plan) -> None:
    """In run names, file names, settings, the law's title, warnings, commands and the config's name."""
    hostile = dataclasses.replace(
        sweep,
        places=(HOSTILE,) * sweep.n_runs,
        setting={HOSTILE: HOSTILE},
        sources=(SweepSource(file=HOSTILE, sha256="ab" * 32, columns={}),),
    )
    odd_law = law.model_copy(update={"title": HOSTILE, "id": HOSTILE})
    odd_plan = dataclasses.replace(planned, law=odd_law, warnings=(Note(code=HOSTILE, message=HOSTILE),))
    text = report_page(gather(hostile, odd_law, odd_plan, commands=[HOSTILE], config=HOSTILE))
    parsed = Page(text)
    assert parsed.tags["script"] == 1
    assert parsed.open == []
    assert "alert(1)" not in "".join(re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL))
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > sweep.n_runs
    assert "\U0001f600 שלום" in text


def test_the_answer_comes_first(page: str, planned: Plan) -> None:
    start = page[page.index("<main") :]
    assert start.index(words.lr(planned.rounded.peak_lr)) < start.index("<svg")
    assert start.index(words.count(planned.rounded.batch_tokens)) < start.index("<svg")
    assert "Extrapolation: params 1.99x" in start


def test_commands_stand_on_lines_of_their_own(sweep: Sweep, law: Law) -> None:
    text = report_page(gather(sweep, law, commands=["one --a 'b'", "two"]))
    assert "<code>$ one --a &#x27;b&#x27;\n$ two</code>" in text


def test_without_a_plan_the_runs_and_the_law_are_shown(sweep: Sweep, law: Law) -> None:
    text = report_page(gather(sweep, law))
    assert "add --plan CONFIG" in text
    assert {"figure-loss", "figure-optimum-peak-lr-params"} <= set(Page(text).drawings)
    assert "figure-schedule" not in Page(text).drawings


def test_the_same_material_gives_the_same_bytes(material: Material, page: str) -> None:
    assert report_page(material) == page


def test_it_is_small(page: str) -> None:
    assert len(page.encode()) < 3_000_000


def test_both_themes_have_every_colour(page: str) -> None:
    assert set(LIGHT) == set(DARK)
    assert len(set(LIGHT.values())) == len(LIGHT)
    used = set(re.findall(r"var\(--([\w-]+)\)", page))
    assert used <= set(LIGHT) | {"page", "link", "soft"}
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]+", page) == []
