"""Colours by role, safe for colour-blind readers, and their counterparts on a dark page.

A figure is painted in the light values. In a report each of them is replaced by a CSS variable of its role's
name, so that one SVG serves both themes; hence every role has a value of its own. Sequences are cut from
viridis (van der Walt and Smith 2015), other hues follow Okabe and Ito 2008.
"""

from __future__ import annotations

from typing import Final

INK: Final = "#1b1f27"
MUTED: Final = "#59626f"
RULE: Final = "#d9dde4"
PAPER: Final = "#ffffff"
LAW: Final = "#0a5fa5"
TARGET: Final = "#c2480b"
PLATEAU: Final = "#0d8a68"
EDGE: Final = "#b97a00"
DIVERGED: Final = "#a3324a"
OTHER: Final = "#7a828e"
HEAT: Final = ("#440155", "#443a84", "#31688d", "#21908b", "#35b77a", "#8fd744", "#dde318")
LEVELS: Final = ("#46327f", "#365d8e", "#277f8d", "#1fa189", "#4ac26e", "#9bbf1d")
METHODS: Final = ("#0a60a6", "#de8f08", "#128f73", "#cc79a8", "#56657a", "#a8641e")

LIGHT: Final[dict[str, str]] = {
    "ink": INK,
    "muted": MUTED,
    "rule": RULE,
    "paper": PAPER,
    "law": LAW,
    "target": TARGET,
    "plateau": PLATEAU,
    "edge": EDGE,
    "diverged": DIVERGED,
    "other": OTHER,
    **{f"heat-{i}": color for i, color in enumerate(HEAT)},
    **{f"level-{i}": color for i, color in enumerate(LEVELS)},
    **{f"method-{i}": color for i, color in enumerate(METHODS)},
}
"""Role -> colour on a light page."""

DARK: Final[dict[str, str]] = {
    "ink": "#e6e9ef",
    "muted": "#a4adba",
    "rule": "#39404b",
    "paper": "#171b22",
    "law": "#5fb0f0",
    "target": "#ff9057",
    "plateau": "#3cc79c",
    "edge": "#f0b13c",
    "diverged": "#f0788f",
    "other": "#98a1ae",
    **dict(
        zip(
            (f"heat-{i}" for i in range(len(HEAT))),
            ("#fde725", "#a0da39", "#4ac16d", "#1fa187", "#2d7a8e", "#3f5a92", "#54408f"),
            strict=True,
        )
    ),
    **dict(
        zip(
            (f"level-{i}" for i in range(len(LEVELS))),
            ("#8f7fd8", "#6d9fd6", "#4fb6c4", "#45c9a6", "#7fdc8a", "#d6e25a"),
            strict=True,
        )
    ),
    **dict(
        zip(
            (f"method-{i}" for i in range(len(METHODS))),
            ("#5fb1f1", "#f5b544", "#3fc9a4", "#e6a5ca", "#a9b5c6", "#dba06a"),
            strict=True,
        )
    ),
}
"""Role -> colour on a dark page."""

HEAT_ENDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)
"""Excess loss, fraction, at which one colour of HEAT ends and the next begins."""


def level_color(index: int, levels: int) -> str:
    """Colour of one of several ordered levels, spread over the sequence."""
    return LEVELS[0] if levels < 2 else LEVELS[round(index * (len(LEVELS) - 1) / (levels - 1))]
