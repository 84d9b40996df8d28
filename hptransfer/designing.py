"""Which runs to make next, so that a target's peak LR and batch become known best for the compute.

Optima are expected where the sweep's own law puts them, or without a sweep where Step Law's does; what a run
would tell is worked out in `numerics.design`. docs/which-runs.md has the reasoning.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hptransfer.errors import HptransferError, RefusalError, UsageError, did_you_mean, plain
from hptransfer.estimators.priors import WEAK, exponent_prior
from hptransfer.fitting import fit
from hptransfer.law import Law, PowerLaw
from hptransfer.numerics.arrays import FloatArray, IntArray
from hptransfer.numerics.design import (
    OPENING_RUNS,
    Assumptions,
    Candidates,
    Knowledge,
    Question,
    choose_runs,
    expected_variances,
    gather,
    space_filling,
)
from hptransfer.planning import Target
from hptransfer.plans.prediction import predict_log, round_batch
from hptransfer.published import published_law
from hptransfer.quantities import parse_positive, short_count, significant
from hptransfer.sweep import Sweep

GUESS = "step-law"
GUESS_STD = math.log(3.0) / 1.645
"""Of the level of a published law somewhere else, natural logs: published laws differ by about 3 times."""

FLOPS_PER_PARAM_TOKEN = 6.0
DEFAULT_RUNS = 12
MORE_LEVELS_FROM = 24  # runs that pay for a third level of params and tokens
SPAN = 8.0  # largest over smallest params, and tokens, of a first sweep
LEAST_SPAN = 2.0
LEAST_PARAMS = 1e7  # smaller language models follow no law of larger ones
TOKENS_PER_PARAM = (20.0, 100.0)  # of a first sweep, as near to the target's as this allows
LEAST_TOKENS_PER_PARAM, MOST_TOKENS_PER_PARAM = 2.0, 2000.0
LEAST_STEPS = 500  # a run of fewer optimizer steps is mostly warm-up
MOST_LEVELS = 6
GROWTH = (2.0, 4.0)  # beyond the largest params and tokens of a sweep
ROUNDING_ROOM = 0.95  # params and tokens of a first sweep are rounded to two digits
LARGEST_SHARE = 0.3  # of the budget, for one run
RUNS_A_REPEAT = 12
FIRST_REACH, NEXT_REACH = (1.2, 1.5), (0.8, 1.1)
"""How far runs spread about a published guess, and about a fitted one: log LR along the valley, log batch."""

LR_CURVATURE, BATCH_CURVATURE, RIDGE = 0.02, 0.016, 0.5
"""Excess log loss per squared natural log, the median cell of Step Law's grid; the valley's slope."""

CURVATURE_STD = 0.4
OWN_STD = 0.15
NOISE_STD = 0.001
MISFIT = 0.25
INTERVAL = 1.645  # standard deviations of a 90 % interval

Interval = tuple[float, float]


@dataclass(frozen=True)
class ProposedRun:
    """One run to make. `repeat` counts earlier runs of the same settings: give each another seed."""

    params: float
    tokens: float
    lr: float  # peak
    batch_tokens: float
    flops: float
    repeat: int


@dataclass(frozen=True)
class Expected:
    """Expected 90 % intervals of the law at the target, and their width as a ratio hi / lo."""

    peak_lr: Interval
    batch_tokens: Interval


@dataclass(frozen=True)
class Design:
    """Runs in the order chosen, the expected intervals before and after them, and where the guess is from."""

    params: float
    tokens: float
    budget_flops: float
    runs: tuple[ProposedRun, ...]
    before: Expected
    after: Expected
    guess: str
    notes: tuple[str, ...]

    @property
    def flops(self) -> float:
        """Compute of all runs, 6 params tokens each."""
        return sum(run.flops for run in self.runs)


def design_to_dict(design: Design) -> dict[str, Any]:
    """Plain values for JSON."""
    return {**asdict(design), "flops": design.flops}


def parse_target(text: str) -> Target:
    """Read `params=7e9,tokens=1e12`.

    Raises:  UsageError naming the part that cannot be read.
    """
    values: dict[str, float] = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if name not in ("params", "tokens") or not separator or name in values:
            hint = did_you_mean(name, ("params", "tokens"))
            msg = f"--target: got {plain(text)!r}, need params=7e9,tokens=1e12.{hint}"
            raise UsageError(msg)
        values[name] = parse_positive(value, f"--target, {name}")
    if len(values) < 2:
        msg = f"--target: got {plain(text)!r}, need both, as params=7e9,tokens=1e12."
        raise UsageError(msg)
    return Target(values["params"], values["tokens"])


def design(
    target: Target,
    *,
    budget_flops: float,
    n_runs: int = DEFAULT_RUNS,
    sweep: Sweep | None = None,
    seq_len: int = 2048,
) -> Design:
    """Propose runs for a target.

    Args:    budget_flops: of all runs together; n_runs: at most so many; sweep: what has been run so far;
             seq_len: batches are whole numbers of sequences.
    Raises:  UsageError for a budget below the cheapest run, RefusalError for a target no larger than the
             runs it would be predicted from, or a sweep without batch.
    """
    state = begin(sweep, target)
    cells = _first_cells(target, budget_flops, n_runs) if sweep is None else _next_cells(sweep, target)
    cost = FLOPS_PER_PARAM_TOKEN * np.exp(cells.sum(axis=1))
    if cost.min() > budget_flops:
        msg = (
            f"--budget-flops: got {budget_flops:.3g}, and the cheapest run of use "
            f"({short_count(math.exp(cells[cost.argmin(), 0]))} params, "
            f"{short_count(math.exp(cells[cost.argmin(), 1]))} tokens) costs {cost.min():.3g}."
        )
        raise UsageError(msg)
    per_cell = runs_a_cell(n_runs, len(cells))
    largest = max(LARGEST_SHARE * budget_flops, float(cost.min()))
    candidates = state.candidates(cells, largest=largest, per_cell=per_cell)
    repeats = n_runs // RUNS_A_REPEAT if n_runs > RUNS_A_REPEAT else 0
    asked, known = state.question(cells), state.knowledge(cells)
    chosen = choose_runs(
        candidates,
        asked,
        known,
        state.assumed,
        budget=budget_flops - repeats * float(candidates.cost.min()),
        n_runs=n_runs - repeats,
        most_per_cell=per_cell,
    )
    chosen = _with_repeats(chosen, candidates.cost, repeats, budget_flops)
    found = gather(candidates.cell[chosen], candidates.offset[chosen], state.assumed, n_cells=len(cells))
    total = Knowledge(known.local + found.local, known.runs + found.runs)
    return Design(
        params=target.params,
        tokens=target.tokens,
        budget_flops=budget_flops,
        runs=_proposed(state, cells, candidates, chosen, seq_len),
        before=state.expected(expected_variances(asked, known, state.assumed)),
        after=state.expected(expected_variances(asked, total, state.assumed)),
        guess=state.law.id,
        notes=state.notes,
    )


@dataclass(frozen=True, eq=False)
class State:
    """What is known before the next run: a law to guess optima with, its bowl, and finished runs."""

    target: Target
    law: Law
    batch: PowerLaw
    assumed: Assumptions
    sweep: Sweep | None
    notes: tuple[str, ...]

    @property
    def target_logs(self) -> FloatArray:
        """Log params and log tokens of the target."""
        return np.asarray(np.log([self.target.params, self.target.tokens]))

    def guess(self, cells: FloatArray) -> FloatArray:
        """Guessed log LR* and log batch*, (n, 2), at log params and log tokens (n, 2)."""
        logs = {"params": cells[:, 0], "tokens": cells[:, 1]}
        assert self.law.peak_lr is not None  # noqa: S101 - `begin` takes no law without one
        laws = (self.law.peak_lr, self.batch)
        return np.column_stack([predict_log(law, logs, np) + 0 * cells[:, 0] for law in laws])

    def question(self, cells: FloatArray) -> Question:
        """Cells and target about the cells' mean, with the prior `weak` and that of a guess's level."""
        setting = {} if self.sweep is None else self.sweep.setting
        parametrization = str(setting.get("parametrization", "standard"))
        prior = exponent_prior(WEAK, parametrization=parametrization, batch_searched=True)
        precision = prior.precision_and_mean()[0]
        precision[[0, 3]] = GUESS_STD**-2
        centre = self._centre(cells)
        return Question(cells - centre, self.target_logs - centre, np.diag(precision))

    def _centre(self, cells: FloatArray) -> FloatArray:
        if self.sweep is None:
            return np.asarray(cells.mean(axis=0))
        logs = np.log(np.column_stack([self.sweep.cell_params, self.sweep.cell_tokens]))
        return np.asarray(logs.mean(axis=0))

    def knowledge(self, cells: FloatArray) -> Knowledge:
        """What the finished runs have told; every cell of the sweep is among `cells`."""
        if self.sweep is None:
            return gather(np.empty(0, dtype=np.int64), np.empty((0, 2)), self.assumed, n_cells=len(cells))
        sweep = self.sweep
        usable = ~sweep.diverged
        logs = np.log(np.column_stack([sweep.cell_params, sweep.cell_tokens]))
        place = np.abs(cells[None] - logs[:, None]).sum(axis=2).argmin(axis=1)
        runs = np.log(np.column_stack([sweep.lr, sweep.batch_tokens]))[usable]
        cell = place[sweep.cell[usable]]
        return gather(cell, runs - self.guess(cells)[cell], self.assumed, n_cells=len(cells))

    @property
    def reach(self) -> FloatArray:
        """How far the next runs spread about the guess, (2,); a sweep's own law is a better guess."""
        return np.array(FIRST_REACH if self.law.id == GUESS else NEXT_REACH)

    def points(self, cells: FloatArray, *, per_cell: int) -> FloatArray:
        """Log LR and log batch to try, (n_cells, per_cell, 2), filling the space about the guess.

        No two cells share a setting: each takes the sequence up where the one before it left it, and runs
        that a cell has already had are not repeated.
        """
        first = np.cumsum(self.knowledge(cells).runs + per_cell) - per_cell
        offset = (2 * space_filling(first[:, None] + np.arange(per_cell)) - 1) * self.reach
        offset[..., 0] += RIDGE * offset[..., 1]
        return self.guess(cells)[:, None] + offset

    def candidates(self, cells: FloatArray, *, largest: float, per_cell: int) -> Candidates:
        """Points of every cell, without runs that cost too much or are over in a few steps."""
        offset = (self.points(cells, per_cell=per_cell) - self.guess(cells)[:, None]).reshape(-1, 2)
        cell = np.repeat(np.arange(len(cells)), per_cell)
        cost = FLOPS_PER_PARAM_TOKEN * np.exp(cells.sum(axis=1))[cell]
        steps = np.exp(cells[cell, 1] - self.guess(cells)[cell, 1] - offset[:, 1])
        kept = (cost <= largest) & (steps >= LEAST_STEPS)
        return Candidates(cell[kept], offset[kept], cost[kept], repeatable=False)

    def expected(self, variances: FloatArray) -> Expected:
        """Expected intervals around the guess at the target; a cell's own offset is part of them."""
        middle = self.guess(self.target_logs[None])[0]
        half = INTERVAL * np.sqrt(variances + self.assumed.own_variance)
        low, high = np.exp(middle - half), np.exp(middle + half)
        return Expected(
            *((significant(float(a)), significant(float(b))) for a, b in zip(low, high, strict=True))
        )


