"""Whether a sweep can carry the law that is fitted to it: coded warnings with their figures.

Every cell is held against the law through all the *other* cells, by what its own runs say (`own_points`):
its best LR and batch, its loss there, its noise. Thresholds are false-alarm rates: of a hundred sound sweeps
about one raises each warning (docs/diagnostics.md has the counts).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hptransfer.errors import plain
from hptransfer.estimators.common import Estimate, Runs, name_cells, usable_runs
from hptransfer.evidence.labels import REPEATED_EVERYWHERE, mislabelled_sizes, mislabelled_text
from hptransfer.law import CellInfluence, Evidence, Note, PowerLaw, Repeats
from hptransfer.numerics.influence import Deleted, leave_one_out, outlier_limit
from hptransfer.numerics.own_points import OwnPoints, own_points
from hptransfer.numerics.two_groups import two_humps, two_lines
from hptransfer.plans.prediction import variance_parts
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep

FALSE_ALARM = 0.01
"""Share of sound sweeps that a diagnostic may accuse."""

LEAST_SHARE = 0.5
"""Where less of an exponent's precision comes from the data, the prior outweighs it."""

LEAST_LOSS_FACTOR = 1.01
LEAST_FACTOR = 1.25
"""Cells closer to the others than this do no harm worth a warning: LR and batch off by less pass `check`, and
two losses differ by 1 % for many reasons."""

LEAST_NOISE_FACTOR = 2.0
LEAST_REPEATS = 3  # degrees of freedom before repeats are held against anything
NEAR_BEST = 0.02  # log loss above the cell's best: runs further up are noisier, and a second LR law shows
BEYOND = 10.0  # compute, in units of the dearest cell's, where the influence of cells is told
SEQUENCE_LENGTHS = tuple(2**k for k in range(8, 18))

QUANTITIES = ("peak_lr", "batch_tokens", "loss", "noise")
_WORDS = {"peak_lr": "best LR", "batch_tokens": "best batch", "loss": "loss", "noise": "noise"}
_LEAST = {
    "peak_lr": LEAST_FACTOR,
    "batch_tokens": LEAST_FACTOR,
    "loss": LEAST_LOSS_FACTOR,
    "noise": LEAST_NOISE_FACTOR,
}


def examine(sweep: Sweep, estimate: Estimate) -> tuple[Evidence, list[Note]]:
    """Look for what makes a fitted law doubtful; the evidence is kept with the law.

    Warnings: cell-disagrees, unit-slip, two-settings, repeats-disagree, lack-of-fit, mislabelled-rows,
    repeated-losses, duplicated-rows, prior-outweighs-data, form-sensitive.
    """
    runs, _ = usable_runs(sweep)
    points = own_points(
        log_lr=runs.log_lr,
        log_batch=np.nan_to_num(runs.log_batch),
        log_loss=np.log(runs.loss),
        cell=runs.cell,
    )
    tests = list(_tests(runs, points))
    repeats = None if sweep.weight_decay is not None else _repeats(runs)  # else they are no repeats
    notes = [
        *_label_notes(sweep),
        *_cell_notes(sweep, runs, tests),
        *_setting_notes(sweep, runs, points),
        *_noise_notes(points, repeats),
        *_share_notes(estimate.data_share),
        *_form_notes(estimate, runs),
    ]
    correlation = _correlation(runs)
    evidence = Evidence(
        condition=_condition(runs) if correlation is not None else None,
        correlation=correlation,
        repeats=repeats,
        noise_std=_residual_std(points),
        influence=tuple(_influence(runs, tests)),
    )
    return evidence, notes


# --- every cell against the others --------------------------------------------------------------------


@dataclass(frozen=True)
class _Test:
    """One quantity of every cell that shows it, held against the line through the other cells."""

    quantity: str
    cells: IntArray  # (n_rows,) of the runs' cells
    values: FloatArray  # (n_rows,), natural logs
    quadratic: bool  # the line is a quadratic in the logs
    constant: bool  # the line is a constant
    deleted: Deleted  # one column

    def design(self, log_params: FloatArray, log_tokens: FloatArray) -> FloatArray:
        """Columns of the line, (n, n_columns)."""
        return _design(log_params, log_tokens, quadratic=self.quadratic, constant=self.constant)


