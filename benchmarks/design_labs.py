"""Where designed and random runs are made: simulated training whose truth is known, or a grid that was run.

A lab keeps every run it could make or has made as rows. `offer` turns wanted points into rows, `sweep` makes
a sweep of some rows, `excess` prices a law at the targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hptransfer.designing import FLOPS_PER_PARAM_TOKEN
from hptransfer.law import Law, PowerLaw
from hptransfer.numerics.bowls import linex
from hptransfer.numerics.grid_loss import excess_at
from hptransfer.planning import Target, plan_targets
from hptransfer.plans.prediction import predict_log
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep, part_of_sweep, sweep_from_arrays

REACHABLE = 1.0  # steps of the grid between a wanted point and the run that stands for it


class Lab(Protocol):
    """See the module. `cells` (n_cells, 2) are log params and log tokens, `target` the largest target."""

    cells: FloatArray
    target: Target

    def runs(self, rows: IntArray) -> tuple[IntArray, FloatArray]:
        """Cell (n,) and log LR and log batch (n, 2) of rows."""

    def offer(self, wanted: FloatArray, taken: IntArray, most: int) -> IntArray:
        """Rows for wanted points (n_cells, n_points, 2), none of them taken, at most so many a cell."""

    def at_random(self, rng: np.random.Generator) -> IntArray:
        """Rows of the grid that surrounds the optimum, in random order."""

    def sweep(self, rows: IntArray) -> Sweep:
        """The sweep of some rows."""

    def excess(self, law: Law) -> float:
        """Mean excess loss of the law's plans at the targets, a fraction."""


def cost_of(lab: Lab, rows: IntArray) -> FloatArray:
    """FLOP of rows, (n,)."""
    return np.asarray(FLOPS_PER_PARAM_TOKEN * np.exp(lab.cells.sum(axis=1))[lab.runs(rows)[0]])


# ------------------------------------------------------------------------------------- a grid that was run


class Grid:
    """A real grid: smaller sizes are for sale, larger ones price the plans."""

    def __init__(self, sweep: Sweep, held_out: Sweep) -> None:
        self.all, self.held_out = sweep, held_out
        self.cells = np.log(np.column_stack([sweep.cell_params, sweep.cell_tokens]))
        largest = int((held_out.cell_params * held_out.cell_tokens).argmax())
        self.target = Target(float(held_out.cell_params[largest]), float(held_out.cell_tokens[largest]))
        self.points = np.log(np.column_stack([sweep.lr, sweep.batch_tokens]))
        self.usable = np.flatnonzero(~sweep.diverged)
        self.steps = np.array([[_step(self.points[here, q]) for q in (0, 1)] for here in self._by_cell()])

    def _by_cell(self) -> list[IntArray]:
        return [self.usable[self.all.cell[self.usable] == cell] for cell in range(self.all.n_cells)]

    def runs(self, rows: IntArray) -> tuple[IntArray, FloatArray]:
        """See `Lab`."""
        return self.all.cell[rows], self.points[rows]

    def offer(self, wanted: FloatArray, taken: IntArray, most: int) -> IntArray:
        """The nearest run that is left, for each point within a step of one; others were never run."""
        found: list[int] = []
        for cell, here in enumerate(self._by_cell()):
            left = np.setdiff1d(here, taken)
            offered: list[int] = []
            for point in wanted[cell]:
                away = np.abs(self.points[left] - point) / self.steps[cell]
                if len(left) and len(offered) < most and away.max(axis=1).min() <= REACHABLE:
                    nearest = int(away.sum(axis=1).argmin())
                    offered.append(int(left[nearest]))
                    left = np.delete(left, nearest)
            found += offered
        return np.array(found, dtype=np.int64)

    def at_random(self, rng: np.random.Generator) -> IntArray:
        """See `Lab`."""
        return rng.permutation(self.usable)

    def sweep(self, rows: IntArray) -> Sweep:
        """See `Lab`."""
        mask: BoolArray = np.zeros(self.all.n_runs, dtype=np.bool_)
        mask[rows] = True
        return part_of_sweep(self.all, mask)

    def excess(self, law: Law) -> float:
        """Against the best run of each held-out cell, piecewise linear between its runs."""
        sweep = self.held_out
        scales = zip(sweep.cell_params.tolist(), sweep.cell_tokens.tolist(), strict=True)
        points = _planned(law, [Target(*scale) for scale in scales])
        excess = []
        for cell, point in enumerate(points):
            runs = (sweep.cell == cell) & ~sweep.diverged
            grid = np.log(sweep.lr[runs]), np.log(sweep.batch_tokens[runs]), sweep.loss[runs]
            excess.append(excess_at(point, *grid).excess)
        return float(np.mean(excess))


