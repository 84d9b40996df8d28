"""A law and a target give a plan: every hyperparameter with its value, interval and origin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from hptransfer.batches.following import (
    LrFollows,
    follow,
    following_notes,
    moved_betas,
    named_rule,
    origin_of,
)
from hptransfer.batches.sizes import ThreeBatches, three_batches
from hptransfer.errors import RefusalError, UsageError
from hptransfer.law import Law, Note, ParamsKind, PowerLaw
from hptransfer.plans.arithmetic import PLAIN
from hptransfer.plans.decay_conventions import PYTORCH, from_pytorch, law_convention, to_pytorch
from hptransfer.plans.derivation import (
    OptionValue,
    Origin,
    Settled,
    derive_origins,
    is_power_scheduler,
    own_decay_steps,
    own_schedule,
    own_schedule_options,
    power_schedule_lr,
    power_schedule_options,
    setting_number,
    settle,
)
from hptransfer.plans.prediction import (
    Inputs,
    Rounding,
    asked_inputs,
    asks_for_batch,
    asks_for_flops,
    evaluate,
    is_mup,
    linear_factor,
    plateau_names,
    takes_batch,
)
from hptransfer.quantities import short_count, significant

if TYPE_CHECKING:
    from hptransfer.batches.rules import ChosenRule
    from hptransfer.parametrizations.grouping import ParamGroups

DEFAULT_SEQ_LEN = 2048
EXTRA_INPUTS = ("loss", "width", "depth", "active_ratio", "experts")  # asked for by some laws only
BOUNDS = {
    **dict.fromkeys(("params", "tokens", "batch_tokens", "flops_per_token", "unique_tokens"), (1.0, 1e30)),
    "seq_len": (1.0, 1e12),
    **dict.fromkeys(("width", "depth", "experts"), (1.0, 1e9)),
    "loss": (1e-6, 1e6),
    "active_ratio": (1e-9, 1.0),
}
"""No target lies outside: products of these stay finite."""
PLAUSIBLE_LR = (1e-7, 1.0)
LEAST_APART = 2.0  # critical over optimal batch: measured ones are 4 to 17 times apart
MAX_EPOCHS = 4.0
"""Passes over the same tokens that change the loss little: arXiv:2305.16264. Beyond, laws of one pass end."""
SAME_SCALE = 1.02  # values within this factor are one scale, as in the cells of a sweep


@dataclass(frozen=True)
class Target:
    """Where to train: params (count), tokens, and what the user pins.

    `batch_tokens` pins the batch (tokens); `batch_rule` names how the LR follows the batch, as
    `batches.rules.read_rule` has it. The rest is needed by some laws only: `width` and `depth`, or
    `flops_per_token`, by laws in C = M * tokens; `loss` (nats per token), `active_ratio` (active over all
    experts) and `experts` (count) by laws that have them as inputs.
    """

    params: float
    tokens: float
    batch_tokens: float | None = None
    seq_len: int | None = None
    width: int | None = None
    depth: int | None = None
    loss: float | None = None
    active_ratio: float | None = None
    experts: int | None = None
    flops_per_token: float | None = None
    params_kind: ParamsKind = "unspecified"
    batch_rule: str | None = None
    flops_approximated: bool = False  # params or tokens came from compute by C = 6 N D
    unique_tokens: float | None = None  # different tokens, where the run sees its data more than once


@dataclass(frozen=True)
class Reach:
    """How far an input lies outside the range a law was fitted on."""

    low: float
    high: float
    factor: float  # 1 inside the range, else how many times beyond its nearer end
    decades: float  # log10 of the factor


@dataclass(frozen=True)
class Rounded:
    """The values to run: batch in whole sequences, the LR that goes with it, steps to cover the tokens."""

    peak_lr: float | None
    batch_tokens: float | None
    steps: int | None
    warmup_tokens: float
    warmup_steps: int | None


@dataclass(frozen=True)
class ScheduleChange:
    """Another schedule than that of the law's runs: what was asked for, and what it does to the best LR."""

    wanted: str  # NAME[:OPTION=VALUE,...]
    proxy: str | None  # the schedule of the law's runs, where the user named it
    lr_factor: float  # best peak LR under the wanted schedule over that under the law's


