"""Verdicts on width sweeps: recovered drifts, and refusals to judge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptransfer.parametrizations.widths import Transfer, WidthSweep, width_transfer

GRID = 2.0 ** np.arange(-12.0, 0.0, 0.5)


def sweep(
    exponent: float,
    *,
    widths: tuple[float, ...] = (128, 256, 512, 1024),
    depths: tuple[float, ...] = (float("nan"),),
    depth_exponent: float = 0.0,
    wobble: Mapping[float, float] | None = None,
) -> WidthSweep:
    """Parabolas in log2 LR whose optimum is 2^-6 at width 256 (and depth 4) and moves as stated."""
    rows = [(w, d, lr) for w in widths for d in depths for lr in GRID]
    width, depth, lr = (np.array(column) for column in zip(*rows, strict=True))
    moved = exponent * np.log2(width / 256) + depth_exponent * np.nan_to_num(np.log2(depth / 4))
    moved = moved + np.array([(wobble or {}).get(one, 0.0) for one in width])
    loss = 2.0 + 0.02 * (np.log2(lr) + 6.1 - moved) ** 2
    return WidthSweep(width, depth, lr, loss, [""] * len(lr))


def only(found: list[Transfer]) -> Transfer:
    assert len(found) == 1
    return found[0]


@settings(max_examples=30)
@given(st.floats(-1.2, 0.8))
def test_a_noise_free_drift_is_recovered(exponent: float) -> None:
    one = only(width_transfer(sweep(exponent)))
    assert one.drifts[0].per_doubling == pytest.approx(exponent, abs=1e-6)
    assert one.verdict == ("transfers" if abs(exponent) < 0.1 else "drifts")


def test_width_and_depth_are_told_apart() -> None:
    one = only(width_transfer(sweep(-0.5, depths=(4, 8, 16), depth_exponent=-0.25)))
    assert [drift.of for drift in one.drifts] == ["width", "depth"]
    assert [drift.per_doubling for drift in one.drifts] == pytest.approx([-0.5, -0.25])


def test_scatter_that_hides_the_answer_is_no_verdict() -> None:
    one = only(width_transfer(sweep(-0.15, widths=(128, 256, 512), wobble={256: 0.3})))
    assert one.verdict == "undecided"
    assert "add widths or LRs" in one.message


def test_two_widths_are_not_enough() -> None:
    one = only(width_transfer(sweep(0.0, widths=(128, 256))))
    assert one.verdict == "not-enough-usable-runs"
    assert "3 are needed" in one.message


def test_widths_on_the_edge_are_left_out_and_named() -> None:
    one = only(width_transfer(sweep(-3.0, widths=(64, 128, 256, 512, 1024, 2048))))
    assert [at.width for at in one.widths if at.excluded] == [64, 1024, 2048]  # 2^-0.1, 2^-12.1, 2^-15.1
    assert one.drifts[0].per_doubling == pytest.approx(-3.0)


def test_parametrizations_are_judged_apart() -> None:
    first, second = sweep(0.0), sweep(-0.6)
    width, depth, lr, loss = (
        np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("width", "depth", "lr", "loss")
    )
    both = WidthSweep(
        width,
        depth,
        lr,
        loss,
        parametrization=["mup"] * len(first.lr) + ["sp"] * len(second.lr),
    )
    assert {one.parametrization: one.verdict for one in width_transfer(both)} == {
        "mup": "transfers",
        "sp": "drifts",
    }
