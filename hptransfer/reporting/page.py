"""A report as one HTML document: styles, script and drawings inside, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from hptransfer import __version__
from hptransfer.drawing.palette import DARK, LIGHT
from hptransfer.errors import plain
from hptransfer.reporting import sections
from hptransfer.reporting.gathering import Material
from hptransfer.reporting.markup import Markup, element, joined
from hptransfer.reporting.sections import Section

DARK_PAGE: Final = {"page": "#0f1216", "link": "#7cc0f5", "soft": "#1f252e"}


def report_page(material: Material) -> str:
    """The whole page. The same material gives the same bytes.

    Raises:  UsageError when matplotlib is not installed.
    """
    parts = [part for make in sections.ALL if (part := make(material)) is not None]
    script = _asset("page.js")
    return (
        "<!DOCTYPE html>\n"
        + element("html", _head(material, script), _body(material, parts, script), lang="en")
        + "\n"
    )


def _asset(name: str) -> Markup:
    return Markup(files("hptransfer.reporting").joinpath(name).read_text(encoding="utf-8"))


def _head(material: Material, script: str) -> Markup:
    """Let no resource be loaded and no script run but our own, told by its hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"hptransfer {__version__}"),
        element("title", f"hptransfer report: {sections.subject(material)}"),
        element("style", Markup(_colors()), _asset("page.css")),
    )


def _colors() -> str:
    """Colours by role for both themes; the reader's choice wins over the system's, paper is always light."""
    light, dark = _variables(LIGHT), _variables({**DARK, **DARK_PAGE})
    scheme = "color-scheme: dark;"
    return (
        f":root {{ {light} }}\n"
        f'@media screen {{ :root[data-theme="dark"] {{ {scheme} {dark} }} }}\n'
        "@media screen and (prefers-color-scheme: dark) "
        f'{{ :root:not([data-theme="light"]) {{ {scheme} {dark} }} }}\n'
    )


def _variables(colors: Mapping[str, str]) -> str:
    return " ".join(f"--{role}: {color};" for role, color in colors.items())


def _body(material: Material, parts: list[Section], script: Markup) -> Markup:
    links = joined(
        element("li", element("a", part.short, href=f"#{part.key}")) for part in parts if part.key != "answer"
    )
    header = element(
        "header",
        element("button", "Dark page", id="theme", type="button", hidden=""),
        element("h1", sections.subject(material)),
        element("p", sections.subtitle(material), class_="subtitle", dir="auto"),
        element("nav", element("ul", links), aria_label="Sections"),
    )
    body = joined(
        element(
            "section",
            element("h2", part.title, id=f"{part.key}-heading"),
            part.body,
            id=part.key,
            aria_labelledby=f"{part.key}-heading",
        )
        for part in parts
    )
    footer = element("footer", f"Made by hptransfer {plain(__version__)}. Nothing on this page is loaded.")
    tip = element("div", id="tip", role="status", hidden="")
    return element("body", header, element("main", body), footer, tip, element("script", script))
