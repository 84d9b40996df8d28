"""A law's track record: hold out the largest scales of a sweep, fit on the rest, and price the plans there.

The price of a plan is read from the held-out cell's own grid of runs, so nothing is assumed about the form
that was fitted. Step Law's recipe, published laws and "keep the proxy's best" are priced on the same cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from hptransfer.errors import HptransferError, RefusalError
from hptransfer.fitting import fit, require_form
from hptransfer.law import Law, TrackRecord
from hptransfer.numerics.grid_loss import excess_at, smoothed_optimum
from hptransfer.numerics.own_points import own_points
from hptransfer.planning import Plan, Target, plan_targets
from hptransfer.plans.prediction import takes_batch
from hptransfer.published import published_law
from hptransfer.quantities import short_count
from hptransfer.stages import Progress
from hptransfer.sweep import BoolArray, FloatArray, Sweep, take_cells

RECIPE = "near-optimal"
RECIPE_NAME = "Step Law's recipe"
KEPT_NAME = "keep the proxy's best"
NEEDS_BATCH = "its LR is for a batch that is given, and a held-out cell with several does not give one."
PUBLISHED = ("step-law",)
HELD_OUT_SHARE = 1 / 3  # of the cells, counted from the top
MIN_TRAINING_CELLS = 3
MIN_RUNS_TO_PRICE = 4  # a cell with fewer finished runs prices nothing

Point: TypeAlias = tuple[float, float | None]  # peak LR, batch in tokens


@dataclass(frozen=True)
class Split:
    """One way of holding out the largest scales; masks of cells, shape (n_cells,)."""

    name: str  # as `params from 537M`
    held_out: BoolArray


@dataclass(frozen=True)
class CellResult:
    """One held-out cell under one method. `covered` is None where no interval or no own optimum exists."""

    params: float
    tokens: float
    excess: float  # fraction of the loss
    clamped: bool  # the plan lay outside the cell's grid: the price is that of the grid's edge
    lr_covered: bool | None
    batch_covered: bool | None


@dataclass(frozen=True)
class MethodResult:
    """One method on one split: a result a cell, or the reason why there is no plan."""

    method: str
    cells: tuple[CellResult, ...]
    refused: str | None = None

    @property
    def mean_excess(self) -> float | None:
        """Mean excess loss over the cells, as a fraction."""
        return float(np.mean([cell.excess for cell in self.cells])) if self.cells else None

    @property
    def worst_excess(self) -> float | None:
        """Largest excess loss, as a fraction."""
        return max((cell.excess for cell in self.cells), default=None)


@dataclass(frozen=True)
class SplitResult:
    """All methods on one split."""

    name: str
    training_cells: int
    methods: tuple[MethodResult, ...]


@dataclass(frozen=True)
class Backtest:
    """Results by split; the first method is the one that was asked for."""

    splits: tuple[SplitResult, ...]
    verdict: str


def backtest(
    sweep: Sweep,
    *,
    estimator: str,
    prior: str = "weak",
    seed: int = 0,
    resamples: int = 1000,
    published: Sequence[str] = PUBLISHED,
    progress: Progress | None = None,
) -> Backtest:
    """Hold out the largest scales by params, tokens, compute and tokens per param, one after the other.

    Args:    estimator, prior, seed, resamples: as `fit`; published: ids of laws to price beside it;
             progress: called with (splits done, splits).
    Raises:  UsageError for an estimator, prior or law that nobody knows, RefusalError when no split leaves
             enough cells to fit on.
    """
    require_form(estimator, prior)
    known = {law_id: published_law(law_id) for law_id in published}
    splits = list(largest_scales(sweep))
    if not splits:
        raise RefusalError(_nothing_to_hold_out(sweep))

    def fitted(name: str) -> Callable[[Sweep], Law]:
        return lambda training: fit(training, estimator=name, prior=prior, seed=seed, resamples=resamples)

    laws: dict[str, Callable[[Sweep], Law]] = {estimator: fitted(estimator)}
    if estimator != RECIPE:
        laws[RECIPE_NAME] = fitted(RECIPE)
    laws |= {law_id: lambda _, law=law: law for law_id, law in known.items()}  # type: ignore[misc]
    results = tuple(_runs(sweep, splits, laws, progress))
    return Backtest(results, _verdict(results, estimator))


def _nothing_to_hold_out(sweep: Sweep) -> str:
    return (
        f"nothing to hold out: {sweep.n_cells} cells. A backtest needs a cell to predict and at least "
        f"{MIN_TRAINING_CELLS} smaller ones to fit on."
    )


def largest_scales(sweep: Sweep) -> Iterator[Split]:
    """Ways of holding out the largest scales that leave enough cells; equal ones are one split.

    Along each axis the cells from a level up are held out: the lowest level that leaves at most about a
    third of the cells there, and always at least the top level.
    """
    axes = {
        "params": sweep.cell_params,
        "tokens": sweep.cell_tokens,
        "compute": 6.0 * sweep.cell_params * sweep.cell_tokens,
        "tokens per param": sweep.cell_tokens / sweep.cell_params,
    }
    found: dict[bytes, list[str]] = {}
    for name, values in axes.items():
        held_out = values >= _top_level(values)
        if (~held_out).sum() >= MIN_TRAINING_CELLS:
            found.setdefault(held_out.tobytes(), []).append(
                f"{name} from {short_count(values[held_out].min())}"
            )
    for mask, names in found.items():
        yield Split(", ".join(names), np.frombuffer(mask, dtype=np.bool_))


def _top_level(values: FloatArray) -> float:
    """Lowest level of which at most about a third of the cells reach or exceed it; else the top one."""
    levels = np.unique(np.round(np.log(values), 6))
    reach = np.array([(np.log(values) >= level - 1e-5).mean() for level in levels])
    few = levels[reach <= HELD_OUT_SHARE + 0.05]
    level = few[0] if few.size else levels[-1]
    return float(np.exp(level) * (1 - 1e-5))


def _runs(
    sweep: Sweep,
    splits: Sequence[Split],
    laws: Mapping[str, Callable[[Sweep], Law]],
    progress: Progress | None,
) -> Iterator[SplitResult]:
    for done, split in enumerate(splits, start=1):
        yield _run(sweep, split, laws)
        if progress is not None:
            progress(done, len(splits))


def _run(sweep: Sweep, split: Split, laws: Mapping[str, Callable[[Sweep], Law]]) -> SplitResult:
    training = take_cells(sweep, ~split.held_out)
    held_out = np.flatnonzero(split.held_out).tolist()
    cells = [c for c in held_out if _finished(sweep, c).sum() >= MIN_RUNS_TO_PRICE]
    pinned = _one_batch(sweep)
    targets = [Target(float(sweep.cell_params[c]), float(sweep.cell_tokens[c]), pinned) for c in cells]
    kept = _proxys_best(training)
    methods = []
    for name, make in laws.items():
        try:
            law = make(training)
            if pinned is None and takes_batch(law):
                methods.append(MethodResult(name, (), NEEDS_BATCH))
                continue
            plans = plan_targets(law, targets)
        except HptransferError as error:
            methods.append(MethodResult(name, (), str(error).splitlines()[0]))
            continue
        priced = [_price_plan(sweep, c, plan, kept[1]) for c, plan in zip(cells, plans, strict=True)]
        methods.append(MethodResult(name, tuple(p for p in priced if p is not None)))
    methods.append(MethodResult(KEPT_NAME, tuple(_price(sweep, c, kept) for c in cells)))
    return SplitResult(split.name, training.n_cells, tuple(methods))


def _one_batch(sweep: Sweep) -> float | None:
    """The batch (tokens) that all runs had: every plan is then made for it; None where batches differ."""
    batches = np.unique(sweep.batch_tokens) if sweep.has_batch else np.empty(0)
    return float(batches[0]) if len(batches) == 1 else None


def _own_optimum(sweep: Sweep, cell: int) -> FloatArray | None:
    """Log LR and log batch of a cell's own smoothed optimum; None where its runs do not show one."""
    log_lr, log_batch, loss = _grid(sweep, cell)
    if np.ptp(log_batch) > 0:
        return smoothed_optimum(log_lr, log_batch, loss)
    alone = own_points(
        log_lr=log_lr, log_batch=log_batch, log_loss=np.log(loss), cell=np.zeros(len(loss), dtype=np.int64)
    )
    return np.array([alone.log_lr[0], log_batch[0]]) if np.isfinite(alone.log_variance[0]) else None


