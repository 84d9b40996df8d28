"""Prediction intervals for the optimum that a full grid at a target would show.

The variance of a prediction in natural logs has four parts:

1. coefficients: least squares over cells, each cell's optimum with the error of its runs and a random effect;
2. form and weighting: the spread of the members that were averaged, or of two whole forms (the law; a law
   through the cells' own optima: errors of variance s^2 differ by d, E[d^2] = 2 s^2, hence d^2 / 2); both
   estimate the same thing, so the larger counts, once;
3. structure: a bend of unknown sign along params and along tokens, sized by the misfit of laws refitted
   without whole scales, and never extrapolated into the optimum itself. A law mimics a bend inside the data
   and leaves it outside, so this part grows with the distance from the data;
4. cell: the optimum of one full grid is noisy, and cells depart from any law.

The literature enters as a weak prior on the sizes of 3 and 4, worth `PRIOR_CELLS` cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray, IntArray
from hptransfer.numerics.cell_optima import CellOptima

LITERATURE_RMSE = np.array([0.153, 0.221]) * np.log(2.0)
"""What a law of LR, of batch, misses when one whole scale is left out: log2 RMSE of arXiv:2609.08690, about
1,800 runs of other sweeps than those this project is measured on. A third of the variance each: structure,
the cell's own departure, and the grid's noise (which is computed instead)."""

SHARES = 3
PRIOR_CELLS = 2.0
"""Weight of the literature against this sweep, in cells."""

BEND_DF = 3.0
"""Student tails of the bend's prior: a strong bend is unusual, not impossible."""

LEVEL_GAP = float(np.log(1.3))  # neighbours closer than this factor are one level of scale
WIDEST_LEVEL = float(np.log(3.0))  # a chain of close neighbours wider than this is cut every factor of two
KEPT_SHARE = 0.3  # of the cells that a refit without a block needs
LEAST_KEPT = 2
EFFECT_STEPS = 60  # of expectation-maximization; it changes in the fourth digit by then
ALTERNATIONS = 2
WEAK_PRECISION = 1e-6
MAX_PRIOR_BEND = 0.5
"""Logs per squared log: an exponent that changes by one over an e-fold on either side is no power law."""

LEAST_SPAN = 1.0  # natural logs: bends are quadratic over at least an e-fold
BEND_SIZES = np.geomspace(0.1, 12, 24)  # multiples of the prior's that are integrated over
TINY = 1e-6


@dataclass(frozen=True)
class Blocks:
    """Scales to leave out (n_blocks, n_cells), and their weights: per axis its levels minus one in all."""

    left_out: BoolArray
    weight: FloatArray


def scale_levels(value: FloatArray) -> IntArray:
    """Level of scale of each cell, (n_cells,): neighbours within a factor 1.3 share one.

    >>> scale_levels(np.log(np.array([1.0, 1.2, 2.0])))
    array([0, 0, 1])
    """
    order = np.argsort(value, kind="stable")
    chain = np.empty(len(value), dtype=np.int64)
    chain[order] = np.concatenate([[0], np.cumsum(np.diff(value[order]) > LEVEL_GAP)])
    n_chains = int(chain.max()) + 1
    low, high = np.full(n_chains, np.inf), np.full(n_chains, -np.inf)
    np.minimum.at(low, chain, value)
    np.maximum.at(high, chain, value)
    wide = (high - low)[chain] > WIDEST_LEVEL
    piece = np.where(wide, np.floor((value - low[chain]) / np.log(2.0)), 0.0).astype(np.int64)
    _, level = np.unique(np.column_stack([chain, piece]), axis=0, return_inverse=True)
    return np.asarray(level.reshape(-1), dtype=np.int64)


def scale_blocks(log_params: FloatArray, log_tokens: FloatArray) -> Blocks:
    """Every level and every upper tail of params and of tokens without which enough cells remain.

    An axis of m levels holds m - 1 independent contrasts whatever the number of blocks cut from it, so its
    blocks share that much weight.
    """
    masks, weights = [], []
    for value in (log_params, log_tokens):
        level = scale_levels(value)
        levels = np.arange(level.max() + 1)
        mask = np.concatenate([level == levels[:, None], level >= levels[2:-1, None]])
        mask = mask[(~mask).sum(axis=1) >= max(LEAST_KEPT, KEPT_SHARE * len(value))]
        masks.append(mask)
        weights.append(np.full(len(mask), (len(levels) - 1) / max(len(mask), 1)))
    mask, inverse = np.unique(np.concatenate(masks), axis=0, return_inverse=True)
    weight = np.zeros(len(mask))
    np.maximum.at(weight, inverse.reshape(-1), np.concatenate(weights))
    return Blocks(mask, weight)