def _design(n: FloatArray, d: FloatArray, *, quadratic: bool, constant: bool) -> FloatArray:
    one = np.ones(len(n))
    if constant:
        return one[:, None]
    columns = [one, n, d, *([n * n, n * d, d * d] if quadratic else [])]
    return np.column_stack(columns)


LEAST_SPARE_CELLS = 3  # beyond the columns of a line, for a cell to be held against the others


def _tests(runs: Runs, points: OwnPoints) -> Iterator[_Test]:
    """LR and batch against power laws, the loss against a quadratic in logs, the noise against a constant."""
    n, d = _centred(runs)
    values = dict(zip(QUANTITIES, (points.log_lr, points.log_batch, points.log_loss, points.log_variance / 2),
                      strict=True))  # fmt: skip
    for quantity, value in values.items():
        known = np.flatnonzero(np.isfinite(value))
        constant = quantity == "noise"
        quadratic = quantity == "loss"
        design = _design(n[known], d[known], quadratic=quadratic, constant=constant)
        if len(known) == 0 or len(known) < np.linalg.matrix_rank(design) + LEAST_SPARE_CELLS:
            continue
        beyond = math.log(BEYOND) / 2
        at = _design(n[known].max(keepdims=True) + beyond, d[known].max(keepdims=True) + beyond,
                     quadratic=quadratic, constant=constant)[0]  # fmt: skip
        deleted = leave_one_out(design, value[known][:, None], at=at)
        yield _Test(quantity, known, value[known], quadratic, constant, deleted)


def _centred(runs: Runs) -> tuple[FloatArray, FloatArray]:
    return runs.log_params - runs.log_params.mean(), runs.log_tokens - runs.log_tokens.mean()


def _limits(tests: list[_Test]) -> Mapping[str, float]:
    """|t| from which a cell disagrees, by quantity: all cells and quantities share one false-alarm rate."""
    n_tests = sum(len(test.cells) for test in tests)
    return {
        test.quantity: outlier_limit(test.deleted.degrees, n_tests, false_alarm=FALSE_ALARM) for test in tests
    }


def _cell_notes(sweep: Sweep, runs: Runs, tests: list[_Test]) -> Iterator[Note]:
    limits = _limits(tests)
    found: dict[int, list[tuple[_Test, int]]] = {}
    for test in tests:
        t, residual = test.deleted.t[:, 0], test.deleted.residual[:, 0]
        off = np.abs(t) > limits[test.quantity]
        off &= np.abs(residual) > math.log(_LEAST[test.quantity])
        if test.quantity == "noise":
            off &= residual > 0  # a cell quieter than the others is no fault
        for row in np.flatnonzero(off):
            found.setdefault(int(test.cells[row]), []).append((test, int(row)))
    for cell, seen in found.items():
        named = name_cells(sweep, runs.cells[[cell]])
        shown = "; ".join(_disagreement(test, row, limits[test.quantity]) for test, row in seen)
        slip = _slip(sweep, runs, tests, limits, cell)
        if slip is not None:
            text = (
                f"in the cell {named} {slip}: {shown}. Correct the column, or leave the cell out with "
                "--where."
            )
            yield Note(code="unit-slip", message=text)
            continue
        text = (
            f"the cell {named} disagrees with all the others: {shown}. Look for wrong labels, another "
            "setting "
            "or a broken run there; leave it out with --where where you find one."
        )
        yield Note(code="cell-disagrees", message=text)


def _disagreement(test: _Test, row: int, limit: float) -> str:
    """What one quantity of one cell says, in words."""
    residual, t = float(test.deleted.residual[row, 0]), float(test.deleted.t[row, 0])
    factor = math.exp(min(max(residual, -50.0), 50.0))
    moved = math.exp(min(max(float(test.deleted.change[row, 0]), -50.0), 50.0))
    text = (
        f"its {_WORDS[test.quantity]} is {factor:.3g}x what the other cells say (t {t:+.1f}, {limit:.1f} "
        "allowed"
    )
    if test.quantity in ("peak_lr", "batch_tokens"):
        text += f"; without it the law moves by x{moved:.3g} at {BEYOND:g} times the largest compute"
    return text + ")"


