"""McCandlish's hyperbola: exact runs give it back, noisy ones within intervals that hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hptransfer.numerics.critical_batch import fit_hyperbola, log_tokens_min

REFERENCE = np.log(1.22e10)  # log E_min at which B_crit is CRITICAL
CRITICAL = np.log(4.41e6)
EXPONENT = 0.462  # Power Lines' B_crit = 0.0471 * 2048 * D_min^0.462


def runs(*, noise: float = 0.0, models: int = 3, exponent: float = EXPONENT, seed: int = 0) -> dict[str, Any]:
    """Runs of `models` sizes at 4 numbers of tokens and 6 batches; loss by Besiroglu's law of E_min."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(np.arange(models), np.geomspace(2e9, 5e10, 4), 2.0 ** np.arange(17, 23), indexing="ij")
    group, tokens, batch = (axis.ravel() for axis in grid)
    log_min = log_tokens_min(
        np.log(tokens), np.log(batch), log_critical=CRITICAL, exponent=exponent, centre=REFERENCE
    )
    params = 1e8 * 3.0**group
    loss = 1.8172 + 482.01 / params**0.3478 + 2085.43 / np.exp(log_min) ** 0.3658
    return {
        "log_tokens": np.log(tokens),
        "log_batch": np.log(batch),
        "log_loss": np.log(loss) + noise * rng.standard_normal(len(loss)),
        "group": group.astype(np.int64),
        "cluster": np.unique(np.column_stack([group, tokens]), axis=0, return_inverse=True)[1].ravel(),
    }


def test_the_fewest_tokens_solve_the_hyperbola() -> None:
    """E = E_min (1 + B / B_crit(E_min)): at B = B_crit twice the fewest, by definition."""
    log_min = log_tokens_min(
        np.log(np.array([2.44e10])), np.log(np.array([4.41e6])),
        log_critical=CRITICAL, exponent=EXPONENT, centre=REFERENCE,
    )  # fmt: skip
    assert np.exp(log_min) == pytest.approx(1.22e10)


@pytest.mark.parametrize("exponent", [0.0, EXPONENT, -0.2])
def test_exact_runs_give_the_hyperbola_back(exponent: float) -> None:
    found = fit_hyperbola(**runs(exponent=exponent), free_exponent=True)
    assert found.exponent == pytest.approx(exponent, abs=1e-4)
    assert found.log_batch == pytest.approx(CRITICAL + exponent * (found.centre - REFERENCE), abs=1e-3)
    assert np.abs(found.residual).max() < 1e-6
    assert not found.at_bound


def test_one_loss_needs_no_curve() -> None:
    """The worked values of McCandlish's Eq. 2.11: at B / B_crit = 1/4, 1, 4 tokens are 1.25, 2, 5 times."""
    batch = 1e6 * np.array([0.25, 1.0, 4.0])
    found = fit_hyperbola(
        log_tokens=np.log(3e9 * np.array([1.25, 2.0, 5.0])),
        log_batch=np.log(batch),
        log_loss=np.zeros(3),
        group=np.zeros(3, dtype=np.int64),
        cluster=np.arange(3),
        free_exponent=False,
    )
    assert np.exp(found.log_batch) == pytest.approx(1e6, rel=1e-6)
    assert np.exp(found.log_tokens_min) == pytest.approx(3e9, rel=1e-6)


def test_intervals_hold_the_truth_nine_times_in_ten() -> None:
    from scipy.special import stdtrit

    held = np.zeros(2)
    for seed in range(60):
        found = fit_hyperbola(**runs(noise=0.002, seed=seed), free_exponent=True)
        assert found.covariance is not None
        half = float(stdtrit(found.degrees, 0.95)) * np.sqrt(np.diagonal(found.covariance))
        truth = CRITICAL + EXPONENT * (found.centre - REFERENCE)
        held += np.abs([found.log_batch - truth, found.exponent - EXPONENT]) <= half
    assert (held / 60 > 0.8).all()


def test_batches_that_cost_nothing_end_at_the_bound() -> None:
    free = runs()
    free["log_loss"] = -0.05 * free["log_tokens"]
    assert fit_hyperbola(**free, free_exponent=False).at_bound


def test_the_jacobian_is_that_of_finite_differences() -> None:
    from hptransfer.numerics.critical_batch import _Problem

    data = runs(noise=0.002)
    problem = _Problem(
        data["log_tokens"], data["log_batch"], data["log_loss"], data["group"], 23.0, free_exponent=True
    )
    for one_loss, of in ((False, problem.of_loss), (True, problem.of_tokens)):
        x = problem.starts(one_loss=one_loss)[1]
        steps = np.eye(len(x)) * 1e-6
        numeric = np.stack([(of(x + step)[0] - of(x - step)[0]) / 2e-6 for step in steps], axis=1)
        assert of(x)[1] == pytest.approx(numeric, abs=1e-6)
