"""Which runs tell most about a target's optimum: expected information, and a greedy choice by it.

In a cell with optimum o, log loss = floor + (x - o)' H (x - o) / 2 with x = (log LR, log batch). Its gradient
with respect to o is -H (x - o): runs off the optimum inform, runs on it do not, and because floor and
curvature are unknown in part only runs on several sides do. Optima follow laws that are linear in the centred
(log params, log tokens), plus an offset of each cell's own.

Laws' coefficients come in the order of `surface`: LR (1, params, tokens), then batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray, IntArray

N_OPTIMUM = 2  # local directions that are wanted: log LR and log batch of the cell's optimum
N_LOCAL = 6  # those, the floor, and three terms of curvature

UNKNOWN_FLOOR = 1.0
"""Precision of a floor of which nothing is known: log loss within one of a guess."""

KNOWN_FLOOR = 1e8
OPENING_RUNS = N_LOCAL
"""Runs until a cell has shown optimum, floor and curvature, as many as it has unknowns. Until then a run is
judged as though the floor were known: the first runs of a cell pay off only together, and a choice one run at
a time would never begin."""

ALIKE = 0.05
"""Natural log of sizes, or horizons, that count as one."""

PLASTIC_NUMBER = 1.3247179572447460  # real root of x**3 = x + 1

COST_EXPONENT = 0.4
"""Power of the cost that a gain is divided by. Source: arXiv:2604.22753 (active experiment selection)."""


@dataclass(frozen=True, eq=False)
class Assumptions:
    """What is taken as known of the bowls.

    Attributes:
        hessian:        (2, 2), second derivatives of log loss at the optimum, per natural log squared.
        curvature_std:  of a cell's own curvature, relative.
        own_variance:   (2,), of a cell's optimum about the law, natural logs squared.
        noise_std:      of log loss.
        misfit:         share of a run's excess loss by which no quadratic fits it.
    """

    hessian: FloatArray
    curvature_std: float
    own_variance: FloatArray
    noise_std: float
    misfit: float


@dataclass(frozen=True, eq=False)
class Candidates:
    """Runs that could be made, one entry each; each is chosen at most once.

    Attributes:
        cell:       (n_candidates,), index of the cell.
        offset:     (n_candidates, 2), log LR and log batch from the guessed optimum.
        cost:       (n_candidates,), in any unit.
    """

    cell: IntArray
    offset: FloatArray
    cost: FloatArray


@dataclass(frozen=True, eq=False)
class Question:
    """Where the cells are, where the optimum is wanted, and what is known without any run.

    Attributes:
        scale:     (n_cells, 2), log params and log tokens, centred.
        target:    (2,), the same of the target.
        precision: (6, 6), prior of the laws' coefficients.
    """

    scale: FloatArray
    target: FloatArray
    precision: FloatArray


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What runs have told: local information (n_cells, 6, 6) and runs (n_cells,) of each cell."""

    local: FloatArray
    runs: IntArray


def space_filling(index: IntArray) -> FloatArray:
    """Points of the unit square that fill it evenly from any index on, (..., 2) for index (...).

    Source:  Roberts 2018, "The unreasonable effectiveness of quasirandom sequences" (R2).
    """
    steps = PLASTIC_NUMBER ** -np.array([1.0, 2.0])
    return np.asarray((0.5 + np.asarray(index)[..., None] * steps) % 1.0)


def run_information(offset: FloatArray, assumed: Assumptions) -> FloatArray:
    """Local information of single runs, (n_runs, 6, 6), offset (n_runs, 2)."""
    u, v = offset.T
    uu, vv = np.diag(assumed.hessian)
    excess = np.einsum("ni,ij,nj->n", offset, assumed.hessian, offset) / 2
    curvature = np.column_stack([uu * u**2, np.sqrt(uu * vv) * u * v, vv * v**2]) / 2
    gradient = np.column_stack([-offset @ assumed.hessian, np.ones(len(offset)), curvature])
    weight = 1 / (assumed.noise_std**2 + (assumed.misfit * excess) ** 2)
    return np.asarray(weight[:, None, None] * gradient[:, :, None] * gradient[:, None, :])


def gather(cell: IntArray, offset: FloatArray, assumed: Assumptions, *, n_cells: int) -> Knowledge:
    """What finished runs have told; cell (n_runs,), offset (n_runs, 2)."""
    local = np.zeros((n_cells, N_LOCAL, N_LOCAL))
    np.add.at(local, cell, run_information(offset, assumed))
    return Knowledge(local, np.bincount(cell, minlength=n_cells))


