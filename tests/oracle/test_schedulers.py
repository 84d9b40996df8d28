"""Equality with the schedulers of torch and transformers (make test-oracle installs both)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hptransfer.schedules import schedule_from_spec

pytestmark = pytest.mark.oracle

STEPS, WARMUP, DECAY = 1000, 100, 200
TOLERANCE = 2e-9  # LinearLR refuses to start at 0 and starts at 1e-9


def lrs(make: Callable[[Any], Any]) -> list[float]:
    """The LR of every update under a scheduler of an optimizer whose own LR is 1."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(STEPS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def transformers_scheduler(name: str, **options: Any) -> Callable[[Any], Any]:
    def make(optimizer: Any) -> Any:
        import transformers

        return getattr(transformers, name)(optimizer, num_warmup_steps=WARMUP, **options)

    return make


def wsd(decay_type: str) -> Callable[[Any], Any]:
    options = {"num_decay_steps": DECAY, "num_training_steps": STEPS, "decay_type": decay_type}
    return transformers_scheduler("get_wsd_schedule", **options)


@pytest.mark.parametrize(
    ("spec", "oracle"),
    [
        ("cosine", transformers_scheduler("get_cosine_schedule_with_warmup", num_training_steps=STEPS)),
        ("d2z", transformers_scheduler("get_linear_schedule_with_warmup", num_training_steps=STEPS)),
        ("constant", transformers_scheduler("get_constant_schedule_with_warmup")),
        ("inverse-sqrt", transformers_scheduler("get_inverse_sqrt_schedule")),
        ("inverse-sqrt:timescale=400", transformers_scheduler("get_inverse_sqrt_schedule", timescale=400)),
        ("wsd", wsd("linear")),
        ("wsd:decay=cosine", wsd("cosine")),
        ("wsd:decay=1-sqrt", wsd("1-sqrt")),
    ],
)
def test_equals_transformers(spec: str, oracle: Callable[[Any], Any]) -> None:
    made = schedule_from_spec(spec, steps=STEPS, warmup_steps=WARMUP)
    np.testing.assert_allclose(made.multipliers(), lrs(oracle), rtol=0, atol=TOLERANCE)


def torch_sequence(*parts: tuple[str, dict[str, Any]], milestones: list[int]) -> Callable[[Any], Any]:
    """A linear warm-up, then the named torch schedulers from each milestone on."""

    def make(optimizer: Any) -> Any:
        from torch.optim import lr_scheduler

        named = [("LinearLR", {"start_factor": 1e-9, "total_iters": WARMUP}), *parts]
        schedulers = [getattr(lr_scheduler, name)(optimizer, **options) for name, options in named]
        return lr_scheduler.SequentialLR(optimizer, schedulers, milestones=[WARMUP, *milestones])

    return make


STABLE = ("ConstantLR", {"factor": 1.0})


@pytest.mark.parametrize(
    ("spec", "oracle"),
    [
        (
            "cosine:final_ratio=0.1",
            torch_sequence(("CosineAnnealingLR", {"T_max": STEPS - WARMUP, "eta_min": 0.1}), milestones=[]),
        ),
        (
            "d2z",
            torch_sequence(("PolynomialLR", {"total_iters": STEPS - WARMUP, "power": 1}), milestones=[]),
        ),
        (
            "polynomial:power=2",
            torch_sequence(("PolynomialLR", {"total_iters": STEPS - WARMUP, "power": 2}), milestones=[]),
        ),
        ("wsd", torch_sequence(STABLE, ("PolynomialLR", {"total_iters": DECAY}), milestones=[STEPS - DECAY])),
        (
            "wsd:decay=exponential,final_ratio=0.1",
            torch_sequence(
                STABLE, ("ExponentialLR", {"gamma": 0.1 ** (1 / DECAY)}), milestones=[STEPS - DECAY]
            ),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*scheduler.step.*")
def test_equals_torch(spec: str, oracle: Callable[[Any], Any]) -> None:
    made = schedule_from_spec(spec, steps=STEPS, warmup_steps=WARMUP)
    np.testing.assert_allclose(made.multipliers(), lrs(oracle), rtol=0, atol=TOLERANCE)


def test_lambda_lr_keeps_the_ratios_of_groups() -> None:
    """`multiplier_at` is what LambdaLR wants: each group's own LR is multiplied."""
    import torch

    made = schedule_from_spec("wsd", steps=STEPS, warmup_steps=WARMUP)
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [weights[0]], "lr": 1e-3}, {"params": [weights[1]], "lr": 2.5e-4}]
    optimizer = torch.optim.SGD(groups)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, made.multiplier_at)
    for update in range(STEPS):
        found = [group["lr"] for group in optimizer.param_groups]
        expected = [base * made.multiplier_at(update) for base in (1e-3, 2.5e-4)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        optimizer.step()
        scheduler.step()