def runs_a_cell(n_runs: int, n_cells: int) -> int:
    """At most so many of the next runs go to one cell: an even share, and enough to bracket an optimum."""
    return max(OPENING_RUNS, -(-n_runs // n_cells))


def begin(sweep: Sweep | None, target: Target) -> State:
    """What is known before the next run.

    Raises:  RefusalError for a target no larger than the sweep's runs, or a sweep without batch.
    """
    guess = published_law(GUESS)
    assert guess.batch_tokens is not None  # noqa: S101 - the published entry has it
    assumed = _prior_assumptions()
    if sweep is None:
        return State(target, guess, guess.batch_tokens, assumed, None, ())
    _refuse_what_cannot_help(sweep, target)
    try:
        law = fit(sweep, resamples=0)
    except HptransferError as error:
        note = f"no law can be fitted yet, so optima are guessed with {GUESS}: {str(error).splitlines()[0]}"
        return State(target, guess, guess.batch_tokens, assumed, sweep, (note,))
    if law.peak_lr is None or law.batch_tokens is None:
        note = f"the batch was not searched yet: optima are guessed with {GUESS}."
        return State(target, guess, guess.batch_tokens, assumed, sweep, (note,))
    return State(target, law, law.batch_tokens, _fitted_assumptions(law, assumed), sweep, ())


def _prior_assumptions() -> Assumptions:
    cross = -2 * LR_CURVATURE * RIDGE
    return Assumptions(
        hessian=np.array([[2 * LR_CURVATURE, cross], [cross, 2 * BATCH_CURVATURE]]),
        curvature_std=CURVATURE_STD,
        own_variance=np.full(2, OWN_STD**2),
        noise_std=NOISE_STD,
        misfit=MISFIT,
    )


def _fitted_assumptions(law: Law, prior: Assumptions) -> Assumptions:
    """Noise and the size of cells' own offsets as the sweep showed them, never below half the prior's."""
    choices = None if law.fit is None else law.fit.choices
    if choices is None:
        return prior
    offsets = [choices.offset_std.get(name, OWN_STD) for name in ("peak_lr", "batch_tokens")]
    return replace(
        prior,
        noise_std=max(choices.noise_std, NOISE_STD / 2),
        own_variance=np.maximum(offsets, OWN_STD / 2) ** 2,
    )


def _refuse_what_cannot_help(sweep: Sweep, target: Target) -> None:
    if not sweep.has_batch:
        msg = "the sweep has no batch_tokens: name its column with --column batch_tokens=HEADER."
        raise RefusalError(msg)
    compute = sweep.cell_params * sweep.cell_tokens
    largest = int(compute.argmax())
    if target.params * target.tokens <= compute[largest]:
        msg = (
            f"the target ({short_count(target.params)} params, {short_count(target.tokens)} tokens) takes no "
            f"more compute than the sweep's largest cell ({short_count(sweep.cell_params[largest])} params, "
            f"{short_count(sweep.cell_tokens[largest])} tokens): there is nothing to extrapolate. "
            "Give the large run as --target, or search at the target itself."
        )
        raise RefusalError(msg)


def _first_cells(target: Target, budget: float, n_runs: int) -> FloatArray:
    """Log params and log tokens of a first sweep, (n_cells, 2): every size at every horizon.

    Raises:  UsageError for a budget that buys no such sweep or a target smaller than its runs.
    """
    levels = 3 if n_runs >= MORE_LEVELS_FROM else 2
    ratio = min(max(target.tokens / target.params, TOKENS_PER_PARAM[0]), TOKENS_PER_PARAM[1])
    powers = np.linspace(-1.0, 0.0, levels)
    runs_a_cell = max(n_runs / levels**2, 1.0)
    top_cost = ROUNDING_ROOM * budget / (runs_a_cell * (SPAN**powers).sum() ** 2)
    top_cost = min(top_cost, FLOPS_PER_PARAM_TOKEN * target.params * target.tokens / SPAN)
    top = math.sqrt(top_cost / (FLOPS_PER_PARAM_TOKEN * ratio))
    span = min(SPAN, top / LEAST_PARAMS)
    if span < LEAST_SPAN:
        least = FLOPS_PER_PARAM_TOKEN * ratio * (LEAST_SPAN * LEAST_PARAMS) ** 2
        if FLOPS_PER_PARAM_TOKEN * target.params * target.tokens < SPAN * least:
            msg = (
                f"--target: {short_count(target.params)} params on {short_count(target.tokens)} tokens is no "
                "larger than useful proxies: search at the target itself."
            )
            raise UsageError(msg)
        msg = (
            f"--budget-flops: got {budget:.3g}; {n_runs} runs of at least {short_count(LEAST_PARAMS)} params "
            f"(the cheapest costs {least / LEAST_SPAN**2:.3g}) need about "
            f"{least * runs_a_cell * (SPAN**powers).sum() ** 2:.3g}. Raise it, or ask for fewer --runs."
        )
        raise UsageError(msg)
    params = np.log([significant(top * span**power, 2) for power in powers])
    tokens = np.log([significant(top * ratio * SPAN**power, 2) for power in powers])
    return np.stack(np.meshgrid(params, tokens, indexing="ij"), axis=-1).reshape(-1, 2)


def _next_cells(sweep: Sweep, target: Target) -> FloatArray:
    """The sweep's cells, its sizes at all of its horizons, and both grown; (n_cells, 2), logs."""
    here = np.column_stack([sweep.cell_params, sweep.cell_tokens])
    params, tokens = (_levels(values) for values in here.T)
    lattice = np.stack(np.meshgrid(params, tokens, indexing="ij"), axis=-1).reshape(-1, 2)
    ratio, compute = lattice[:, 1] / lattice[:, 0], lattice.prod(axis=1)
    useful = (ratio >= LEAST_TOKENS_PER_PARAM) & (ratio <= MOST_TOKENS_PER_PARAM)
    useful &= compute < target.params * target.tokens
    cells = np.log(np.concatenate([here, lattice[useful]]))
    distance = np.abs(cells[:, None] - cells[None]).max(axis=2)
    repeated = (np.tril(distance < math.log(1.1), -1)).any(axis=1)
    repeated[: len(here)] = False
    return np.asarray(cells[~repeated])


def _levels(values: FloatArray) -> FloatArray:
    """Distinct values, thinned to a few, and larger ones."""
    levels = np.unique(values)
    kept = np.unique(np.linspace(0, len(levels) - 1, min(len(levels), MOST_LEVELS)).round().astype(int))
    return np.concatenate([levels[kept], [significant(levels[-1] * factor, 3) for factor in GROWTH]])


def _with_repeats(chosen: IntArray, cost: FloatArray, repeats: int, budget: float) -> IntArray:
    """Repeat the cheapest chosen runs: what two runs of the same settings differ by is the noise."""
    cheapest = chosen[np.argsort(cost[chosen], kind="stable")][:repeats]
    affordable = np.cumsum(cost[cheapest]) <= budget - cost[chosen].sum()
    return np.concatenate([chosen, cheapest[affordable]])


def _proposed(
    state: State, cells: FloatArray, candidates: Candidates, chosen: IntArray, seq_len: int
) -> tuple[ProposedRun, ...]:
    seen: Counter[int] = Counter()
    guesses = state.guess(cells)
    runs = []
    for index in chosen.tolist():
        cell = candidates.cell[index]
        params, tokens = np.exp(cells[cell]).tolist()
        log_lr, log_batch = (guesses[cell] + candidates.offset[index]).tolist()
        runs.append(
            ProposedRun(
                params=significant(params, 6),
                tokens=significant(tokens, 6),
                lr=significant(math.exp(log_lr), 3),
                batch_tokens=float(round_batch(math.exp(log_batch), seq_len, "sequences", np)),
                flops=significant(float(candidates.cost[index])),
                repeat=seen[index],
            )
        )
        seen[index] += 1
    return tuple(runs)
