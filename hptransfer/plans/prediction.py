"""The arithmetic of a plan: a law evaluated at targets, in natural logs.

One implementation serves a single target and many. It uses only operators and the few functions of an
arithmetic `xp`: plain floats (which imports nothing) or numpy arrays of shape (n_targets,).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hptransfer.batches.rules import (
    DEFAULT_RULE,
    EXPONENT_STD,
    RULES,
    SATURATING_EXPONENT,
    ChosenRule,
    Family,
    family_of,
    log_lr_factor,
)
from hptransfer.law import Bend, Bowl, Law, PowerLaw, Uncertainty
from hptransfer.losses.law import evaluate_loss
from hptransfer.plans.arithmetic import PLAIN, Numbers
from hptransfer.plans.bowl import amplitude, excess, plateau, valley
from hptransfer.published import published_law

Rounding = Literal["pow2", "sequences", "none"]

SQRT_RULE = 0.5  # LR ~ batch^0.5 for adaptive optimizers, arXiv:2205.10287; a prior of fits
NORMAL_95 = 1.6448536269514722  # 95 % quantile of the standard normal
MAX_HALF_WIDTH = 300.0  # natural logs: wider intervals say nothing, and their ends must stay finite
FIXED_POINT_STEPS = 60  # each shrinks the error by the exponent of the critical batch, about a half
PLATEAUS = (0.001, 0.0025)  # excess loss, as a fraction, that a plateau allows


@dataclass(frozen=True)
class Inputs:
    """What a law is evaluated at; floats, or arrays of shape (n_targets,)."""

    params: Numbers
    tokens: Numbers
    batch_tokens: Numbers | None  # pinned by the user
    seq_len: Numbers
    flops: Numbers  # NaN where the law does not ask for compute
    others: Mapping[str, Numbers] = field(default_factory=dict)  # loss, width, ...: what else the law asks
    batch_rule: ChosenRule | None = None  # named by the user; None: see `rule_in_use`


def evaluate(law: Law, inputs: Inputs, rounding: Rounding, xp: Any) -> dict[str, Numbers | None]:
    """Evaluate all numbers of a plan: see `Plan` for names and units."""
    logs = {
        "params": xp.log(inputs.params),
        "tokens": xp.log(inputs.tokens),
        "tokens_per_param": xp.log(inputs.tokens) - xp.log(inputs.params),
        "flops": xp.log(inputs.flops),
        **{name: xp.log(value) for name, value in inputs.others.items()},
    }
    values: dict[str, Numbers | None] = dict.fromkeys(
        ("peak_lr", "peak_lr_lo", "peak_lr_hi", "peak_lr_run", "peak_lr_own", "batch_tokens",
         "batch_tokens_lo", "batch_tokens_hi", "batch_tokens_own", "batch_tokens_run", "steps",
         "weight_decay_timescale", "weight_decay_timescale_lo", "weight_decay_timescale_hi", "noise_batch",
         "excess", "optimal_batch_lo", "optimal_batch_hi", "critical_batch", "critical_batch_lo",
         "critical_batch_hi", "tokens_min", *plateau_names())
    )  # fmt: skip
    if law.batch_tokens is not None:
        log_batch = predict_log(law.batch_tokens, logs, xp)
        half = _half_width(law.batch_tokens, logs, law, xp)
        values["batch_tokens"] = values["batch_tokens_own"] = xp.exp(log_batch)
        if half is not None:
            values["optimal_batch_lo"], values["optimal_batch_hi"] = (
                xp.exp(log_batch - half),
                xp.exp(log_batch + half),
            )
        if inputs.batch_tokens is None:
            for end in ("lo", "hi"):
                values[f"batch_tokens_{end}"] = values[f"optimal_batch_{end}"]
    elif law.batch_held is not None:
        values["batch_tokens_own"] = law.batch_held
    if inputs.batch_tokens is not None:
        values["batch_tokens"] = values["batch_tokens_run"] = inputs.batch_tokens
    elif values["batch_tokens"] is not None:
        values["batch_tokens_run"] = round_batch(values["batch_tokens"], inputs.seq_len, rounding, xp)
    if law.peak_lr is not None:
        values |= _evaluate_lr(law, law.peak_lr, logs, values, named=inputs.batch_rule, xp=xp)
    if values["batch_tokens_run"] is not None:
        values["steps"] = xp.ceil(inputs.tokens / values["batch_tokens_run"] - 1e-9)
        values |= _evaluate_weight_decay(law, inputs, logs, values, xp)
    values |= evaluate_loss(law.loss, logs, values["excess"], xp)
    return values | _evaluate_critical(law, logs, values, xp)


def _evaluate_critical(
    law: Law, logs: Mapping[str, Numbers], values: Mapping[str, Numbers | None], xp: Any
) -> dict[str, Numbers | None]:
    """Critical batch at the loss of the run, its interval, and the fewest tokens that reach that loss.

    A critical batch in tokens is one in the fewest tokens E_min, which the hyperbola settles with it:
    E = E_min (1 + B / B_crit(E_min)), E and B of the run. Nothing where an input of it is not known.
    """
    power, run = law.critical_batch, values["batch_tokens_run"]
    if power is None:
        return {}
    if values["loss"] is not None and law.loss is not None and law.loss.unit == "nats":
        logs = {"loss": xp.log(values["loss"]), **logs}
    if not set(power.exponents) <= set(logs) or "batch_tokens" in power.exponents:
        return {}
    log_min = logs["tokens"]
    for _ in range(FIXED_POINT_STEPS if run is not None else 0):
        critical = xp.exp(predict_log(power, {**logs, "tokens": log_min}, xp)) / law.critical_overhead
        log_min = logs["tokens"] - xp.log(1.0 + run / critical)
    at = {**logs, "tokens": log_min}
    log_critical, half = predict_log(power, at, xp), _half_width(power, at, law, xp)
    return {
        "critical_batch": xp.exp(log_critical),
        "critical_batch_lo": None if half is None else xp.exp(log_critical - half),
        "critical_batch_hi": None if half is None else xp.exp(log_critical + half),
        "tokens_min": xp.exp(log_min),
    }


def _evaluate_lr(
    law: Law,
    power: PowerLaw,
    logs: dict[str, Numbers],
    values: dict[str, Numbers | None],
    *,
    named: ChosenRule | None,
    xp: Any,
) -> dict[str, Numbers | None]:
    """Peak LR at the optimum (or at the pinned batch), its interval, and the LR at the batch to run."""
    batch, own, run = values["batch_tokens"], values["batch_tokens_own"], values["batch_tokens_run"]
    if batch is not None:
        logs = logs | {"batch_tokens": xp.log(batch)}
    best = predict_log(power, logs, xp)  # at the law's own batch, or at the given one where that is an input
    half = _half_width(power, logs, law, xp)
    start = batch if takes_batch(law) or own is None else own
    chosen = rule_in_use(law, named)
    settings = {} if chosen is None else _rule_settings(law, chosen, logs, xp)
    if chosen is not None and half is not None and batch is not None:
        moved = EXPONENT_STD * (xp.log(batch) - xp.log(start))
        half = xp.minimum((half**2 + (NORMAL_95 * moved) ** 2) ** 0.5, MAX_HALF_WIDTH)

    def log_lr_at(to_batch: Numbers | None) -> Numbers:
        """Conditional optimum: by the rule, else along the valley of the bowl, else by the law's slope."""
        if to_batch is None:
            return best
        if chosen is not None:
            rule = chosen.rule
            return best + log_lr_factor(rule, from_batch=start, to_batch=to_batch, settings=settings, xp=xp)
        v = xp.log(to_batch) - xp.log(start)
        return best + (valley(law.bowl, v, xp) if law.bowl is not None else batch_slope(law) * v)

    log_lr = log_lr_at(batch)

    def capped(log_value: Numbers) -> Numbers:
        value = xp.exp(log_value)
        return value if law.peak_lr_cap is None else xp.minimum(value, law.peak_lr_cap)

    found = {
        "peak_lr": capped(log_lr),
        "peak_lr_lo": None if half is None else capped(log_lr - half),
        "peak_lr_hi": None if half is None else capped(log_lr + half),
        "peak_lr_run": capped(log_lr_at(run)),
        "peak_lr_own": capped(best),
        "noise_batch": settings.get("noise_batch"),
    }
    if law.bowl is not None and run is not None:
        found |= _evaluate_cost(
            law.bowl, logs, best=(best, xp.log(own)), run=(log_lr_at(run), xp.log(run)), xp=xp
        )
    return found


