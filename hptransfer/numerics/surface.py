"""One loss surface for all cells of a sweep, and its penalized weighted least-squares fit.

    log loss = floor_c + exp(amplitude . s_c) * sum_k (bowl_k + shape_k . s_c + own_ck) u^i v^j
    u = log LR - law_lr(s_c) - own_c0,   v = log batch - law_batch(s_c) - own_c1

with s_c the centred (log params, log tokens) of cell c and (i, j) the monomials of degree two and three;
shape acts on the quadratic ones. The laws are linear in s_c. Floors are free. A cell's own offsets and bowl
terms are normal about zero: real cells sit off any law and differ in shape, and a fit that denies it
                             believes every run.

Parameters come in one order everywhere (`Layout`): law of LR (1, params, tokens), law of batch, bowl,
amplitude (params, tokens), shape along params, shape along tokens. Fits of many variants (folds, resamples)
run side by side.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray, IntArray
from hptransfer.numerics.moments import Moments
from hptransfer.numerics.polynomials import Basis, basis, shift_matrices

DEGREE = 3
"""A cubic is the least that is asymmetric; docs/experiments.md has what other degrees gave."""

N_LAW = 6
OWN_OFFSETS = 2

START_DAMPING, LEAST_DAMPING, MOST_DAMPING = (
    1e-3,
    1e-9,
    1e9,
)  # of Levenberg-Marquardt, relative to the diagonal
DAMPING_DOWN, DAMPING_UP = 0.2, 8.0


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each parameter is, and which local direction of a cell it moves.

    Every parameter moves each cell along one of the local directions (LR, batch, the bowl's terms,
    amplitude) by a factor 1, s_params or s_tokens: all derivatives follow from those along the local
    directions.

    Attributes:
        form:      monomials of the bowl.
        direction: (n_parameters,), index of the local direction.
        factor:    (n_parameters,), 0, 1 or 2: which of (1, s_params, s_tokens) it moves by.
    """

    form: Basis
    direction: IntArray
    factor: IntArray

    @property
    def n_bowl(self) -> int:
        """Terms of the bowl."""
        return len(self.form.free)

    @property
    def n_own(self) -> int:
        """Terms of a cell's own: two offsets and the bowl's."""
        return OWN_OFFSETS + self.n_bowl

    @property
    def n_local(self) -> int:
        """Local directions: LR, batch, the bowl's terms, amplitude."""
        return self.n_own + 1

    @property
    def n_parameters(self) -> int:
        """Parameters that all cells share."""
        return len(self.direction)

    @property
    def bowl(self) -> slice:
        """Where the bowl's terms are."""
        return slice(N_LAW, N_LAW + self.n_bowl)

    @property
    def amplitude(self) -> slice:
        """Where the amplitude's slopes are."""
        return slice(self.bowl.stop, self.bowl.stop + 2)

    @property
    def shape(self) -> slice:
        """Where the quadratic terms' slopes are."""
        return slice(self.amplitude.stop, self.n_parameters)


@functools.cache
def layout(variables: int) -> Layout:
    """Layout of the surface in LR alone (one variable) or in LR and batch (two)."""
    form = basis(DEGREE, variables=variables)
    n_bowl, quadratic = len(form.free), np.arange(form.quadratic)
    bowl = OWN_OFFSETS + np.arange(n_bowl)
    last = OWN_OFFSETS + n_bowl
    direction = np.concatenate([[0, 0, 0, 1, 1, 1], bowl, [last, last], bowl[quadratic], bowl[quadratic]])
    factor = np.concatenate(
        [[0, 1, 2, 0, 1, 2], np.zeros(n_bowl, dtype=int), [1, 2], 1 + 0 * quadratic, 2 + 0 * quadratic]
    )
    return Layout(form=form, direction=direction.astype(np.int64), factor=factor.astype(np.int64))


@dataclass(frozen=True)
class Normal:
    """A normal distribution of one number."""

    mean: float
    std: float


