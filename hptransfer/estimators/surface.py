"""Estimator `surface`: one loss surface through all cells, every run near its cell's best taking part.

docs/fitting.md has the model in words. Here a sweep becomes arrays, and what was fitted becomes a law: power
laws with the spread of their predictions, the bowl, what was chosen, and what came from the data or the
prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hptransfer.estimators import near_optimal
from hptransfer.estimators.common import (
    Estimate,
    FitOptions,
    Runs,
    cells_that_searched_batch,
    edge_notes,
    inseparable,
    split_by_cell,
    summarize_cells,
    usable_runs,
    varied_inputs,
    without_lone_batches,
)
from hptransfer.estimators.priors import NONE, exponent_prior
from hptransfer.law import Bend, Bowl, Choices, Curvature, Input, Member, Note, PowerLaw, Uncertainty
from hptransfer.numerics.cells import cell_runs
from hptransfer.numerics.centroids import LawPrior
from hptransfer.numerics.intervals import LawSpread
from hptransfer.numerics.near_optimal import near_optimal_weights
from hptransfer.numerics.polynomials import monomial_values
from hptransfer.numerics.surface import Normal, layout
from hptransfer.numerics.surface_fit import (
    SurfaceFit,
    bootstrap_laws,
    fit_surface,
    surface_optima,
)
from hptransfer.numerics.surface_intervals import surface_spread
from hptransfer.stages import part_of
from hptransfer.sweep import FloatArray, Sweep

SOURCE = "loss surface through all cells, fitted to the runs near their cell's best (docs/fitting.md)"
AXES: tuple[Input, Input] = ("params", "tokens")
QUANTITIES = ("peak_lr", "batch_tokens")

NO_EXPONENT = Normal(mean=0.0, std=1e-4)
"""Pins the exponent of an input that did not vary; the law leaves it out."""

LEAST_BATCH_CELLS = 2
"""Cells that must have searched the batch; with a prior on its exponents a level is all that is needed."""

CLEAR_BEND = 3.02
"""Standard deviations from which a bend is reported: four are looked at, so 1 in 100 straight sweeps is."""

TELLING_STD = np.log(1000.0) / 1.645
"""Standard deviation inside the data, natural logs, beyond which there is no interval to give."""

TRUSTED_WEIGHT = np.exp(-1.0)
"""Runs within one fade of their cell's optimum span the box where the bowl is trusted."""

BOX_POINTS = 200
LEAST_BOX = 1e-3  # natural logs


def fit_sweep(sweep: Sweep, options: FitOptions) -> Estimate:
    """Fit the laws of peak LR and batch. See the module docstring.

    Raises:  RefusalError where the sweep cannot determine the exponents: too few cells, or with the prior
             `none` params and tokens that moved together.
    """
    runs, notes = usable_runs(sweep)
    runs, batch_design_notes = without_lone_batches(sweep, runs)
    has_prior = options.prior != NONE
    varied, design_notes = varied_inputs(sweep, runs, separable=not has_prior)
    needed = LEAST_BATCH_CELLS if has_prior else 1 + len(varied)
    searched, batch_notes = cells_that_searched_batch(sweep, runs, needed=max(LEAST_BATCH_CELLS, needed))
    prior = _prior(sweep, options.prior, varied, batch_searched=bool(searched.any()))
    try:
        with np.errstate(all="ignore"):  # what is not finite is looked at, and falls back in words
            fitted = _fit(runs, prior, varied, options, batch_searched=bool(searched.any()))
    except np.linalg.LinAlgError:
        return _fall_back(sweep, options)
    if not (np.isfinite(fitted.fit.law).all() and np.isfinite(fitted.fit.covariance).all()):
        return _fall_back(sweep, options)
    notes += [
        *design_notes,
        *batch_design_notes,
        *batch_notes,
        *_design_notes(runs, varied, fitted, has_prior=has_prior),
    ]
    return _estimate(sweep, runs, fitted, options, notes)


@dataclass(frozen=True)
class _Fitted:
    """What the numeric core found. `draws` (n_draws, 2, 3); `spread` None without intervals."""

    fit: SurfaceFit
    varied: tuple[str, ...]
    spread: LawSpread | None
    draws: FloatArray

    @property
    def quantities(self) -> tuple[str, ...]:
        """The laws that were fitted: of LR, and of batch where it was searched."""
        return QUANTITIES[: self.fit.runs.variables]

    @property
    def kept(self) -> list[int]:
        """Coefficients that the laws keep: the level and the varied inputs."""
        return [0, *(1 + AXES.index(name) for name in AXES if name in self.varied)]


