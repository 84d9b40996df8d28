"""Where the optimum is, after a few runs: a posterior that cannot jump.

    log loss = floor_c + depth_c * (A w^2 + B v^2) + noise,   w = u - slope * v
    (u, v)   = (log LR, log batch) - law(s_c) - own_c

with s_c the centred (log params, log tokens) of cell c, floors free and everything else under a normal prior:
laws linear in s, log A, log B, slope, and each cell's own offset and log depth. A surface fitted to a
dozen runs may be a saddle, and its minimum anywhere; here A and B stay positive whatever the runs say. Mode
by Levenberg-Marquardt from several starts, covariance by Laplace's approximation at the best of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from hptransfer.numerics.arrays import FloatArray, IntArray

N_LAWS = 6  # LR (1, params, tokens), then batch
N_BOWL = 3  # log A, log B, slope
STARTS = ((0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (-1.0, -1.0))
"""Levels to start from, in standard deviations of the prior, (LR, batch)."""

MOST_EVALUATIONS = 200


@dataclass(frozen=True, eq=False)
class Observed:
    """Finished runs in cells.

    Attributes:
        scale:    (n_cells, 2), log params and log tokens, centred.
        cell:     (n_runs,), index of the cell.
        point:    (n_runs, 2), log LR and log batch.
        log_loss: (n_runs,).
    """

    scale: FloatArray
    cell: IntArray
    point: FloatArray
    log_loss: FloatArray


@dataclass(frozen=True, eq=False)
class Belief:
    """What is thought of the laws and bowls: a prior, or what runs have made of it.

    Attributes:
        laws:       (2, 3), log LR* and log batch* on (1, log params, log tokens), centred as the runs are.
        covariance: (6, 6), of the laws' coefficients row by row.
        bowl:       (3,), log A, log B, slope of the valley; see the module.
        bowl_std:   (3,).
        own_std:    (2,), of a cell's optimum about the laws.
        depth_std:  of a cell's log depth.
        noise_std:  of log loss.
        misfit:     share of a run's excess loss by which no quadratic fits it.
    """

    laws: FloatArray
    covariance: FloatArray
    bowl: FloatArray
    bowl_std: FloatArray
    own_std: FloatArray
    depth_std: float
    noise_std: float
    misfit: float

    def optima(self, scale: FloatArray) -> FloatArray:
        """Log LR* and log batch* of the laws, (n, 2), at scale (n, 2)."""
        return np.asarray(_design(scale) @ self.laws.T)

    def optima_std(self, scale: FloatArray) -> FloatArray:
        """Standard deviations of `optima`, (n, 2)."""
        blocks = self.covariance.reshape(2, 3, 2, 3)[[0, 1], :, [0, 1]]
        x = _design(scale)
        return np.asarray(np.sqrt(np.einsum("ni,qij,nj->nq", x, blocks, x)))


def updated(prior: Belief, seen: Observed) -> Belief:
    """Laws, bowl and noise after the runs.

    Where residuals are larger than noise and misfit allow, noise is raised by their ratio (Birge 1932) and
    the posterior found again.
    """
    problem = _Problem(prior, seen)
    mode = problem.mode(STARTS)
    ratio = problem.residual_ratio(mode)
    if ratio > 1:
        prior = replace(prior, noise_std=prior.noise_std * ratio)
        problem = _Problem(prior, seen)
        mode = problem.mode(STARTS)
    jacobian = problem.jacobian(mode)
    covariance: FloatArray = np.asarray(np.linalg.inv(jacobian.T @ jacobian), dtype=np.float64)
    return replace(
        prior,
        laws=mode[:N_LAWS].reshape(2, 3),
        covariance=covariance[:N_LAWS, :N_LAWS],
        bowl=mode[N_LAWS : N_LAWS + N_BOWL],
        bowl_std=np.sqrt(np.diagonal(covariance)[N_LAWS : N_LAWS + N_BOWL]),
    )


def _design(scale: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(scale)), scale])


class _Problem:
    """Residuals of the runs, floors eliminated, then those of the prior, and their Jacobian.

    Parameters: laws (6), bowl (3), own offsets (n_cells * 2), log depths (n_cells).
    """

    def __init__(self, prior: Belief, seen: Observed) -> None:
        n_cells = len(seen.scale)
        self.prior, self.seen, self.design = prior, seen, _design(seen.scale)
        best = np.full(n_cells, np.inf)
        np.minimum.at(best, seen.cell, seen.log_loss)
        excess = seen.log_loss - best[seen.cell]
        self.std = np.hypot(prior.noise_std, prior.misfit * excess)
        own = np.tile(prior.own_std, n_cells)
        spread = np.concatenate([prior.bowl_std, own, np.full(n_cells, prior.depth_std)])
        self.mean = np.concatenate([prior.laws.ravel(), prior.bowl, np.zeros(3 * n_cells)])
        self.root = np.zeros((len(self.mean), len(self.mean)))  # root' root is the prior's precision
        self.root[:N_LAWS, :N_LAWS] = np.linalg.cholesky(np.linalg.inv(prior.covariance)).T
        self.root[N_LAWS:, N_LAWS:] = np.diag(1 / spread)

    def mode(self, starts: tuple[tuple[float, float], ...]) -> FloatArray:
        """The parameters with the least squared residuals, of the local minima found."""
        levels = np.sqrt(np.diagonal(self.prior.covariance)[[0, 3]])
        found = []
        for start in starts:
            first = self.mean.copy()
            first[[0, 3]] += levels * start
            found.append(
                least_squares(self.residuals, first, self.jacobian, method="lm", max_nfev=MOST_EVALUATIONS)
            )
        return np.asarray(min(found, key=lambda fit: fit.cost).x)

    def residual_ratio(self, at: FloatArray) -> float:
        """Residuals of runs about what they should be, given how many directions the runs determine."""
        runs = self.jacobian(at)[: len(self.std)]
        covariance = np.linalg.inv(runs.T @ runs + self.root.T @ self.root)
        determined = float(np.einsum("ni,ij,nj->", runs, covariance, runs)) + len(self.seen.scale)
        freedom = max(len(self.std) - determined, 1.0)
        return float(np.sqrt((self.residuals(at)[: len(self.std)] ** 2).sum() / freedom))

    def residuals(self, at: FloatArray) -> FloatArray:
        """(n_runs + n_parameters,)."""
        _, across, along, _ = self._bowls(at)
        runs = self._without_floors(across + along - self.seen.log_loss)
        return np.concatenate([runs / self.std, self.root @ (at - self.mean)])

    def jacobian(self, at: FloatArray) -> FloatArray:
        """(n_runs + n_parameters, n_parameters)."""
        (w, v), across, along, (a, b) = self._bowls(at)
        slope, cell = at[N_LAWS + 2], self.seen.cell
        n_cells, runs = len(self.seen.scale), np.arange(len(cell))
        by_u, by_v = 2 * a * w, 2 * b * v - 2 * a * slope * w
        out = np.zeros((len(cell), len(at)))
        out[:, :3], out[:, 3:N_LAWS] = (-d[:, None] * self.design[cell] for d in (by_u, by_v))
        out[:, N_LAWS : N_LAWS + N_BOWL] = np.column_stack([across, along, -2 * a * w * v])
        own, depth = N_LAWS + N_BOWL, N_LAWS + N_BOWL + 2 * n_cells
        out[runs, own + 2 * cell], out[runs, own + 2 * cell + 1] = -by_u, -by_v
        out[runs, depth + cell] = across + along
        return np.concatenate([self._without_floors(out) / self.std[:, None], self.root])

    def _bowls(
        self, at: FloatArray
    ) -> tuple[tuple[FloatArray, FloatArray], FloatArray, FloatArray, tuple[FloatArray, FloatArray]]:
        """Per run: (w, v), the two parts of its excess, and the cell's (A, B)."""
        cell, n_cells = self.seen.cell, len(self.seen.scale)
        own = at[N_LAWS + N_BOWL :][: 2 * n_cells].reshape(n_cells, 2)
        optimum = self.design @ at[:N_LAWS].reshape(2, 3).T + own
        u, v = (self.seen.point - optimum[cell]).T
        depth = np.exp(at[-n_cells:])[cell]
        a, b = (np.exp(at[N_LAWS + k]) * depth for k in (0, 1))
        w = u - at[N_LAWS + 2] * v
        return (w, v), a * w**2, b * v**2, (a, b)

    def _without_floors(self, values: FloatArray) -> FloatArray:
        """Values (n_runs, ...) less their cell's weighted mean: what a free floor leaves."""
        cell, weight = self.seen.cell, self.std**-2.0
        flat = values.reshape(len(cell), -1)
        total = np.zeros((len(self.seen.scale), flat.shape[1]))
        np.add.at(total, cell, weight[:, None] * flat)
        mean = total / np.bincount(cell, weight, minlength=len(total))[:, None].clip(min=1e-300)
        return np.asarray((flat - mean[cell]).reshape(values.shape))
