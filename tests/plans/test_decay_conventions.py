"""What weight decay means, by the update that each convention makes."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer import fit, plan
from hptransfer.errors import RefusalError
from hptransfer.planning import Target
from hptransfer.plans.decay_conventions import CONVENTIONS, SETTING, counted_as, from_pytorch, to_pytorch
from hptransfer.plans.schedules import with_schedule
from hptransfer.sweep import Sweep, sweep_from_arrays

TARGET = Target(params=1e9, tokens=2e10, batch_tokens=524288)


def held_sweep(weight_decay: float) -> Sweep:
    """Cells with one optimum each and one weight decay in all runs."""
    rows = [(n, d, 2.0**k) for n in (1e8, 4e8) for d in (2e9, 8e9) for k in range(-2, 3)]
    params, tokens, factor = np.array(rows).T
    return sweep_from_arrays(
        params=params,
        tokens=tokens,
        lr=1.79 * params**-0.713 * tokens**0.307 * factor,
        batch_tokens=np.full(len(rows), 524288.0),
        loss=2.5 + 0.02 * np.log(factor) ** 2,
        setting={"weight_decay": weight_decay},
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_shrinks_a_weight_alike(convention: str) -> None:
    """One update of torch's AdamW without a gradient, and one of an optimizer that leaves the LR out."""
    peak_lr, s, decay = 3e-3, 0.4, 0.1
    shrunk = 1 - s * peak_lr * decay
    own = from_pytorch(decay, convention, peak_lr=peak_lr)
    assert 1 - (s * peak_lr if convention == "pytorch" else s) * own == pytest.approx(shrunk, rel=1e-12)
    assert to_pytorch(own, convention, peak_lr=peak_lr) == pytest.approx(decay)


def test_what_varied_is_converted_run_by_run() -> None:
    sweep = sweep_from_arrays(
        params=np.array([1e8, 1e8]),
        tokens=np.array([2e9, 2e9]),
        lr=np.array([1e-3, 2e-3]),
        batch_tokens=np.array([65536.0, 65536.0]),
        loss=np.array([3.0, 3.1]),
        weight_decay=np.array([1e-4, 1e-4]),
    )
    assert counted_as(sweep, "composer").weight_decay == pytest.approx([0.1, 0.05])
    assert counted_as(sweep, "pytorch") is sweep


def test_what_was_held_is_converted_at_the_lr_to_run_under_any_schedule() -> None:
    law = fit(counted_as(held_sweep(1e-4), "independent"), resamples=0)
    assert law.setting[SETTING] == "independent"
    planned = plan(law, TARGET)
    for each in (planned, with_schedule(planned, "wsd", proxy="cosine")):
        assert each.rounded.peak_lr is not None
        assert each.weight_decay == pytest.approx(1e-4 / each.rounded.peak_lr, rel=1e-3)
        assert each.weight_decay_independent == pytest.approx(1e-4, rel=1e-3)
    assert "from independent to PyTorch's" in planned.origins["weight_decay"].formula
    assert plan(fit(held_sweep(0.1), resamples=0), TARGET).weight_decay == 0.1


def test_a_convention_that_nobody_knows_is_refused() -> None:
    law = fit(held_sweep(0.1), resamples=0)
    edited = law.model_copy(update={"setting": {**law.setting, SETTING: "torch"}})
    with pytest.raises(RefusalError, match="weight_decay_convention: got 'torch', need one of pytorch"):
        plan(edited, TARGET)