def _prior(sweep: Sweep, name: str, varied: tuple[str, ...], *, batch_searched: bool) -> LawPrior:
    parametrization = str(sweep.setting.get("parametrization", "standard"))
    prior = exponent_prior(name, parametrization=parametrization, batch_searched=batch_searched)
    if "params" not in varied:
        prior = replace(prior, lr_params=NO_EXPONENT, batch_params=NO_EXPONENT)
    if "tokens" not in varied:
        prior = replace(prior, lr_tokens=NO_EXPONENT, batch_tokens=NO_EXPONENT)
    return prior


def _fit(
    runs: Runs, prior: LawPrior, varied: tuple[str, ...], options: FitOptions, *, batch_searched: bool
) -> _Fitted:
    scale = {
        name: values if name in varied else np.full_like(values, values.mean())
        for name, values in (("params", runs.log_params), ("tokens", runs.log_tokens))
    }
    arrays = cell_runs(
        scale["params"],
        scale["tokens"],
        cell=runs.cell,
        log_lr=runs.log_lr,
        log_batch=runs.log_batch if batch_searched else None,
        log_loss=np.log(runs.loss),
    )
    stages = 1 if options.resamples == 0 else 2
    fit = fit_surface(arrays, prior, progress=part_of(options.progress, 0, stages))
    if options.resamples == 0:
        return _Fitted(fit, varied, None, np.empty((0, 2, 3)))
    draws = bootstrap_laws(
        fit,
        n_draws=options.resamples,
        rng=np.random.default_rng(options.seed),
        progress=part_of(options.progress, 1, stages),
    )
    spread = surface_spread(fit)
    return _Fitted(fit, varied, spread if _is_telling(fit, spread) else None, draws)


def _is_telling(fit: SurfaceFit, spread: LawSpread) -> bool:
    """Whether the laws are known inside the data well enough for an interval to say anything."""
    design = fit.runs.design
    variance = np.einsum("ci,qij,cj->qc", design, spread.coefficients[: fit.runs.variables], design)
    return bool(np.sqrt(variance.max()) < TELLING_STD)


def _fall_back(sweep: Sweep, options: FitOptions) -> Estimate:
    """The near-optimal recipe, for sweeps on which the surface's arithmetic breaks down."""
    estimate = near_optimal.fit_sweep(sweep, options)
    message = "the surface could not be fitted to this sweep: this law is the near-optimal recipe's."
    return replace(estimate, warnings=(*estimate.warnings, Note(code="surface-failed", message=message)))


# ------------------------------------------------------------------------------------------ the law


def _estimate(sweep: Sweep, runs: Runs, fitted: _Fitted, options: FitOptions, notes: list[Note]) -> Estimate:
    laws = {name: _power_law(fitted, q) for q, name in enumerate(fitted.quantities)}
    kept = near_optimal_weights(runs.loss, runs.cell, threshold=options.threshold)[0] > 0
    sets = split_by_cell(runs.row[kept], runs.cell[kept], n_cells=len(runs.cells))
    cells = summarize_cells(sweep, dict(zip(runs.cells.tolist(), sets, strict=True)))
    bend = _curvatures(fitted)
    notes = [*notes, *_bend_notes(bend), *_interval_notes(fitted, options), *edge_notes(cells)]
    n_laws, columns = len(laws), fitted.kept
    return Estimate(
        peak_lr=laws["peak_lr"],
        batch_tokens=laws.get("batch_tokens"),
        lr_batch_exponent=_valley_slope(fitted.fit),
        cells=cells,
        runs_used=len(runs.row),
        prior_used=options.prior != NONE,
        warnings=tuple(notes),
        draw_columns=tuple(
            f"{name}.{term}" for name, law in laws.items() for term in ("log_coefficient", *law.exponents)
        ),
        draws=fitted.draws[:, :n_laws][..., columns].reshape(len(fitted.draws), n_laws * len(columns)),
        bowl=_bowl(fitted),
        data_share=_data_share(fitted),
        choices=_choices(fitted),
        bend=bend,
        floors=_floors(sweep, runs, fitted.fit),
    )


def _floors(sweep: Sweep, runs: Runs, fit: SurfaceFit) -> FloatArray:
    """Loss at each cell's own optimum in the sweep's unit, (n_cells,); NaN without a search over LR."""
    floors = np.full(sweep.n_cells, np.nan)
    loss = np.exp(fit.floors)
    floors[runs.cells] = np.exp(loss) if sweep.loss_unit == "perplexity" else loss
    return floors


