"""HTML written so that text stays text: what is not `Markup` is escaped wherever it is put."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

from hptransfer.errors import plain

EMPTY_ELEMENTS: Final = frozenset({"meta", "br"})
LONGEST_TEXT: Final = 2000


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Anything as text of a page: escaped, without control characters; `Markup` is returned as it is.

    >>> text("<b>a & b</b>")
    '&lt;b&gt;a &amp; b&lt;/b&gt;'
    """
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(plain(value, limit=LONGEST_TEXT)))


def joined(parts: Iterable[object]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(text(part) for part in parts))


def element(tag: str, /, *children: object, **attributes: str | None) -> Markup:
    """An element; a trailing underscore of an attribute is dropped, others are hyphens, None leaves it out.

    >>> element("p", "1 < 2", class_="note", data_part=None)
    '<p class="note">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in EMPTY_ELEMENTS:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{joined(children)}</{tag}>")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table in a box of its own that scrolls sideways; columns named `x#` hold numbers.

    The first cell of each row is its heading.
    """
    numeric = ["number" if column.endswith("#") else None for column in columns]
    head = joined(
        element("th", column.removesuffix("#"), scope="col", class_=kind)
        for column, kind in zip(columns, numeric, strict=True)
    )
    body = joined(element("tr", joined(_cells(row, numeric))) for row in rows)
    whole = element(
        "table", element("caption", caption), element("thead", element("tr", head)), element("tbody", body)
    )
    return element("div", whole, class_="table", tabindex="0", role="region", aria_label=caption)


def _cells(row: Sequence[object], numeric: Sequence[str | None]) -> Iterable[Markup]:
    for i, (cell, kind) in enumerate(zip(row, numeric, strict=True)):
        yield element("td", cell, class_=kind) if i else element("th", cell, scope="row", class_=kind)


def listing(items: Iterable[object]) -> Markup:
    """A bullet list."""
    return element("ul", joined(element("li", item) for item in items))


def folded(summary: str, *children: object) -> Markup:
    """Something to open."""
    return element("details", element("summary", summary), *children)
