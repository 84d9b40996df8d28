"""The surface's algebra against finite differences, run-by-run sums and a general-purpose optimizer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cells import CellRuns
from hptransfer.numerics.moments import moments
from hptransfer.numerics.polynomials import monomial_values
from hptransfer.numerics.surface import (
    OWN_OFFSETS,
    CellBowls,
    Layout,
    Normal,
    Objective,
    Penalty,
    Site,
    cell_bowls,
    law_optima,
    layout,
    local_gradients,
    local_projection,
    ridge_residual,
    solve,
)
from tests.surfaces import known_runs

STEP = 1e-6


def _problem(variables: int, seed: int = 0) -> tuple[Layout, CellRuns, Site, FloatArray, FloatArray]:
    """A sweep, and parameters and own terms near a bowl."""
    rng = np.random.default_rng(seed)
    where, runs = layout(variables), known_runs(noise=0.001, variables=variables)
    reference = np.column_stack(
        [
            runs.sum_cells(values) / runs.sum_cells(np.ones(runs.n_runs))
            for values in (runs.log_lr, runs.log_batch)
        ]
    )
    parameters = 0.003 * rng.standard_normal((1, where.n_parameters))
    parameters[0, :6] = np.linalg.lstsq(runs.design, reference, rcond=None)[0].T.ravel()
    parameters[0, 6] += 0.02
    if variables == 2:
        parameters[0, 8] += 0.02
    own = 0.001 * rng.standard_normal((1, runs.n_cells, where.n_own))
    return where, runs, Site(runs.scale, reference), parameters, own


@pytest.mark.parametrize("variables", [1, 2])
def test_gradients_are_those_of_finite_differences(variables: int) -> None:
    """Along the shared parameters through the local directions, and along each cell's own terms."""
    where, _, site, parameters, own = _problem(variables)

    def coefficients(p: FloatArray, e: FloatArray) -> FloatArray:
        return np.asarray(cell_bowls(where, site, p, e).coefficients[0])

    local = local_gradients(where, cell_bowls(where, site, parameters, own))[0]
    shared = local.swapaxes(1, 2) @ local_projection(where, site.factors)
    for k in range(where.n_parameters):
        move = np.zeros_like(parameters)
        move[0, k] = STEP
        numeric = (coefficients(parameters + move, own) - coefficients(parameters - move, own)) / (2 * STEP)
        np.testing.assert_allclose(shared[..., k], numeric, atol=1e-8)
    for k in range(where.n_own):
        shift = np.zeros_like(own)
        shift[..., k] = STEP
        numeric = (coefficients(parameters, own + shift) - coefficients(parameters, own - shift)) / (2 * STEP)
        np.testing.assert_allclose(local[:, k], numeric, atol=1e-8)


def test_the_ridges_gradient_is_that_of_finite_differences() -> None:
    _, _, _, parameters, _ = _problem(2)
    ridge = Normal(0.5, 0.25)
    _, gradient = ridge_residual(parameters, ridge)
    for k in range(parameters.shape[1]):
        move = np.zeros_like(parameters)
        move[0, k] = STEP
        numeric = ridge_residual(parameters + move, ridge)[0] - ridge_residual(parameters - move, ridge)[0]
        assert gradient[0, k] == pytest.approx(numeric[0] / (2 * STEP), rel=1e-5, abs=1e-7)


def _run_by_run(
    where: Layout, runs: CellRuns, site: Site, weights: FloatArray, bowls: CellBowls
) -> tuple[FloatArray, FloatArray]:
    """Weighted residuals of every run with the best floor of its cell, and those floors."""
    x = runs.log_lr - site.reference[runs.cell, 0]
    y = runs.log_batch - site.reference[runs.cell, 1]
    values = monomial_values(where.form.powers, x, y).T
    fit = (values * bowls.coefficients[0][runs.cell]).sum(axis=1)
    floors = np.array(
        [
            np.average((runs.excess - fit)[runs.cell == c], weights=weights[runs.cell == c])
            for c in range(runs.n_cells)
        ]
    )
    return np.sqrt(weights) * (runs.excess - fit - floors[runs.cell]), floors


@pytest.mark.parametrize("variables", [1, 2])
def test_the_objective_from_moments_is_the_one_summed_over_runs(variables: int) -> None:
    where, runs, site, parameters, own = _problem(variables)
    weights = np.random.default_rng(1).uniform(0, 2, runs.n_runs)
    data = moments(where.form, runs, weights[None], reference=site.reference)
    penalty = Penalty(
        np.zeros_like(parameters), np.zeros_like(parameters), np.zeros((1, where.n_own)), ridge=None
    )
    objective = Objective(where, site, data.gram, data.cross, data.square, penalty)
    bowls = cell_bowls(where, site, parameters, own)
    residual, floors = _run_by_run(where, runs, site, weights, bowls)
    assert objective.value(parameters, own, bowls)[0] == pytest.approx((residual**2).sum(), rel=1e-9)
    np.testing.assert_allclose(data.floors(bowls.coefficients)[0], floors, atol=1e-12)


def test_the_fit_is_that_of_a_general_optimizer() -> None:
    """scipy's least squares on all runs, floors eliminated, with the same penalties as extra residuals."""
    where, runs, site, start, own = _problem(2)
    own = 0 * own
    noise_variance, weights = 1e-6, np.ones(runs.n_runs)
    rng = np.random.default_rng(2)
    precision = rng.uniform(1, 5, start.shape)
    penalty = Penalty(precision, 0.9 * start, np.full((1, where.n_own), 400.0), Normal(0.5, 0.25))
    data = moments(where.form, runs, weights[None], reference=site.reference)
    found = solve(
        where,
        site,
        data,
        noise_variance=np.array([noise_variance]),
        penalty=penalty,
        start=(start, own),
        tolerance=1e-13,
        max_steps=200,
    )

    def residuals(x: FloatArray) -> FloatArray:
        p = x[None, : where.n_parameters]
        e = x[None, where.n_parameters :].reshape(own.shape)
        fit, _ = _run_by_run(where, runs, site, weights, cell_bowls(where, site, p, e))
        assert penalty.ridge is not None
        return np.concatenate(
            [
                fit / noise_variance**0.5,
                (np.sqrt(precision) * (p - penalty.mean)).ravel(),
                np.sqrt(400.0) * e.ravel(),
                ridge_residual(p, penalty.ridge)[0],
            ]
        )

    reference = least_squares(residuals, np.concatenate([found.parameters.ravel(), found.own.ravel()]))
    assert found.objective[0] == pytest.approx(2 * reference.cost, rel=1e-6)
    np.testing.assert_allclose(found.parameters[0], reference.x[: where.n_parameters], atol=1e-5)


def test_own_optima_follow_from_law_and_offsets() -> None:
    where, runs, site, parameters, own = _problem(2)
    at = law_optima(parameters, runs.scale)[0] + own[0, :, :OWN_OFFSETS] - site.reference
    bowls = cell_bowls(where, site, parameters, own)
    value = np.einsum("kc,ck->c", monomial_values(where.form.powers, *at.T), bowls.coefficients[0])
    for step in (0.01, -0.01):
        for axis in (0, 1):
            moved = at.copy()
            moved[:, axis] += step
            other = monomial_values(where.form.powers, *moved.T)
            assert (np.einsum("kc,ck->c", other, bowls.coefficients[0]) > value).all()