def _power_law(fitted: _Fitted, q: int) -> PowerLaw:
    """The law of one quantity as the record that a law keeps."""
    log_coefficient, *exponents = fitted.fit.law[q][fitted.kept].tolist()
    return PowerLaw.model_validate(
        {
            "log_coefficient": log_coefficient,
            "exponents": dict(zip(_inputs(fitted), exponents, strict=True)),
            "uncertainty": None if fitted.spread is None else _uncertainty(fitted, fitted.spread, q),
            "source": SOURCE,
        }
    )


def _inputs(fitted: _Fitted) -> tuple[Input, ...]:
    return tuple(name for name in AXES if name in fitted.varied)


def _uncertainty(fitted: _Fitted, spread: LawSpread, q: int) -> Uncertainty:
    """Spread of one law on raw logs, without the inputs that did not vary."""
    kept = fitted.kept
    to_raw = np.eye(3)
    to_raw[0, 1:] = -spread.centre
    to_raw = to_raw[np.ix_(kept, kept)]

    def vector(values: FloatArray) -> tuple[float, ...]:
        return tuple((to_raw @ values[kept]).tolist())

    def matrix(values: FloatArray) -> tuple[tuple[float, ...], ...]:
        raw = to_raw @ values[np.ix_(kept, kept)] @ to_raw.T
        return tuple(tuple(row) for row in ((raw + raw.T) / 2).tolist())

    bends = tuple(
        Bend(
            input=name,
            middle=float(spread.bend_middle[axis]),
            scale=float(spread.bend_scale[axis]),
            variance=float(spread.bend_variance[q, axis]),
            mimicked=vector(spread.bend_law[q, axis]),
        )
        for axis, name in enumerate(AXES)
        if name in fitted.varied
    )
    return Uncertainty(
        covariance=matrix(spread.coefficients[q]),
        cell_std=float(np.sqrt(spread.cell[q])),
        cell_df=float(spread.cell_df[q]),
        between=matrix(spread.between[q]),
        form=vector(spread.form[q]),
        bends=bends,
    )


def _valley_slope(fit: SurfaceFit) -> float | None:
    """d log LR* / d log batch at fixed params and tokens; None where the batch was not searched."""
    return float(-fit.bowl[1] / (2 * fit.bowl[0])) if fit.runs.variables == 2 else None


def _bowl(fitted: _Fitted) -> Bowl | None:
    """The bowl over LR and batch, trusted where runs carry weight and it rises; None without a batch law."""
    fit = fitted.fit
    if fit.runs.variables == 1:
        return None
    powers = layout(2).form.free_powers
    optimum = surface_optima(fit)[fit.runs.cell]
    near = fit.run_weights > TRUSTED_WEIGHT
    spans = []
    for q, values in enumerate((fit.runs.log_lr, fit.runs.log_batch)):
        away = (values - optimum[:, q])[near]
        ends = (min(away.min(initial=0.0), -LEAST_BOX), max(away.max(initial=0.0), LEAST_BOX))
        spans.append(tuple(_rising_until(fit, powers, q, end) for end in ends))
    inputs = _inputs(fitted)
    return Bowl.model_validate(
        {
            "powers": powers,
            "terms": tuple(fit.bowl.tolist()),
            "log_amplitude": {name: float(fit.amplitude[AXES.index(name)]) for name in inputs},
            "centre": {name: float(fit.runs.centre[AXES.index(name)]) for name in inputs},
            "trusted_u": spans[0],
            "trusted_v": spans[1],
        }
    )


def _rising_until(fit: SurfaceFit, powers: tuple[tuple[int, int], ...], q: int, end: float) -> float:
    """How far towards `end` the bowl rises: along LR at the best batch (q = 0), along the valley (q = 1)."""
    steps = np.linspace(0.0, end, BOX_POINTS)
    slope = _valley_slope(fit) or 0.0
    u, v = (steps, 0 * steps) if q == 0 else (slope * steps, steps)
    cost = fit.bowl @ monomial_values(powers, u, v)
    falls = np.flatnonzero(np.diff(cost) < 0)
    return float(steps[max(falls[0], 1)]) if len(falls) else end


def _data_share(fitted: _Fitted) -> dict[str, float]:
    """Of each exponent, the share of its precision that the data brought."""
    fit = fitted.fit
    precision, _ = fit.prior.precision_and_mean()
    share = np.clip(1 - precision * np.diagonal(fit.covariance), 0.0, 1.0).reshape(2, 3)
    return {
        f"{quantity}.{name}": float(share[q, 1 + AXES.index(name)])
        for q, quantity in enumerate(fitted.quantities)
        for name in _inputs(fitted)
    }


