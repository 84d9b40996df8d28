"""Which runs to make next, so that a target's peak LR and batch become known best for the compute.

Optima are expected where `guessing` puts them; what a run would tell is worked out in `numerics.design`.
docs/which-runs.md has the reasoning.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hptransfer.errors import RefusalError, UsageError, did_you_mean, plain
from hptransfer.guessing import State, begin
from hptransfer.numerics.arrays import FloatArray, IntArray
from hptransfer.numerics.design import (
    N_LOCAL,
    Candidates,
    Knowledge,
    choose_runs,
    expected_variances,
    gather,
)
from hptransfer.planning import Target
from hptransfer.plans.prediction import round_batch
from hptransfer.quantities import parse_positive, short_count, significant
from hptransfer.sweep import Sweep

FLOPS_PER_PARAM_TOKEN = 6.0
DEFAULT_RUNS = 12
LEAST_PER_CELL = 3  # of a first sweep, whose cells are of use together
MORE_LEVELS_FROM = 9 * N_LOCAL  # runs that pay for a third level of params and tokens
SPAN = 8.0  # largest over smallest params, and tokens, of a first sweep
LEAST_SPAN = 2.0
LEAST_PARAMS = 1e7  # smaller language models follow no law of larger ones
TOKENS_PER_PARAM = (20.0, 100.0)  # of a first sweep, as near to the target's as this allows
LEAST_TOKENS_PER_PARAM, MOST_TOKENS_PER_PARAM = 2.0, 2000.0
LEAST_STEPS = 500  # a run of fewer optimizer steps is mostly warm-up
MOST_LEVELS = 6
GROWTH = (2.0, 4.0)  # beyond the largest params and tokens of a sweep
ROUNDING_ROOM = 0.95  # params and tokens of a first sweep are rounded to two digits
SHOWN_ROOM = 1.01  # of a budget that is shown with three digits, so that it is enough as shown
LARGEST_SHARE = 0.3  # of the budget, for one run
RUNS_A_REPEAT = 12
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
    if sweep is None:
        cells = _first_cells(target, budget_flops, n_runs)
    else:
        _refuse_what_cannot_help(sweep, target)
        cells = _next_cells(sweep, target)
    state = begin(target, cells, sweep)
    cost = FLOPS_PER_PARAM_TOKEN * np.exp(cells.sum(axis=1))
    if cost.min() > budget_flops:
        msg = (
            f"--budget-flops: got {budget_flops:.3g}, and the cheapest run of use "
            f"({short_count(math.exp(cells[cost.argmin(), 0]))} params, "
            f"{short_count(math.exp(cells[cost.argmin(), 1]))} tokens) costs {cost.min():.3g}."
        )
        raise UsageError(msg)
    per_cell = runs_a_cell(n_runs, len(cells), first=sweep is None)
    largest = max(LARGEST_SHARE * budget_flops, float(cost.min()))
    candidates = _candidates(state, cells, largest=largest, per_cell=per_cell)
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
        runs=_proposed(state, cells, candidates, chosen, seq_len=seq_len, sweep=sweep),
        before=_expected(state, expected_variances(asked, known, state.assumed)),
        after=_expected(state, expected_variances(asked, total, state.assumed)),
        guess=state.guessed_by,
        notes=state.notes,
    )


def runs_a_cell(n_runs: int, n_cells: int, *, first: bool) -> int:
    """At most so many of the next runs go to one cell.

    An even share; in a first sweep at least three, later as many as a cell has unknowns.
    """
    return max(LEAST_PER_CELL if first else N_LOCAL, -(-n_runs // n_cells))


def _candidates(state: State, cells: FloatArray, *, largest: float, per_cell: int) -> Candidates:
    """Points of every cell, without runs that cost too much or are over in a few steps."""
    offset = (state.points(cells, per_cell=per_cell) - state.guess(cells)[:, None]).reshape(-1, 2)
    cell = np.repeat(np.arange(len(cells)), per_cell)
    cost = FLOPS_PER_PARAM_TOKEN * np.exp(cells.sum(axis=1))[cell]
    steps = np.exp(cells[cell, 1] - state.guess(cells)[cell, 1] - offset[:, 1])
    kept = (cost <= largest) & (steps >= LEAST_STEPS)
    return Candidates(cell[kept], offset[kept], cost[kept])


def _expected(state: State, variances: FloatArray) -> Expected:
    """Expected intervals around the guess at the target; a cell's own offset is part of them."""
    middle = state.guess(state.target_logs[None])[0]
    half = INTERVAL * np.sqrt(variances + state.assumed.own_variance)
    low, high = np.exp(middle - half), np.exp(middle + half)
    return Expected(*((significant(float(a)), significant(float(b))) for a, b in zip(low, high, strict=True)))


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
        needed = least * runs_a_cell * (SPAN**powers).sum() ** 2 / ROUNDING_ROOM
        msg = (
            f"--budget-flops: got {budget:.3g}; {n_runs} runs of at least {short_count(LEAST_PARAMS)} params "
            f"(the cheapest costs {least / (LEAST_SPAN * SPAN):.3g}) need about "
            f"{SHOWN_ROOM * needed:.3g}. Raise it, or ask for fewer --runs."
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
    state: State,
    cells: FloatArray,
    candidates: Candidates,
    chosen: IntArray,
    *,
    seq_len: int,
    sweep: Sweep | None,
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
                params=_rounded(params, () if sweep is None else sweep.cell_params.tolist()),
                tokens=_rounded(tokens, () if sweep is None else sweep.cell_tokens.tolist()),
                lr=significant(math.exp(log_lr), 3),
                batch_tokens=float(round_batch(math.exp(log_batch), seq_len, "sequences", np)),
                flops=significant(float(candidates.cost[index])),
                repeat=seen[index],
            )
        )
        seen[index] += 1
    return tuple(runs)


def _rounded(value: float, existing: Sequence[float]) -> float:
    """Six digits, or the value of a cell that has been run where it rounds to the same."""
    rounded = significant(value, 6)
    return next((level for level in existing if significant(level, 6) == rounded), rounded)
