"""Shapes of schedules against published tables and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.numerics import schedules as shapes


@pytest.mark.parametrize(
    ("norms", "adam", "expected"),
    [
        pytest.param(np.ones(6), False, [1, 0.8, 0.6, 0.4, 0.2, 0], id="constant norms give linear decay"),
        pytest.param(
            np.arange(1, 7) ** -0.5, False, [0.4444, 0.8, 1, 0.9778, 0.6667, 0], id="falling norms: a warm-up"
        ),
        pytest.param(
            np.array([2, 1, 1, 1, 1, 1.5]), False, [0.3226, 1, 0.7097, 0.4194, 0.1290, 0], id="SGD weights"
        ),
        pytest.param(
            np.array([2, 1, 1, 1, 1, 1.5]), True, [0.6364, 1, 0.7273, 0.4545, 0.1818, 0], id="Adam weights"
        ),
    ],
)
def test_refined_follows_defazio(norms: shapes.FloatArray, adam: bool, expected: list[float]) -> None:
    """Values worked out from Defazio et al. 2023, arXiv:2310.07831."""
    np.testing.assert_allclose(shapes.refined(norms, adam=adam), expected, atol=5e-5)


def test_smoothing_takes_a_spike_out() -> None:
    spiky = np.ones(9)
    spiky[4] = 50.0
    np.testing.assert_allclose(
        shapes.refined(spiky, adam=True, smoothing=3), shapes.refined(np.ones(9), adam=True)
    )


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        pytest.param([1, 0.8, 0.6, 0.4, 0.2], [0, 0.2, 0.2, 0.2, 0.2, 0.2], id="linear"),
        pytest.param(np.arange(5, 0, -1) / 6, np.full(6, 1 / 6), id="uniform averaging is linear decay"),
        pytest.param(1 - np.sqrt(np.arange(5) / 5), [0, 0.4472, 0.1852, 0.1421, 0.1198, 0.1056], id="1-sqrt"),
        pytest.param(
            0.5 * (1 + np.cos(np.pi * np.arange(5) / 5)),
            [0, 0.0955, 0.25, 0.3090, 0.25, 0.0955],
            id="cosine",
        ),
    ],
)
def test_merge_weights_stand_for_a_decay(decay: list[float], expected: list[float]) -> None:
    """WSM's identity (arXiv:2507.17634), and its tables."""
    weights = shapes.merge_weights(np.asarray(decay, dtype=np.float64))
    np.testing.assert_allclose(weights, expected, atol=5e-5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_merging_equals_decaying_the_same_updates(values: list[float]) -> None:
    """Sum of weighted checkpoints = start minus decayed updates, for any non-increasing decay."""
    decay = np.sort(values)[::-1]
    updates = np.random.default_rng(0).standard_normal(len(decay))
    checkpoints = 3.0 - np.concatenate([[0.0], np.cumsum(updates)])
    weights = shapes.merge_weights(decay)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= -1e-12).all()
    assert weights @ checkpoints == pytest.approx(3.0 - decay @ updates)


@pytest.mark.parametrize(
    ("batch_seqs", "coefficient", "expected"),
    [
        (128, 4.6, [0.01513, 0.00468, 0.00145, 0.00045]),
        (512, 4.6, [0.02, 0.01871, 0.00578, 0.00179]),
        (1024, 4.6, [0.02, 0.02, 0.01156, 0.00357]),
        (128, 4.0, [0.01316, 0.00407, 0.00126, 0.00039]),
    ],
)
def test_power_scheduler_values(batch_seqs: float, coefficient: float, expected: list[float]) -> None:
    """The formula of arXiv:2408.13359 at 1e9 ... 1e12 tokens."""
    lr = shapes.power_of_tokens(
        np.array([1e9, 1e10, 1e11, 1e12]),
        batch_seqs=batch_seqs,
        coefficient=coefficient,
        exponent=-0.51,
        max_lr=0.02,
    )
    np.testing.assert_allclose(lr, expected, atol=5.1e-6)


def test_inputs_are_not_modified() -> None:
    t = np.linspace(0, 10, 5)
    before = t.copy()
    shapes.progress(t, start=2, end=8)
    shapes.inverse_sqrt(t, warmup_steps=2, timescale=2)
    np.testing.assert_array_equal(t, before)