@dataclass(frozen=True)
class _Slip:
    """A unit that may have been mixed up: the column's true value is `factor` times what was read."""

    column: str
    factor: float
    words: str


def _slips(sweep: Sweep) -> Iterator[_Slip]:
    """Unit slips that people make: sequences for tokens, thousands or millions, bits for nats."""
    lengths = (sweep.seq_len,) if sweep.seq_len else SEQUENCE_LENGTHS
    for column in ("batch_tokens", "tokens"):
        for length in lengths:
            yield _Slip(column, length, f"{column} looks like sequences of {length} tokens")
    for column in ("params", "tokens", "batch_tokens"):
        for name, factor in (("thousands", 1e3), ("millions", 1e6), ("billions", 1e9)):
            yield _Slip(column, factor, f"{column} looks like {name}")
            yield _Slip(column, 1 / factor, f"{column} looks multiplied by {factor:g}")
    for factor in (1e-6, 1e-3, 1e-1, 1e1, 1e3, 1e6):
        yield _Slip("lr", factor, f"lr looks {1 / factor:g} times what it was")
    yield _Slip("loss", math.log(2.0), "loss looks like bits among nats")
    yield _Slip("loss", 1 / math.log(2.0), "loss looks like nats among bits")


def _slip(sweep: Sweep, runs: Runs, tests: list[_Test], limits: Mapping[str, float], cell: int) -> str | None:
    """Name the unit slip that brings a cell back into line with all the others; None where none does."""
    best, named = math.inf, None
    for slip in _slips(sweep):
        misfit = 0.0
        for test in tests:
            t = _t_if_corrected(runs, test, cell, slip)
            limit = limits[test.quantity]
            misfit = max(misfit, 0.0 if math.isnan(t) else abs(t) / limit)
        if misfit < min(best, 1.0):
            best, named = misfit, slip.words
    return named


def _t_if_corrected(runs: Runs, test: _Test, cell: int, slip: _Slip) -> float:
    """Student's t of a cell against the others, once its label is corrected; NaN where it is not judged."""
    at = np.flatnonzero(test.cells == cell)
    if not len(at):
        return math.nan
    log = math.log(slip.factor)
    n, d = _centred(runs)
    n, d, value = n[test.cells].copy(), d[test.cells].copy(), test.values.copy()
    if slip.column in ("params", "tokens"):
        (n if slip.column == "params" else d)[at] += log
    elif {"lr": "peak_lr", "batch_tokens": "batch_tokens", "loss": "loss"}[slip.column] == test.quantity:
        value[at] += log
    design = test.design(n, d)
    return float(leave_one_out(design, value[:, None], at=design[0]).t[at[0], 0])


def _influence(runs: Runs, tests: list[_Test]) -> Iterator[CellInfluence]:
    """How far each cell is from the others, and what leaving it out moves."""
    for cell in range(len(runs.cells)):
        t, change = {}, {}
        for test in tests:
            for row in np.flatnonzero(test.cells == cell):
                values = float(test.deleted.t[row, 0]), float(test.deleted.change[row, 0])
                if np.isfinite(values).all():
                    t[test.quantity] = values[0]
                    if test.quantity in ("peak_lr", "batch_tokens"):
                        change[test.quantity] = values[1]
        yield CellInfluence(
            params=float(np.exp(runs.log_params[cell])),
            tokens=float(np.exp(runs.log_tokens[cell])),
            t=t,
            change=change,
        )


# --- two settings, noise -----------------------------------------------------------------------------