def rule_in_use(law: Law, named: ChosenRule | None) -> ChosenRule | None:
    """The rule by which the LR follows the batch: the named one, else the default; None: the law's own."""
    if named is not None:
        return named
    if takes_batch(law) or knows_batch_slope(law):
        return None
    return ChosenRule(RULES[DEFAULT_RULE[optimizer_family(law)]])


def knows_batch_slope(law: Law) -> bool:
    """Whether the runs behind a law showed how the best LR moves with the batch at one scale."""
    return law.bowl is not None or law.lr_batch_exponent is not None


def optimizer_family(law: Law) -> Family:
    """The optimizer's family of the runs behind a law, as far as it says; else Adam's."""
    return family_of(str(law.setting.get("optimizer", "adamw")))


def _rule_settings(
    law: Law, chosen: ChosenRule, logs: Mapping[str, Numbers], xp: Any
) -> Mapping[str, Numbers]:
    """A rule's settings: as given, else the law's critical batch for the noise scale, else the default."""
    settings: dict[str, Numbers] = dict(chosen.given)
    if "noise_batch" in chosen.rule.needs and "noise_batch" not in settings:
        assert law.critical_batch is not None  # noqa: S101 - a plan without one was refused
        settings["noise_batch"] = xp.exp(predict_log(law.critical_batch, logs, xp)) / law.critical_overhead
    if "exponent" in chosen.rule.takes:
        settings.setdefault("exponent", SATURATING_EXPONENT[optimizer_family(law)])
    return settings


