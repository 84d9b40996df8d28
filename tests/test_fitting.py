"""Sweep -> law: what comes back, what is refused, what is warned of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student_t

from hptransfer.errors import RefusalError, UsageError
from hptransfer.fitting import DEFAULT_ESTIMATOR, ESTIMATORS, PRIORS
from hptransfer.fitting import fit as fit_law
from hptransfer.law import Law, PowerLaw
from hptransfer.sweep import SetAside, Sweep, SweepSource, sweep_from_arrays
from tests.sweeps import BATCH_LAW, GRID_PARAMS, LAW, exact_sweep, grid_cells, noisy_sweep, reordered

fit = partial(
    fit_law, estimator="near-optimal"
)  # the recipe these tests are about, unless they say otherwise


def _codes(law: Law) -> list[str]:
    return [note.code for note in law.warnings]


def _message(law: Law, code: str) -> str:
    return next(note.message for note in law.warnings if note.code == code)


def _coefficients(law: PowerLaw | None) -> dict[str, float]:
    assert law is not None
    return {"log_coefficient": law.log_coefficient} | {str(k): v for k, v in law.exponents.items()}


@given(
    n=st.floats(-1.0, 0.3), d=st.floats(-0.5, 0.6), batch_d=st.floats(0.2, 0.9), level=st.floats(-2.0, 2.0)
)
@settings(max_examples=20, deadline=None)
def test_a_noise_free_law_comes_back(n: float, d: float, batch_d: float, level: float) -> None:
    truth = {"log_coefficient": level, "params": n, "tokens": d}
    batch_truth = {"log_coefficient": level, "tokens": batch_d}
    law = fit(exact_sweep(grid_cells(), law=truth, batch_law=batch_truth), resamples=40)
    assert _coefficients(law.peak_lr) == pytest.approx(truth, abs=1e-9)
    assert _coefficients(law.batch_tokens) == pytest.approx(batch_truth, abs=1e-9)


def test_the_cells_of_a_noise_free_law_do_not_scatter_around_it() -> None:
    """The draws do spread: in some of them the best run of a cell is missing."""
    law = fit(exact_sweep(grid_cells()), resamples=100)
    for part in (law.peak_lr, law.batch_tokens):
        assert part is not None
        assert part.uncertainty is not None
        assert part.uncertainty.cell_std < 1e-9
        assert np.linalg.eigvalsh(part.uncertainty.covariance)[0] > 0


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_row_order_does_not_matter(seed: int) -> None:
    """Not even in the last digit: the runs are sorted before anything is summed."""
    sweep = noisy_sweep()
    order = np.random.default_rng(seed).permutation(sweep.n_runs)
    assert fit(reordered(sweep, order), resamples=30) == fit(sweep, resamples=30)


def test_counting_params_in_millions_moves_the_coefficient_and_nothing_else() -> None:
    sweep = noisy_sweep()
    law = fit(sweep, resamples=0)
    in_millions = fit(reordered(sweep, np.arange(sweep.n_runs), params_unit=1e6), resamples=0)
    before, after = _coefficients(law.peak_lr), _coefficients(in_millions.peak_lr)
    moved = {**before, "log_coefficient": before["log_coefficient"] + np.log(1e6) * before["params"]}
    assert after == pytest.approx(moved, abs=1e-9)
    assert _coefficients(in_millions.batch_tokens) == pytest.approx(_coefficients(law.batch_tokens), abs=1e-9)


def test_the_point_estimate_is_the_published_recipe() -> None:
    """Pool the runs within 0.25 % of their cell's best, then least squares in logs (arXiv:2503.04715)."""
    sweep = noisy_sweep()
    best = np.array([sweep.loss[sweep.cell == c].min() for c in range(sweep.n_cells)])
    keep = sweep.loss / best[sweep.cell] - 1 < 0.0025
    logs = [np.ones(keep.sum()), np.log(sweep.params[keep]), np.log(sweep.tokens[keep])]
    lr_line = np.linalg.lstsq(np.column_stack(logs), np.log(sweep.lr[keep]), rcond=None)[0]
    batch_line = np.linalg.lstsq(np.column_stack(logs[::2]), np.log(sweep.batch_tokens[keep]), rcond=None)[0]
    law = fit(sweep, resamples=0)
    assert list(_coefficients(law.peak_lr).values()) == pytest.approx(lr_line.tolist(), abs=1e-9)
    assert list(_coefficients(law.batch_tokens).values()) == pytest.approx(batch_line.tolist(), abs=1e-9)