def _step(logs: FloatArray) -> float:
    """Usual ratio of neighbouring levels, natural log; labels within 2 % are one level."""
    gaps = np.diff(np.sort(logs))
    return float(np.median(gaps[gaps > 0.02]))


def _planned(law: Law, targets: list[Target]) -> FloatArray:
    """Log LR and log batch planned, (n_targets, 2)."""
    plans = plan_targets(law, targets)
    return np.log([[found.peak_lr or np.nan, found.batch_tokens or np.nan] for found in plans])


# ------------------------------------------------------------------------------------- simulated training

SURFACES = ("quadratic", "skewed", "diverging", "bent laws", "flat tails")
Lattice = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...]]
LATTICES: Mapping[str, Lattice] = {
    "3 x 3": ((6e7, 1.2e8, 2.4e8), (2e9, 6e9, 1.8e10), (4.8e8, 9.6e8), (1e10, 8e10)),
    "2 x 4": ((2.1e8, 2.7e8), (4e9, 1.2e10, 2.2e10, 9e10), (4.3e8, 5.4e8), (1e10, 5e10)),
}
"""Params and tokens of the proxies, then of the targets; every size at every horizon."""

LEVEL_STD = np.log(3.0) / 1.645  # of the true level about a law's: what published laws differ by
OWN_STD, NOISE_STD, NOISE_GROWTH = 0.1, 0.0012, 0.05
GRID_LR, GRID_BATCH = (np.log(2) / 2, 12), (np.log(1.6), 10)  # step, levels


