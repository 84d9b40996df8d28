"""What is known of the optimum before the next run: a published law, moved by the runs so far.

The posterior itself is `numerics.recentring`; here a sweep and a law become its arrays, and the points to try
are laid around it. docs/which-runs.md has the reasoning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from hptransfer.anchoring import comparable_laws, in_scale
from hptransfer.estimators.common import Runs, count_levels, usable_runs
from hptransfer.estimators.priors import WEAK, exponent_prior
from hptransfer.law import Law, PowerLaw
from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.design import Assumptions, Knowledge, Question, gather, space_filling
from hptransfer.numerics.recentring import Belief, Observed, updated
from hptransfer.planning import Target
from hptransfer.plans.prediction import predict_log
from hptransfer.published import published_law
from hptransfer.sweep import Sweep

REFERENCE = "step-law"
GUESS_STD = math.log(3.0) / 1.645
"""Of the level of a published law somewhere else, natural logs: published laws differ by about 3 times."""

REACH = np.array([1.2, 1.5])
"""How far runs spread about a guess that is right, log LR across the valley and log batch: to about 3 % of
excess loss, so that they show how the bowl curves. The guess's own standard deviation comes on top."""

LR_CURVATURE, BATCH_CURVATURE, RIDGE = 0.02, 0.016, 0.5
"""Excess log loss per squared natural log, the median cell of Step Law's grid; the valley's slope."""

BOWL_STD = np.array([GUESS_STD, GUESS_STD, 0.3])
"""Of log curvatures, and of the valley's slope."""

CURVATURE_STD = 0.4
DEPTH_STD = 0.25  # of a cell's curvatures together, about those of all cells
OWN_STD = 0.15
NOISE_STD = 0.001
MISFIT = 0.25


@dataclass(frozen=True, eq=False)
class State:
    """What is known before the next run.

    Attributes:
        prior:      of the laws and bowls, before any run.
        belief:     the same after the sweep's runs.
        centre:     (2,), log params and log tokens that both are centred on.
        guessed_by: what the belief rests on, in words.
    """

    target: Target
    prior: Belief
    belief: Belief
    centre: FloatArray
    sweep: Sweep | None
    guessed_by: str
    notes: tuple[str, ...]

    @property
    def assumed(self) -> Assumptions:
        """Bowl and noise as they are believed to be."""
        across, along = np.exp(self.belief.bowl[:2])
        slope = self.belief.bowl[2]
        mixed = -across * slope
        hessian = 2 * np.array([[across, mixed], [mixed, along + across * slope**2]])
        return Assumptions(
            hessian=hessian,
            curvature_std=CURVATURE_STD,
            own_variance=self.belief.own_std**2,
            noise_std=self.belief.noise_std,
            misfit=self.belief.misfit,
        )

    @property
    def target_logs(self) -> FloatArray:
        """Log params and log tokens of the target."""
        return np.asarray(np.log([self.target.params, self.target.tokens]))

    def guess(self, cells: FloatArray) -> FloatArray:
        """Guessed log LR* and log batch*, (n, 2), at log params and log tokens (n, 2)."""
        return self.belief.optima(cells - self.centre)

    def question(self, cells: FloatArray) -> Question:
        """Cells and target about the centre, with what was known before any run."""
        precision = np.asarray(np.linalg.inv(self.prior.covariance), dtype=np.float64)
        return Question(cells - self.centre, self.target_logs - self.centre, precision)

    def knowledge(self, cells: FloatArray) -> Knowledge:
        """What the finished runs have told; every cell of the sweep is among `cells`."""
        if self.sweep is None:
            return gather(np.empty(0, dtype=np.int64), np.empty((0, 2)), self.assumed, n_cells=len(cells))
        sweep = self.sweep
        usable = ~sweep.diverged
        logs = np.log(np.column_stack([sweep.cell_params, sweep.cell_tokens]))
        place = np.abs(cells[None] - logs[:, None]).sum(axis=2).argmin(axis=1)
        runs = np.log(np.column_stack([sweep.lr, sweep.batch_tokens]))[usable]
        cell = place[sweep.cell[usable]]
        return gather(cell, runs - self.guess(cells)[cell], self.assumed, n_cells=len(cells))

    def points(self, cells: FloatArray, *, per_cell: int) -> FloatArray:
        """Log LR and log batch to try, (n_cells, per_cell, 2), filling the space about the guess.

        As wide as the bowl and the doubt about the guess together: narrow runs about a wrong guess would only
        confirm it. No two cells share a setting: each takes the sequence up where the one before it left it,
        and runs that a cell has already had are not repeated.
        """
        first = np.cumsum(self.knowledge(cells).runs + per_cell) - per_cell
        reach = REACH + self.belief.optima_std(cells - self.centre)
        offset = (2 * space_filling(first[:, None] + np.arange(per_cell)) - 1) * reach[:, None]
        offset[..., 0] += self.belief.bowl[2] * offset[..., 1]
        return self.guess(cells)[:, None] + offset


