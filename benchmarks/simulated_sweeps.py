"""Recovery and coverage of the surface on simulated sweeps that it cannot represent exactly.

    python benchmarks/simulated_sweeps.py [SWEEPS_PER_CASE]

Each case changes one thing about a 3 x 3 sweep; the target lies four times beyond it in params and in tokens.
The error is that of the plan against the true optimum; coverage is that of the 90 % prediction interval for
the optimum that a full grid at the target would show, found by a cubic smoother on such a grid.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hptransfer.fitting import fit
from hptransfer.law import Law
from hptransfer.numerics.bowls import linex
from hptransfer.numerics.grid_loss import smoothed_optimum
from hptransfer.planning import Target, plan
from hptransfer.sweep import Sweep, sweep_from_arrays

FloatArray = NDArray[np.float64]

PARAMS = (5e7, 1e8, 2e8)
TOKENS = (2e9, 8e9, 3.2e10)
TARGET = (8e8, 1.28e11)
LR_STEP, BATCH_STEP = np.sqrt(2.0), 2.0


@dataclass(frozen=True)
class Case:
    """What a simulated sweep is like. Noise in log loss; skew as in LINEX; bend in logs per squared log."""

    shape: str = "linex"
    skew: float = 0.5
    noise: float = 0.001
    noise_growth: float = 0.0
    keep: float = 1.0
    bend: float = 0.0
    digits: int = 6
    missing: int = 0
    cell_scatter: float = 0.05


CASES = {
    "LINEX bowl, skew 0.5": Case(),
    "LINEX bowl, skew 1.2": Case(skew=1.2),
    "quartic bowl": Case(shape="quartic"),
    "bend in params, +0.1": Case(bend=0.1),
    "bend in params, -0.1": Case(bend=-0.1),
    "noise grows with excess": Case(noise_growth=0.2),
    "noise 0.0003": Case(noise=0.0003),
    "noise 0.004": Case(noise=0.004),
    "labels with two digits": Case(digits=2),
    "three cells missing": Case(missing=3),
    "a quarter of the runs": Case(keep=0.25),
    "a tenth of the runs": Case(keep=0.1),
    "tenth, skew 1.2, noise 0.004": Case(keep=0.1, skew=1.2, noise=0.004),
}


@dataclass(frozen=True)
class Truth:
    """Exponents of one simulated family."""

    lr_params: float
    lr_tokens: float
    batch_params: float
    batch_tokens: float

    def optimum(self, params: float, tokens: float, bend: float) -> FloatArray:
        """Log peak LR and log batch (tokens)."""
        n, d = np.log(params / 1e8), np.log(tokens / 8e9)
        lr = np.log(2e-3) + self.lr_params * n + self.lr_tokens * d + bend * n**2 / 2
        return np.array([lr, np.log(3e5) + self.batch_params * n + self.batch_tokens * d])


def draw_truth(rng: np.random.Generator) -> Truth:
    """Exponents as wide apart as published laws, so about as wide as the weak prior."""
    return Truth(rng.normal(-0.45, 0.25), rng.normal(0.1, 0.2), rng.normal(0, 0.12), rng.normal(0.5, 0.1))


def simulate_cell(
    case: Case, truth: Truth, scale: tuple[float, float], rng: np.random.Generator, *, keep: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """LR, batch and loss of the runs of one cell, on a common lattice."""
    own = truth.optimum(*scale, case.bend) + case.cell_scatter * rng.standard_normal(2)
    lr_index = np.rint(own[0] / np.log(LR_STEP)) + np.arange(-5, 6)
    batch_index = np.rint(own[1] / np.log(BATCH_STEP)) + np.arange(-3, 4)
    x, y = (a.ravel() for a in np.meshgrid(lr_index * np.log(LR_STEP), batch_index * np.log(BATCH_STEP)))
    here = rng.random(len(x)) < keep
    x, y = x[here], y[here]
    u, v = x - own[0], y - own[1]
    if case.shape == "quartic":
        excess = 0.012 * (u**2 - 0.8 * u * v + v**2) + 0.002 * u**4
    else:
        excess = 0.012 * linex(u - 0.4 * v, skew=case.skew) + 0.01 * linex(v, skew=-case.skew)
    noise = case.noise + case.noise_growth * excess
    loss = 2.5 * np.exp(excess + noise * rng.standard_normal(len(u)))
    return _labels(np.exp(x), case.digits), np.exp(y), loss


def _labels(values: FloatArray, digits: int) -> FloatArray:
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(values)))
    return np.asarray(np.rint(values * scale) / scale)


def simulate_sweep(case: Case, truth: Truth, rng: np.random.Generator) -> Sweep:
    """All cells but the missing ones."""
    cells = [(n, d) for n in PARAMS for d in TOKENS]
    kept = rng.permutation(len(cells))[: len(cells) - case.missing]
    parts = []
    for k in sorted(kept):
        lr, batch, loss = simulate_cell(case, truth, cells[k], rng, keep=case.keep)
        ones = np.ones(len(lr))
        parts.append((cells[k][0] * ones, cells[k][1] * ones, lr, batch, loss))
    params, tokens, lr, batch, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sweep_from_arrays(params=params, tokens=tokens, lr=lr, batch_tokens=batch, loss=loss)


def shown_optimum(case: Case, truth: Truth, rng: np.random.Generator) -> FloatArray:
    """Log optimum that a full grid at the target shows."""
    lr, batch, loss = simulate_cell(replace(case, digits=6), truth, TARGET, rng, keep=1.0)
    shown = smoothed_optimum(np.log(lr), np.log(batch), loss)
    assert shown is not None, "a full grid shows its optimum"
    return shown


def one_sweep(case: Case, seed: int) -> tuple[FloatArray, NDArray[np.bool_], FloatArray]:
    """Log error of the plan, whether its intervals cover, and their log widths; LR and batch."""
    rng = np.random.default_rng(seed)
    truth = draw_truth(rng)
    law: Law = fit(simulate_sweep(case, truth, rng), resamples=20)
    found = plan(law, Target(*TARGET))
    assert found.peak_lr_interval is not None
    assert found.batch_tokens_interval is not None
    assert found.batch_tokens is not None
    error = np.log([found.peak_lr or np.nan, found.batch_tokens]) - truth.optimum(*TARGET, case.bend)
    ends = np.log([found.peak_lr_interval, found.batch_tokens_interval])
    shown = shown_optimum(case, truth, rng)
    return error, (ends[:, 0] <= shown) & (shown <= ends[:, 1]), ends[:, 1] - ends[:, 0]


def main() -> None:
    """Print one row a case."""
    n_sweeps = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print("| case | rms error LR / batch | bias LR / batch | covered LR / batch | width LR / batch |")
    print("|---|---|---|---|---|")
    for k, (name, case) in enumerate(CASES.items()):
        results = [one_sweep(case, 1000 * k + seed) for seed in range(n_sweeps)]
        error, covered, width = (np.array(column) for column in zip(*results, strict=True))
        rms, bias = np.sqrt((error**2).mean(axis=0)), error.mean(axis=0)
        cells = (
            f"{rms[0]:.2f} / {rms[1]:.2f}",
            f"{bias[0]:+.2f} / {bias[1]:+.2f}",
            f"{covered[:, 0].mean():.0%} / {covered[:, 1].mean():.0%}",
            f"x{np.exp(np.median(width[:, 0])):.2f} / x{np.exp(np.median(width[:, 1])):.2f}",
        )
        print("| " + " | ".join((name, *cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
