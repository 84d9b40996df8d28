"""The forms of the loss law and their batched fit, against finite differences, truth and a scipy loop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hptransfer.numerics import loss_law
from hptransfer.numerics.loss_law import FORMS, Points, at_bounds, best_fits, huber, minimize, starts
from tests.oracle.loss_law_loop import loop_fit

TRUTH = {
    "additive": (0.6, -1.1, 0.34, -1.3, 0.28),
    "outer-exponent": (0.5, -0.8, 0.7, -1.2, 0.6, -0.9),
    "varying-exponent": (0.5, -1.0, 0.25, -1.2, 0.4, -0.2, 0.05),
}


def grid(*, seed: int | None = None, form: str = "additive", noise: float = 0.0) -> Points:
    """A 6 x 6 grid of scales, each input over a factor of about 150, with losses of the form's truth."""
    n, d = (a.ravel() for a in np.meshgrid(np.linspace(-2.5, 2.5, 6), np.linspace(-2.5, 2.5, 6)))
    value, _ = FORMS[form].model(np.array([TRUTH[form]]), n, d)
    scatter = noise * np.random.default_rng(seed).standard_normal(len(n)) if noise else 0.0
    return Points(n, d, value[0] + scatter)


@pytest.mark.parametrize("name", FORMS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    form, points = FORMS[name], grid()
    at = np.array(TRUTH[name])
    _, gradient = form.model(at[None], points.log_params, points.log_tokens)
    for i in range(len(at)):
        step = np.zeros(len(at))
        step[i] = 1e-6
        up, down = (
            form.model((at + s)[None], points.log_params, points.log_tokens)[0][0] for s in (step, -step)
        )
        np.testing.assert_allclose(gradient[0, :, i], (up - down) / 2e-6, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FORMS)
def test_a_noise_free_law_comes_back(name: str) -> None:
    fit = best_fits(FORMS[name], grid(form=name))
    np.testing.assert_allclose(fit.coefficients[0], TRUTH[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["additive", "outer-exponent"])
@pytest.mark.parametrize("delta", [1e-3, 1.0])
def test_batched_starts_equal_the_scipy_loop(name: str, delta: float) -> None:
    """Noise well beyond a delta of 1e-3 (the hard, nearly absolute-value case), and least squares."""
    form, points = FORMS[name], grid(seed=1, noise=0.004)
    batched = best_fits(form, points, delta=delta)
    looped, lowest = loop_fit(
        form, points, starts=starts(form, points)[::9], weights=np.ones(len(points)), delta=delta
    )
    assert batched.objective[0] <= lowest * (1 + 1e-6)
    predicted = [
        form.model(c[None], points.log_params, points.log_tokens)[0][0]
        for c in (batched.coefficients[0], looped)
    ]
    np.testing.assert_allclose(predicted[0], predicted[1], atol=2e-4)


def test_batched_resamples_equal_the_scipy_loop() -> None:
    form, points = FORMS["additive"], grid(seed=2, noise=0.002)
    counts = np.random.default_rng(3).multinomial(len(points), np.full(len(points), 1 / len(points)), size=4)
    weights = counts.astype(float)
    start = best_fits(form, points, delta=1e-2).coefficients
    batched = minimize(form, points, start=np.repeat(start, 4, axis=0), weights=weights, delta=1e-2)
    for row in range(4):
        looped, lowest = loop_fit(form, points, starts=start, weights=weights[row], delta=1e-2)
        assert batched.objective[row] == pytest.approx(lowest, rel=1e-7)
        np.testing.assert_allclose(batched.coefficients[row], looped, rtol=2e-3, atol=2e-3)


def test_a_batch_in_parts_is_the_same_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    form, points = FORMS["additive"], grid(seed=4, noise=0.002)
    whole = minimize(form, points, start=starts(form, points)[:7], max_steps=20)
    monkeypatch.setattr(loss_law, "MAX_ELEMENTS", 2 * len(points) * len(form.coefficients))
    parts = minimize(form, points, start=starts(form, points)[:7], max_steps=20)
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, rtol=1e-9)


def test_every_row_of_weights_is_its_own_fit() -> None:
    form, points = FORMS["additive"], grid(seed=5, noise=0.001)
    halves = np.array([points.log_params < 1.0, points.log_tokens < 1.0], dtype=float)
    together = best_fits(form, points, weights=halves)
    alone = [best_fits(form, points, weights=row[None]).objective[0] for row in halves]
    np.testing.assert_allclose(together.objective, alone, rtol=1e-9)


def test_a_wild_run_does_not_decide_the_fit() -> None:
    points = grid(seed=6, noise=0.0005)
    wild = points.log_loss.copy()
    wild[7] += 0.3
    fits = [
        best_fits(FORMS["additive"], p) for p in (points, Points(points.log_params, points.log_tokens, wild))
    ]
    np.testing.assert_allclose(fits[0].coefficients, fits[1].coefficients, atol=0.03)


def test_what_the_points_do_not_determine_is_named() -> None:
    points = grid()
    flat = Points(points.log_params, points.log_tokens, np.log(2.0 + 0.2 * np.exp(-0.3 * points.log_params)))
    fit = best_fits(FORMS["additive"], flat)
    assert set(at_bounds(FORMS["additive"], fit.coefficients[0])) & {
        "log_tokens_term",
        "tokens_exponent",
        "log_floor",
    }


@pytest.mark.parametrize("delta", [0.5, np.array([0.5, 2.0, 0.1])])
def test_huber_is_continuous_and_below_the_parabola(delta: float | NDArray[np.float64]) -> None:
    residual = np.array([-1.0, 0.5, 3.0])
    assert (huber(residual, delta) <= 0.5 * residual**2 + 1e-15).all()
    np.testing.assert_allclose(huber(residual, delta), huber(-residual, delta))
