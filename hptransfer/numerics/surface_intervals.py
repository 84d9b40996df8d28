"""From a fitted surface to the spread of its law, by the cells' own optima and refits without scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cell_optima import cell_optima, grid_noise, typical_grid
from hptransfer.numerics.intervals import LawSpread, law_spread, scale_blocks
from hptransfer.numerics.polynomials import monomial_values
from hptransfer.numerics.surface import layout
from hptransfer.numerics.surface_fit import SurfaceFit, laws_without, surface_optima


@dataclass(frozen=True)
class _Bowls:
    """The shared bowl of every cell: terms (n_cells, n_bowl), amplitude included."""

    powers: tuple[tuple[int, int], ...]
    terms: FloatArray

    def __call__(self, u: FloatArray, v: FloatArray) -> FloatArray:
        """Log loss above the bottom at (n_cells, n) offsets."""
        return np.asarray(np.einsum("kcn,ck->cn", monomial_values(self.powers, u, v), self.terms))


def surface_spread(fit: SurfaceFit) -> LawSpread:
    """Estimate how far the law's predictions may be off; see `intervals`."""
    runs = fit.runs
    points = runs.scale + runs.centre
    raw = np.column_stack([np.ones(runs.n_cells), points])
    noise_variance = fit.noise_std**2
    form = layout(runs.variables).form
    optimum = surface_optima(fit)
    law_optimum = raw @ fit.surface_law.T
    optima = cell_optima(
        runs,
        departure=optimum - raw @ fit.law.T,
        optimum=optimum,
        weight=fit.run_weights,
        bowl=_cell_bowls(fit),
        curvature=fit.curvature,
        noise_variance=noise_variance,
        fade=fit.fade,
    )
    grid = typical_grid(runs, law_optimum=law_optimum)
    excess = fit.bowl @ monomial_values(form.free_powers, *grid.T)
    noise = grid_noise(grid, excess, fit.curvature, noise_variance=noise_variance, fade=fit.fade)
    blocks = scale_blocks(*points.T)
    return law_spread(
        points,
        fit.law,
        laws_without(fit, blocks.left_out),
        optima=optima,
        blocks=blocks,
        prior=fit.prior.precision_and_mean(),
        grid_noise=noise,
        between=fit.between,
    )


def _cell_bowls(fit: SurfaceFit) -> _Bowls:
    form = layout(fit.runs.variables).form
    terms = np.tile(fit.bowl, (fit.runs.n_cells, 1))
    terms[:, : form.quadratic] += fit.runs.scale @ fit.shape
    return _Bowls(form.free_powers, terms * np.exp(fit.runs.scale @ fit.amplitude)[:, None])