def plateau_names() -> list[str]:
    """Names of the ends of all plateaus, as `peak_lr_within_0.0025_lo`."""
    return [
        f"{what}_within_{t}_{end}"
        for what in ("peak_lr", "batch_tokens")
        for t in PLATEAUS
        for end in ("lo", "hi")
    ]


def _evaluate_cost(
    bowl: Bowl,
    logs: Mapping[str, Numbers],
    *,
    best: tuple[Numbers, Numbers],
    run: tuple[Numbers, Numbers],
    xp: Any,
) -> dict[str, Numbers]:
    """Excess loss (fraction) of the batch to run with the LR that goes with it, and the plateaus.

    An LR is within a plateau when it costs at most so much more than the best LR at the batch to run; a batch
    when with its own best LR it costs at most so much more than the optimum. Plateaus end where runs ended.

    Args:    best, run: log peak LR and log batch (tokens) of the optimum, and of the run.
    """
    best_log_lr, best_log_batch = best
    scale = amplitude(bowl, logs, xp)
    v = run[1] - best_log_batch
    bottom = valley(bowl, v, xp)
    lowest = scale * excess(bowl, bottom, v, xp)
    found = {"excess": xp.exp(scale * excess(bowl, run[0] - best_log_lr, v, xp)) - 1.0}
    for threshold in PLATEAUS:
        for end, pick, name in ((0, xp.minimum, "lo"), (1, xp.maximum, "hi")):
            u_end = plateau(
                lambda u: scale * excess(bowl, u, v, xp) - lowest,
                bottom,
                pick(bottom, bowl.trusted_u[end]),
                math.log1p(threshold),
                xp,
            )
            v_end = plateau(
                lambda w: scale * excess(bowl, valley(bowl, w, xp), w, xp),
                0.0 * v,
                0.0 * v + bowl.trusted_v[end],
                math.log1p(threshold),
                xp,
            )
            found[f"peak_lr_within_{threshold}_{name}"] = xp.exp(best_log_lr + u_end)
            found[f"batch_tokens_within_{threshold}_{name}"] = xp.exp(best_log_batch + v_end)
    return found


def predicted_excess(
    law: Law, *, params: float, tokens: float, peak_lr: float, batch_tokens: float
) -> float | None:
    """Loss that a run at this LR and batch (tokens) is predicted to lose against the optimum, as a fraction.

    A lower bound where LR or batch lie beyond the runs behind the law; None where the law has no bowl.
    """
    if law.bowl is None or law.peak_lr is None or law.batch_tokens is None:
        return None
    logs = {"params": math.log(params), "tokens": math.log(tokens)}
    u = math.log(peak_lr) - predict_log(law.peak_lr, logs)
    v = math.log(batch_tokens) - predict_log(law.batch_tokens, logs)
    return math.expm1(amplitude(law.bowl, logs, PLAIN) * excess(law.bowl, u, v, PLAIN))