@dataclass(frozen=True)
class Plan:
    """Hyperparameters for one target. Optima first; `rounded` holds the values to run.

    Intervals are 90 % prediction intervals for the optimum that a full grid at the target would show,
    None where the law cannot say. Units: LR none, batch and warm-up in tokens, steps in optimizer steps.
    """

    target: Target
    law: Law
    peak_lr: float | None
    peak_lr_interval: tuple[float, float] | None
    batch_tokens: float | None
    batch_tokens_interval: tuple[float, float] | None
    rounded: Rounded
    seq_len: int
    weight_decay: float | None
    weight_decay_timescale: float | None
    final_lr_ratio: float | None
    recipe: Mapping[str, Settled]  # schedule, optimizer, beta1, beta2, eps, grad_clip, warmup_fraction
    rounding: Rounding
    origins: Mapping[str, Origin]
    reach: Mapping[str, Reach]
    warnings: tuple[Note, ...]
    excess: float | None = None  # predicted excess loss of the batch to run with the LR to run, fraction
    plateaus: Mapping[str, tuple[float, float]] = field(
        default_factory=dict
    )  # see `prediction.plateau_names`
    loss: float | None = None  # expected of a run at the optimum, in the unit of the law's `loss`
    loss_interval: tuple[float, float] | None = None
    loss_slope: float | None = None  # d loss / d log compute at these tokens per parameter
    excess_flops: float | None = None  # share of the compute that `excess` wastes
    param_groups: ParamGroups | None = None  # by tensor class, where a parametrization was asked for
    schedule_options: Mapping[str, OptionValue] = field(
        default_factory=dict
    )  # as `hptransfer schedule` has them, in optimizer updates
    batches: ThreeBatches | None = None  # optimal, acceptable and critical; None only by hand
    lr_follows: LrFollows | None = None  # how the LR to run follows the batch to run
    schedule_change: ScheduleChange | None = None  # where another schedule than the law's was asked for
    weight_decay_interval: tuple[float, float] | None = None  # at the LR and batch to run, by the timescale

    @property
    def lr_factor(self) -> float:
        """Best peak LR under this plan's schedule over that under the law's own."""
        return 1.0 if self.schedule_change is None else self.schedule_change.lr_factor

    @property
    def run_loss(self) -> float | None:
        """Expected of the values to run: the optimum's loss and their excess; None where unknown."""
        return None if self.loss is None or self.excess is None else self.loss * (1.0 + self.excess)

    @property
    def run_loss_interval(self) -> tuple[float, float] | None:
        """90 % interval of `run_loss`: the optimum's, moved by the excess, which is taken as known."""
        if self.loss_interval is None or self.excess is None:
            return None
        low, high = self.loss_interval
        return low * (1.0 + self.excess), high * (1.0 + self.excess)

    @property
    def weight_decay_independent(self) -> float | None:
        """Weight decay where the optimizer leaves the LR out of it, at the LR to run: `decay_conventions`."""
        lr, decay = self.rounded.peak_lr, self.weight_decay
        return None if lr is None or decay is None else from_pytorch(decay, "independent", peak_lr=lr)


def plan(law: Law, target: Target, *, rounding: Rounding = "pow2") -> Plan:
    """Plan one target.

    Args:    law: fitted or published; target: see `Target`; rounding: of the batch, in sequences
             ("pow2": nearest 2^k or 3*2^k by ratio).
    Raises:  RefusalError where the law cannot honestly answer, UsageError where an input is missing.

    >>> from hptransfer.published import published_law
    >>> p = plan(published_law("step-law"), Target(params=1e9, tokens=1e11))
    >>> round(p.peak_lr, 9), round(p.batch_tokens)
    (0.001632499, 1107715)
    """
    _refuse_what_the_law_cannot_answer(law, target)
    inputs = Inputs(
        params=target.params,
        tokens=target.tokens,
        batch_tokens=target.batch_tokens,
        seq_len=_seq_len(law, target),
        flops=_flops(law, target),
        others=_others(law, target),
        batch_rule=named_rule(law, target),
    )
    return _assemble(law, target, rounding, _evaluate(law, inputs, rounding, PLAIN))


