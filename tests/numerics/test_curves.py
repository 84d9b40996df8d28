"""Loss-curve laws against the papers' own numbers, plain loops and finite differences."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hptransfer.numerics import curves
from hptransfer.schedules import schedule

# Multi-Power Law, 100M model (arXiv:2503.12811, its repository): L0, A, alpha, B, log C, beta, gamma.
PUBLISHED_100M = np.array(
    [2.6514477, 0.60115152, 0.45295811, 437.9464276, np.log(2.13245612), 0.59785199, 0.65523644]
)
# Losses at steps 1000 ... 20000 in the script of Tissue et al.: peak 2e-4, warm-up 500 steps, floor 0.
GOLDEN_COSINE = (
    3.6696358, 3.3254106, 3.1908393, 3.1158533, 3.0604768,
    3.020384, 2.9880967, 2.9612265, 2.9395165, 2.9195616,
    2.9030452, 2.8881907, 2.8767889, 2.8654318, 2.8565135,
    2.8489892, 2.843639, 2.8398669, 2.8380618, 2.8376071,
)  # fmt: skip
GOLDEN_CONSTANT = (
    3.6714418, 3.325626, 3.1884103, 3.111947, 3.058354,
    3.0211415, 2.9874816, 2.96082, 2.9406552, 2.9241402,
    2.9054413, 2.8942103, 2.8807929, 2.8702695, 2.862175,
    2.8530996, 2.8448784, 2.8383856, 2.8326995, 2.8294308,
)  # fmt: skip


def golden_areas(name: str, **options: float) -> tuple[curves.FloatArray, curves.FloatArray]:
    made = schedule(name, steps=20_000, warmup_steps=500, peak_lr=2e-4, **options)  # type: ignore[arg-type]
    return curves.annealing_areas(curves.flatten_warmup(2e-4 * made.curve()))


def golden_fit() -> curves.HuberFit:
    steps = np.arange(1, 21) * 1000
    areas = [golden_areas(name) for name in ("cosine", "constant")]
    forward, annealed = (np.concatenate([area[i][steps] for area in areas]) for i in (0, 1))
    return curves.fit_annealing(forward, annealed, np.array([*GOLDEN_COSINE, *GOLDEN_CONSTANT]))


def test_annealing_law_golden_refit() -> None:
    """The published figure: L0 2.628, A 0.429 (0.430 refitted), C 0.411, alpha 0.550; objective 1.629e-5."""
    fit = golden_fit()
    np.testing.assert_allclose(fit.parameters, [2.628, 0.430, 0.411, 0.550], atol=5.1e-4)
    assert fit.objective == pytest.approx(1.629e-5, rel=1e-3)
    assert fit.objective < 1.658e-5  # what the rounded published values reach


@pytest.mark.parametrize(
    ("name", "options", "forward", "annealed", "loss"),
    [
        ("cosine", {}, 2.0501, 0.197474, 2.8362),
        ("constant", {}, 4.0002, 0.0, 2.8283),
        ("d2z", {}, 2.0501, 0.18975, 2.8394),
        ("wsd", {"decay_fraction": 0.1}, 3.8001, 0.11361, 2.7874),
        ("wsd", {"decay_fraction": 0.2}, 3.6001, 0.15096, 2.7782),
        ("wsd", {"decay_fraction": 0.5}, 3.0001, 0.18002, 2.7887),
        ("wsd", {"decay_fraction": 0.2, "decay": "1-sqrt"}, 3.4668, 0.16990, 2.7749),
    ],
)
def test_annealing_law_ranks_schedules(
    name: str, options: dict[str, float], forward: float, annealed: float, loss: float
) -> None:
    """Areas and final losses under the golden fit."""
    s1, s2 = golden_areas(name, **options)
    assert s1[-1] == pytest.approx(forward, abs=5.1e-5)
    assert s2[-1] == pytest.approx(annealed, abs=5.1e-6)
    parameters = np.array([2.62780, 0.42967, 0.41077, 0.54985])
    assert curves.annealing_loss(parameters, s1[-1:], s2[-1:])[0][0] == pytest.approx(loss, abs=5.5e-5)


def test_annealing_area_equals_its_double_sum() -> None:
    lr = np.array([1, 1, 0.8, 0.6, 0.4, 0.2]) * 1e-3
    s1, s2 = curves.annealing_areas(lr, memory=0.999)
    np.testing.assert_allclose(s1 * 1e3, [1, 2, 2.8, 3.4, 3.8, 4])
    slow = [
        sum((lr[k - 1] - lr[k]) * 0.999 ** (i - k) for i in range(1, s + 1) for k in range(1, i + 1))
        for s in range(len(lr))
    ]
    np.testing.assert_allclose(s2, slow, atol=1e-18)
    assert s2[-1] == pytest.approx(1.998001e-3)


def slow_multi_power(parameters: curves.FloatArray, lr: curves.FloatArray, step: int) -> float:
    """The law as arXiv:2503.12811 writes it, one drop at a time."""
    floor, coefficient, alpha, gain, log_c, beta, gamma = parameters
    total = 0.0
    for k in range(1, step + 1):
        area = lr[k : step + 1].sum()
        total += (lr[k - 1] - lr[k]) * (1 - (1 + np.exp(log_c) * lr[k] ** -gamma * area) ** -beta)
    return float(floor + coefficient * lr[: step + 1].sum() ** -alpha - gain * total)


def test_multi_power_tiny_check() -> None:
    """B times the sum at steps 3, 4, 5 of lr = (3, 3, 3, 2, 1, 1) 1e-4."""
    lr = np.array([3, 3, 3, 2, 1, 1]) * 1e-4
    steps = np.arange(3, 6)
    loss, error = curves.multi_power_curve(PUBLISHED_100M, lr, steps)
    without = PUBLISHED_100M[0] + PUBLISHED_100M[1] * np.cumsum(lr)[steps] ** -PUBLISHED_100M[2]
    np.testing.assert_allclose(without - loss, [0.00271833, 0.00609623, 0.00911746], atol=5.1e-9)
    assert error == pytest.approx(0, abs=1e-12)  # every drop is a group of its own


@pytest.mark.parametrize(("decay_steps", "expected"), [(0, 2.8924), (4000, 2.7923)])
def test_multi_power_whole_run_example(decay_steps: int, expected: float) -> None:
    """A flat 3e-4 run of 24,000 steps after a warm-up area of 0.324 (flat, too); linear decay to 3e-5."""
    made = schedule("wsd", steps=24_000, decay_steps=decay_steps, final_ratio=0.1)
    before = np.ones(round(0.324 / 3e-4))
    lr = 3e-4 * np.concatenate([before, made.multipliers()])
    loss, _ = curves.multi_power_curve(PUBLISHED_100M, lr, np.array([len(lr) - 1]), n_groups=10**6)
    assert loss[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["cosine", "wsd", "multi-step", "inverse-sqrt"])
def test_grouped_drops_stay_within_their_bound(name: str) -> None:
    made = schedule(name, steps=600, warmup_steps=60)
    lr = 3e-4 * made.curve() + 3e-5
    steps = np.array([80, 300, 500, 560, 600])
    exact = [slow_multi_power(PUBLISHED_100M, lr, step) for step in steps]
    for n_groups in (10, 50):
        loss, error = curves.multi_power_curve(PUBLISHED_100M, lr, steps, n_groups=n_groups)
        assert np.abs(loss - exact).max() <= error + 1e-12
    ungrouped, _ = curves.multi_power_curve(PUBLISHED_100M, lr, steps, n_groups=10**7)
    np.testing.assert_allclose(ungrouped, exact, rtol=1e-12)


def finite_differences(
    predict: curves.Predict, parameters: curves.FloatArray, step: float = 1e-6
) -> curves.FloatArray:
    columns = []
    for i, value in enumerate(parameters):
        shift = np.zeros_like(parameters)
        shift[i] = step * max(abs(value), 1e-2)
        change = predict(parameters + shift)[0] - predict(parameters - shift)[0]
        columns.append(change / (2 * shift[i]))
    return np.column_stack(columns)


def test_gradients_equal_finite_differences() -> None:
    lr = 3e-4 * schedule("cosine", steps=400, warmup_steps=40, final_ratio=0.1).curve()
    steps = np.arange(50, 401, 25)
    groups = curves.drop_groups(lr, steps, bounds=curves.group_bounds(lr, n_groups=20))
    s1, s2 = (area[steps] for area in curves.annealing_areas(curves.flatten_warmup(lr)))
    cases: list[tuple[curves.Predict, curves.FloatArray]] = [
        (lambda p: curves.multi_power_loss(p, groups), PUBLISHED_100M),
        (lambda p: curves.annealing_loss(p, s1, s2), np.array([2.6, 0.43, 0.41, 0.55])),
    ]
    for predict, parameters in cases:
        np.testing.assert_allclose(
            predict(parameters)[1], finite_differences(predict, parameters), rtol=2e-5, atol=1e-8
        )


def test_noise_free_annealing_law_is_recovered_in_any_unit() -> None:
    for unit in (1.0, 1000.0):
        truth = np.array([2.6, 0.43 * unit**0.55, 0.41 / unit, 0.55])
        s1, s2 = (unit * area[500::50] for area in golden_areas("cosine"))
        loss = curves.annealing_loss(truth, s1, s2)[0]
        np.testing.assert_allclose(curves.fit_annealing(s1, s2, loss).parameters, truth, rtol=1e-4)


def test_noise_free_multi_power_law_predicts_another_schedule() -> None:
    """Its parameters trade off, so what counts is the curve of a schedule that was not fitted."""
    runs = [schedule(n, steps=3000, warmup_steps=200, final_ratio=0.1) for n in ("cosine", "wsd")]
    runs.append(schedule("constant", steps=3000, warmup_steps=200))
    parts, losses = [], []
    steps = np.arange(250, 3001, 50)
    for made in runs:
        lr = 3e-3 * made.curve()
        parts.append(curves.drop_groups(lr, steps, bounds=curves.group_bounds(lr)))
        losses.append(curves.multi_power_loss(PUBLISHED_100M, parts[-1])[0])
    fit = curves.fit_multi_power(curves.stack_groups(parts), np.concatenate(losses), peak_lr=3e-3)
    other = 3e-3 * schedule("linear", steps=3000, warmup_steps=200, final_ratio=0.1).curve()
    truth, _ = curves.multi_power_curve(PUBLISHED_100M, other, steps)
    found, _ = curves.multi_power_curve(fit.parameters, other, steps)
    np.testing.assert_allclose(found, truth, atol=2e-3)


def test_lr_path_keeps_jumps_and_joins_the_rest() -> None:
    steps = np.array([20, 30, 40, 50, 60, 70, 80])
    jumping = np.array([3.0, 3, 3, 1, 1, 1, 1])
    path = curves.lr_path(steps, jumping, warmup_steps=10)
    np.testing.assert_allclose(path[[0, 5, 10, 20, 49, 50, 80]], [0, 1.5, 3, 3, 3, 1, 1])
    falling = np.array([3.0, 3, 2.5, 2, 1.5, 1, 0.5])
    path = curves.lr_path(steps, falling, warmup_steps=0)
    np.testing.assert_allclose(path[[0, 20, 35, 75]], [3, 3, 2.75, 0.75])


def test_a_warmup_that_the_log_shows_is_extended_back() -> None:
    path = curves.lr_path(np.array([4, 6, 8, 10]), np.array([2.0, 3, 4, 4]), warmup_steps=0)
    np.testing.assert_allclose(path, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4, 4])


def test_only_a_rise_at_the_beginning_is_flattened() -> None:
    np.testing.assert_array_equal(curves.flatten_warmup(np.array([0.0, 1, 2, 1])), [2, 2, 2, 1])
    rewarmed = np.array([1.0, 0.5, 2, 1])
    np.testing.assert_array_equal(curves.flatten_warmup(rewarmed), rewarmed)


def test_block_means_of_a_line_lie_on_it() -> None:
    steps = np.arange(1, 1001)
    thin, loss = curves.block_means(steps, np.exp(0.001 * steps), max_points=40)
    assert len(thin) == 40
    np.testing.assert_allclose(np.log(loss), 0.001 * thin, atol=0.0006)


def test_a_million_points_take_seconds() -> None:
    """Predicted by both laws and fitted by the annealing law; the limit is loose, a loop would take hours."""
    n = 1_000_000
    lr = 3e-4 * schedule("cosine", steps=n, warmup_steps=1000, final_ratio=0.1).curve()
    steps = np.arange(1001, n + 1)
    start = time.perf_counter()
    s1, s2 = (area[steps] for area in curves.annealing_areas(curves.flatten_warmup(lr)))
    truth = np.array([2.6, 0.43, 0.002, 0.55])
    fit = curves.fit_annealing(s1, s2, curves.annealing_loss(truth, s1, s2)[0])
    curves.multi_power_curve(PUBLISHED_100M, lr, steps[::10], n_groups=64)
    assert time.perf_counter() - start < 60
    np.testing.assert_allclose(fit.parameters, truth, rtol=1e-3)