def test_uncertainty_is_the_covariance_of_the_draws_with_students_quantile() -> None:
    law = fit(noisy_sweep(), resamples=200)
    assert law.fit is not None
    assert law.peak_lr is not None
    assert law.batch_tokens is not None
    assert law.fit.draw_columns == (
        "peak_lr.log_coefficient",
        "peak_lr.params",
        "peak_lr.tokens",
        "batch_tokens.log_coefficient",
        "batch_tokens.tokens",
    )
    draws = np.array(law.fit.draws)
    assert draws.shape == (200, 5)
    for part, columns, spare in ((law.peak_lr, slice(0, 3), 9 - 3), (law.batch_tokens, slice(3, 5), 9 - 2)):
        assert part.uncertainty is not None
        np.testing.assert_allclose(part.uncertainty.covariance, np.cov(draws[:, columns], rowvar=False))
        assert part.uncertainty.quantile == pytest.approx(student_t.ppf(0.95, spare), rel=1e-9)
        assert part.uncertainty.cell_std > 0


def test_cell_scatter_is_that_of_the_cells_own_optima_around_the_law() -> None:
    """Residuals of each cell's mean near-optimal log LR, with 9 cells and 3 coefficients."""
    sweep = noisy_sweep()
    law = fit(sweep, resamples=40).peak_lr
    assert law is not None
    assert law.uncertainty is not None
    residuals = []
    for c in range(sweep.n_cells):
        here = sweep.cell == c
        kept = here & (sweep.loss < 1.0025 * sweep.loss[here].min())
        inputs = np.log([sweep.cell_params[c], sweep.cell_tokens[c]])
        predicted = law.log_coefficient + inputs @ [law.exponents["params"], law.exponents["tokens"]]
        residuals.append(np.log(sweep.lr[kept]).mean() - predicted)
    assert law.uncertainty.cell_std == pytest.approx(np.sqrt(np.sum(np.square(residuals)) / (9 - 3)))


def test_draws_follow_the_seed() -> None:
    sweep = noisy_sweep()
    assert fit(sweep, resamples=40) == fit(sweep, resamples=40)
    assert fit(sweep, resamples=40).fit != fit(sweep, resamples=40, seed=1).fit


def test_the_batch_law_can_take_params_too() -> None:
    truth = {**BATCH_LAW, "params": -0.12}
    law = fit(exact_sweep(grid_cells(), batch_law=truth), batch_on=("params", "tokens"), resamples=0)
    assert _coefficients(law.batch_tokens) == pytest.approx(truth, abs=1e-9)


def test_the_batch_exponent_of_the_lr_is_the_tilt_of_the_valley() -> None:
    """`noisy_sweep` tilts by 0.4; its exponent is exact up to the lattice and the noise."""
    law = fit(noisy_sweep(noise=0.0), resamples=0)
    assert law.lr_batch_exponent == pytest.approx(0.4, abs=0.05)


def test_fewer_than_three_batches_a_cell_give_no_batch_exponent() -> None:
    sweep = exact_sweep(grid_cells())
    two = np.flatnonzero(sweep.batch_tokens > 0.9 * np.exp(BATCH_LAW["log_coefficient"]) * sweep.tokens**0.56)
    two = two[sweep.batch_tokens[two] < 3 * np.exp(BATCH_LAW["log_coefficient"]) * sweep.tokens[two] ** 0.56]
    law = fit(reordered(sweep, two), resamples=0)
    assert law.batch_tokens is not None
    assert law.lr_batch_exponent is None


# ---- designs that cannot answer -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_cells", [5, 15, 60])
def test_tokens_at_twenty_per_param_are_refused(seed: int, n_cells: int) -> None:
    jitter = np.random.default_rng(seed).uniform(0.95, 1.05, n_cells)
    params = np.geomspace(6e7, 3e9, n_cells)
    cells = list(zip(params.tolist(), (20 * params * jitter).tolist(), strict=True))
    with pytest.raises(RefusalError, match=r"^collinear: .*correlation 0\.9.*standard errors.* Add cells"):
        fit(exact_sweep(cells), resamples=0)


