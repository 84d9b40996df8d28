"""What is proposed: within the budget, separating params from tokens, around the law's own optima."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hptransfer.designing import design, parse_target
from hptransfer.errors import RefusalError, UsageError
from hptransfer.guessing import middle_of_published_laws
from hptransfer.planning import Target, plan
from hptransfer.sweep import Sweep, sweep_from_arrays
from tests.sweeps import exact_sweep, grid_cells, rebuilt

TARGET = Target(7e9, 1e12)


def ples_sweep() -> Sweep:
    """A bowl whose optima follow the laws of arXiv:2609.01431, App. C, with the curvature of real sweeps."""
    params, tokens, u, v = (
        a.ravel()
        for a in np.meshgrid(
            [5e7, 2e8], [1e9, 4e9], np.log(2) * np.arange(-2, 3), np.log(2) * np.arange(-1, 2)
        )
    )
    lr, batch = 0.1896 * params**-0.734 * tokens**0.342, 14.9624 * tokens**0.5
    floor = 1.69 + 406.4 / params**0.34 + 410.7 / tokens**0.28
    loss = floor * np.exp(0.02 * u**2 - 0.02 * u * v + 0.016 * v**2)
    return sweep_from_arrays(
        params=params, tokens=tokens, lr=lr * np.exp(u), batch_tokens=batch * np.exp(v), loss=loss
    )


def test_a_first_sweep_has_four_cells_with_three_runs_each() -> None:
    found = design(TARGET, budget_flops=1e20)
    assert len(found.runs) == 12
    assert found.flops <= 1e20
    params, tokens = {run.params for run in found.runs}, {run.tokens for run in found.runs}
    assert (len(params), len(tokens)) == (2, 2)
    for n in params:
        for d in tokens:
            here = [run for run in found.runs if (run.params, run.tokens) == (n, d)]
            assert len(here) == 3
            assert len({(run.lr, run.batch_tokens) for run in here}) == 3


def test_a_first_sweep_lies_on_both_sides_of_the_published_optimum() -> None:
    law = middle_of_published_laws()
    away = []
    runs = design(TARGET, budget_flops=1e20).runs
    for run in runs:
        best = plan(law, Target(run.params, run.tokens), rounding="none")
        assert best.peak_lr is not None
        assert best.batch_tokens is not None
        away.append(np.log([run.lr / best.peak_lr, run.batch_tokens / best.batch_tokens]))
        assert run.batch_tokens % 2048 == 0
    sides = (np.array(away) > 0).mean(axis=0)
    assert ((sides >= 1 / 3) & (sides <= 2 / 3)).all()
    lr, batch = np.ptp(away, axis=0)
    assert lr > np.log(16)
    assert batch > np.log(16)


def test_24_first_runs_still_go_to_the_four_corners() -> None:
    """Six unknowns a cell: with fewer runs in more cells no cell shows its optimum."""
    runs = design(TARGET, budget_flops=1e20, n_runs=24).runs
    assert len({(run.params, run.tokens) for run in runs}) == 4


@pytest.mark.parametrize("budget", [1e19, 1e20, 1e21])
def test_intervals_narrow_and_budgets_hold(budget: float) -> None:
    found = design(TARGET, budget_flops=budget, n_runs=24)
    assert found.flops <= budget
    for name in ("peak_lr", "batch_tokens"):
        (low, high), (low_after, high_after) = getattr(found.before, name), getattr(found.after, name)
        assert low < low_after < high_after < high


def test_more_runs_tell_more() -> None:
    widths = []
    for budget in (1e19, 1e20, 1e21):
        low, high = design(TARGET, budget_flops=budget).after.peak_lr
        widths.append(high / low)
    assert widths == sorted(widths, reverse=True)


def test_many_runs_have_repeats_with_seeds_of_their_own() -> None:
    runs = design(TARGET, budget_flops=1e21, n_runs=36).runs
    keys = [(run.params, run.tokens, run.lr, run.batch_tokens, run.repeat) for run in runs]
    assert len(set(keys)) == len(keys)
    assert 1 <= sum(run.repeat > 0 for run in runs) <= 3


def test_a_sweep_is_heeded() -> None:
    found = design(TARGET, budget_flops=1e20, sweep=ples_sweep())
    assert found.guess == "published-laws and 60 runs"
    assert found.flops <= 1e20
    low, high = found.before.peak_lr
    assert low < 0.1896 * 7e9**-0.734 * 1e12**0.342 < high


def test_too_small_a_sweep_still_gets_a_design() -> None:
    sweep = ples_sweep()
    one = sweep_from_arrays(
        **{name: getattr(sweep, name)[:5] for name in ("params", "tokens", "lr", "batch_tokens", "loss")}
    )
    found = design(TARGET, budget_flops=1e20, sweep=one)
    assert found.guess == "published-laws and 5 runs"
    assert found.runs


def test_a_sweep_that_says_nothing_leaves_the_published_guess() -> None:
    """One LR everywhere brackets nothing."""
    sweep = ples_sweep()
    alike = sweep.lr == sweep.lr[0]
    one = sweep_from_arrays(
        **{name: getattr(sweep, name)[alike] for name in ("params", "tokens", "lr", "batch_tokens", "loss")}
    )
    found = design(TARGET, budget_flops=1e20, sweep=one)
    assert found.guess == "published-laws"
    assert "more than one LR" in found.notes[0]
    assert found.runs


def test_a_sweep_at_one_batch_says_that_the_batch_is_guessed() -> None:
    sweep = exact_sweep(
        grid_cells((5e7, 2e8), (1e9, 4e9)), batch_law={"log_coefficient": 13.0}, batches=False
    )
    fixed = rebuilt(sweep, batch_tokens=np.full(sweep.n_runs, 524_288.0))
    found = design(TARGET, budget_flops=1e20, sweep=fixed)
    assert "one batch" in found.notes[0]


def test_a_target_within_the_sweep_is_refused() -> None:
    with pytest.raises(RefusalError, match="nothing to extrapolate"):
        design(Target(1e8, 1e9), budget_flops=1e20, sweep=ples_sweep())


def test_a_sweep_without_batch_is_refused() -> None:
    sweep = ples_sweep()
    bare = sweep_from_arrays(
        params=sweep.params, tokens=sweep.tokens, lr=sweep.lr, loss=sweep.loss,
        batch_tokens=np.full(sweep.n_runs, np.nan),
    )  # fmt: skip
    with pytest.raises(RefusalError, match="batch_tokens"):
        design(TARGET, budget_flops=1e20, sweep=bare)


@pytest.mark.parametrize("with_sweep", [False, True])
def test_a_budget_below_the_cheapest_run_says_what_is_needed(*, with_sweep: bool) -> None:
    with pytest.raises(UsageError, match=r"--budget-flops: got 1e\+12.*cheapest"):
        design(TARGET, budget_flops=1e12, sweep=ples_sweep() if with_sweep else None)


@pytest.mark.parametrize("n_runs", [4, 12, 60])
def test_the_budget_that_is_said_to_be_needed_is_enough(n_runs: int) -> None:
    """And the run that is said to be the cheapest is the cheapest that it buys."""
    with pytest.raises(UsageError) as refused:
        design(TARGET, budget_flops=1e12, n_runs=n_runs)
    said = re.search(r"cheapest costs (\S+)\) need about (\S+)\. ", str(refused.value))
    assert said is not None
    made = design(TARGET, budget_flops=float(said[2]), n_runs=n_runs)
    assert min(run.flops for run in made.runs) == pytest.approx(float(said[1]), rel=0.05)
    with pytest.raises(UsageError, match="need about"):
        design(TARGET, budget_flops=0.97 * float(said[2]), n_runs=n_runs)


def test_a_target_as_small_as_proxies_is_refused() -> None:
    with pytest.raises(UsageError, match="no larger than useful proxies"):
        design(Target(7e6, 1e8), budget_flops=1e20)


def test_targets_are_read_as_people_write_them() -> None:
    assert parse_target("params=7B, tokens=1T") == TARGET


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("params=7e9", "need both"),
        ("params=7e9,tokns=1", "Did you mean 'tokens'"),
        ("7e9,1e12", "need params=7e9,tokens=1e12"),
        ("params=7e9,tokens=-1", "tokens.*positive"),
        ("params=7e9,params=1,tokens=1", "need params"),
    ],
)
def test_bad_targets_are_usage_errors(text: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        parse_target(text)
