"""Sweeps that answer in part: the law that the data support, and in words what they do not support."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hptransfer.comparison import two_laws as law_comparison
from hptransfer.errors import HptransferError, RefusalError
from hptransfer.fitting import fit
from hptransfer.law import Law
from hptransfer.planning import Target, plan
from hptransfer.readers import read_sweep
from hptransfer.sweep import BoolArray, Sweep
from tests.sweeps import GRID_PARAMS, GRID_TOKENS, LAW, grid_cells, noisy_sweep
from tests.sweeps import chosen as chosen_runs

DATA = Path(__file__).parents[2] / "shared" / "data"
MIDDLE = 2.0**18  # tokens: inside the lattice of batches of `noisy_sweep`
MIDDLE_LR = 2.0**-9
NINE_CELLS = grid_cells(GRID_PARAMS[:3], GRID_TOKENS[:3])


def grids(cells: list[tuple[float, float]] = NINE_CELLS) -> Sweep:
    """Full grids of LR and batch, noise 0.04 % of the loss."""
    return noisy_sweep(seed=3, cells=cells, noise=0.001)


def fitted(sweep: Sweep, *, prior: str = "weak") -> Law:
    return fit(sweep, prior=prior, resamples=20)


def said(law: Law, code: str) -> str:
    """The message of one warning, which must be there once."""
    (message,) = (note.message for note in law.warnings if note.code == code)
    return message


def at_middle(sweep: Sweep) -> BoolArray:
    return np.asarray(sweep.batch_tokens == MIDDLE)


def best_lr_at(batch: float, tokens: float, params: float) -> float:
    """The truth of `noisy_sweep`: LR* times (batch / batch*) ** 0.4."""
    lr = np.exp(LAW["log_coefficient"]) * params ** LAW["params"] * tokens ** LAW["tokens"]
    return float(lr * (batch / (np.exp(-0.3) * tokens**0.56)) ** 0.4)


def test_lrs_at_one_batch_give_the_lr_at_that_batch() -> None:
    sweep = grids()
    law = fitted(chosen_runs(sweep, at_middle(sweep)))
    assert (law.batch_tokens, law.lr_batch_exponent) == (None, None)
    assert "fixed at 262144 tokens: the LR law holds at that batch, not at the best" in said(
        law, "fixed-batch"
    )
    assert "this law gives the LR only" in said(law, "no-batch-law")
    assert law.peak_lr is not None
    # At a fixed batch the LR falls with tokens: 0.21 - 0.4 * 0.56.
    assert law.peak_lr.exponents["tokens"] == pytest.approx(LAW["tokens"] - 0.4 * 0.56, abs=0.03)
    planned = plan(law, Target(params=2.4e8, tokens=3.2e10))
    assert planned.batch_tokens is None
    assert planned.peak_lr == pytest.approx(best_lr_at(MIDDLE, 3.2e10, 2.4e8), rel=0.1)
    assert "no-batch-law" in {note.code for note in planned.warnings}


def test_a_fixed_batch_law_is_not_compared_with_a_retuned_one() -> None:
    sweep = grids()
    fixed, tuned = fitted(chosen_runs(sweep, at_middle(sweep))), fitted(sweep)
    with pytest.raises(RefusalError, match=r"holds at a fixed batch, law .* at a re-tuned one"):
        law_comparison.compare_laws(fixed, tuned)


def test_one_factor_at_a_time_gives_the_lr_at_the_batch_of_the_lrs() -> None:
    """The row alone gives the very law: the column of batches has no say in it."""
    sweep = grids()
    cross = fitted(chosen_runs(sweep, at_middle(sweep) | (sweep.lr == MIDDLE_LR)))
    row = fitted(chosen_runs(sweep, at_middle(sweep)))
    assert cross.batch_tokens is None
    assert cross.peak_lr == row.peak_lr
    assert "9 of 9 cells moved the batch at a single LR" in said(cross, "one-at-a-time")
    assert "the best LR at the batch where LRs were tried" in said(cross, "one-at-a-time")
    with pytest.raises(RefusalError, match="fixed batch"):
        law_comparison.compare_laws(cross, fitted(sweep))


def test_cells_with_one_batch_are_left_out_of_the_batch_law_by_name() -> None:
    sweep = grids()
    law = fitted(chosen_runs(sweep, (sweep.cell > 2) | at_middle(sweep)))
    assert law.batch_tokens is not None
    assert law.batch_tokens.exponents["tokens"] == pytest.approx(0.56, abs=0.1)
    assert "60M params / 2B tokens" in said(law, "one-batch-cells")


def test_three_lrs_a_cell_give_a_law_within_the_step_of_the_grid() -> None:
    sweep = grids()
    best = np.array([best_lr_at(MIDDLE, d, n) for n, d in zip(sweep.params, sweep.tokens, strict=True)])
    near = np.abs(np.log2(sweep.lr / best)) < 0.75  # three levels at half octaves
    law = fitted(chosen_runs(sweep, at_middle(sweep) & near))
    planned = plan(law, Target(params=2.4e8, tokens=3.2e10))
    assert planned.peak_lr == pytest.approx(best_lr_at(MIDDLE, 3.2e10, 2.4e8), rel=2**0.5 - 1)
    assert law.batch_tokens is None


def test_fixed_tokens_per_param_is_flagged_with_a_prior_and_refused_without() -> None:
    sweep = grids([(n, 20 * n) for n in (6e7, 1.2e8, 2.4e8, 4.8e8, 9.6e8)])
    assert "not-identifiable" in {note.code for note in fitted(sweep).warnings}
    with pytest.raises(RefusalError, match="collinear"):
        fitted(sweep, prior="none")


# --- experts ------------------------------------------------------------------------------------------


def experts_file(folder: Path, total: str) -> Path:
    """A sweep of mixtures of experts: active params of `noisy_sweep`, four times as many in total."""
    sweep = grids()
    keep = np.flatnonzero(at_middle(sweep))
    rows = zip(
        *(c[keep] for c in (sweep.params, 4 * sweep.params, sweep.tokens, sweep.lr, sweep.batch_tokens)),
        sweep.loss[keep],
        strict=True,
    )
    text = f"active_params,{total},tokens,lr,batch_tokens,loss\n"
    path = folder / "experts.csv"
    path.write_text(text + "".join(",".join(f"{value:.10g}" for value in row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(("total", "kind"), [("total_params", "total"), ("params", "unspecified")])
def test_experts_are_counted_as_the_header_says_or_asked_about(tmp_path: Path, total: str, kind: str) -> None:
    law = fitted(read_sweep(experts_file(tmp_path, total)))
    assert law.params_kind == kind
    codes = {note.code for note in law.warnings}
    assert ("params-kind-unspecified" in codes) == (kind == "unspecified")


def test_active_params_give_another_law_that_is_not_compared_with_that_of_total_ones(tmp_path: Path) -> None:
    path = experts_file(tmp_path, "total_params")
    total = fitted(read_sweep(path))
    active = fitted(read_sweep(path, columns={"params": "active_params"}))
    assert (total.params_kind, active.params_kind) == ("total", "active")
    with pytest.raises(RefusalError, match=r"counts total params, law .* active ones"):
        law_comparison.compare_laws(total, active)


# --- real sweeps --------------------------------------------------------------------------------------


def no_batch_law(law: Law) -> None:
    assert law.batch_tokens is None
    assert {"no-batch-law", "fixed-batch"} <= {note.code for note in law.warnings}


def lr_with_tokens_only(law: Law) -> None:
    no_batch_law(law)
    assert law.peak_lr is not None
    assert set(law.peak_lr.exponents) == {"tokens"}
    assert "tokens only" in said(law, "single-params")


def one_at_a_time(law: Law) -> None:
    no_batch_law(law)
    assert "they give no batch law" in said(law, "one-at-a-time")


TUNED = ("beta1", "beta2", "epsilon", "grad_clip", "weight_decay")
WSD = {"schedule": "wsd", "decay_type": "linear", "cooldown_fraction": "0.2", "dataset": "slimpajama"}
REAL: tuple[tuple[str, dict[str, object], Callable[[Law], None]], ...] = (
    ("misfitting_openlm.csv", {"columns": {"params": "params_nonemb"}}, no_batch_law),
    ("lr_scheduling.csv", {"where": WSD | {"loss_kind": "final_full_val"}}, lr_with_tokens_only),
    ("marin_adamw_ablations.csv", {"vary": TUNED}, one_at_a_time),
)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the sweeps of ../shared/data")
@pytest.mark.parametrize(("name", "reading", "holds"), REAL, ids=[name for name, *_ in REAL])
def test_a_real_partial_sweep_gives_what_it_supports(
    name: str, reading: dict[str, object], holds: Callable[[Law], None]
) -> None:
    law = fit(read_sweep(DATA / name, **reading), resamples=0)  # type: ignore[arg-type]
    holds(law)


def test_two_counts_of_params_are_asked_about() -> None:
    if not DATA.is_dir():
        pytest.skip("needs the sweeps of ../shared/data")
    with pytest.raises(HptransferError, match="2 columns can be params"):
        read_sweep(DATA / "misfitting_openlm.csv")