@dataclass
class Simulated:
    """Training whose optima follow laws of its own, with a bowl of one of the `SURFACES`.

    A level off from a law's by what published laws differ by, exponents about as wide as published ones, each
    cell off the law by 10 % and deeper or shallower by 20 %. Its grid surrounds the true optima.
    """

    surface: str
    lattice: Lattice
    seed: int
    about: Law  # what the true level is drawn about
    cell: IntArray = field(init=False)
    points: FloatArray = field(init=False)
    loss: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, SURFACES.index(self.surface)])
        params, tokens, *larger = self.lattice
        self.cells = np.log([(n, d) for n in params for d in tokens])
        self.targets = [Target(n, d) for n in larger[0] for d in larger[1]]
        self.target = self.targets[-1]
        self.centre = self.cells.mean(axis=0)
        logs = {"params": self.centre[0], "tokens": self.centre[1]}
        assert self.about.peak_lr is not None
        assert self.about.batch_tokens is not None
        powers = (self.about.peak_lr, self.about.batch_tokens)
        middle = [float(predict_log(power, logs, np)) for power in powers]
        self.level = np.array(middle) + LEVEL_STD * rng.standard_normal(2)
        self.exponents = rng.normal([[-0.5, 0.15], [0.0, 0.52]], [[0.2, 0.2], [0.1, 0.08]])
        self.bend = 0.06 * rng.choice([-1.0, 1.0]) if self.surface == "bent laws" else 0.0
        self.own = OWN_STD * rng.standard_normal(self.cells.shape)
        self.depth = np.exp(0.2 * rng.standard_normal(len(self.cells)))
        self.across, self.along = np.array([0.02, 0.012]) * np.exp(0.3 * rng.standard_normal(2))
        self.slope = rng.normal(0.5, 0.15)
        self.floor = 1.7 + 400 / np.exp(self.cells[:, 0]) ** 0.34 + 1500 / np.exp(self.cells[:, 1]) ** 0.36
        self.rng = rng
        self.cell, self.points, self.loss = (
            np.empty(0, dtype=np.int64),
            np.empty((0, 2)),
            np.empty(0),
        )
        self.grid = self.make(*self._lattice_runs())

    def optima(self, logs: FloatArray) -> FloatArray:
        """True log LR* and log batch* of the laws, (n, 2), at log params and log tokens (n, 2)."""
        away = logs - self.centre
        return np.asarray(self.level + away @ self.exponents.T + self.bend * away[:, :1] ** 2 * [1.0, 0.5])

    def bowl(self, u: FloatArray, v: FloatArray) -> FloatArray:
        """Excess log loss at log LR and log batch off the optimum."""
        w = u - self.slope * v
        if self.surface == "skewed":
            return np.asarray(self.across * linex(w, skew=1.2) + self.along * linex(v, skew=-0.5))
        if self.surface == "flat tails":
            w, v = (np.sqrt(2.6 * (np.sqrt(1 + x**2) - 1)) for x in (w, v))
        steep = 0.15 * np.clip(w - 1.0, 0, None) ** 2 if self.surface == "diverging" else 0.0
        return np.asarray(self.across * w**2 + self.along * v**2 + steep)

    def _lattice_runs(self) -> tuple[IntArray, FloatArray]:
        """LRs and batches about the true optimum of each cell, its middle a few steps off."""
        middle = self.optima(self.cells)
        axes = []
        for q, ((step, levels), off) in enumerate(zip((GRID_LR, GRID_BATCH), (2, 1), strict=True)):
            first = np.rint(middle[:, q] / step) + self.rng.integers(-off, off + 1, len(middle)) - levels // 2
            axes.append((first[:, None] + np.arange(levels)) * step)
        lr, batch = np.broadcast_arrays(axes[0][:, :, None], axes[1][:, None, :])
        cell = np.repeat(np.arange(len(middle)), lr[0].size)
        return cell, np.column_stack([lr.ravel(), batch.ravel()])

    def make(self, cell: IntArray, points: FloatArray) -> IntArray:
        """Make runs and return their rows; far above the best LR they diverge."""
        u, v = (points - (self.optima(self.cells) + self.own)[cell]).T
        excess = self.bowl(u, v) * self.depth[cell]
        noise = (NOISE_STD + NOISE_GROWTH * excess) * self.rng.standard_normal(len(cell))
        log_loss = np.log(self.floor[cell]) + excess + noise
        if self.surface == "diverging":
            log_loss = np.where(u - self.slope * v > np.log(5), np.log(self.floor[cell]) + 0.5, log_loss)
        first = len(self.cell)
        self.cell = np.concatenate([self.cell, cell])
        self.points = np.concatenate([self.points, points])
        self.loss = np.concatenate([self.loss, np.exp(log_loss)])
        return np.arange(first, len(self.cell))

    def runs(self, rows: IntArray) -> tuple[IntArray, FloatArray]:
        """See `Lab`."""
        return self.cell[rows], self.points[rows]

    def offer(self, wanted: FloatArray, taken: IntArray, most: int) -> IntArray:  # noqa: ARG002
        """Every wanted point can be run."""
        points = wanted[:, :most]
        return self.make(np.repeat(np.arange(len(points)), points.shape[1]), points.reshape(-1, 2))

    def at_random(self, rng: np.random.Generator) -> IntArray:
        """See `Lab`."""
        return rng.permutation(self.grid)

    def sweep(self, rows: IntArray) -> Sweep:
        """See `Lab`."""
        params, tokens = np.exp(self.cells[self.cell[rows]]).T
        lr, batch = np.exp(self.points[rows]).T
        return sweep_from_arrays(
            params=params, tokens=tokens, lr=lr, batch_tokens=batch, loss=self.loss[rows]
        )

    def excess(self, law: Law) -> float:
        """By the true bowl at the true optima."""
        truth = self.optima(np.log([[target.params, target.tokens] for target in self.targets]))
        return float(self.bowl(*(_planned(law, self.targets) - truth).T).mean())


def misguided(law: Law, off: FloatArray) -> Law:
    """The law with the levels of LR and batch moved by `off` (2,), natural logs."""

    def moved(power: PowerLaw | None, by: float) -> PowerLaw:
        assert power is not None
        return power.model_copy(update={"log_coefficient": power.log_coefficient + by})

    lr, batch = moved(law.peak_lr, float(off[0])), moved(law.batch_tokens, float(off[1]))
    return law.model_copy(update={"peak_lr": lr, "batch_tokens": batch})