def test_the_standard_errors_in_the_refusal_are_those_of_a_simulation() -> None:
    """10 % noise on five exactly known optima: scatter of the exponent over many repetitions."""
    params = np.array([6e7, 1.2e8, 2.4e8, 4.8e8, 9.6e8])
    tokens = 20 * params * np.array([1.05, 0.95, 1.0, 1.05, 0.95])
    design = np.column_stack([np.ones(5), np.log(params), np.log(tokens)])
    noise = 0.1 * np.random.default_rng(0).standard_normal((20_000, 5))
    expected = np.linalg.lstsq(design, noise.T, rcond=None)[0].std(axis=1)[1:]
    with pytest.raises(RefusalError) as refusal:
        fit(exact_sweep(list(zip(params.tolist(), tokens.tolist(), strict=True))))
    shown = str(refusal.value).split("would be ")[1].split(". Add")[0]
    values = [float(part.split(" (")[0]) for part in shown.split(" and ")]
    assert values == pytest.approx(expected.tolist(), rel=0.05)


def test_a_five_by_four_grid_passes() -> None:
    """Its losses are made up and repeat, which is said; nothing about its design is."""
    law = fit(exact_sweep(grid_cells()), resamples=0)
    assert set(_codes(law)) <= {"no-interval", "repeated-losses", "two-settings"}


def test_cells_that_lie_too_close_together_are_refused() -> None:
    cells = [(1e8, 2e9), (1.11e8, 2e9), (1e8, 2.22e9)]
    with pytest.raises(RefusalError, match=r"^narrow-span: .*params x1\.11, tokens x1\.11"):
        fit(exact_sweep(cells))


@pytest.mark.parametrize("cells", [grid_cells()[:1], grid_cells()[:2], []], ids=["one", "two", "none"])
def test_too_few_cells_are_refused(cells: Sequence[tuple[float, float]]) -> None:
    sweep = exact_sweep(grid_cells())
    keep = np.array([(n, d) in cells for n, d in zip(sweep.params, sweep.tokens, strict=True)])
    with pytest.raises(
        RefusalError, match=rf"^too-few-cells: .*it has {len(cells)} cells.*Add {3 - len(cells)} or more"
    ):
        fit(reordered(sweep, np.flatnonzero(keep)))


def test_cells_of_one_scale_are_refused() -> None:
    with pytest.raises(RefusalError, match=r"^too-few-cells: .*differ by less than a factor"):
        fit(exact_sweep(grid_cells((1e8, 1.03e8), (2e9, 2.05e9))))


def test_as_many_cells_as_coefficients_give_a_law_without_intervals() -> None:
    law = fit(exact_sweep([(1e8, 2e9), (1e8, 2e10), (8e8, 2e9)]))
    assert _coefficients(law.peak_lr) == pytest.approx(LAW, abs=1e-9)
    assert law.peak_lr is not None
    assert law.peak_lr.uncertainty is None
    assert "Add a cell" in _message(law, "no-interval")


@pytest.mark.parametrize(
    ("cells", "fixed", "varied"),
    [(grid_cells((1e8,)), "params", "tokens"), (grid_cells(tokens=(4e9,)), "tokens", "params")],
    ids=["single params", "single tokens"],
)
def test_an_input_with_one_value_gets_no_exponent(
    cells: Sequence[tuple[float, float]], fixed: str, varied: str
) -> None:
    law = fit(exact_sweep(cells), resamples=50)
    assert law.peak_lr is not None
    assert law.peak_lr.exponents == pytest.approx({varied: LAW[varied]}, abs=1e-9)
    assert f"single-{fixed}" in _codes(law)
    low, high = law.fitted_on[fixed]  # type: ignore[index]
    assert low == high
    assert law.batch_tokens is not None
    assert list(law.batch_tokens.exponents) == (["tokens"] if varied == "tokens" else [])


# ---- sweeps that can answer in part ---------------------------------------------------------------------


def test_no_batch_column_gives_the_lr_only() -> None:
    law = fit(exact_sweep(grid_cells(), batches=False), resamples=0)
    assert law.batch_tokens is None
    assert law.lr_batch_exponent is None
    assert "no-batch-law" in _codes(law)
    assert "batch_tokens" not in law.fitted_on
    assert _coefficients(law.peak_lr) == pytest.approx(LAW, abs=1e-9)


@pytest.mark.parametrize("exponent", [0.0, 0.5], ids=["one batch everywhere", "one batch a cell"])
def test_a_batch_that_was_chosen_and_not_searched_gives_no_batch_law(exponent: float) -> None:
    sweep = exact_sweep(grid_cells(), batches=False)
    fixed = sweep_from_arrays(
        params=sweep.params,
        tokens=sweep.tokens,
        lr=sweep.lr,
        batch_tokens=2.0**19 * (sweep.tokens / 2e9) ** exponent,
        loss=sweep.loss,
    )
    law = fit(fixed, resamples=0)
    assert law.batch_tokens is None
    assert {"no-batch-law", "fixed-batch"} <= set(_codes(law))
    assert law.fitted_on["batch_tokens"][0] == 2.0**19


