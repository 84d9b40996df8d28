"""The figure of the proof: excess loss against LR at three batches, a panel a target; plain SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, log2

from examples.plot_width import GRID, INK, SUPERSCRIPT, Place, scale, text
from examples.proxies.advising import KEPT, OURS, RECIPE, TARGETS, Advice, plan_path, read_advice, runs_path
from examples.proxies.runs import Run, read_losses

PANEL, GAP, LEFT, TOP, HEIGHT = 250, 24, 52, 30, 170  # pixels
TITLES = {
    "sp-n4-d2": "4x params, 2x tokens",
    "sp-d8": "8x tokens",
    "mup-n8": "µP, 8x params",
}
SHADES = {0.5: "#9ecae1", 1.0: "#08306b", 2.0: "#e08214"}  # by batch over the planned one
OTHERS = "#b2182b"
NAMED = {KEPT: "proxy's best", RECIPE: "recipe"}
HIGHEST = 0.03  # excess loss at the top of the figure


def drawing(names: Sequence[str]) -> str:
    """The whole SVG; the plan is circled, the 90 % interval of its LR shaded."""
    parts: list[str] = []
    for index, name in enumerate(names):
        parts += _panel(name, LEFT + index * (PANEL + GAP), labelled=index == 0)
    parts += _legend(LEFT)
    width = LEFT + len(names) * (PANEL + GAP) + 10
    font = "font-family='Helvetica,Arial,sans-serif' font-size='12'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {TOP + HEIGHT + 62}' {font}>"
    return "\n".join([head, "<rect width='100%' height='100%' fill='#fff'/>", *parts, "</svg>\n"])


def _panel(name: str, left: float, *, labelled: bool) -> Iterator[str]:
    advised = read_advice(plan_path(name))
    ours = next(row for row in advised if row.method == OURS)
    excess = _excess(read_losses(runs_path(name)))
    centre = log2(ours.lr)
    x, y = scale(centre - 2, centre + 2, left, left + PANEL), scale(0.0, HIGHEST, TOP + HEIGHT, TOP)
    yield text(left + PANEL / 2, TOP - 12, TITLES[name], extra=" font-weight='bold'")
    yield from _interval(ours, x)
    for percent in range(round(100 * HIGHEST) + 1):
        yield f"<path d='M{left:.1f} {y(percent / 100):.1f}h{PANEL}' stroke='{GRID}'/>"
        if labelled:
            yield text(left - 6, y(percent / 100) + 4, f"+{percent} %", "end")
    for power in range(round(centre) - 1, round(centre) + 2):
        yield text(x(power), TOP + HEIGHT + 16, "2" + str(power).translate(SUPERSCRIPT))
    yield text(left + PANEL / 2, TOP + HEIGHT + 34, "peak LR")
    for factor, shade in SHADES.items():
        batch = round(ours.batch_tokens * factor)
        points = sorted((log2(run.lr), e) for run, e in excess.items() if run.batch_tokens == batch)
        shown = [(x(lr), y(e)) for lr, e in points if e < HIGHEST and abs(lr - centre) < 2]
        yield from _curve(shown, shade, f"batch of {batch} tokens")
    for row in advised:
        at = excess.get(row.run(TARGETS[name], seed=0), HIGHEST)
        if row is not ours and at < HIGHEST and abs(log2(row.lr) - centre) < 2:
            yield from _diamond(x(log2(row.lr)), y(at), row.method)
    at = excess[ours.run(TARGETS[name], seed=0)]
    ring = f"cx='{x(centre):.1f}' cy='{y(at):.1f}' r='6' fill='none' stroke='{INK}' stroke-width='2'"
    yield f"<circle {ring}><title>the plan</title></circle>"


def _diamond(x: float, y: float, method: str) -> Iterator[str]:
    """Another method's own run; the ones that most people would use have their names beside them."""
    corners = f"{x - 5:.1f},{y:.1f} {x:.1f},{y - 5:.1f} {x + 5:.1f},{y:.1f} {x:.1f},{y + 5:.1f}"
    yield f"<polygon points='{corners}' fill='{OTHERS}'><title>{method}</title></polygon>"
    if method in NAMED:
        yield text(x, y - 9, NAMED[method])


def _legend(left: float) -> Iterator[str]:
    """What the colours are, under the first panel."""
    for index, (factor, shade) in enumerate(SHADES.items()):
        start = left + (0, 110, 185)[index]
        words = {0.5: "half the batch", 1.0: "planned", 2.0: "twice"}[factor]
        yield f"<path d='M{start:.1f} {TOP + HEIGHT + 50}h14' stroke='{shade}' stroke-width='2'/>"
        yield text(start + 18, TOP + HEIGHT + 54, words, "start")


def _excess(losses: Mapping[Run, float]) -> dict[Run, float]:
    """Excess of the runs with seed 0 over the best of them, as a fraction."""
    finite = {run: loss for run, loss in losses.items() if run.seed == 0 and isfinite(loss)}
    return {run: loss / min(finite.values()) - 1 for run, loss in finite.items()}


def _interval(ours: Advice, x: Place) -> Iterator[str]:
    if ours.lr_lo is not None and ours.lr_hi is not None:
        low, high = x(log2(ours.lr_lo)), x(log2(ours.lr_hi))
        box = f"x='{low:.1f}' y='{TOP}' width='{high - low:.1f}' height='{HEIGHT}'"
        yield f"<rect {box} fill='#e8f1e4'><title>90 % interval of the planned LR</title></rect>"


def _curve(points: Sequence[tuple[float, float]], shade: str, title: str) -> Iterator[str]:
    if points:
        line = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        yield f"<path d='M{line}' fill='none' stroke='{shade}' stroke-width='2'><title>{title}</title></path>"
    for a, b in points:
        yield f"<circle cx='{a:.1f}' cy='{b:.1f}' r='2.5' fill='{shade}'/>"