def batch_slope(law: Law) -> float:
    """d log LR* / d log batch at fixed params and tokens: the law's own, else that of the default rule."""
    if law.peak_lr is not None and "batch_tokens" in law.peak_lr.exponents:
        return law.peak_lr.exponents["batch_tokens"]
    if law.lr_batch_exponent is not None:
        return law.lr_batch_exponent
    return 1.0 if DEFAULT_RULE[optimizer_family(law)] == "linear" else SQRT_RULE


def predict_log(power: PowerLaw, logs: Mapping[str, Numbers], xp: Any = PLAIN) -> Numbers:
    """Natural log of a law's value at natural logs of its inputs.

    A law that is linear in logs must be positive there: `linear_factor` says whether it is.
    """
    if power.form == "linear-in-log":
        return power.log_coefficient + xp.log(linear_factor(power, logs))
    return sum((e * logs[name] for name, e in power.exponents.items()), start=power.log_coefficient)


def linear_factor(power: PowerLaw, logs: Mapping[str, Numbers]) -> Numbers:
    """Value over coefficient of a law that is linear in logs: 1 + sum(exponent * ln input)."""
    return sum((e * logs[name] for name, e in power.exponents.items()), start=1.0)


def _half_width(power: PowerLaw, logs: Mapping[str, Numbers], law: Law, xp: Any) -> Numbers | None:
    """Half of the 90 % prediction interval in natural logs; None where the law carries no uncertainty."""
    spread = power.uncertainty
    if spread is None:
        return None
    beyond = 0.0
    for name in ("params", "tokens"):
        if name in law.fitted_on:
            low, high = law.fitted_on[name]
            outside = xp.maximum(xp.maximum(math.log(low) - logs[name], logs[name] - math.log(high)), 0.0)
            beyond = beyond + outside**2
    parts = variance_parts(power, spread, logs, xp)
    structural = spread.structural_std**2 + spread.structural_slope**2 * beyond
    clustered = parts.sampling + parts.cell
    variance = clustered + structural + parts.form + parts.bends
    quantile: Numbers = spread.quantile
    if spread.cell_df is not None:
        quantile = student_95(spread.cell_df * (variance / clustered) ** 2, xp)
    return xp.minimum(quantile * variance**0.5, MAX_HALF_WIDTH)


@dataclass(frozen=True)
class VarianceParts:
    """What the variance of a prediction in natural logs is made of, besides a distance from the data."""

    sampling: Numbers  # coefficients
    cell: Numbers  # one cell's own optimum
    form: Numbers  # form and weighting
    bends: Numbers


def variance_parts(
    power: PowerLaw, spread: Uncertainty, logs: Mapping[str, Numbers], xp: Any = PLAIN
) -> VarianceParts:
    """Parts of the variance at natural logs of the inputs; see `Uncertainty`."""
    x = [1.0, *(logs[name] for name in power.exponents)]
    return VarianceParts(
        sampling=xp.maximum(_quadratic(x, spread.covariance), 0.0),
        cell=spread.cell_std**2,
        form=_form_variance(spread, x, xp),
        bends=sum((_bend_variance(bend, logs[bend.input], x) for bend in spread.bends), start=0.0),
    )


def _quadratic(x: Sequence[Numbers], matrix: Sequence[Sequence[float]]) -> Numbers:
    """x' matrix x."""
    return sum(a * b * c for a, row in zip(x, matrix, strict=True) for b, c in zip(x, row, strict=True))


def _form_variance(spread: Uncertainty, x: Sequence[Numbers], xp: Any) -> Numbers:
    """Variance of form and weighting: of what was averaged, or of two whole forms, whichever is larger."""
    between = 0.0 if spread.between is None else _quadratic(x, spread.between)
    if spread.form is None:
        return between
    return xp.maximum(between, sum(a * b for a, b in zip(x, spread.form, strict=True)) ** 2 / 2.0)


def _bend_variance(bend: Bend, log_input: Numbers, x: Sequence[Numbers]) -> Numbers:
    """Variance that a bend adds: what of it the law can't mimic."""
    bent = bend.scale * ((1.0 + ((log_input - bend.middle) / bend.scale) ** 2) ** 0.5 - 1.0)
    return bend.variance * (bent - sum(a * b for a, b in zip(x, bend.mimicked, strict=True))) ** 2


def student_95(degrees: Numbers, xp: Any = PLAIN) -> Numbers:
    """95 % quantile of Student's t with at least two degrees of freedom (fewer are read as two).

    Cornish-Fisher expansion, within 0.4 %. Source: Abramowitz and Stegun 26.7.5.

    >>> round(student_95(10.0), 3)
    1.812
    """
    z, r = NORMAL_95, 1.0 / xp.maximum(degrees, 2.0)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term * r**k for k, term in enumerate(terms))