def test_a_cell_with_a_single_lr_is_left_out_and_named() -> None:
    sweep = exact_sweep(grid_cells())
    first = sweep.cell == 0
    keep = ~first | (sweep.lr == sweep.lr[first].max())
    law = fit(reordered(sweep, np.flatnonzero(keep)), resamples=0)
    assert _coefficients(law.peak_lr) == pytest.approx(LAW, abs=1e-9)
    assert "60M params / 2B tokens" in _message(law, "one-lr-cells")
    assert law.fit is not None
    assert law.fit.cells[0].near_optimal_runs is None


def test_a_cell_with_a_single_batch_is_left_out_of_the_batch_law_and_named() -> None:
    sweep = exact_sweep(grid_cells())
    first = sweep.cell == 0
    keep = ~first | (sweep.batch_tokens == sweep.batch_tokens[first].max())
    law = fit(reordered(sweep, np.flatnonzero(keep)), resamples=0)
    assert _coefficients(law.batch_tokens) == pytest.approx(BATCH_LAW, abs=1e-9)
    assert "60M params / 2B tokens" in _message(law, "one-batch-cells")


def test_an_optimum_on_the_edge_is_named_and_stays_in_the_fit() -> None:
    sweep = exact_sweep(grid_cells())
    second = sweep.cell == 1
    optimum = sweep.lr[second][np.argmin(sweep.loss[second])]
    keep = ~second | (sweep.lr <= optimum * 1.01)
    law = fit(reordered(sweep, np.flatnonzero(keep)), resamples=0)
    assert law.fit is not None
    assert [c.edges for c in law.fit.cells[:3]] == [(), ("lr-high",), ()]
    assert "60M params / 8B tokens (lr-high)" in _message(law, "edge-optimum")
    assert law.fit.cells[1].near_optimal_runs == 1


def test_a_diverged_run_above_the_best_lr_bounds_the_optimum() -> None:
    """The best LR that finished is then no edge of the grid."""
    sweep = exact_sweep(grid_cells())
    loss = sweep.loss.copy()
    for c in range(sweep.n_cells):
        here = sweep.cell == c
        loss[here & (sweep.lr > sweep.lr[here][np.argmin(sweep.loss[here])] * 1.01)] = np.nan
    diverging = sweep_from_arrays(
        params=sweep.params, tokens=sweep.tokens, lr=sweep.lr, batch_tokens=sweep.batch_tokens, loss=loss
    )
    law = fit(diverging, resamples=0)
    assert "edge-optimum" not in _codes(law)
    assert law.fit is not None
    assert law.fit.cells[0].diverged == 10  # two of five LRs, five batches
    assert law.fit.set_aside[0].reason == "diverged"
    assert law.fit.set_aside[0].runs == 10 * sweep.n_cells
    assert _coefficients(law.peak_lr) == pytest.approx(LAW, abs=1e-9)


def test_perplexity_is_judged_on_the_scale_of_nats() -> None:
    sweep = noisy_sweep()
    as_perplexity = sweep_from_arrays(
        params=sweep.params,
        tokens=sweep.tokens,
        lr=sweep.lr,
        batch_tokens=sweep.batch_tokens,
        loss=np.exp(sweep.loss),
        loss_unit="perplexity",
    )
    keep = ~as_perplexity.diverged
    law, same = fit(as_perplexity, resamples=0), fit(reordered(sweep, np.flatnonzero(keep)), resamples=0)
    assert law.peak_lr == same.peak_lr
    assert law.loss_unit == "perplexity"


def test_a_loss_that_is_not_positive_in_nats_is_refused() -> None:
    """As when bits per byte, below one, are declared to be perplexities."""
    sweep = noisy_sweep()
    mislabelled = sweep_from_arrays(
        params=sweep.params,
        tokens=sweep.tokens,
        lr=sweep.lr,
        batch_tokens=sweep.batch_tokens,
        loss=sweep.loss / 3,
        loss_unit="perplexity",
    )
    with pytest.raises(
        RefusalError, match=r"^loss-not-positive: \d+ runs .* the first on line \d+.*--loss-unit"
    ):
        fit(mislabelled)


# ---- the record -----------------------------------------------------------------------------------------


