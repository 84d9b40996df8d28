"""matplotlib's SVG made fit to stand inside a page: small, named, themed, with a text for every run.

Colours become CSS variables of their roles, so that one drawing serves light and dark pages. Ids are made
unique over the page, and those that nothing refers to are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from hptransfer.drawing.palette import LIGHT

SVG: Final = "http://www.w3.org/2000/svg"
XLINK: Final = "http://www.w3.org/1999/xlink"
_HREF: Final = f"{{{XLINK}}}href"
_LONG_NUMBER: Final = re.compile(r"-?\d+\.\d{3,}")
_COLOR: Final = re.compile(r"#[0-9a-f]{6}")
_FONT_FAMILY: Final = re.compile(r"font-family: [^;]*;?\s*")
_NO_ROTATION: Final = re.compile(r"rotate\(-?0 ")
_VARIABLES: Final = {color: f"var(--{role})" for role, color in LIGHT.items()}


def inline_svg(
    drawing: bytes,
    *,
    key: str,
    title: str,
    description: str,
    hover: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """An SVG element for a page.

    Args:    drawing: a file that matplotlib wrote; key: unique on the page; title, description: for those
             who cannot see it; hover: id of a group -> a text for each of its marks, in drawing order.
    Returns: markup; every text in it is escaped.
    """
    root = ET.fromstring(drawing)  # noqa: S314 - what our own drawing wrote
    _drop_what_pages_have(root)
    wanted = dict(hover or {})
    for name, texts in wanted.items():
        _describe_marks(root, name, texts)
    _shorten(root)
    _rename(root, key)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{key}-title {key}-desc")
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{SVG}}}{tag}", {"id": f"{key}-{tag}"})
        element.text = text
        root.insert(at, element)
    ET.register_namespace("", SVG)
    return ET.tostring(root, encoding="unicode")


def _drop_what_pages_have(root: ET.Element) -> None:
    """Leave out metadata, rules of style for all elements, and white space between elements."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
            child.tail = None
        if len(parent):
            parent.text = None


def _describe_marks(root: ET.Element, name: str, texts: Sequence[str]) -> None:
    """Give each mark of a group its text, shown on hover with or without JavaScript."""
    group = root.find(f".//{{{SVG}}}g[@id='{name}']")
    if group is None:
        return
    marks = list(group.iter(f"{{{SVG}}}use"))
    for mark, text in zip(marks, texts, strict=True):
        ET.SubElement(mark, f"{{{SVG}}}title").text = text
    group.set("class", "marks")


def _shorten(root: ET.Element) -> None:
    """Round coordinates to a hundredth of a point, name colours by role, state a group's style once."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "style":
                element.set(name, _style(value))
            elif name in ("d", "x", "y", "transform"):
                element.set(name, _LONG_NUMBER.sub(_rounded, " ".join(value.split())))
        transform = element.get("transform", "")
        if _NO_ROTATION.match(transform):
            del element.attrib["transform"]
        if element.get(_HREF):
            element.set("href", element.attrib.pop(_HREF))
    for group in root.iter(f"{{{SVG}}}g"):
        uses = group.findall(f"{{{SVG}}}use")
        styles = {use.get("style") for use in uses}
        if uses and len(styles) == 1 and (style := styles.pop()) is not None:
            group.set("style", style)
            for use in uses:
                del use.attrib["style"]


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def _style(text: str) -> str:
    return _COLOR.sub(lambda match: _VARIABLES.get(match.group(), match.group()), _FONT_FAMILY.sub("", text))


def _rename(root: ET.Element, key: str) -> None:
    """Prefix the ids that something refers to; drop the others."""
    used = set(_references(root))
    for element in root.iter():
        name = element.get("id")
        if name is not None and name in used:
            element.set("id", f"{key}-{name}")
        elif name is not None:
            element.set("data-part", element.attrib.pop("id"))
        for attribute in ("href", "clip-path"):
            value = element.get(attribute)
            if value is not None:
                element.set(attribute, value.replace("#", f"#{key}-"))


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.get("href", "").removeprefix("#")
        yield element.get("clip-path", "").removeprefix("url(#").removesuffix(")")