def plan_targets(law: Law, targets: Sequence[Target], *, rounding: Rounding = "pow2") -> list[Plan]:
    """Plan many targets; the arithmetic is done on arrays, shape (n_targets,). Errors as in `plan`."""
    import numpy as np

    plans: dict[int, Plan] = {}
    groups: dict[tuple[bool, str | None], list[int]] = {}
    for i, target in enumerate(targets):
        groups.setdefault((target.batch_tokens is not None, target.batch_rule), []).append(i)
    for (pinned, _), group in groups.items():
        for i in group:
            _refuse_what_the_law_cannot_answer(law, targets[i])
        inputs = Inputs(
            params=np.array([targets[i].params for i in group]),
            tokens=np.array([targets[i].tokens for i in group]),
            batch_tokens=np.array([targets[i].batch_tokens for i in group]) if pinned else None,
            seq_len=np.array([_seq_len(law, targets[i]) for i in group]),
            flops=np.array([_flops(law, targets[i]) for i in group]),
            others={
                name: np.array([_others(law, targets[i])[name] for i in group])
                for name in _others(law, targets[group[0]])
            },
            batch_rule=named_rule(law, targets[group[0]]),
        )
        with np.errstate(all="ignore"):  # what is not finite is refused below, target by target
            values = _evaluate(law, inputs, rounding, np)
        columns = {k: v if v is None else np.broadcast_to(v, len(group)).tolist() for k, v in values.items()}
        for row, i in enumerate(group):
            one = {k: v if v is None else v[row] for k, v in columns.items()}
            plans[i] = _assemble(law, targets[i], rounding, one)
    return [plans[i] for i in range(len(targets))]


def _evaluate(law: Law, inputs: Inputs, rounding: Rounding, xp: Any) -> dict[str, Any]:
    """As `evaluate`; a law whose numbers overflow is refused."""
    try:
        return evaluate(law, inputs, rounding, xp)
    except (ArithmeticError, ValueError):  # plain floats raise, arrays hold infinities
        msg = f"the numbers of law {law.id} overflow at this target. Was the law edited by hand?"
        raise RefusalError(msg) from None


def _refuse_absurd_values(law: Law, values: Mapping[str, float | None]) -> None:
    """Nobody runs an LR of zero or an infinite batch: the law is broken."""
    for name, value in values.items():
        least = 1e-300 if name in ("peak_lr_run", "batch_tokens_run") else -math.inf
        if value is not None and not (math.isfinite(value) and value >= least):
            msg = f"law {law.id} gives {name} = {value:g} at this target. Was the law edited by hand?"
            raise RefusalError(msg)


def target_scale(*, params: float | None, tokens: float | None, flops: float | None) -> tuple[float, float]:
    """Params (count) and tokens of a target from two of the three, by C = 6 N D (FLOP).

    Raises:  UsageError unless exactly two are given.

    >>> target_scale(params=1e9, tokens=None, flops=1.2e20)
    (1000000000.0, 20000000000.0)
    """
    if sum(value is not None for value in (params, tokens, flops)) != 2:
        msg = "a target needs two of --params, --tokens and --flops, such as --params 7e9 --tokens 1e12."
        raise UsageError(msg)
    if flops is not None and params is not None:
        tokens = flops / (6.0 * params)
    elif flops is not None and tokens is not None:
        params = flops / (6.0 * tokens)
    assert params is not None  # noqa: S101 - two of three are given, so the third is known
    assert tokens is not None  # noqa: S101
    return params, tokens


def _refuse_what_the_law_cannot_answer(law: Law, target: Target) -> None:
    for name, (smallest, largest) in BOUNDS.items():
        value = getattr(target, name)
        if value is not None and not smallest <= value <= largest:
            msg = f"{name}: got {value:.6g}, need a number from {smallest:g} to {largest:g}."
            raise UsageError(msg)
    _refuse_many_epochs(target)
    if "unspecified" not in (law.params_kind, target.params_kind) and law.params_kind != target.params_kind:
        msg = (
            f"law {law.id} counts {law.params_kind} params, the target gives {target.params_kind} params. "
            "Give --params as the law counts them, or fit a law on a sweep that counts them your way."
        )
        raise RefusalError(msg)
    missing = list(_missing_options(law, target))
    if missing:
        msg = f"law {law.id} has inputs that nobody gave. Add {' and '.join(missing)}."
        raise UsageError(msg)
    if law.peak_lr is not None and law.peak_lr.form == "linear-in-log":
        _refuse_no_lr(law, law.peak_lr, target)
    _refuse_unseen_direction(law, "params", target.params)
    _refuse_unseen_direction(law, "tokens", target.tokens)