def middle_of_published_laws() -> Law:
    """Step Law and the published laws that are comparable with it, averaged in logs: a power law as well.

    One law alone can be off to one side: Step Law's LR is about three times that of the others.
    """
    reference = published_law(REFERENCE)
    middle = {name: _mean_power(reference, name) for name in ("peak_lr", "batch_tokens")}
    return reference.model_copy(update={"id": "published-laws", "title": "mean of published laws", **middle})


def _mean_power(reference: Law, name: str) -> PowerLaw:
    """The mean of one part of the comparable laws, in params and tokens."""
    laws = [getattr(law, name) for law in (reference, *comparable_laws(reference, name))]
    powers = [in_scale(power) for power in laws]
    exponents = {axis: fmean(power.exponents[axis] for power in powers) for axis in powers[0].exponents}
    level = fmean(power.log_coefficient for power in powers)
    return powers[0].model_copy(update={"log_coefficient": level, "exponents": exponents})


def begin(target: Target, cells: FloatArray, sweep: Sweep | None = None, guess: Law | None = None) -> State:
    """What is known before the next run.

    Args:    cells: (n_cells, 2), log params and log tokens of runs to come; guess: a law of LR and batch in
             params and tokens to start from, the middle of the published ones unless given.
    Raises:  RefusalError where a loss is not positive.
    """
    law = guess or middle_of_published_laws()
    if sweep is None:
        centre = np.asarray(cells.mean(axis=0))
        prior = _prior(law, centre, parametrization=None)
        return State(target, prior, prior, centre, None, law.id, ())
    scale = np.log(np.column_stack([sweep.cell_params, sweep.cell_tokens]))
    centre = np.asarray(scale.mean(axis=0))
    prior = _prior(law, centre, str(sweep.setting.get("parametrization", "standard")))
    runs, _ = usable_runs(sweep)
    if len(runs.row) == 0:
        note = f"no cell has tried more than one LR yet: optima are guessed with {law.id} alone."
        return State(target, prior, prior, centre, sweep, law.id, (note,))
    seen = Observed(
        scale=np.column_stack([runs.log_params, runs.log_tokens]) - centre,
        cell=runs.cell,
        point=np.column_stack([runs.log_lr, runs.log_batch]),
        log_loss=np.log(runs.loss),
    )
    notes = _notes(runs, law.id)
    return State(
        target, prior, updated(prior, seen), centre, sweep, f"{law.id} and {len(runs.row)} runs", notes
    )


def _prior(law: Law, centre: FloatArray, parametrization: str | None) -> Belief:
    """A law's level at the centre to a factor of three, and exponents about as wide as the prior `weak`.

    The exponents are the law's own where no parametrization is known yet, else the centres of `weak`.
    """
    assert law.peak_lr is not None  # noqa: S101 - the published entry has both
    assert law.batch_tokens is not None  # noqa: S101
    powers = (law.peak_lr, law.batch_tokens)
    weak = exponent_prior(WEAK, parametrization=parametrization or "standard", batch_searched=True)
    precision, laws = weak.precision_and_mean()
    laws = laws.reshape(2, 3)
    if parametrization is None:
        laws[:, 1:] = [[power.exponents.get(name, 0.0) for name in ("params", "tokens")] for power in powers]
    logs = {"params": centre[0], "tokens": centre[1]}
    laws[:, 0] = [float(predict_log(power, logs, np)) for power in powers]
    precision[[0, 3]] = GUESS_STD**-2
    along = BATCH_CURVATURE - LR_CURVATURE * RIDGE**2
    return Belief(
        laws=laws,
        covariance=np.diag(1 / precision),
        bowl=np.array([math.log(LR_CURVATURE), math.log(along), RIDGE]),
        bowl_std=BOWL_STD,
        own_std=np.full(2, OWN_STD),
        depth_std=DEPTH_STD,
        noise_std=NOISE_STD,
        misfit=MISFIT,
    )


def _notes(runs: Runs, guessed_by: str) -> tuple[str, ...]:
    """Say where the runs cannot say what is asked of them."""
    if (count_levels(runs.log_batch, runs.cell, n_cells=len(runs.cells)) > 1).any():
        return ()
    return (f"no cell has tried more than one batch yet: the best batch is guessed with {guessed_by} alone.",)