@dataclass(frozen=True)
class Penalty:
    """Independent normal priors of n_variants fits.

    Attributes:
        precision, mean: (n_variants, n_parameters).
        own_precision:   (n_variants, n_own), of each cell's own terms, about zero.
        ridge:           prior of d log LR* / d log batch along the valley; None where there is none.
    """

    precision: FloatArray
    mean: FloatArray
    own_precision: FloatArray
    ridge: Normal | None

    def repeated(self, times: int) -> Penalty:
        """The same priors `times` over."""
        precision, mean, own_precision = (
            np.concatenate([array] * times) for array in (self.precision, self.mean, self.own_precision)
        )
        return Penalty(precision, mean, own_precision, self.ridge)

    def take(self, rows: BoolArray) -> Penalty:
        """The priors of some variants."""
        return Penalty(self.precision[rows], self.mean[rows], self.own_precision[rows], self.ridge)


@dataclass(frozen=True)
class Solution:
    """Fits of n_variants.

    Attributes:
        parameters:     (n_variants, n_parameters), in the order of `Layout`.
        own:            (n_variants, n_cells, n_own).
        coefficients:   (n_variants, n_cells, n_monomials), each cell's polynomial about its reference.
        objective:      (n_variants,), what was minimized.
        covariance:     (n_variants, n_parameters, n_parameters), posterior; empty unless asked for.
        own_covariance: (n_variants, n_cells, n_own, n_own), posterior; empty unless asked for.
    """

    parameters: FloatArray
    own: FloatArray
    coefficients: FloatArray
    objective: FloatArray
    covariance: FloatArray
    own_covariance: FloatArray


@dataclass(frozen=True)
class CellBowls:
    """The polynomials of every cell and what their derivatives need; leading axes (n_variants, n_cells)."""

    coefficients: FloatArray  # (..., n_monomials) about the reference
    shift: FloatArray  # (..., n_monomials, n_monomials)
    terms: FloatArray  # (..., n_monomials) about the cell's own optimum, amplitude 1
    amplitude: FloatArray  # (...)

    def where(self, keep: BoolArray, other: CellBowls) -> CellBowls:
        """These for the variants to keep (n_variants,), else the other's."""
        return CellBowls(
            *(
                np.where(keep.reshape(-1, *(1,) * (mine.ndim - 1)), mine, theirs)
                for mine, theirs in (
                    (self.coefficients, other.coefficients),
                    (self.shift, other.shift),
                    (self.terms, other.terms),
                    (self.amplitude, other.amplitude),
                )
            )
        )

    def take(self, rows: BoolArray) -> CellBowls:
        """Some variants."""
        return CellBowls(self.coefficients[rows], self.shift[rows], self.terms[rows], self.amplitude[rows])


@dataclass(frozen=True)
class Site:
    """The cells as a fit sees them: centred scale (n_cells, 2) and the point each polynomial is about."""

    scale: FloatArray
    reference: FloatArray  # (n_cells, 2), log LR and log batch

    @property
    def factors(self) -> FloatArray:
        """(1, s_params, s_tokens), (n_cells, 3)."""
        return np.column_stack([np.ones(len(self.scale)), self.scale])


def law_optima(parameters: FloatArray, scale: FloatArray) -> FloatArray:
    """Log LR and log batch of the laws in each cell, (n_variants, n_cells, 2)."""
    design = np.column_stack([np.ones(len(scale)), scale])
    return np.asarray(design @ parameters[:, :N_LAW].reshape(-1, 2, 3).swapaxes(1, 2))


def cell_bowls(where: Layout, site: Site, parameters: FloatArray, own: FloatArray) -> CellBowls:
    """Each cell's polynomial; parameters (n_variants, n_parameters), own (n_variants, n_cells, n_own)."""
    form = where.form
    optimum = law_optima(parameters, site.scale) + own[..., :OWN_OFFSETS]
    shift = shift_matrices(form, optimum - site.reference)
    terms = np.zeros((len(parameters), len(site.scale), len(form.powers)))
    terms[..., form.free] = parameters[:, None, where.bowl] + own[..., OWN_OFFSETS:]
    slopes = parameters[:, where.shape].reshape(-1, 2, form.quadratic)
    terms[..., form.free[: form.quadratic]] += site.scale @ slopes
    amplitude = np.exp(parameters[:, where.amplitude] @ site.scale.T)
    coefficients = amplitude[..., None] * (terms[..., None, :] @ shift)[..., 0, :]
    return CellBowls(coefficients, shift, terms, amplitude)