def epochs(target: Target) -> float:
    """How often the run sees its tokens; 1 unless the target says how many are different."""
    return 1.0 if target.unique_tokens is None else max(target.tokens / target.unique_tokens, 1.0)


def _refuse_many_epochs(target: Target) -> None:
    """Tokens seen again and again are another regime: each teaches less, and weight decay is larger."""
    if epochs(target) > MAX_EPOCHS * SAME_SCALE:
        msg = (
            f"{epochs(target):.3g} epochs: laws of runs that see their data once do not reach beyond "
            f"{MAX_EPOCHS:g} (arXiv:2305.16264). There the best weight decay is up to 30 times as large "
            "(arXiv:2509.14786 searched 0.8 to 3.2): tune LR and weight decay on small runs that repeat "
            "their data as often, or plan fewer --tokens."
        )
        raise RefusalError(msg)


def _missing_options(law: Law, target: Target) -> Iterator[str]:
    """Options that the law's inputs need and the target does not answer, each with what it means."""
    if asks_for_batch(law) and target.batch_tokens is None:
        yield "--batch-tokens B (tokens per optimizer step)"
    no_shape = target.width is None or target.depth is None
    shapeless = law.flops_formula == "MD" and asks_for_flops(law) and target.flops_per_token is None
    if shapeless and law.params_kind == "active":
        yield "--flops-per-token M (its compute is M * tokens, M non-embedding FLOP of the active weights)"
    elif shapeless and no_shape:
        yield (
            "--width and --depth (its compute is M * tokens, M = 72 depth width^2 + 12 depth width seq_len; "
            "6 * params * tokens would be up to 24 % off in batch)"
        )
    for name in EXTRA_INPUTS:
        if name in asked_inputs(law) and getattr(target, name) is None:
            yield f"--{name.replace('_', '-')}"


def _refuse_no_lr(law: Law, power: PowerLaw, target: Target) -> None:
    """A law that is linear in logs crosses zero somewhere, and says nothing beyond."""
    logs = {"params": math.log(target.params), "tokens": math.log(target.tokens)}
    if linear_factor(power, logs) <= 0:
        msg = (
            f"law {law.id} gives no positive learning rate at {short_count(target.params)} params: it is "
            "linear in the logarithm and has crossed zero. Use another law, such as --law step-law."
        )
        raise RefusalError(msg)


def _refuse_unseen_direction(law: Law, name: Literal["params", "tokens"], value: float) -> None:
    """A law fitted at one value of an input cannot say how the optimum moves with it."""
    if f"single-{name}" not in {note.code for note in law.warnings}:
        return
    low, high = law.fitted_on[name]
    if not low / SAME_SCALE <= value <= high * SAME_SCALE:
        msg = (
            f"law {law.id} saw only one value of {name} ({short_count(low)}), so it cannot say how the "
            f"optimum moves with {name}. Add runs at other {name}, or plan at that value."
        )
        raise RefusalError(msg)