@dataclass(frozen=True)
class LawSpread:
    """Parts of the variance, squared natural logs, for q = 0 (LR) and 1 (batch).

    Attributes:
        centre:       (2,), log params and log tokens that `coefficients`, `form`, `between`, `bend_law` are
                      about.
        coefficients: (2, 3, 3), covariance of the law.
        form:         (2, 3), law through the cells' own optima minus the law.
        between:      (2, 3, 3), covariance of the law over what was averaged.
        bend_middle, bend_scale: (2,), per axis; see `soft_bend`.
        bend_law:     (2, 2, 3), per quantity and axis the law that a unit bend mimics inside the data.
        bend_variance: (2, 2), per quantity and axis.
        cell, cell_df: (2,), variance of one full grid's own optimum, and its degrees of freedom.
        curvature, curvature_std: (2, 2), per quantity and axis: bend of the cells' own optima, logs per
                      squared log, and its standard deviation; a diagnostic, in no prediction.
    """

    centre: FloatArray
    coefficients: FloatArray
    form: FloatArray
    between: FloatArray
    bend_middle: FloatArray
    bend_scale: FloatArray
    bend_law: FloatArray
    bend_variance: FloatArray
    cell: FloatArray
    cell_df: FloatArray
    curvature: FloatArray
    curvature_std: FloatArray


@dataclass(frozen=True)
class _Evidence:
    """Cells and blocks as arrays: the linear algebra of `law_spread`. Axes: 0 params, 1 tokens."""

    design: FloatArray  # (n_cells, 3) centred
    paired: FloatArray  # (n_cells, 2, 6) block diagonal for (LR, batch)
    phi: FloatArray  # (n_cells, 2 axes)
    bent: FloatArray  # (n_cells, 2, 4) a bend's shift of (LR, batch), columns (quantity, axis)
    optima: CellOptima
    misfit: FloatArray  # (n_blocks, n_cells, 2) cells' optima minus the law refitted without the block
    blocks: Blocks
    precision: FloatArray  # (6,) of the prior
    deviation: FloatArray  # (6,) the prior's mean minus the law


@dataclass(frozen=True)
class _Projection:
    covariance: FloatArray  # (6, 6) of the law
    law: FloatArray  # (6, 4) law mimicking each bend
    block_covariance: FloatArray  # (n_blocks, 6, 6)
    block_law: FloatArray  # (n_blocks, 6, 4)
    change: FloatArray  # (6,) generalized least squares law through the cells' optima, minus the law


def soft_bend(points: FloatArray, middle: FloatArray, scale: FloatArray) -> FloatArray:
    """Curved like t^2 / (2 scale) near the data, straight beyond about one span; shape (..., 2)."""
    return np.asarray(scale * (np.sqrt(1 + ((points - middle) / scale) ** 2) - 1))


def law_spread(
    points: FloatArray,
    law: FloatArray,
    block_laws: FloatArray,
    *,
    optima: CellOptima,
    blocks: Blocks,
    prior: tuple[FloatArray, FloatArray],
    grid_noise: FloatArray,
    between: FloatArray,
) -> LawSpread:
    """Spread of a fitted law, from its cells and from its refits without whole scales.

    Args:
        points:     (n_cells, 2), log params and log tokens.
        law, block_laws: (2, 3) and (n_blocks, 2, 3), raw logs, the latter in the order of `blocks`.
        optima:     the cells' own optima, as departures from `law`.
        prior:      precision and mean of the six coefficients, (6,) each; precision 0 where there is none.
        grid_noise: (2,), of one full grid's optimum.
        between:    (6, 6), covariance of the law (raw logs) over what was averaged.
    """
    centre, low, high = points.mean(axis=0), points.min(axis=0), points.max(axis=0)
    middle, scale = (low + high) / 2, np.maximum(high - low, LEAST_SPAN)
    evidence = _evidence(
        points, law, block_laws, optima=optima, blocks=blocks, prior=prior, bend=(middle, scale)
    )
    third = LITERATURE_RMSE**2 / SHARES
    projection = _project(evidence, np.diag(third))
    prior_std = _prior_bend(projection, points, (middle, scale), third)
    size, columns = prior_std**2, np.concatenate([evidence.paired, evidence.bent], axis=-1)
    effect, degrees = np.diag(third), np.full(2, PRIOR_CELLS)
    for _ in range(ALTERNATIONS):  # the cells' effect is what bends leave; bends are what that effect leaves
        precision = np.append(evidence.precision, 1 / size.ravel())
        effect, degrees = _random_effect(columns, optima, precision, third)
        projection = _project(evidence, effect)
        if len(blocks.left_out):
            size = np.stack([_bend_size(evidence, projection, effect, prior_std[q], q) for q in (0, 1)])
    curvature, curvature_std = _curvature(evidence, effect)
    to_centred = np.kron(np.eye(2), np.array([[1, *centre], [0, 1, 0], [0, 0, 1]]))
    bend_law = projection.law.reshape(2, 3, 2, 2)
    return LawSpread(
        centre=centre,
        coefficients=_two_blocks(projection.covariance),
        form=projection.change.reshape(2, 3),
        between=_two_blocks(to_centred @ between @ to_centred.T),
        bend_middle=middle,
        bend_scale=scale,
        bend_law=np.stack([bend_law[q, :, q].T for q in (0, 1)]),
        bend_variance=size,
        cell=grid_noise + np.diagonal(effect),
        cell_df=degrees,
        curvature=curvature,
        curvature_std=curvature_std,
    )