def _setting_notes(sweep: Sweep, runs: Runs, points: OwnPoints) -> Iterator[Note]:
    """Runs, or cells, that fall into two groups."""
    residual = points.residual[np.isfinite(points.residual) & (_excess(runs) < NEAR_BEST)]
    chance = 1.0 if sweep.weight_decay is not None else two_humps(residual)  # known to differ inside cells
    if chance < FALSE_ALARM:
        gap = _gap(residual)
        text = (
            f"inside the cells the runs fall into two groups whose losses differ by about {gap:.2%} at "
            "the same "
            f"LR and batch (chance {chance:.2g}): two settings look mixed. Find the column that tells "
            "them apart "
            "and keep one value with --where COL=VALUE."
        )
        yield Note(code="two-settings", message=text)
        return
    n, d = _centred(runs)
    columns = {"peak_lr": points.log_lr, "batch_tokens": points.log_batch, "loss": points.log_loss}
    for quantity, values in columns.items():
        known = np.isfinite(values)
        design = _design(n[known], d[known], quadratic=quantity == "loss", constant=False)
        if not known.any():
            continue
        chance = two_lines(design, values[known])
        groups = _two_groups(design, values[known])
        if chance < FALSE_ALARM / len(columns) and groups is not None and groups.factor > _LEAST[quantity]:
            upper = name_cells(sweep, runs.cells[np.flatnonzero(known)[groups.upper]])
            text = (
                f"the cells fall into two groups whose {_WORDS[quantity]} differs by x{groups.factor:.3g} "
                "(chance "
                f"{chance:.2g}): {upper} lie above the others. Two settings look mixed; keep one with "
                "--where."
            )
            yield Note(code="two-settings", message=text)
            return


def _gap(residual: FloatArray) -> float:
    """Distance between the two groups that residuals of log loss split into best, as a fraction."""
    ordered = np.sort(residual)
    low = np.cumsum(ordered - ordered.mean())[:-1]
    size = np.arange(1, len(ordered))
    cut = int((low**2 * (1 / size + 1 / size[::-1])).argmax()) + 1
    return math.expm1(float(ordered[cut:].mean() - ordered[:cut].mean()))


@dataclass(frozen=True)
class _Groups:
    upper: BoolArray  # (n_cells,)
    factor: float


def _two_groups(design: FloatArray, values: FloatArray) -> _Groups | None:
    """The split of cells by their residuals into the two parallel lines that fit best."""
    error = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    best: tuple[float, _Groups] | None = None
    for cut in np.sort(error)[2:-1]:
        upper = error >= cut
        terms, left, *_ = np.linalg.lstsq(np.column_stack([design, upper]), values, rcond=None)
        found = float(left[0]) if left.size else math.inf
        if best is None or found < best[0]:
            best = found, _Groups(upper, float(np.exp(np.clip(terms[-1], -50, 50))))
    return None if best is None else best[1]


def _repeats(runs: Runs) -> Repeats | None:
    """Pooled spread of log loss among runs of one cell, LR and batch, near their cell's best."""
    log_loss = np.log(runs.loss)
    near = _excess(runs) < NEAR_BEST
    keys = np.column_stack([runs.cell, runs.log_lr, np.nan_to_num(runs.log_batch)])[near]
    if not len(keys):
        return None
    _, group, size = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    degrees = int((size - 1).sum())
    if degrees == 0:
        return None
    mean = np.bincount(group, log_loss[near]) / size
    variance = float(((log_loss[near] - mean[group]) ** 2).sum() / degrees)
    return Repeats(runs=int(size[size > 1].sum()), degrees=degrees, std=math.sqrt(variance))


def _excess(runs: Runs) -> FloatArray:
    """Log loss of each run above the best of its cell, (n_runs,)."""
    log_loss = np.log(runs.loss)
    best = np.full(len(runs.cells), np.inf)
    np.minimum.at(best, runs.cell, log_loss)
    return np.asarray(log_loss - best[runs.cell])


def _residual_std(points: OwnPoints) -> float | None:
    """Spread of log loss about the cells' own polynomials, median over cells."""
    known = points.log_variance[np.isfinite(points.log_variance)]
    return float(np.exp(np.median(known) / 2)) if len(known) else None


