"""Which form, and how wide: everything judged at compute that was not fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.loss_evidence import (
    HeldOut,
    choose_form,
    compute_blocks,
    distance_beyond,
    growth_beyond,
    held_out,
    lack_of_fit,
    predictive_covariance,
    resample,
)
from hptransfer.numerics.loss_law import FORMS, Points, best_fits
from tests.numerics.test_loss_law import TRUTH, grid


def test_blocks_are_predicted_from_smaller_compute_only() -> None:
    points = grid()
    compute = points.log_params + points.log_tokens
    blocks = compute_blocks(points, needed=8)
    assert blocks
    for below, inside in blocks:
        assert compute[below].max() < compute[inside].min()
        assert below.sum() >= 8
    predicted = np.sum([inside for _, inside in blocks], axis=0)
    assert predicted.max() == 1


def test_the_corner_of_an_isoflop_design_is_far() -> None:
    """Large params and large tokens were both seen, but never together."""
    seen = np.linspace(-2.0, 2.0, 9)
    points = Points(np.append(seen, 2.0), np.append(-seen, 2.0), np.zeros(10))
    fitted = np.arange(10) < 9
    distance = distance_beyond(points, fitted)
    np.testing.assert_allclose(distance, [*np.zeros(9), 4.0 / np.sqrt(2.0)], atol=1e-12)


def test_a_held_out_block_does_not_move_its_own_prediction() -> None:
    form, points = FORMS["additive"], grid(seed=1, noise=0.001)
    before = held_out(form, points, delta=1e-3)
    last = compute_blocks(points, needed=8)[-1][1]
    shifted = Points(points.log_params, points.log_tokens, points.log_loss + 0.1 * last)
    after = held_out(form, shifted, delta=1e-3)
    moved = after.block == after.block.max()
    np.testing.assert_allclose(after.error[moved] - before.error[moved], 0.1, atol=1e-3)
    np.testing.assert_allclose(after.error[~moved], before.error[~moved], atol=1e-3)


@pytest.mark.parametrize("truth", ["additive", "outer-exponent"])
def test_the_form_that_made_the_data_is_chosen(truth: str) -> None:
    chosen = []
    for seed in range(5):
        points = grid(seed=seed, form=truth, noise=0.0005)
        tried = {name: held_out(FORMS[name], points, delta=1e-3) for name in ("additive", "outer-exponent")}
        chosen.append(choose_form(tried, order=list(tried))[0])
    assert chosen.count(truth) >= 4, chosen


def test_without_blocks_the_simplest_form_stays() -> None:
    nothing = HeldOut(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))
    better = HeldOut(np.full(4, 1e-9), np.ones(4), np.arange(4))
    assert choose_form({"a": nothing, "b": better}, order=["a", "b"]) == ("a", {"b": 1.0})


def test_growth_covers_nine_in_ten_held_out_errors() -> None:
    rng = np.random.default_rng(0)
    distance = rng.uniform(0.5, 3.0, 2000)
    error = 0.01 * distance * rng.standard_normal(2000)
    slope = growth_beyond(HeldOut(error, distance, np.zeros(2000, dtype=np.int64)), inside=0.0)
    assert slope == pytest.approx(0.01, rel=0.06)
    nothing_beyond = HeldOut(error, 0.0 * distance, np.zeros(2000, dtype=np.int64))
    assert growth_beyond(nothing_beyond, inside=0.0) is None


def test_lack_of_fit_is_the_normal_spread_and_ignores_one_wild_run() -> None:
    residual = 0.01 * np.random.default_rng(1).standard_normal(4000)
    assert lack_of_fit(residual, n_coefficients=5) == pytest.approx(0.01, rel=0.05)
    wild = np.append(residual, 10.0)
    assert lack_of_fit(wild, n_coefficients=5) == pytest.approx(0.01, rel=0.05)


def test_predictive_covariance_is_the_plain_one_for_small_draws() -> None:
    """Where draws lie so close that the law is linear between them, nothing is lost."""
    form, points = FORMS["additive"], grid()
    fit = np.array(TRUTH["additive"])
    draws = fit + 1e-6 * np.random.default_rng(2).standard_normal((500, len(fit)))
    plain = (draws - fit).T @ (draws - fit) / len(draws)
    np.testing.assert_allclose(
        predictive_covariance(form, points, fit=fit, draws=draws), plain, rtol=1e-3, atol=1e-3 * plain.max()
    )


def test_predictive_covariance_reproduces_the_spread_of_real_draws() -> None:
    form, points = FORMS["additive"], grid(seed=3, noise=0.003)
    fit = best_fits(form, points).coefficients[0]
    counts = np.random.default_rng(4).multinomial(36, np.full(36, 1 / 36), size=300)
    draws = resample(form, points, start=fit, counts=counts, delta=1e-3)
    covariance = predictive_covariance(form, points, fit=fit, draws=draws)
    n, d = np.array([0.0, 2.5, 4.8]), np.array([0.0, 2.5, 4.8])
    value, gradient = form.model(fit[None], n, d)
    spread = form.model(draws, n, d)[0] - value
    linear = np.einsum("pi,ij,pj->p", gradient[0], covariance, gradient[0]) ** 0.5
    np.testing.assert_allclose(linear, (spread**2).mean(axis=0) ** 0.5, rtol=0.25)