def optimum_information(local: FloatArray, assumed: Assumptions, *, floor_known: BoolArray) -> FloatArray:
    """Information (..., 2, 2) about where the law is at a cell, from local information (..., 6, 6).

    Floor and curvature are eliminated (Schur complement), the cell's own offset is added as noise.
    """
    rest = local[..., N_OPTIMUM:, N_OPTIMUM:].copy()
    rest[..., 0, 0] += np.where(floor_known, KNOWN_FLOOR, UNKNOWN_FLOOR)
    rest[..., range(1, 4), range(1, 4)] += assumed.curvature_std**-2
    mixed = local[..., :N_OPTIMUM, N_OPTIMUM:]
    own = local[..., :N_OPTIMUM, :N_OPTIMUM] - mixed @ np.linalg.solve(rest, mixed.swapaxes(-1, -2))
    return np.asarray(own @ np.linalg.inv(np.eye(N_OPTIMUM) + np.diag(assumed.own_variance) @ own))


def law_terms(optimum: FloatArray, scale: FloatArray) -> FloatArray:
    """Information about the laws' coefficients, (n, 6, 6), from (n, 2, 2) at cells with scale (n, 2)."""
    x = np.column_stack([np.ones(len(scale)), scale])
    outer = x[:, :, None] * x[:, None, :]
    return np.asarray(np.einsum("nab,nij->naibj", optimum, outer).reshape(len(scale), 6, 6))


def target_variances(precision: FloatArray, target: FloatArray) -> FloatArray:
    """Variances (..., 2) of log LR* and log batch* at a target, from the laws' precision (..., 6, 6)."""
    x = np.kron(np.eye(2), np.concatenate([[1.0], target]))
    return np.asarray(np.einsum("qi,...ij,qj->...q", x, np.linalg.inv(precision), x))


def expected_variances(asked: Question, known: Knowledge, assumed: Assumptions) -> FloatArray:
    """Variances (2,) of log LR* and log batch* of the law at the target."""
    unknown = np.zeros(len(known.runs), dtype=np.bool_)
    terms = law_terms(optimum_information(known.local, assumed, floor_known=unknown), asked.scale)
    return target_variances(asked.precision + terms.sum(axis=0), asked.target)


def choose_runs(
    candidates: Candidates,
    asked: Question,
    known: Knowledge,
    assumed: Assumptions,
    *,
    budget: float,
    n_runs: int,
    most_per_cell: int,
) -> IntArray:
    """Choose runs one after the other, each with the largest gain over cost ** `COST_EXPONENT`.

    The gain is the expected decrease of the target's variance of log LR* plus that of log batch*.

    Args:    budget: of all chosen runs, in the unit of the cost; n_runs: at most so many are chosen;
             most_per_cell: of them in one cell.
    Returns: indices of candidates in the order chosen, (n_chosen,).
    """
    local, runs = known.local.copy(), known.runs.copy()
    each = run_information(candidates.offset, assumed)
    left, chosen = budget, np.zeros(len(candidates.cell), dtype=np.bool_)
    new = np.zeros(len(runs), dtype=np.int64)
    order: list[int] = []
    while len(order) < n_runs:
        allowed = ~chosen & (candidates.cost <= left) & (new[candidates.cell] < most_per_cell)
        begun = allowed & ((runs > 0) & (runs < OPENING_RUNS))[candidates.cell]
        # A few runs of a cell tell nothing without the rest.
        apart = _apart(allowed, candidates.cell, asked.scale, opened=runs > 0)
        allowed = begun if begun.any() else apart
        if not allowed.any():
            break
        gain = (
            _gains(candidates, asked, Knowledge(local, runs), assumed, each) / candidates.cost**COST_EXPONENT
        )
        best = int(np.where(allowed, gain, -np.inf).argmax())
        cell = candidates.cell[best]
        local[cell] += each[best]
        runs[cell] += 1
        new[cell] += 1
        chosen[best] = True
        left -= candidates.cost[best]
        order.append(best)
    return np.array(order, dtype=np.int64)


def _apart(allowed: BoolArray, cell: IntArray, scale: FloatArray, *, opened: BoolArray) -> BoolArray:
    """Once two cells are open at one size, or one horizon, only others are allowed, where there are any.

    The prior may leave little to gain from a second size close by, and without one there is no law to move.
    """
    for level in scale.T:
        seen = level[opened]
        if len(seen) >= 2 and np.ptp(seen) < ALIKE:
            other = allowed & (np.abs(level[cell] - seen[0]) >= ALIKE)
            allowed = other if other.any() else allowed
    return allowed


def _gains(
    candidates: Candidates, asked: Question, known: Knowledge, assumed: Assumptions, each: FloatArray
) -> FloatArray:
    """Expected decrease of the target's summed variance by every candidate, (n_candidates,)."""
    opening = known.runs < OPENING_RUNS - 1
    terms = law_terms(optimum_information(known.local, assumed, floor_known=opening), asked.scale)
    total = asked.precision + terms.sum(axis=0)
    cell = candidates.cell
    after = optimum_information(known.local[cell] + each, assumed, floor_known=opening[cell])
    changed = total - terms[cell] + law_terms(after, asked.scale[cell])
    now = target_variances(total, asked.target).sum()
    return np.asarray(now - target_variances(changed, asked.target).sum(axis=-1))