def _evidence(
    points: FloatArray,
    law: FloatArray,
    block_laws: FloatArray,
    *,
    optima: CellOptima,
    blocks: Blocks,
    prior: tuple[FloatArray, FloatArray],
    bend: tuple[FloatArray, FloatArray],
) -> _Evidence:
    centre = points.mean(axis=0)
    raw = np.column_stack([np.ones(len(points)), points])
    design = np.column_stack([raw[:, 0], points - centre])
    paired = np.zeros((len(points), 2, 6))
    paired[:, 0, :3] = paired[:, 1, 3:] = design
    phi = soft_bend(points, *bend)
    bent = np.zeros((len(points), 2, 4))
    bent[:, 0, :2] = bent[:, 1, 2:] = phi
    precision, mean = prior
    at_centre = np.kron(np.eye(2), np.array([[1, *centre], [0, 1, 0], [0, 0, 1]])) @ law.ravel()
    misfit = optima.departure + np.einsum("ki,sqi->skq", raw, law - block_laws)
    return _Evidence(design, paired, phi, bent, optima, misfit, blocks, precision, mean - at_centre)


def _two_blocks(matrix: FloatArray) -> FloatArray:
    """The diagonal blocks (2, 3, 3) of a (6, 6) matrix: LR and batch."""
    return np.stack([matrix[:3, :3], matrix[3:, 3:]])


def _project(e: _Evidence, effect: FloatArray) -> _Projection:
    """Cells as clusters: weigh each by the inverse of its run error plus the cells' own random effect."""
    inverse = np.linalg.inv(effect + e.optima.covariance)
    weighted = np.einsum("kai,kab->kib", e.paired, inverse)
    unit, cross = weighted @ e.paired, weighted @ e.bent
    prior = np.diag(e.precision + WEAK_PRECISION)
    kept = (~e.blocks.left_out).astype(np.float64)
    covariance = np.linalg.inv(unit.sum(axis=0) + prior)
    block_covariance = np.linalg.inv(np.einsum("sk,kij->sij", kept, unit) + prior)
    score = np.einsum("kib,kb->i", weighted, e.optima.departure) + e.precision * e.deviation
    return _Projection(
        covariance=covariance,
        law=covariance @ cross.sum(axis=0),
        block_covariance=block_covariance,
        block_law=block_covariance @ np.einsum("sk,kij->sij", kept, cross),
        change=covariance @ score,
    )


