"""Keys to the figures, in HTML so that they wrap, scale and follow the theme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hptransfer.drawing.lines import DASHES
from hptransfer.drawing.palette import HEAT, HEAT_ENDS, METHODS
from hptransfer.reporting import words
from hptransfer.reporting.gathering import Material
from hptransfer.reporting.markup import Markup, element, joined

DOT: Final = '<circle cx="11" cy="7" r="4.5" fill="var(--{role})" stroke="var(--ink)" stroke-width="0.5"/>'
RING: Final = '<circle cx="11" cy="7" r="5" fill="none" stroke="var(--{role})" stroke-width="{width}"/>'
LINE: Final = '<path d="M0 7H22" stroke="var(--{role})" stroke-width="2" stroke-dasharray="{dashes}"/>'
PLUS: Final = '<path d="M11 2V12M6 7H16" stroke="var(--{role})" stroke-width="3.5"/>'
CROSS: Final = '<path d="M7 3L15 11M15 3L7 11" stroke="var(--{role})" stroke-width="1.8"/>'
DIAMOND: Final = '<path d="M11 1L17 7L11 13L5 7Z" fill="var(--{role})"/>'
POINTER: Final = '<path d="M6 2L16 7L6 12Z" fill="var(--{role})" stroke="var(--ink)" stroke-width="0.5"/>'
BAND: Final = '<path d="M0 1H22V13H0Z" fill="var(--{role})" opacity="0.22"/>'


def runs(*, beyond: bool) -> Markup:
    """Key to the panels of cells; `beyond`: some run lies beyond the axes of its panel."""
    ends = [words.percent(end, 2).replace(".00", "") for end in HEAT_ENDS]
    heat = [f"up to {end}" for end in ends] + [f"over {ends[-1]}"]
    entries = [(DOT.format(role=f"heat-{k}"), heat[k]) for k in range(len(HEAT))]
    entries[0] = (entries[0][0], f"{heat[0]} worse than the best run")
    entries += [
        (CROSS.format(role="diverged"), "diverged"),
        (RING.format(role="ink", width=1.2), "best run"),
        (RING.format(role="edge", width=2.2), "best run, on the grid's edge"),
        (PLUS.format(role="law"), "optimum by the law"),
        (LINE.format(role="law", dashes="4 2"), "best LR of each batch"),
        (BAND.format(role="plateau"), "within 0.25 % of the optimum"),
    ]
    if beyond:
        entries.insert(len(HEAT) + 1, (POINTER.format(role=f"heat-{len(HEAT) - 1}"), "a run beyond the axes"))
    return _legend(entries)


def optima(material: Material) -> Markup:
    """Key to the optima against scale."""
    entries = [
        (DOT.format(role="level-2"), "a cell's own optimum, coloured by its other input"),
        (LINE.format(role="level-2", dashes="none"), "the law at the cells' sizes"),
    ]
    if material.plan is not None:
        entries += [
            (LINE.format(role="target", dashes="6 2"), "the law towards the target"),
            (BAND.format(role="target"), "90 % interval"),
            (DIAMOND.format(role="target"), "the plan"),
        ]
        beside = dict.fromkeys(law_id for figure in material.optima for law_id in figure.published)
        entries += [
            (LINE.format(role="other", dashes=" ".join(map(str, dash[1]))), law_id)
            for law_id, dash in zip(beside, DASHES, strict=False)
        ]
    return _legend(entries)


def methods(names: Sequence[str]) -> Markup:
    """Key to the track record."""
    return _legend([(DOT.format(role=f"method-{k % len(METHODS)}"), name) for k, name in enumerate(names)])


def _legend(entries: list[tuple[str, str]]) -> Markup:
    items = (
        element("li", element("svg", Markup(mark), viewBox="0 0 22 14", aria_hidden="true"), label)
        for mark, label in entries
    )
    return element("ul", joined(items), class_="legend", aria_label="Key")