def _noise_notes(points: OwnPoints, repeats: Repeats | None) -> Iterator[Note]:
    """Repeats of one recipe against the spread about the cells' own smooth surfaces."""
    smooth = _residual_std(points)
    if repeats is None or smooth is None or repeats.degrees < LEAST_REPEATS or repeats.std == 0:
        return
    from scipy.special import fdtri

    spare = int(np.isfinite(points.residual).sum()) // 2  # polynomials and weights take about half
    ratio = repeats.std / smooth
    figures = (
        f"repeats differ by {repeats.std:.2%} ({repeats.runs} runs), runs about a smooth surface by "
        f"{smooth:.2%}"
    )
    if ratio**2 > fdtri(repeats.degrees, max(spare, 1), 1 - FALSE_ALARM) and ratio > LEAST_NOISE_FACTOR:
        text = (
            f"{figures}: runs with the same labels disagree more than neighbours do. A setting differs "
            "between "
            "them that no column tells; find it and keep one value with --where."
        )
        yield Note(code="repeats-disagree", message=text)
    if (
        1 / ratio**2 > fdtri(max(spare, 1), repeats.degrees, 1 - FALSE_ALARM)
        and 1 / ratio > LEAST_NOISE_FACTOR
    ):
        text = (
            f"{figures}: the surface does not fit to within the noise. Its optimum may be off by what it "
            "misses; "
            "narrow the grid around the best runs, or look for a setting that varies."
        )
        yield Note(code="lack-of-fit", message=text)


# --- labels, prior, form -----------------------------------------------------------------------------


def _label_notes(sweep: Sweep) -> Iterator[Note]:
    sizes, everywhere = mislabelled_sizes(sweep)
    for size in sizes:
        text = (
            f"{mislabelled_text(sweep, size)} They are in the fit; leave them out with --where "
            f"params!={size:.0f}."
        )
        yield Note(code="mislabelled-rows", message=text)
    if everywhere:
        yield Note(code="repeated-losses", message=REPEATED_EVERYWHERE)
    copies = [run for run in sweep.set_aside if run.reason == "duplicate"]
    if copies:
        text = (
            f"{len(copies)} rows repeat another one in every number (the first: "
            f"{plain(Path(copies[0].file).name)}, "
            f"{copies[0].where}): they were left out. Was a file given twice, or exported twice?"
        )
        yield Note(code="duplicated-rows", message=text)


def _share_notes(shares: Mapping[str, float]) -> Iterator[Note]:
    weak = {name: share for name, share in shares.items() if share < LEAST_SHARE}
    if weak:
        shown = ", ".join(f"{name} {share:.0%}" for name, share in weak.items())
        text = (
            f"the prior outweighs the data in {shown} (share of the precision that the data brought). "
            "Widen the "
            "span of what the exponent goes with, or see what the data alone say with --prior none."
        )
        yield Note(code="prior-outweighs-data", message=text)


def _form_notes(estimate: Estimate, runs: Runs) -> Iterator[Note]:
    """Where forms and weightings that fit equally well part by more than all else together."""
    beyond = math.log(BEYOND) / 2
    logs = {"params": float(runs.log_params.max()) + beyond, "tokens": float(runs.log_tokens.max()) + beyond}
    shown = []
    for name, power in (("peak_lr", estimate.peak_lr), ("batch_tokens", estimate.batch_tokens)):
        parts = None if power is None else _variances(power, logs)
        if parts is not None and parts[0] > parts[1]:
            shown.append(
                f"{name} x{math.exp(math.sqrt(parts[0])):.2f} against x{math.exp(math.sqrt(parts[1])):.2f}"
            )
    if shown:
        text = (
            f"at {BEYOND:g} times the largest compute the law depends on form and weighting more than on "
            f"everything else together (one standard deviation: {'; '.join(shown)}). More cells, or cells "
            "nearer "
            "to the target, decide between the forms; `hptransfer backtest --select-form` tries."
        )
        yield Note(code="form-sensitive", message=text)


def _variances(power: PowerLaw, logs: Mapping[str, float]) -> tuple[float, float] | None:
    """Variance by form and weighting, and by everything else, squared logs; None where it asks for more."""
    if power.uncertainty is None or not set(power.exponents) <= set(logs):
        return None
    parts = variance_parts(power, power.uncertainty, logs)
    return parts.form, parts.sampling + parts.cell + parts.bends


def _condition(runs: Runs) -> float | None:
    """Largest over smallest spread of the cells over directions of (log params, log tokens)."""
    values = np.linalg.svd(np.column_stack(_centred(runs)), compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else None


def _correlation(runs: Runs) -> float | None:
    n, d = _centred(runs)
    return None if not (n.any() and d.any()) else float(np.corrcoef(n, d)[0, 1])