def _evaluate_weight_decay(
    law: Law, inputs: Inputs, logs: Mapping[str, Numbers], values: Mapping[str, Numbers | None], xp: Any
) -> dict[str, Numbers | None]:
    """Weight decay by AdamW's averaging timescale at the LR and batch to run, and its interval there.

    Nothing where the timescale does not apply to every tensor; no interval where its law has none.
    """
    lr, batch = values["peak_lr_run"], values["batch_tokens_run"]
    if lr is None or batch is None or is_mup(law):  # under µP the LR of the matrices is not known here
        return {}
    if not uses_adam(law):  # the timescale is AdamW's
        return {}
    best = timescale_weight_decay(law, lr=lr, batch_tokens=batch, tokens=inputs.tokens, logs=logs, xp=xp)
    half = _half_width(timescale_law(law), logs, law, xp)
    if half is None:
        return {"weight_decay_timescale": best}
    return {
        "weight_decay_timescale": best,
        "weight_decay_timescale_lo": best * xp.exp(-half),
        "weight_decay_timescale_hi": best * xp.exp(half),
    }


def timescale_weight_decay(
    law: Law,
    *,
    lr: Numbers,
    batch_tokens: Numbers,
    tokens: Numbers,
    logs: Mapping[str, Numbers],
    xp: Any = PLAIN,
) -> Numbers:
    """Weight decay that gives tensors stepped with `lr` the published timescale: batch / (LR * tau * tokens).

    Args:    batch_tokens, tokens: tokens; logs: natural logs of the timescale law's inputs by name.
    """
    return batch_tokens / (lr * xp.exp(predict_log(timescale_law(law), logs, xp)) * tokens)


def timescale_law(law: Law) -> PowerLaw:
    """AdamW's averaging timescale (fraction of the run): the law's own, else Power Lines'."""
    tau = law.tau_ema or published_law("power-lines").tau_ema
    assert tau is not None  # noqa: S101 - the published entry has it, and a test holds it there
    return tau


def takes_batch(law: Law) -> bool:
    """Whether the law's peak LR has the batch among its inputs."""
    return law.peak_lr is not None and "batch_tokens" in law.peak_lr.exponents


def asks_for_batch(law: Law) -> bool:
    """Whether a plan with this law needs a batch that the law does not say."""
    return takes_batch(law) and law.batch_tokens is None


def asked_inputs(law: Law) -> set[str]:
    """Names of all inputs that a plan with this law needs."""
    return {name for p in (law.peak_lr, law.batch_tokens) if p is not None for name in p.exponents}


def asks_for_flops(law: Law) -> bool:
    """Whether the law is one in training compute."""
    return "flops" in asked_inputs(law)


def uses_adam(law: Law) -> bool:
    """Whether the runs behind the law used an optimizer of the Adam family, as far as it says."""
    return "adam" in str(law.setting.get("optimizer", "adamw")).lower()


def is_mup(law: Law) -> bool:
    """Whether the law's LR is a base LR of the µP family rather than the LR of every tensor."""
    return law.setting.get("parametrization", "standard") not in ("standard", "sp")


def round_batch(batch_tokens: Numbers, seq_len: Numbers, rounding: Rounding, xp: Any = PLAIN) -> Numbers:
    """Round a batch (tokens) to whole sequences of `seq_len` tokens; at least one sequence.

    "pow2" takes the nearest 2^k or 3*2^k by ratio, "sequences" the nearest whole number, "none" nothing.

    >>> round_batch(1_107_715.0, 2048, "pow2"), round_batch(1_107_715.0, 2048, "sequences")
    (1048576.0, 1107968)
    """
    if rounding == "none":
        return batch_tokens
    sequences = xp.maximum(batch_tokens / seq_len, 1.0)
    if rounding == "sequences":
        return xp.rint(sequences) * seq_len
    power = 2.0 ** xp.floor(xp.log(sequences) / math.log(2.0))
    ratio = sequences / power  # in [1, 2) up to rounding error
    middle = xp.where(power < 2.0, 2.0, 1.5)  # 1.5 sequences do not exist
    upper = xp.where(ratio < (2.0 * middle) ** 0.5, middle, 2.0)
    return power * xp.where(ratio < middle**0.5, 1.0, upper) * seq_len