def _choices(fitted: _Fitted) -> Choices:
    fit = fitted.fit
    scores = fit.scores
    families = (
        ("surface", scores.surface, scores.surface_weights),
        ("centroid", scores.centroid, scores.centroid_weights),
    )
    members = [
        {"family": family, "fade": surface.fade, "excess": float(excess), "weight": float(weight)}
        for family, excesses, weights in families
        for surface, excess, weight in zip(fit.surfaces, excesses, weights, strict=True)
    ]
    return Choices(
        members=tuple(Member.model_validate(member) for member in members),
        fade_unit=fit.unit,
        noise_std=fit.noise_std,
        offset_std={name: float(fit.offset_std[q]) for q, name in enumerate(fitted.quantities)},
        runs=fit.selection_runs,
    )


def _curvatures(fitted: _Fitted) -> dict[str, Curvature]:
    """Bends of the cells' optima along the inputs that have enough levels to show one."""
    spread = fitted.spread
    if spread is None:
        return {}
    return {
        f"{quantity}.{name}": Curvature(
            value=float(spread.curvature[q, axis]), std=float(spread.curvature_std[q, axis])
        )
        for q, quantity in enumerate(fitted.quantities)
        for axis, name in enumerate(AXES)
        if name in fitted.varied and np.isfinite(spread.curvature_std[q, axis])
    }


# ------------------------------------------------------------------------------------------ warnings


def _design_notes(runs: Runs, varied: tuple[str, ...], fitted: _Fitted, *, has_prior: bool) -> list[Note]:
    """Warn where only the prior separates params from tokens, with what the data did bring."""
    problem = inseparable(runs, varied) if has_prior else None
    if problem is None:
        return []
    shown = ""
    if len(varied) == 2:
        shares = ", ".join(
            f"{share:.0%} ({quantity})" for quantity, share in _contrast_shares(fitted).items()
        )
        shown = (
            f" Along log params - log tokens the data brought {shares} of what the law says, "
            f"the prior the rest (condition number of the design {_condition(runs):.3g})."
        )
    message = f"the exponents rest on the prior. {problem[0].upper()}{problem[1:]}{shown}"
    return [Note(code="not-identifiable", message=message)]


def _contrast_shares(fitted: _Fitted) -> dict[str, float]:
    """Share of the data in the difference of the exponents of params and tokens, by quantity."""
    precision, _ = fitted.fit.prior.precision_and_mean()
    contrast = np.array([0.0, 1.0, -1.0])
    shares: dict[str, float] = {}
    for q, quantity in enumerate(fitted.quantities):
        rows = slice(3 * q, 3 * q + 3)
        before = float((contrast[1:] ** 2 / precision[rows][1:]).sum())
        after = float(contrast @ fitted.fit.covariance[rows, rows] @ contrast)
        shares[quantity] = min(max(1 - after / before, 0.0), 1.0)
    return shares


def _condition(runs: Runs) -> float:
    """Largest over smallest spread of the cells over directions of (log params, log tokens)."""
    centred = np.column_stack([runs.log_params, runs.log_tokens])
    values = np.linalg.svd(centred - centred.mean(axis=0), compute_uv=False)
    return float(values[0] / max(values[-1], np.finfo(float).tiny))


def _bend_notes(bend: Mapping[str, Curvature]) -> list[Note]:
    """Warn of clear bends: they widen intervals and are not extrapolated."""
    clear = {name: c for name, c in bend.items() if abs(c.value) > CLEAR_BEND * c.std}
    if not clear:
        return []
    shown = ", ".join(f"{name} {c.value:+.3f} +- {c.std:.3f}" for name, c in clear.items())
    message = (
        f"the cells' optima bend against a power law (change of the exponent per e-fold: {shown}). Intervals "
        "are wider for it; the law itself stays straight, so a target far outside may be off to one side."
    )
    return [Note(code="bend", message=message)]


def _interval_notes(fitted: _Fitted, options: FitOptions) -> list[Note]:
    if fitted.spread is not None:
        return []
    why = (
        "no resamples were asked for."
        if options.resamples == 0
        else "inside the sweep's own range the optimum is not known to a factor of 1000. "
        "Add cells or a prior."
    )
    return [Note(code="no-interval", message=f"the law carries no intervals: {why}")]
