"""Take the README's picture of the report: `python docs/screenshot.py` (make screenshot; needs chromium).

The answer, a row of cells and a row of the law, cut from the page of the shipped sweep.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from shown import ROOT, SWEEP

WIDTH = 1180
GAP = 14  # pixels about and between the parts
COLORS = 160
PICTURE = ROOT / "docs/report.png"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

PARTS = (
    ("body", "#answer details"),  # from the top of the one to the bottom of the other
    ("#cells h2", "#cells figure:nth-of-type(3)"),
    ("#optima h2", "#figure-optimum-peak-lr-tokens"),
)


def make_report(folder: Path) -> Path:
    """The report of the tutorial's target."""
    shutil.copy(SWEEP, folder)
    target = ("--params", "294912", "--tokens", "3145728", "--params-kind", "non-embedding")
    sweep = "sweep.csv"
    for arguments in (
        ("fit", sweep, "-o", "law.json"),
        ("plan", "--law", "law.json", *target, "-o", "target.yaml"),
        ("report", sweep, "--law", "law.json", "--plan", "target.yaml", "-o", "report.html"),
    ):
        command = [sys.executable, "-m", "hptransfer", *arguments, "--quiet"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return folder / "report.html"


def cut(page: Any) -> Iterator[Image.Image]:
    """The parts of the page, as wide as the page."""
    for first, last in PARTS:
        top = max(0.0, page.locator(first).first.bounding_box()["y"] - GAP)
        box = page.locator(last).first.bounding_box()
        clip = {"x": 0, "y": top, "width": WIDTH, "height": box["y"] + box["height"] - top}
        yield Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip)))


def stacked(parts: list[Image.Image]) -> Image.Image:
    """One picture of few colours with the parts under each other."""
    height = sum(part.height for part in parts) + GAP * (len(parts) - 1)
    picture = Image.new("RGB", (WIDTH, height), parts[0].convert("RGB").getpixel((0, 0)))
    top = 0
    for part in parts:
        picture.paste(part, (0, top))
        top += part.height + GAP
    return picture.quantize(COLORS)


def main() -> None:
    """Make the report, open it, cut and save."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = make_report(Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(report.as_uri())
        parts = list(cut(page))
        browser.close()
    stacked(parts).save(PICTURE, optimize=True)
    print(f"wrote docs/report.png ({PICTURE.stat().st_size // 1000} kB)")


if __name__ == "__main__":
    main()