def local_gradients(where: Layout, bowls: CellBowls) -> FloatArray:
    """d coefficients / d local direction, (n_variants, n_cells, n_local, n_monomials)."""
    form = where.form
    slopes = np.stack([bowls.terms @ form.d_dx, bowls.terms @ form.d_dy], axis=-2)
    scaled = bowls.amplitude[..., None, None] * bowls.shift
    moved = -(slopes @ scaled)
    return np.concatenate([moved, scaled[..., form.free, :], bowls.coefficients[..., None, :]], axis=-2)


def expand_matrix(where: Layout, factors: FloatArray, local: FloatArray) -> FloatArray:
    """Sum of local matrices (n_variants, n_cells, n_local, n_local) over cells, in the shared parameters.

    Returns: (n_variants, n_parameters, n_parameters).
    """
    pairs = (factors[:, :, None] * factors[:, None, :]).reshape(len(factors), -1)  # (n_cells, 9)
    flat = local.reshape(*local.shape[:2], -1)
    summed = (pairs.T @ flat).reshape(len(local), 3, 3, *local.shape[2:])
    row, column = np.ix_(np.arange(where.n_parameters), np.arange(where.n_parameters))
    f, k = where.factor, where.direction
    return np.asarray(summed[:, f[row], f[column], k[row], k[column]])


def expand_vector(where: Layout, factors: FloatArray, local: FloatArray) -> FloatArray:
    """Sum of local vectors (n_variants, n_cells, n_local) over cells, (n_variants, n_parameters)."""
    return np.asarray((factors.T @ local)[:, where.factor, where.direction])


def local_projection(where: Layout, factors: FloatArray) -> FloatArray:
    """Matrices (n_cells, n_local, n_parameters): how the shared parameters move each cell locally."""
    out = np.zeros((len(factors), where.n_local, where.n_parameters))
    out[:, where.direction, np.arange(where.n_parameters)] = factors[:, where.factor]
    return out


def ridge_residual(parameters: FloatArray, ridge: Normal) -> tuple[FloatArray, FloatArray]:
    """(slope - mean) / std of the valley, (n_variants,), and its gradient (n_variants, n_parameters).

    The valley's slope at the optimum is -uv / (2 uu), with the bowl's terms in u^2 and u v.
    """
    uu, uv = parameters[:, N_LAW], parameters[:, N_LAW + 1]
    gradient = np.zeros_like(parameters)
    gradient[:, N_LAW] = uv / (2 * uu**2) / ridge.std
    gradient[:, N_LAW + 1] = -1 / (2 * uu) / ridge.std
    return (-uv / (2 * uu) - ridge.mean) / ridge.std, gradient


def is_bowl(where: Layout, parameters: FloatArray) -> BoolArray:
    """Whether the shared quadratic terms have a minimum, (n_variants,)."""
    uu = parameters[:, N_LAW]
    if where.form.quadratic == 1:
        return np.asarray(uu > 0)
    uv, vv = parameters[:, N_LAW + 1], parameters[:, N_LAW + 2]
    return np.asarray((uu > 0) & (vv > 0) & (4 * uu * vv > uv**2))


@dataclass(frozen=True)
class Point:
    """Where n_variants fits are, and what they have reached."""

    parameters: FloatArray
    own: FloatArray
    bowls: CellBowls
    value: FloatArray

    def where(self, keep: BoolArray, other: Point) -> Point:
        """This point for the variants to keep (n_variants,), else the other."""
        return Point(
            np.where(keep[:, None], self.parameters, other.parameters),
            np.where(keep[:, None, None], self.own, other.own),
            self.bowls.where(keep, other.bowls),
            np.where(keep, self.value, other.value),
        )

    def take(self, rows: BoolArray) -> Point:
        """Some variants of it."""
        return Point(self.parameters[rows], self.own[rows], self.bowls.take(rows), self.value[rows])