def _assemble(law: Law, target: Target, rounding: Rounding, values: Mapping[str, Any]) -> Plan:
    """Turn evaluated numbers into a plan with origins, reach and warnings."""
    _refuse_absurd_values(law, values)
    named = named_rule(law, target)
    follows = follow(law, named, own_spec=target.batch_rule is not None and named is None, values=values)
    settled = settle(law)
    betas = moved_betas(law, named, follows, settled)
    recipe = settled | betas
    run_batch = values["batch_tokens_run"]
    warmup_tokens = setting_number(law, "warmup_fraction", recipe["warmup_fraction"].value) * target.tokens
    rounded = Rounded(
        peak_lr=_to_run(values["peak_lr_run"]),
        batch_tokens=run_batch,
        steps=None if values["steps"] is None else int(values["steps"]),
        warmup_tokens=warmup_tokens,
        warmup_steps=None if run_batch is None else max(1, math.ceil(warmup_tokens / run_batch - 1e-9)),
    )
    final_lr_ratio = _final_lr_ratio(law, recipe, rounded.peak_lr)
    own_decay = _own_weight_decay(law, rounded.peak_lr)
    reach = _reach(law, target, run_batch)
    batches = three_batches(law, values)
    on_batch = _notes_on_batch(law, target, named=named, follows=follows, batches=batches)
    planned = Plan(
        target=target,
        law=law,
        peak_lr=values["peak_lr"],
        peak_lr_interval=_interval(values, "peak_lr"),
        batch_tokens=values["batch_tokens"],
        batch_tokens_interval=_interval(values, "batch_tokens"),
        rounded=rounded,
        seq_len=_seq_len(law, target),
        weight_decay=_to_run(values["weight_decay_timescale"]) if own_decay is None else own_decay,
        weight_decay_timescale=values["weight_decay_timescale"],
        final_lr_ratio=final_lr_ratio,
        recipe=recipe,
        rounding=rounding,
        origins=derive_origins(
            law,
            inputs_by_name(law, target, values),
            values,
            target.batch_tokens,
            None if follows is None else origin_of(follows),
        )
        | {name: one.origin for name, one in betas.items()},
        reach=reach,
        warnings=(*_plan_warnings(law, target, values, reach), *on_batch),
        excess=values["excess"],
        plateaus=_plateaus(values),
        loss=values["loss"],
        loss_interval=_interval(values, "loss"),
        loss_slope=values["loss_slope"],
        excess_flops=values["excess_flops"],
        batches=batches,
        lr_follows=follows,
        schedule_options=own_schedule_options(law, rounded.steps),
        weight_decay_interval=_interval(values, "weight_decay_timescale") if own_decay is None else None,
    )
    if own_schedule(law) == "power" and is_power_scheduler(law) and run_batch is not None:
        return _with_power_schedule(planned, final_lr_ratio or 0.0)
    return planned


def _notes_on_batch(
    law: Law,
    target: Target,
    *,
    named: ChosenRule | None,
    follows: LrFollows | None,
    batches: ThreeBatches,
) -> Iterator[Note]:
    """Notes on batches, and on how the LR follows one that was pinned; rounding moves it too little."""
    critical, optimal = batches.critical_tokens, batches.optimal_tokens
    if critical is not None and optimal is not None and critical < LEAST_APART * optimal:
        text = (
            f"the critical batch ({short_count(critical)} tokens) is less than {LEAST_APART:g} times the "
            f"optimal ({short_count(optimal)}). They are laws of their own, several times apart where both "
            "were measured: at this target one of them is stretched too far."
        )
        yield Note(code="critical-near-optimal", message=text)
    if target.batch_tokens is None:
        return
    yield from following_notes(law, named, follows)
    if critical is not None and target.batch_tokens > critical:
        text = (
            f"the batch is {target.batch_tokens / critical:.3g}x the critical one ({short_count(critical)} "
            "tokens): most of its tokens save no steps; --time-vs-compute has the price."
        )
        yield Note(code="batch-above-critical", message=text)


def _with_power_schedule(planned: Plan, ratio: float) -> Plan:
    """The plan with a run that follows the Power Scheduler down to `ratio` times the LR before its decay.

    The LR falls from the end of the warm-up on, so that is where the top of the schedule is.
    """
    law, target, rounded = planned.law, planned.target, planned.rounded
    batch = rounded.batch_tokens
    assert batch is not None  # noqa: S101 - asked before
    decay_steps = own_decay_steps(law, rounded.steps) or 0.0
    top = power_schedule_lr(law, batch_tokens=batch, tokens=max(rounded.warmup_tokens, batch))
    before_decay = max(target.tokens - decay_steps * batch, batch)
    end = ratio * power_schedule_lr(law, batch_tokens=batch, tokens=before_decay)
    ends = Origin(f"{ratio:g} of the LR before the decay / peak LR", planned.origins["final_lr_ratio"].source)
    return replace(
        planned,
        rounded=replace(rounded, peak_lr=significant(top)),
        final_lr_ratio=significant(end / top),
        schedule_options={
            **own_schedule_options(law, rounded.steps),
            **power_schedule_options(law, batch_tokens=batch, seq_len=planned.seq_len),
            "final_ratio": ratio,
        },
        origins={**planned.origins, "final_lr_ratio": ends},
    )


