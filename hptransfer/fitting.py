"""Sweep -> Law, by an estimator.

`ESTIMATORS` is the table of estimators: a new one is a file in `hptransfer/estimators` and a line here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hptransfer import __version__
from hptransfer.batches.critical import critical_batch
from hptransfer.batches.exponent import lr_batch_test
from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.estimators import near_optimal, power_scheduler, surface
from hptransfer.estimators.common import Estimate, Estimator, FitOptions
from hptransfer.estimators.timescale import with_timescale
from hptransfer.evidence.soundness import examine
from hptransfer.law import Evidence, ExponentTest, Fit, Input, Law, Note, PowerLaw, SetAsideCount, Source
from hptransfer.losses.fitting import loss_part
from hptransfer.published import law_ids
from hptransfer.sweep import FloatArray, Sweep, SweepSource

ESTIMATORS: Mapping[str, Estimator] = {
    "surface": surface.fit_sweep,
    "near-optimal": near_optimal.fit_sweep,
    "power-scheduler": power_scheduler.fit_sweep,
}

DEFAULT_ESTIMATOR = "surface"
PRIORS = ("weak", "none")
BATCH_INPUTS = ("params", "tokens")
MAX_RESAMPLES = 100_000


def fit(
    sweep: Sweep,
    *,
    estimator: str = DEFAULT_ESTIMATOR,
    prior: str = "weak",
    seed: int = 0,
    resamples: int = 1000,
    threshold: float = 0.0025,
    batch_on: Sequence[str] = ("tokens",),
    law_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Law:
    """Fit how the best peak LR and batch move with params and tokens.

    Args:
        estimator: a name in `ESTIMATORS`.
        prior:     `weak`, `none` or the id of a published law; recorded, and used by estimators that can.
        seed:      of the bootstrap; the same sweep, seed and options give the same law.
        resamples: bootstrap draws; 0 gives a law without intervals.
        threshold: a run is near-optimal when its loss exceeds its cell's best by less than this fraction.
        batch_on:  inputs of the near-optimal batch law, among `params` and `tokens`.
        law_id:    id of the result; by default `fitted-` and a digest of the sources and the options.
        progress:  called with (steps done, steps) by estimators that take long enough.
    Raises:  UsageError for an option that cannot be meant, RefusalError where the sweep cannot give an
             honest answer (too-few-cells, collinear, narrow-span, loss-not-positive).
    """
    require_form(estimator, prior)
    for name in batch_on:
        _require_known("batch input", name, BATCH_INPUTS)
    _require_in_range(seed=seed, resamples=resamples, threshold=threshold)
    options = FitOptions(
        estimator=estimator,
        prior=prior,
        seed=seed,
        resamples=resamples,
        threshold=threshold,
        batch_on=tuple(name for name in BATCH_INPUTS if name in batch_on),
        progress=progress,
    )
    return _law(sweep, options, ESTIMATORS[estimator](sweep, options), law_id)


def _law(sweep: Sweep, options: FitOptions, estimate: Estimate, law_id: str | None) -> Law:
    """Put the estimate and everything known about the sweep into one record."""
    files = ", ".join(plain(source.file) for source in sweep.sources)
    carried = (Note(code=code, message=message) for code, message in sweep.warnings)
    evidence, doubts = examine(sweep, estimate)
    loss, loss_notes = loss_part(
        sweep, floors=estimate.floors, seed=options.seed, resamples=options.resamples
    )
    law = Law(
        id=law_id or f"fitted-{_digest(sweep, options)}",
        title=f"fitted on {files or 'a sweep'} ({options.estimator})",
        hptransfer_version=__version__,
        peak_lr=estimate.peak_lr,
        peak_lr_cap=estimate.peak_lr_cap,
        batch_tokens=estimate.batch_tokens,
        critical_batch=_critical_batch(sweep),
        lr_batch_exponent=estimate.lr_batch_exponent,
        bowl=estimate.bowl,
        loss=loss,
        params_kind=sweep.params_kind,
        seq_len=sweep.seq_len,
        loss_unit=sweep.loss_unit,
        setting={name: plain(v) if isinstance(v, str) else v for name, v in sweep.setting.items()},
        fitted_on=_ranges(sweep),
        warnings=(*carried, *estimate.warnings, *doubts, *loss_notes),
        fit=_fit_record(sweep, options, estimate, evidence),
    )
    return with_timescale(law, sweep)


def _fit_record(sweep: Sweep, options: FitOptions, estimate: Estimate, evidence: Evidence) -> Fit:
    """How the law came about. `runs` counts every row, `runs_used` the finished runs the estimator saw."""
    return Fit(
        estimator=options.estimator,
        options={"threshold": options.threshold, "batch_on": "+".join(options.batch_on)},
        prior=options.prior,
        prior_used=estimate.prior_used,
        seed=options.seed,
        resamples=options.resamples,
        runs=sweep.n_runs + len(sweep.set_aside),
        runs_used=estimate.runs_used,
        set_aside=tuple(_set_aside_counts(sweep)),
        cells=estimate.cells,
        sources=tuple(_source(s) for s in sweep.sources),
        data_share=dict(estimate.data_share),
        choices=estimate.choices,
        bend=dict(estimate.bend),
        evidence=evidence,
        lr_batch=_lr_batch(sweep, options),
        power_scheduler=estimate.power_scheduler,
        draw_columns=estimate.draw_columns,
        draws=tuple(tuple(row) for row in estimate.draws.tolist()),
    )


def _lr_batch(sweep: Sweep, options: FitOptions) -> ExponentTest | None:
    """Whether the LR is linear in the batch, as far as the runs say; `hptransfer batch` says why not."""
    try:
        return lr_batch_test(sweep, threshold=options.threshold)
    except RefusalError:
        return None


def _critical_batch(sweep: Sweep) -> PowerLaw | None:
    """The critical batch, as far as the runs say; `hptransfer batch` says why not."""
    try:
        return critical_batch(sweep).law
    except RefusalError:
        return None


def _source(source: SweepSource) -> Source:
    """An input as the law records it: names of files and columns are foreign text."""
    columns = {name: plain(header) for name, header in source.columns.items()}
    return Source(file=plain(source.file), sha256=source.sha256, columns=columns)


def _set_aside_counts(sweep: Sweep) -> Iterable[SetAsideCount]:
    """Runs that took no part, by reason, with the first of each as an example; diverged runs last."""
    counts = Counter(s.reason for s in sweep.set_aside)
    for reason in sorted(counts):
        first = min((s for s in sweep.set_aside if s.reason == reason), key=lambda s: (s.file, s.line))
        example = f"{plain(Path(first.file).name)}, {first.where}: {first.message}"
        yield SetAsideCount(reason=reason, runs=counts[reason], example=example)
    if sweep.diverged.any():
        diverged = np.flatnonzero(sweep.diverged)
        first_run = diverged[np.argmin(sweep.line[diverged])]
        example = f"{sweep.where(first_run)}: lr {sweep.lr[first_run]:.4g}, loss {sweep.loss[first_run]:.4g}"
        yield SetAsideCount(reason="diverged", runs=len(diverged), example=example)


def _ranges(sweep: Sweep) -> dict[Input, tuple[float, float]]:
    """Smallest and largest params, tokens, compute (6 N D), tokens per param and batch of finished runs."""
    finished = ~sweep.diverged
    columns: dict[Input, FloatArray] = {
        "params": sweep.cell_params[sweep.cell],
        "tokens": sweep.cell_tokens[sweep.cell],
    }
    columns["flops"] = 6.0 * columns["params"] * columns["tokens"]
    columns["tokens_per_param"] = columns["tokens"] / columns["params"]
    if sweep.has_batch:
        columns["batch_tokens"] = sweep.batch_tokens
    return {name: (float(v[finished].min()), float(v[finished].max())) for name, v in columns.items()}


def _digest(sweep: Sweep, options: FitOptions) -> str:
    """First 8 hex digits of a SHA-256 over the content of the sources and everything that was chosen."""
    chosen = {
        "sources": sorted((s.sha256, sorted(s.columns.items())) for s in sweep.sources),
        "options": [options.estimator, options.prior, options.seed, options.resamples, options.threshold],
        "batch_on": options.batch_on,
        "setting": sorted((name, str(value)) for name, value in sweep.setting.items()),
        "runs": sweep.n_runs,
    }
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]


def require_form(estimator: str, prior: str) -> None:
    """Raise UsageError with the nearest name unless both are known."""
    _require_known("estimator", estimator, ESTIMATORS)
    _require_known("prior", prior, (*PRIORS, *law_ids()))


def _require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raise UsageError with the nearest known name unless `name` is known."""
    names = list(known)
    if name not in names:
        hint = did_you_mean(name, names) or f" Known: {', '.join(names)}."
        msg = f"no {what} is called {plain(name)!r}.{hint}"
        raise UsageError(msg)


def _require_in_range(*, seed: int, resamples: int, threshold: float) -> None:
    """Raise UsageError for numbers outside what they can mean."""
    if seed < 0:
        msg = f"seed: got {seed}, need 0 or more."
        raise UsageError(msg)
    if resamples != 0 and not near_optimal.MIN_DRAWS <= resamples <= MAX_RESAMPLES:
        msg = (
            f"resamples: got {resamples}, need {near_optimal.MIN_DRAWS} to {MAX_RESAMPLES}, "
            "or 0 for a law without intervals."
        )
        raise UsageError(msg)
    if not 0 < threshold < 0.2:
        msg = f"threshold: got {threshold:g}, need a fraction between 0 and 0.2 (0.0025 is 0.25 %)."
        raise UsageError(msg)
