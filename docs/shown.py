"""Outputs shown in hand-written pages: a page's commands are run in order and its outputs filled in.

A block ```` ```sh ```` is run. Where a comment `<!-- shows PATTERN -->` or `<!-- exit N, shows PATTERN -->`
and a block ```` ```text ```` follow, that block holds the lines of the output in which the regular expression
PATTERN is found, with `...` for words left out between them. `python docs/generate.py` fills the blocks in; a
test runs the commands and compares.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SWEEP = ROOT / "examples/proxies/sweep.csv"
BLOCK = re.compile(
    r"^```sh\n(?P<commands>.*?)^```\n"
    r"(?:\n<!-- (?:exit (?P<code>\d+), )?shows (?P<pattern>.+?) -->\n```text\n(?P<output>.*?)^```\n)?",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Done:
    """A block that was run: its place in the page, and the output to show (None where nothing is shown)."""

    match: re.Match[str]
    code: int
    printed: str
    shown: str | None

    @property
    def expected_code(self) -> int:
        """The exit code that the page announces, 0 unless it says otherwise."""
        return int(self.match["code"] or 0)


def run_page(page: str, folder: Path) -> Iterator[Done]:
    """Run a page's blocks one after the other, the first in a checkout, each where the last ended."""
    environment = _environment(folder)
    here = _checkout(folder)
    for match in BLOCK.finditer(page):
        script = f"trap 'pwd > \"{folder}/.here\"' EXIT\n{match['commands']}"
        done = subprocess.run(  # noqa: S603
            ["sh", "-e", "-c", script],  # noqa: S607
            cwd=here,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        here = Path((folder / ".here").read_text(encoding="utf-8").strip())
        shown = None if match["pattern"] is None else excerpt(done.stdout, match["pattern"])
        yield Done(match, done.returncode, done.stdout, shown)


def _checkout(folder: Path) -> Path:
    """Put the shipped sweep where a checkout has it: all that a page's first block finds."""
    path = folder / "checkout/examples/proxies/sweep.csv"
    path.parent.mkdir(parents=True)
    shutil.copy(SWEEP, path)
    return folder / "checkout"


def _environment(folder: Path) -> dict[str, str]:
    """The program of this checkout on the PATH, 80 columns, no colour."""
    program = folder / ".bin" / "hptransfer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hptransfer "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    own = {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    return {**os.environ, **own, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def excerpt(printed: str, pattern: str) -> str:
    """Keep the lines in which the pattern is found, with `...` where words between two were left out."""
    kept: list[str] = []
    left_out = False
    for line in printed.splitlines():
        if re.search(pattern, line):
            kept += ["..."] if left_out and kept else []
            kept.append(line.rstrip())
            left_out = False
        else:
            left_out = left_out or bool(re.search(r"\w", line))
    return "\n".join(kept) + "\n"


def refill(page: str, folder: Path) -> str:
    """Return the page with its outputs as they are now.

    Raises:  RuntimeError when a block ends with another exit code than the page says.
    """
    parts, end = [], 0
    for done in run_page(page, folder):
        if done.code != done.expected_code:
            said = f"{done.match['commands']}{done.printed}"
            msg = f"exit code {done.code}, expected {done.expected_code}:\n{said}"
            raise RuntimeError(msg)
        if done.shown is not None:
            parts += [page[end : done.match.start("output")], done.shown]
            end = done.match.end("output")
    return "".join([*parts, page[end:]])


def agrees(shown: str, now: str, *, within: float = 0.02) -> bool:
    """Whether two outputs say the same: equal words, numbers about equal (see `_close`), any digest."""
    words, now_words = (_words(text) for text in (shown, now))
    return len(words) == len(now_words) and all(
        word == other or _close(word, other, within) for word, other in zip(words, now_words, strict=True)
    )


def _words(text: str) -> list[str]:
    text = re.sub(r"fitted-[0-9a-f]{8}|sha256:[0-9a-f]+", "DIGEST", text)
    return re.findall(r"[+-]?[0-9][0-9,]*\.?[0-9]*(?:e[+-]?[0-9]+)?|[^\s0-9]+", text)


def _close(word: str, other: str, within: float) -> bool:
    """Whether both are numbers, and within a relative tolerance or one unit of the last decimal shown."""
    try:
        one, two = (float(each.replace(",", "")) for each in (word, other))
    except ValueError:
        return False
    mantissa, _, exponent = word.partition("e")
    decimals = mantissa.partition(".")[2]
    unit = 10.0 ** (int(exponent or 0) - len(decimals)) if decimals else 0.0
    return abs(one - two) <= max(within * abs(one), 1.01 * unit)