def inputs_by_name(law: Law, target: Target, values: Mapping[str, Any]) -> dict[str, float]:
    """Inputs of the law at the target by their names, in counts, tokens and FLOP."""
    inputs = {"params": target.params, "tokens": target.tokens}
    inputs["tokens_per_param"] = target.tokens / target.params
    inputs |= _others(law, target)
    if asks_for_flops(law):
        inputs["flops"] = _flops(law, target)
    if values["batch_tokens"] is not None:
        inputs["batch_tokens"] = values["batch_tokens"]
    return inputs


def _own_weight_decay(law: Law, run_lr: float | None) -> float | None:
    """Weight decay that the law's runs held, as PyTorch counts it at the LR to run; None without one."""
    if "weight_decay" not in law.setting:
        return None
    held, convention = setting_number(law, "weight_decay", law.setting["weight_decay"]), law_convention(law)
    if convention == PYTORCH:
        return held
    return None if run_lr is None else significant(to_pytorch(held, convention, peak_lr=run_lr))


def _plateaus(values: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Plateaus by name, as `peak_lr_within_0.0025`; none where the law has no bowl."""
    names = [name.removesuffix("_lo") for name in plateau_names() if name.endswith("_lo")]
    return {
        name: (values[f"{name}_lo"], values[f"{name}_hi"])
        for name in names
        if values[f"{name}_lo"] is not None
    }


def _to_run(value: float | None) -> float | None:
    """A value for a config: four significant digits."""
    return None if value is None else significant(value)


def _interval(values: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    low, high = values[f"{name}_lo"], values[f"{name}_hi"]
    return None if low is None or high is None else (low, high)


def _final_lr_ratio(law: Law, recipe: Mapping[str, Settled], run_lr: float | None) -> float | None:
    """Last LR over peak LR: a fixed last LR as in the law's runs, else their ratio, else the default."""
    if "final_lr" in law.setting:
        return (
            None
            if run_lr is None
            else significant(setting_number(law, "final_lr", law.setting["final_lr"]) / run_lr)
        )
    return setting_number(law, "final_lr_ratio", recipe["final_lr_ratio"].value)


def _reach(law: Law, target: Target, batch_tokens: float | None) -> dict[str, Reach]:
    """How far each input of the law lies outside its fitted range."""
    at: dict[str, float] = {"params": target.params, "tokens": target.tokens}
    at["tokens_per_param"] = target.tokens / target.params
    at |= _others(law, target)
    if asks_for_flops(law):
        at["flops"] = _flops(law, target)
    elif law.fit is not None:  # a fitted law's range of compute is in 6 N D
        at["flops"] = 6.0 * target.params * target.tokens
    if batch_tokens is not None and (takes_batch(law) or target.batch_tokens is not None):
        at["batch_tokens"] = batch_tokens
    reach: dict[str, Reach] = {}
    for name, (low, high) in law.fitted_on.items():
        if name in at:
            factor = max(low / at[name], at[name] / high, 1.0)
            reach[name] = Reach(low, high, factor, math.log10(factor))
    return reach


def _plan_warnings(
    law: Law, target: Target, values: Mapping[str, Any], reach: Mapping[str, Reach]
) -> list[Note]:
    """Coded warnings of one plan: the law's own, then what is missing, assumed or out of range."""
    notes = list(law.warnings)
    known = {note.code for note in notes}
    found = [*_warnings_of_law(law, values), *_warnings_of_target(law, target)]
    notes += [note for note in found if note.code not in known]
    for name, r in reach.items():
        if r.factor > 1.0:
            text = (
                f"{name} is {r.factor:.3g}x ({r.decades:.2g} decades) outside the fitted range "
                f"{short_count(r.low)} to {short_count(r.high)} of law {law.id}."
            )
            notes.append(Note(code="outside-fitted-range", message=text))
    return notes


def _warnings_of_law(law: Law, values: Mapping[str, Any]) -> Iterator[Note]:
    """What the law cannot say, or says with less certainty."""
    if law.experimental:
        text = f"law {law.id} rests on coefficients that are recalled or uncertain."
        yield Note(code="experimental", message=text)
    if law.peak_lr is None:
        yield Note(code="no-lr-law", message=f"law {law.id} says nothing about the learning rate.")
    elif law.peak_lr.uncertainty is None:
        text = f"law {law.id} carries no prediction interval: fit a sweep of your own to get one."
        yield Note(code="no-interval", message=text)
    run_lr = values["peak_lr_run"]
    if run_lr is not None and not PLAUSIBLE_LR[0] <= run_lr <= PLAUSIBLE_LR[1]:
        text = f"a peak LR of {run_lr:.3g} is not plausible: is the target what was meant, is the law whole?"
        yield Note(code="implausible-lr", message=text)
    if run_lr is not None and law.peak_lr_cap is not None and run_lr >= law.peak_lr_cap:
        whose = "the highest that was best in its sweep" if law.fit is not None else "its own bound"
        text = f"law {law.id} would go above a peak LR of {law.peak_lr_cap:.3g}, {whose}: held there."
        yield Note(code="lr-capped", message=text)
    if values["batch_tokens"] is None:
        held = f" (its runs held {short_count(law.batch_held)} tokens)" if law.batch_held else ""
        text = f"law {law.id} says nothing about the batch{held}: pin one with --batch-tokens."
        yield Note(code="no-batch-law", message=text)
    if law.loss is None:
        text = f"law {law.id} does not predict the loss, nor what share of the compute an excess loss wastes."
        yield Note(code="no-loss-law", message=text)
    elif values["excess"] is None:
        text = f"law {law.id} does not say what being off its optimum costs, so nothing is priced in FLOPs."
        yield Note(code="no-excess", message=text)
    if is_mup(law):
        text = "the LR is a µP base LR: per-tensor factors apply, and it is not meant for models in SP."
        yield Note(code="mup-base-lr", message=text)
    if "weight_decay" not in law.setting:
        for item in law.recalled:
            text = f"its runs are said to have used {item.name} {item.value:g} ({item.why}); not used here."
            yield Note(code="recalled-setting", message=text)


def _warnings_of_target(law: Law, target: Target) -> Iterator[Note]:
    """What the target leaves open, or asks for that does not quite fit."""
    if "unspecified" in (law.params_kind, target.params_kind):
        counts = "" if law.params_kind == "unspecified" else f"; law {law.id} counts {law.params_kind} ones"
        text = f"nobody said what params counts{counts}. Say it with --params-kind."
        yield Note(code="params-kind-unspecified", message=text)
    if target.flops_approximated:
        text = f"C = 6 N D gave {short_count(target.params)} params and {short_count(target.tokens)} tokens."
        yield Note(code="flops-approximated", message=text)
    if epochs(target) > SAME_SCALE:
        text = (
            f"{epochs(target):.3g} epochs: the law counts the tokens as if each were new, which costs little "
            f"up to {MAX_EPOCHS:g} epochs (arXiv:2305.16264); the best weight decay grows with repetition."
        )
        yield Note(code="repeated-data", message=text)
    batch, seq_len = target.batch_tokens, _seq_len(law, target)
    if batch is not None and batch > target.tokens:
        run = short_count(target.tokens)
        text = f"a batch of {short_count(batch)} tokens is more than the whole run of {run} tokens."
        yield Note(code="batch-exceeds-run", message=text)
    if batch is not None and not (batch / seq_len).is_integer():
        text = f"batch {batch:.6g} tokens is not a whole number of {seq_len}-token sequences."
        yield Note(code="batch-not-whole-sequences", message=text)


def _seq_len(law: Law, target: Target) -> int:
    return target.seq_len or law.seq_len or DEFAULT_SEQ_LEN


def _flops(law: Law, target: Target) -> float:
    """Training compute as the law counts it, FLOP; NaN where it does not ask."""
    if not asks_for_flops(law):
        return math.nan
    if law.flops_formula != "MD":
        return 6.0 * target.params * target.tokens
    if target.flops_per_token is not None:
        return target.flops_per_token * target.tokens
    assert target.width is not None  # noqa: S101 - a target without shape was refused
    assert target.depth is not None  # noqa: S101
    per_token = 72 * target.depth * target.width**2 + 12 * target.depth * target.width * _seq_len(law, target)
    return per_token * target.tokens


def _others(law: Law, target: Target) -> dict[str, float]:
    """Inputs beyond scale, batch and compute that the law asks for, by name."""
    return {name: float(getattr(target, name)) for name in EXTRA_INPUTS if name in asked_inputs(law)}
