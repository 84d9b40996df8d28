"""Links in the pages lead somewhere, on GitHub and in the site; and the site shows every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "configs").rglob("*.md"),
    ],
    key=str,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def prose(path: Path) -> str:
    """The text of a page without its code."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()]", "", code[0]), text)


def anchors(path: Path) -> set[str]:
    """The ids of a page: explicit ones, and those that GitHub makes of headings."""
    text = prose(path)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(f"{target}#{anchor}")
    assert not broken


def test_pages_named_in_messages_and_docstrings_exist() -> None:
    """`docs/NAME.md` in code is where a reader is sent."""
    sources = [*(ROOT / "hptransfer").rglob("*.py"), *(ROOT / "hptransfer").rglob("*.toml")]
    named = {name for path in sources for name in re.findall(r"docs/[\w/-]+\.md", path.read_text("utf-8"))}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_site_shows_every_page_once() -> None:
    """Generated from elsewhere: the pages that docs/site_hooks.py adds."""

    def pages(nav: object) -> list[str]:
        if isinstance(nav, str):
            return [nav]
        children = nav.values() if isinstance(nav, dict) else nav
        assert isinstance(children, (list, type({}.values())))
        return [page for child in children for page in pages(child)]

    shown = pages(YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    docs = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    hooks = (ROOT / "docs/site_hooks.py").read_text(encoding="utf-8")
    assert len(shown) == len(set(shown))
    assert not docs - set(shown), "pages that `nav` in mkdocs.yml does not show"
    assert all(f'"{page}"' in hooks for page in set(shown) - docs)
