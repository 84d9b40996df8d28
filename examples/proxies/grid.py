"""Which runs the shipped sweeps are made of, written as plan files.

    python -m examples.proxies.grid examples/proxies

The first pass is LR x batch in steps of two, around what a coarse pilot found. The second pass halves the
steps of LR around the optimum that the first pass saw, adds the longest horizon, and a
batch where the best ones lay on the edge.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from math import floor, log2
from pathlib import Path

from examples.proxies.runs import Run, write_plan

WIDTHS = (24, 32, 48, 64, 96)
BATCHES = {  # tokens of the run -> tokens per step
    98_304: (32, 64, 128, 256),
    294_912: (64, 128, 256, 512),
    786_432: (64, 128, 256, 512),
}
THOUSANDTHS = {  # batch -> peak LRs of the first pass
    32: (2, 4, 8, 16),
    64: (2, 4, 8, 16),
    128: (4, 8, 16, 32),
    256: (4, 8, 16, 32),
    512: (8, 16, 32, 64),
}
REPEATED = (  # width, tokens, batch
    (24, 98_304, 128),
    (96, 98_304, 128),
    (48, 294_912, 128),
    (24, 786_432, 128),
    (96, 786_432, 128),
    (96, 1_572_864, 512),
)
FAR_TOO_HIGH = (0.512, 32.768)  # LRs: worse than ever, and blown up
LONGEST, LONGEST_BATCHES = 1_572_864, (256, 512, 1024, 2048)
WIDER = (786_432, 1024)  # tokens and a batch beyond the first pass: its best were on the edge there
DESIGNED = (  # width, tokens, batch, LR: by `hptransfer design`, batches to 2^k or 3 * 2^k
    (136, 294_912, 64, 0.00426),
    (136, 294_912, 256, 0.00426),
    (24, 98_304, 128, 0.0474),
    (24, 98_304, 64, 0.0237),
    (24, 98_304, 64, 0.0119),
    (24, 294_912, 512, 0.0521),
    (136, 294_912, 64, 0.00213),
    (24, 786_432, 1024, 0.0566),
    (32, 3_145_728, 512, 0.0236),
    (32, 98_304, 48, 0.00877),
    (32, 98_304, 48, 0.0175),
    (24, 294_912, 128, 0.013),
)
MUP_WIDTHS, MUP_TOKENS, MUP_BATCH = (16, 32, 48, 64, 96), 786_432, 256


def ladder(half_steps: int) -> float:
    """The LR so many half steps (factors of sqrt 2) above 0.001, to three digits."""
    return float(f"{0.001 * 2.0 ** (half_steps / 2):.3g}")


def best_seen(width: int, tokens: int, batch: int) -> float:
    """Half steps on the ladder to the best LR, read from the first pass by eye: says where to look."""
    octaves = 2.8 - 0.68 * log2(width / 96) + 0.6 * log2(batch / 256) - 0.26 * log2(tokens / 786_432)
    return 2.0 * octaves


def first_pass() -> Iterator[Run]:
    """LR x batch at 5 sizes x 3 horizons; some runs with other seeds, some that diverge."""
    for tokens, batches in BATCHES.items():
        for batch in reversed(batches):
            for thousandths in THOUSANDTHS[batch]:
                for width in WIDTHS:
                    yield Run("sp", width, tokens, batch, thousandths / 1000, seed=0)
    for width, tokens, batch in REPEATED:
        for seed in (1, 2, 3):
            yield Run("sp", width, tokens, batch, 0.008, seed)
    for lr in FAR_TOO_HIGH:
        for width in WIDTHS:
            yield Run("sp", width, 98_304, 128, lr, seed=0)


def second_pass() -> Iterator[Run]:
    """Half steps of LR within an octave of the best, and the longest horizon."""
    for batch in LONGEST_BATCHES:
        for width in WIDTHS:
            centre = round(best_seen(width, LONGEST, batch))
            for half_steps in range(centre - 2, centre + 3):
                yield Run("sp", width, LONGEST, batch, ladder(half_steps), seed=0)
    for width in WIDTHS:
        centre = round(best_seen(width, *WIDER))
        for half_steps in range(centre - 2, centre + 3):
            yield Run("sp", width, *WIDER, ladder(half_steps), seed=0)
    for tokens, batches in BATCHES.items():
        for batch in batches:
            for width in WIDTHS:
                centre = 2 * floor(best_seen(width, tokens, batch) / 2) + 1
                for half_steps in (centre - 2, centre, centre + 2):
                    yield Run("sp", width, tokens, batch, ladder(half_steps), seed=0)


def designed() -> Iterator[Run]:
    """What `hptransfer design` proposed for the target sp-n4-d2, given what the passes before had shown."""
    for width, tokens, batch, lr in DESIGNED:
        yield Run("sp", width, tokens, batch, lr, seed=0)


def mup() -> Iterator[Run]:
    """Base LR x width at one horizon and one batch; the middle again with other seeds."""
    for width in MUP_WIDTHS:
        for half_steps in range(3, 14):
            yield Run("mup", width, MUP_TOKENS, MUP_BATCH, ladder(half_steps), seed=0)
    for width in (MUP_WIDTHS[0], MUP_WIDTHS[-1]):
        for seed in (1, 2, 3):
            yield Run("mup", width, MUP_TOKENS, MUP_BATCH, 0.016, seed)


def main() -> None:
    """Write the plan files into a folder."""
    folder = Path(sys.argv[1])
    write_plan(folder / "sp_plan.csv", [*first_pass(), *second_pass(), *designed()])
    write_plan(folder / "mup_plan.csv", mup())


if __name__ == "__main__":
    main()
