"""Coordinate checks: exponents recovered, verdicts and signs for what can go wrong."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.parametrizations.coordinates import (
    ActivationLog,
    CoordinateCheck,
    Layer,
    ReadoutLogged,
    coordinate_check,
)
from hptransfer.sweep import FloatArray

WIDTHS, STEPS = (128.0, 256.0, 512.0, 1024.0), (0.0, 1.0, 2.0, 3.0)


def log(
    layers: dict[str, tuple[float, float]], loss: tuple[float, float] | None = (0.0, 0.0)
) -> ActivationLog:
    """Sizes width^exponent: one exponent at the first step, another after it."""
    rows = np.array([(w, s) for w in WIDTHS for s in STEPS])
    width, step = rows.T

    def sizes(exponents: tuple[float, float]) -> FloatArray:
        return np.asarray(3.0 * width ** np.where(step == 0, exponents[0], exponents[1]))

    values = {name: sizes(exponents) for name, exponents in layers.items()}
    return ActivationLog(width, step, [""] * len(width), values, None if loss is None else sizes(loss))


def judged(
    layers: dict[str, tuple[float, float]],
    loss: tuple[float, float] | None = (0.0, 0.0),
    logged: ReadoutLogged = "auto",
) -> CoordinateCheck:
    (one,) = coordinate_check(log(layers, loss), readout_logged=logged)
    return one


def layer(check: CoordinateCheck, name: str) -> Layer:
    return next(one for one in check.layers if one.name == name)


def test_exponents_are_recovered_step_by_step() -> None:
    attention = layer(judged({"attn": (0.5, 1.0)}), "attn")
    assert attention.first == pytest.approx(0.5)
    assert attention.trained == pytest.approx(1.0)
    assert [one.slope for one in attention.steps] == pytest.approx([0.5, 1.0, 1.0, 1.0])


def test_mup_passes_with_a_readout_that_shrinks_at_init_only() -> None:
    """The output at init falls as m^-1/2 by design."""
    assert judged({"attn": (0.0, 0.05), "lm_head": (-0.5, -0.05)}).verdict == "consistent-with-mup"


@pytest.mark.parametrize(
    ("layers", "loss", "sign"),
    [
        ({"mlp": (0.0, 1.0)}, (0.0, 0.0), "LR is not divided by m"),
        ({"mlp": (0.5, 1.0)}, (0.0, 0.0), "init std is not divided by sqrt(m)"),
        ({"mlp": (0.0, 0.0), "lm_head": (0.5, 1.0)}, (0.5, 1.0), "multiplier 1/m is missing"),
        ({"mlp": (0.0, 0.0), "lm_head": (0.0, 0.5)}, (0.0, 0.3), "like 1/sqrt(m)"),
        ({"mlp": (0.0, 0.0), "lm_head": (0.5, 1.0)}, None, "--readout-logged before"),
        ({"mlp": (0.0, -0.5)}, (0.0, 0.0), "falls faster than muP's"),
        ({"wte": (0.0, 0.5)}, (0.0, 0.0), "embedding grows"),
    ],
)
def test_what_is_half_done_is_named(
    layers: dict[str, tuple[float, float]], loss: tuple[float, float] | None, sign: str
) -> None:
    found = judged(layers, loss)
    assert found.verdict == "not-mup"
    assert sign in found.looks_like


def test_a_readout_taken_before_its_multiplier_may_grow() -> None:
    raw = {"mlp": (0.0, 0.0), "lm_head": (0.5, 1.0)}
    flat = judged(raw, (0.0, 0.0))
    assert (flat.verdict, "before the output multiplier" in layer(flat, "lm_head").note) == (
        "consistent-with-mup",
        True,
    )
    assert judged(raw, None, logged="before").verdict == "consistent-with-mup"
    assert judged(raw, (0.0, 0.0), logged="after").verdict == "not-mup"


def test_a_loss_alone_can_convict_but_not_acquit() -> None:
    assert judged({}, (0.0, 0.9)).verdict == "not-mup"
    assert judged({}, (0.0, -0.1)).verdict == "not-enough-data"


def test_changes_are_known_by_name_and_judged_alike() -> None:
    found = judged({"mlp_delta": (0.0, 0.6)})
    assert layer(found, "mlp_delta").quantity == "change"
    assert found.verdict == "not-mup"