def _random_effect(
    columns: FloatArray, optima: CellOptima, precision: FloatArray, prior_variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Covariance (2, 2) of the cells' own departures about a law with bends, and its degrees of freedom (2,).

    Expectation-maximization; the inverse-Wishart prior about `prior_variance` is worth PRIOR_CELLS cells.

    Args:    columns: (n_cells, 2, n_columns), of law and bends; precision: (n_columns,).
    """
    effect, n_cells = np.diag(prior_variance), len(columns)
    ridge = np.diag(precision + WEAK_PRECISION)
    for _ in range(EFFECT_STEPS):
        inverse = np.linalg.inv(effect + optima.covariance)
        weighted = np.einsum("kai,kab->kib", columns, inverse)
        covariance = np.linalg.inv(np.einsum("kib,kbj->ij", weighted, columns) + ridge)
        law = covariance @ np.einsum("kib,kb->i", weighted, optima.departure)
        shrink = effect @ inverse
        mean = np.einsum("kab,kb->ka", shrink, optima.departure - columns @ law)
        spread = columns @ covariance @ columns.swapaxes(1, 2)
        left = effect - shrink @ effect + shrink @ spread @ shrink.swapaxes(1, 2)
        second = (mean[:, :, None] * mean[:, None, :] + left).sum(axis=0)
        effect = (PRIOR_CELLS * np.diag(prior_variance) + second) / (PRIOR_CELLS + n_cells)
    leverage = np.einsum("kai,ij,kbj,kba->a", columns, covariance, columns, inverse)
    return effect, PRIOR_CELLS + np.maximum(n_cells - leverage, 0)


def _bend_size(e: _Evidence, p: _Projection, effect: FloatArray, prior_std: FloatArray, q: int) -> FloatArray:
    """Second moment (2 axes) of the bend of quantity q, given the misfit of every left-out scale.

    Misfit of a block = design * error of its refit + what the refit can't mimic of the bend + the cells'
    noise. The refit's error is integrated out; the bend's prior scale is integrated on a grid.
    """
    mine = slice(3 * q, 3 * q + 3)
    left = e.phi - np.einsum("ki,sia->ska", e.design, p.block_law[:, mine, 2 * q : 2 * q + 2])
    wide = np.broadcast_to(e.design, (len(left), *e.design.shape))
    z = np.concatenate([wide, left, e.misfit[..., q : q + 1]], axis=-1)  # (n_blocks, n_cells, 6)
    precision = e.blocks.left_out / (effect[q, q] + e.optima.covariance[:, q, q])
    zz = z.swapaxes(1, 2) @ (precision[..., None] * z)
    refit = np.linalg.inv(p.block_covariance[:, mine, mine]) + zz[:, :3, :3]
    net = zz[:, 3:, 3:] - zz[:, 3:, :3] @ np.linalg.solve(refit, zz[:, :3, 3:])
    total = np.einsum("s,sij->ij", e.blocks.weight, net)
    relative = np.stack(np.meshgrid(BEND_SIZES, BEND_SIZES, indexing="ij"), axis=-1).reshape(-1, 2)
    std = relative * prior_std
    posterior = np.linalg.inv(total[:2, :2] + np.eye(2) * (std**-2)[:, None, :])
    mean = posterior @ total[:2, 2]
    # Inverse chi-squared prior of the scale, its mean square equal to prior_std^2.
    density = -(BEND_DF * np.log(relative) + (BEND_DF - 2) / 2 * relative**-2 + np.log(std)).sum(axis=-1)
    density += 0.5 * mean @ total[:2, 2] + 0.5 * np.linalg.slogdet(posterior)[1]
    share = np.exp(density - density.max())
    second = np.diagonal(posterior, axis1=1, axis2=2) + mean**2
    return np.asarray(share / share.sum() @ second)


def _prior_bend(
    p: _Projection, points: FloatArray, bend: tuple[FloatArray, FloatArray], variance: FloatArray
) -> FloatArray:
    """Bend std (2, 2 axes) whose misfit one e-fold beyond the data is what the literature reports."""
    middle, _ = bend
    top = points.max(axis=0)
    ahead = np.array([[top[0] + 1, middle[1]], [middle[0], top[1] + 1]])  # one row an axis
    phi = soft_bend(ahead, *bend)
    x = np.column_stack([np.ones(2), ahead - points.mean(axis=0)])
    law = p.law.reshape(2, 3, 2, 2)  # (quantity, coefficient, bend's quantity, axis)
    missed = np.array([[phi[a, a] - x[a] @ law[q, :, q, a] for a in (0, 1)] for q in (0, 1)])
    return np.asarray(
        np.minimum(np.sqrt(variance)[:, None] / np.maximum(np.abs(missed), TINY), MAX_PRIOR_BEND)
    )


def _curvature(e: _Evidence, effect: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quadratic terms along each axis in the cells' own optima, and their standard deviations, (2, 2) each.

    Generalized least squares with a free law; zero with an infinite deviation where an axis has too few
    levels.
    """
    inverse = np.linalg.inv(effect + e.optima.covariance)
    squares = (e.design[:, 1:] ** 2) / 2
    quadratic = np.zeros_like(e.bent)
    quadratic[:, 0, :2] = quadratic[:, 1, 2:] = squares
    columns = np.concatenate([e.paired, quadratic], axis=-1)
    weighted = np.einsum("kai,kab->kib", columns, inverse)
    normal = np.einsum("kib,kbj->ij", weighted, columns)
    residual = np.eye(len(e.design)) - e.design @ np.linalg.pinv(e.design)
    seen = np.tile((residual @ squares).std(axis=0) > TINY, 2) & (len(e.design) > columns.shape[-1] / 2)
    covariance = np.linalg.inv(normal + np.diag(np.full(len(normal), WEAK_PRECISION)))
    value = covariance @ np.einsum("kib,kb->i", weighted, e.optima.departure)
    std = np.sqrt(np.diagonal(covariance)[6:])
    return np.where(seen, value[6:], 0.0).reshape(2, 2), np.where(seen, std, np.inf).reshape(2, 2)