@dataclass(frozen=True)
class Objective:
    """Weighted squared residuals over the noise variance, plus the penalties; moments are in that unit."""

    where: Layout
    site: Site
    gram: FloatArray
    cross: FloatArray
    square: FloatArray
    penalty: Penalty

    def take(self, rows: BoolArray) -> Objective:
        """The objectives of some variants."""
        return replace(
            self,
            gram=self.gram[rows],
            cross=self.cross[rows],
            square=self.square[rows],
            penalty=self.penalty.take(rows),
        )

    def point(self, parameters: FloatArray, own: FloatArray) -> Point:
        """Evaluate."""
        bowls = cell_bowls(self.where, self.site, parameters, own)
        return Point(parameters, own, bowls, self.value(parameters, own, bowls))

    def value(self, parameters: FloatArray, own: FloatArray, bowls: CellBowls) -> FloatArray:
        """What is minimized, (n_variants,)."""
        beta = bowls.coefficients
        fit = (beta * ((self.gram @ beta[..., None])[..., 0] - 2 * self.cross)).sum(axis=(1, 2)) + self.square
        deviation = (self.penalty.precision * (parameters - self.penalty.mean) ** 2).sum(axis=1)
        own_deviation = (self.penalty.own_precision[:, None] * own**2).sum(axis=(1, 2))
        total = fit + deviation + own_deviation
        if self.penalty.ridge is not None:
            total = total + ridge_residual(parameters, self.penalty.ridge)[0] ** 2
        return np.asarray(total)

    def local(self, bowls: CellBowls) -> tuple[FloatArray, FloatArray]:
        """Half the Gauss-Newton Hessian and half the gradient of the fit along the local directions."""
        gradients = local_gradients(self.where, bowls)
        hessian = gradients @ (self.gram @ gradients.swapaxes(-1, -2))
        residual = (self.gram @ bowls.coefficients[..., None])[..., 0] - self.cross
        return hessian, (gradients @ residual[..., None])[..., 0]

    def shared_prior(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Half the Hessian and half the gradient of the penalties on the shared parameters."""
        precision = self.penalty.precision
        hessian = precision[:, :, None] * np.eye(precision.shape[1])
        gradient = precision * (parameters - self.penalty.mean)
        if self.penalty.ridge is not None:
            residual, slope = ridge_residual(parameters, self.penalty.ridge)
            hessian = hessian + slope[:, :, None] * slope[:, None, :]
            gradient = gradient + slope * residual[:, None]
        return hessian, gradient


def solve(
    where: Layout,
    site: Site,
    data: Moments,
    *,
    noise_variance: FloatArray,
    penalty: Penalty,
    start: tuple[FloatArray, FloatArray],
    max_steps: int = 40,
    tolerance: float = 1e-7,
    covariance: bool = True,
    free_own: int | None = None,
) -> Solution:
    """Minimize by Levenberg-Marquardt, all variants at once, each cell's own terms eliminated in every step.

    Args:
        noise_variance: (n_variants,), of log loss.
        start:          parameters (n_variants, n_parameters) and own (n_variants, n_cells, n_own).
        tolerance:      relative decrease of the objective (plus one) that ends the fit.
        free_own:       how many of a cell's own terms move (the others stay as they start); all by default.
    """
    unit = 1 / noise_variance
    objective = Objective(
        where,
        site,
        gram=data.gram * unit[:, None, None, None],
        cross=data.cross * unit[:, None, None],
        square=data.square * unit,
        penalty=penalty,
    )
    free = where.n_own if free_own is None else free_own
    parameters, own = (array.copy() for array in start)
    point = objective.point(parameters, own)
    value, coefficients = point.value.copy(), point.bowls.coefficients.copy()
    damping = np.full(len(parameters), START_DAMPING)
    rows, active = np.arange(len(parameters)), objective  # variants that have not converged
    for _ in range(max_steps):
        moved = _step(active, point, damping=damping, free=free)
        with np.errstate(all="ignore"):  # a wild trial is turned down below
            trial = active.point(*moved)
        better = is_bowl(where, trial.parameters) & np.isfinite(trial.value) & (trial.value <= point.value)
        change = np.where(np.isfinite(trial.value), np.abs(point.value - trial.value), np.inf)
        point = trial.where(better, point)
        damping = np.clip(damping * np.where(better, DAMPING_DOWN, DAMPING_UP), LEAST_DAMPING, MOST_DAMPING)
        done = (change < tolerance * (1 + point.value)) | (damping >= MOST_DAMPING / 10)
        parameters[rows], own[rows], value[rows] = point.parameters, point.own, point.value
        coefficients[rows] = point.bowls.coefficients
        if done.all():
            break
        if done.any():
            rows, damping, point, active = rows[~done], damping[~done], point.take(~done), active.take(~done)
    found = Solution(parameters, own, coefficients, value, np.empty(0), np.empty(0))
    return _with_covariance(objective, found) if covariance else found


def _step(
    objective: Objective, point: Point, *, damping: FloatArray, free: int
) -> tuple[FloatArray, FloatArray]:
    """One damped Gauss-Newton step; the first `free` of each cell's own terms move."""
    where, factors = objective.where, objective.site.factors
    parameters, own = point.parameters, point.own
    hessian, gradient = objective.local(point.bowls)
    own_precision = objective.penalty.own_precision[:, None, :free]
    diagonal = np.arange(free)
    inner = hessian[..., :free, :free].copy()
    inner[..., diagonal, diagonal] += own_precision
    inner[..., diagonal, diagonal] *= 1 + damping[:, None, None]
    own_gradient = gradient[..., :free] + own_precision * own[..., :free]
    right = np.concatenate([hessian[..., :free, :], own_gradient[..., None]], axis=-1)
    eliminated = np.linalg.solve(inner, right)  # (n_variants, n_cells, free, n_local + 1)
    removed = hessian[..., :, :free] @ eliminated
    prior_hessian, prior_gradient = objective.shared_prior(parameters)
    shared = expand_matrix(where, factors, hessian - removed[..., :-1]) + prior_hessian
    steepness = expand_vector(where, factors**2, np.diagonal(hessian, axis1=-2, axis2=-1))
    steepness = steepness + np.diagonal(prior_hessian, axis1=-2, axis2=-1)
    every = np.arange(where.n_parameters)
    shared[:, every, every] += damping[:, None] * steepness
    down = expand_vector(where, factors, gradient - removed[..., -1]) + prior_gradient
    step = -np.linalg.solve(shared, down[..., None])[..., 0]
    local_step = (local_projection(where, factors) @ step[:, None, :, None])[..., 0]
    own_step = -(eliminated[..., -1] + (eliminated[..., :-1] @ local_step[..., None])[..., 0])
    new_own = own.copy()
    new_own[..., :free] += own_step
    return parameters + step, new_own


def _with_covariance(objective: Objective, found: Solution) -> Solution:
    """Add the posterior covariances at the solution."""
    where, factors = objective.where, objective.site.factors
    bowls = cell_bowls(where, objective.site, found.parameters, found.own)
    hessian, _ = objective.local(bowls)
    n_own = where.n_own
    inner = hessian[..., :n_own, :n_own].copy()
    inner[..., np.arange(n_own), np.arange(n_own)] += objective.penalty.own_precision[:, None]
    inverse = np.linalg.inv(inner)
    through = inverse @ hessian[..., :n_own, :]  # (n_variants, n_cells, n_own, n_local)
    shared = expand_matrix(where, factors, hessian - hessian[..., :, :n_own] @ through)
    covariance: FloatArray = np.asarray(
        np.linalg.inv(shared + objective.shared_prior(found.parameters)[0]), dtype=np.float64
    )
    project = local_projection(where, factors)
    moved = project @ covariance[:, None] @ project.swapaxes(-1, -2)
    own_covariance = inverse + through @ moved @ through.swapaxes(-1, -2)
    return replace(found, covariance=covariance, own_covariance=own_covariance)