def _finished(sweep: Sweep, cell: int) -> BoolArray:
    mask: BoolArray = (sweep.cell == cell) & ~sweep.diverged
    return mask


def _grid(sweep: Sweep, cell: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log LR, log batch (0 where the sweep has none) and loss of a cell's finished runs."""
    runs = _finished(sweep, cell)
    log_batch = np.log(sweep.batch_tokens[runs]) if sweep.has_batch else np.zeros(runs.sum())
    return np.log(sweep.lr[runs]), log_batch, sweep.loss[runs]


def _price(sweep: Sweep, cell: int, point: Point) -> CellResult:
    """Price of a point in a cell, without intervals."""
    log_lr, log_batch, loss = _grid(sweep, cell)
    batch = 1.0 if point[1] is None else point[1]
    reading = excess_at(np.log([point[0], batch]), log_lr, log_batch, loss)
    scale = (float(sweep.cell_params[cell]), float(sweep.cell_tokens[cell]))
    return CellResult(*scale, reading.excess, reading.clamped, None, None)


def _price_plan(sweep: Sweep, cell: int, plan: Plan, kept_batch: float | None) -> CellResult | None:
    """Price of a plan's optimum, and whether its intervals hold the cell's own smoothed optimum.

    A plan without a batch is run at `kept_batch` (tokens), that of the proxy's best run; its LR belongs to a
    fixed batch, so it is not held against an optimum over LR and batch.
    """
    if plan.peak_lr is None:
        return None
    pinned = plan.batch_tokens is None and sweep.has_batch
    priced = _price(sweep, cell, (plan.peak_lr, kept_batch if pinned else plan.batch_tokens))
    own = None if pinned else _own_optimum(sweep, cell)
    return CellResult(
        priced.params,
        priced.tokens,
        priced.excess,
        priced.clamped,
        None if own is None else _holds(plan.peak_lr_interval, own[0]),
        None if own is None else _holds(plan.batch_tokens_interval, own[1]),
    )


def _holds(interval: tuple[float, float] | None, log_value: float) -> bool | None:
    return None if interval is None else bool(interval[0] <= np.exp(log_value) <= interval[1])


def _proxys_best(training: Sweep) -> Point:
    """LR and batch (tokens) of the best run of the training cell with the most compute."""
    largest = int((training.cell_params * training.cell_tokens).argmax())
    runs = np.flatnonzero(_finished(training, largest))
    best = runs[training.loss[runs].argmin()]
    return float(training.lr[best]), float(training.batch_tokens[best]) if training.has_batch else None


def _mean_by_method(splits: Sequence[SplitResult]) -> dict[str, float]:
    """Mean excess of each method over the splits that it could plan."""
    means = {}
    for i, method in enumerate(splits[0].methods):
        found = [split.methods[i].mean_excess for split in splits]
        priced = [value for value in found if value is not None]
        if priced:
            means[method.method] = float(np.mean(priced))
    return means


def _judged(splits: Sequence[SplitResult]) -> list[bool]:
    """Whether intervals of the first method held, for every held-out optimum that has one."""
    cells = [cell for split in splits for cell in split.methods[0].cells]
    return [c for cell in cells for c in (cell.lr_covered, cell.batch_covered) if c is not None]


def _verdict(splits: Sequence[SplitResult], estimator: str) -> str:
    """One sentence: what the plans lost, beside the alternatives, and whether intervals held."""
    means = _mean_by_method(splits)
    if estimator not in means:
        return f"No split could be planned by {estimator}: {splits[0].methods[0].refused}"
    others = ", ".join(f"{value:.2%} with {name}" for name, value in means.items() if name != estimator)
    judged = _judged(splits)
    held = f" The 90 % intervals held {np.mean(judged):.0%} of the optima." if judged else ""
    refused = sum(split.methods[0].refused is not None for split in splits)
    text = f" {refused} of {len(splits)} splits were refused." if refused else ""
    best = min(means, key=lambda name: means[name])
    rank = "the least of all" if best == estimator else f"more than {best}"
    return (
        f"On {len(splits)} ways of holding out the largest scales, plans by {estimator} lost "
        f"{means[estimator]:.2%} of the loss on average, {rank}: {others}.{text}{held}"
    )


def track_record(result: Backtest) -> TrackRecord:
    """What a law keeps of its backtest."""
    own = [split.methods[0] for split in result.splits]
    judged = _judged(result.splits)
    return TrackRecord(
        splits=len(result.splits),
        cells=len({(cell.params, cell.tokens) for method in own for cell in method.cells}),
        mean_excess=_mean_by_method(result.splits),
        optima_judged=len(judged),
        optima_covered=sum(judged),
        verdict=result.verdict,
    )


def with_track_record(law: Law, sweep: Sweep, *, progress: Progress | None = None) -> Law:
    """A law fitted on this sweep, with the backtest of its own estimator and prior."""
    if law.fit is None:
        return law
    done = law.fit
    result = backtest(
        sweep,
        estimator=done.estimator,
        prior=done.prior,
        seed=done.seed,
        resamples=done.resamples,
        progress=progress,
    )
    return law.model_copy(update={"fit": done.model_copy(update={"track_record": track_record(result)})})


# --- choosing between forms ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """A way of fitting that a backtest may choose: an estimator and its prior."""

    name: str
    estimator: str
    prior: str


FORMS = (
    Form("surface", "surface", "weak"),
    Form("surface without prior", "surface", "none"),
    Form("near-optimal", "near-optimal", "weak"),
)
"""The first is the default: another one has to beat it."""


@dataclass(frozen=True)
class FormScore:
    """One form against the default on the same held-out cells; fractions of the loss.

    `difference` is its mean excess minus the default's over the `cells` that both priced, `deviation` the
    standard deviation of that mean over resampled cells. None where a form was refused everywhere.
    """

    form: Form
    mean_excess: float | None
    difference: float | None
    deviation: float | None
    cells: int
    refused: str | None


@dataclass(frozen=True)
class Selection:
    """The form to use, and every form's score, the default first."""

    chosen: Form
    scores: tuple[FormScore, ...]
    verdict: str


MIN_PAIRS = 3
DEVIATIONS = 2.0
BOOTSTRAP = 2000


def select_form(
    sweep: Sweep, *, forms: Sequence[Form] = FORMS, seed: int = 0, progress: Progress | None = None
) -> Selection:
    """Choose between forms by what their plans lose at the largest scales, held out.

    A form replaces the default only where it loses less by more than twice the deviation of the paired mean
    difference, bootstrapped over cells; of several, the one that loses least.

    Raises:  RefusalError when nothing can be held out.
    """
    splits = list(largest_scales(sweep))
    if not splits:
        raise RefusalError(_nothing_to_hold_out(sweep))

    def fitted(form: Form) -> Callable[[Sweep], Law]:
        return lambda part: fit(part, estimator=form.estimator, prior=form.prior, seed=seed, resamples=0)

    laws = {form.name: fitted(form) for form in forms}
    results = list(_runs(sweep, splits, laws, progress))
    prices = [_excess_by_cell(results, k) for k in range(len(forms))]
    refusals = [
        next((r.methods[k].refused for r in results if r.methods[k].refused), None) for k in range(len(forms))
    ]
    scores = tuple(_form_score(form, prices[k], prices[0], refusals[k], seed) for k, form in enumerate(forms))
    better = [score for score in scores[1:] if _clearly_better(score)]
    if scores[0].mean_excess is None:
        better = [score for score in scores if score.mean_excess is not None]
    chosen = min(better, key=lambda score: score.mean_excess or 0.0).form if better else forms[0]
    return Selection(chosen, scores, _selection_verdict(chosen, scores))


def _excess_by_cell(results: Sequence[SplitResult], k: int) -> dict[tuple[float, float], float]:
    """Excess of one method at each held-out cell, mean over the splits that held it out."""
    found: dict[tuple[float, float], list[float]] = {}
    for result in results:
        for cell in result.methods[k].cells:
            found.setdefault((cell.params, cell.tokens), []).append(cell.excess)
    return {cell: float(np.mean(values)) for cell, values in found.items()}


def _form_score(
    form: Form,
    prices: Mapping[tuple[float, float], float],
    default: Mapping[tuple[float, float], float],
    refused: str | None,
    seed: int,
) -> FormScore:
    mean = float(np.mean(list(prices.values()))) if prices else None
    shared = sorted(set(prices) & set(default))
    if len(shared) < MIN_PAIRS:
        return FormScore(form, mean, None, None, len(shared), refused)
    difference = np.array([prices[cell] - default[cell] for cell in shared])
    draws = np.random.default_rng(seed).integers(len(shared), size=(BOOTSTRAP, len(shared)))
    deviation = float(difference[draws].mean(axis=1).std())
    return FormScore(form, mean, float(difference.mean()), deviation, len(shared), refused)


def _clearly_better(score: FormScore) -> bool:
    if score.difference is None or score.deviation is None:
        return False
    return score.difference < 0 and -score.difference > DEVIATIONS * score.deviation


def _selection_verdict(chosen: Form, scores: Sequence[FormScore]) -> str:
    default = scores[0]
    if default.mean_excess is None:
        return f"{default.form.name} was refused on every split; {chosen.name} is what can be fitted."
    if chosen == default.form:
        return (
            f"Keep {chosen.name} ({default.mean_excess:.2%} lost): no other form loses less by "
            "more than twice the deviation of the paired difference."
        )
    found = next(score for score in scores if score.form == chosen)
    return (
        f"Use {chosen.name}: it loses {-(found.difference or 0.0):.2%} less than {default.form.name} on "
        f"{found.cells} held-out cells, where one deviation is {found.deviation or 0.0:.2%}."
    )


def backtest_to_dict(result: Backtest) -> dict[str, Any]:
    """Plain values for JSON, means included."""
    content = asdict(result)
    for split, written in zip(result.splits, content["splits"], strict=True):
        for method, entry in zip(split.methods, written["methods"], strict=True):
            entry["mean_excess"], entry["worst_excess"] = method.mean_excess, method.worst_excess
    return content