def test_the_record_says_where_the_law_came_from() -> None:
    aside = [
        SetAside(file="b.csv", line=7, reason="duplicate", message="same as line 6"),
        SetAside(file="a.csv", line=9, reason="duplicate", message="same as line 8"),
        SetAside(file="a.csv", line=4, reason="missing-value", message="no loss"),
    ]
    source = SweepSource(file="a.csv", sha256="cd" * 32, columns={"loss": "smooth loss"})
    sweep = exact_sweep(
        grid_cells(),
        set_aside=aside,
        sources=[source],
        warnings=[("params-kind-unspecified", "which N?")],
        setting={"schedule": "cosine", "weight_decay": 0.1},
        seq_len=2048,
        loss_unit="bits",
        params_kind="non-embedding",
    )
    law = fit(sweep, prior="none", resamples=0, seed=3)
    record = law.fit
    assert record is not None
    assert (law.seq_len, law.loss_unit, law.params_kind) == (2048, "bits", "non-embedding")
    assert law.setting == {"schedule": "cosine", "weight_decay": 0.1}
    assert law.fitted_on["params"] == (GRID_PARAMS[0], GRID_PARAMS[-1])
    assert _codes(law)[0] == "params-kind-unspecified"
    assert (record.estimator, record.prior, record.prior_used, record.seed) == (
        "near-optimal",
        "none",
        False,
        3,
    )
    assert (record.runs, record.runs_used) == (sweep.n_runs + 3, sweep.n_runs)
    assert [(s.reason, s.runs, s.example) for s in record.set_aside] == [
        ("duplicate", 2, "a.csv, line 9: same as line 8"),
        ("missing-value", 1, "a.csv, line 4: no loss"),
    ]
    assert record.sources[0].model_dump() == {
        "file": "a.csv",
        "sha256": "cd" * 32,
        "columns": {"loss": "smooth loss"},
    }
    assert len(record.cells) == 20
    assert all(c.near_optimal_runs == 1 and c.runs == 25 for c in record.cells)


def test_the_id_depends_on_content_and_options_only() -> None:
    def sweep(file: str, digest: str) -> Sweep:
        return exact_sweep(grid_cells(), sources=[SweepSource(file=file, sha256=digest, columns={})])

    law = fit(sweep("a.csv", "00"), resamples=0)
    assert law.id.startswith("fitted-")
    assert len(law.id) == len("fitted-") + 8
    assert fit(sweep("renamed.csv", "00"), resamples=0).id == law.id
    assert fit(sweep("a.csv", "01"), resamples=0).id != law.id
    assert fit(sweep("a.csv", "00"), resamples=0, threshold=0.01).id != law.id
    assert fit(sweep("a.csv", "00"), resamples=0, law_id="mine").id == "mine"


def test_a_law_survives_json() -> None:
    law = fit(noisy_sweep(), resamples=30)
    assert Law.model_validate_json(law.model_dump_json()) == law


def test_the_surface_is_the_default() -> None:
    assert DEFAULT_ESTIMATOR == "surface"
    record = fit_law(noisy_sweep(), resamples=0).fit
    assert record is not None
    assert (record.estimator, record.prior_used) == ("surface", True)


# ---- every estimator and prior --------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [*PRIORS, "step-law"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_fits_under_every_prior(estimator: str, prior: str) -> None:
    law = fit_law(noisy_sweep(), estimator=estimator, prior=prior, resamples=30)
    assert law.fit is not None
    assert (law.fit.estimator, law.fit.prior) == (estimator, prior)
    assert law.peak_lr is not None
    assert np.isfinite(law.peak_lr.log_coefficient)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"estimator": "near-optimum"},
            "no estimator is called 'near-optimum'. Did you mean 'near-optimal'?",
        ),
        ({"estimator": "x"}, "no estimator is called 'x'. Known: "),
        ({"prior": "weka"}, "no prior is called 'weka'. Did you mean 'weak'?"),
        ({"batch_on": ("token",)}, "no batch input is called 'token'. Did you mean 'tokens'?"),
        ({"resamples": 5}, "resamples: got 5, need 20 to"),
        ({"resamples": -1}, "resamples: got -1, need 20 to"),
        ({"threshold": 0.0}, "threshold: got 0, need a fraction"),
        ({"threshold": float("nan")}, "threshold: got nan, need a fraction"),
        ({"seed": -1}, "seed: got -1, need 0 or more"),
    ],
)
def test_options_that_cannot_be_meant_are_usage_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        fit(noisy_sweep(), **arguments)  # type: ignore[arg-type]
    assert str(error.value).startswith(message)
