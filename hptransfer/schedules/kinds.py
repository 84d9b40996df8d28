"""The table of schedules: what each does after its warm-up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.numerics import schedules as shapes
from hptransfer.schedules.decays import decay_of, decay_steps_of
from hptransfer.schedules.options import FloatArray, Kind, Multiplier, Timeline


def _constant(_: Timeline) -> Multiplier:
    return np.ones_like


def _after_warmup(shape: Multiplier) -> Callable[[Timeline], Multiplier]:
    def build(run: Timeline) -> Multiplier:
        ratio = run.options.final_ratio or 0.0
        return lambda t: shapes.floored(shape(run.after_warmup(t)), final_ratio=ratio)

    return build


def _inverse_sqrt(run: Timeline) -> Multiplier:
    timescale = run.options.timescale or run.warmup_steps or 10_000
    return partial(shapes.inverse_sqrt, warmup_steps=run.warmup_steps, timescale=timescale)


def _polynomial(run: Timeline) -> Multiplier:
    return _after_warmup(partial(shapes.power, exponent=run.given("power")))(run)


def _multi_step(run: Timeline) -> Multiplier:
    milestones, factors = run.given("milestones"), run.given("factors")
    if len(milestones) != len(factors) or list(milestones) != sorted(milestones):
        msg = (
            f"schedule multi-step: got {len(milestones)} milestones and {len(factors)} factors, "
            "need one factor a milestone, milestones rising."
        )
        raise UsageError(msg)
    bounds = [milestone * run.steps for milestone in milestones]
    return partial(shapes.multi_step, milestones=bounds, factors=factors)


def _wsd(run: Timeline) -> Multiplier:
    decay_steps = decay_steps_of(run)
    if not decay_steps:
        return _constant(run)
    shape, start = decay_of(run, decay_steps), run.steps - decay_steps

    def multiplier(t: FloatArray) -> FloatArray:
        falling = shape(shapes.progress(t, start=start, end=run.steps))
        return np.where(t < start, 1.0, falling)

    return multiplier


def _wsd_s(run: Timeline) -> Multiplier:
    """Decays that end at each checkpoint, back to the peak after it."""
    ends = (*(run.options.checkpoints or ()), float(run.steps))
    ends = tuple(dict.fromkeys(ends))
    begins = (float(run.warmup_steps), *ends[:-1])
    lengths = [
        float(run.options.decay_steps or round((run.options.decay_fraction or 0.0) * end)) for end in ends
    ]
    for begin, end, length in zip(begins, ends, lengths, strict=True):
        if not 0 < length <= end - begin:
            msg = (
                f"schedule wsd-s: the decay of {length:g} steps that ends at step {end:g} does not fit "
                f"after step {begin:g}. Checkpoints must rise, stay within {run.steps} steps and leave room."
            )
            raise UsageError(msg)
    decays = [decay_of(run, length) for length in lengths]

    def multiplier(t: FloatArray) -> FloatArray:
        value = np.ones_like(t)
        for end, length, shape in zip(ends, lengths, decays, strict=True):
            inside = (t > end - length) & (t <= end)
            value = np.where(inside, shape(shapes.progress(t, start=end - length, end=end)), value)
        return value

    return multiplier


def _wsdc(run: Timeline) -> Multiplier:
    start, end = run.given("decay_start") * run.steps, run.given("decay_end") * run.steps
    if not run.warmup_steps <= start < end <= run.steps:
        msg = (
            f"schedule wsdc: the decay from step {start:g} to {end:g} must lie between the warm-up's end "
            f"({run.warmup_steps}) and the horizon ({run.steps})."
        )
        raise UsageError(msg)
    shape = decay_of(run, end - start)
    return lambda t: np.where(t < start, 1.0, shape(shapes.progress(t, start=start, end=end)))


def _power_scheduler(run: Timeline) -> Multiplier:
    """Tokens decide the LR; the decay at the end multiplies the value at its start."""
    for name in ("batch_seqs", "seq_len"):
        if getattr(run.options, name) is None:
            msg = (
                f"schedule power: needs {name}: its LR depends on the tokens seen and on the batch in "
                "sequences. Add --batch-seqs N --seq-len TOKENS."
            )
            raise UsageError(msg)
    tokens_per_step = run.given("batch_seqs") * run.given("seq_len")
    lr = partial(
        shapes.power_of_tokens,
        batch_seqs=run.given("batch_seqs"),
        coefficient=run.given("coefficient"),
        exponent=run.given("exponent"),
        max_lr=run.peak_lr,
    )
    decay, start = _wsd(run), run.steps - decay_steps_of(run)
    return lambda t: np.asarray(lr(np.minimum(t, start) * tokens_per_step) / run.peak_lr * decay(t))


def _rex(run: Timeline) -> Multiplier:
    return _after_warmup(partial(shapes.rex, gamma=run.given("gamma")))(run)


def _uba(run: Timeline) -> Multiplier:
    return _after_warmup(partial(shapes.uba, phi=run.given("phi")))(run)


COOLDOWNS: dict[str, Multiplier] = {
    "cosine": shapes.cosine,
    "linear": shapes.linear,
    "inverse-sqrt": shapes.inverse_sqrt_cooldown,
}


def _infinite(run: Timeline) -> Multiplier:
    options = run.options
    cooled, annealing = run.given("cooldown_end") * run.steps, run.given("annealing_start") * run.steps
    level, last = run.given("constant_ratio"), run.given("final_ratio")
    if options.cooldown not in COOLDOWNS:
        msg = f"schedule infinite: no cooldown {plain(options.cooldown)!r}. Known: {', '.join(COOLDOWNS)}."
        raise UsageError(msg)
    if not run.warmup_steps < cooled <= annealing < run.steps or not 0 < last <= level:
        msg = (
            "schedule infinite: needs warm-up < cooldown_end <= annealing_start < 1 (fractions of the run) "
            f"and 0 < final_ratio <= constant_ratio; got {run.warmup_steps / run.steps:g}, "
            f"{cooled / run.steps:g}, {annealing / run.steps:g} and {last:g}, {level:g}."
        )
        raise UsageError(msg)
    cooldown = COOLDOWNS[options.cooldown]

    def multiplier(t: FloatArray) -> FloatArray:
        cooling = shapes.floored(
            cooldown(shapes.progress(t, start=run.warmup_steps, end=cooled)), final_ratio=level
        )
        annealed = level * shapes.exponential(
            shapes.progress(t, start=annealing, end=run.steps), final_ratio=last / level
        )
        return np.where(t < cooled, cooling, annealed)

    return multiplier


def _refined(run: Timeline) -> Multiplier:
    norms = np.asarray(run.given("grad_norms"), dtype=np.float64)
    if norms.size < 2 or not (np.isfinite(norms) & (norms > 0)).all():
        msg = "schedule refined: grad_norms: need two or more positive, finite gradient norms, one a step."
        raise UsageError(msg)
    values = shapes.refined(norms, adam=bool(run.options.adam), smoothing=run.options.smoothing or 1)
    at = np.linspace(0, run.steps, norms.size)
    return lambda t: np.interp(t, at, values)


_DECAY_OPTIONS = {
    "final_ratio": 0.0,
    "decay": "linear",
    "decay_fraction": 0.2,
    "decay_steps": None,
    "decay_power": None,
    "decay_start_ratio": None,
    "half_life_steps": None,
}
_FLOOR = {"final_ratio": 0.0}

KINDS: dict[str, Kind] = {
    "constant": Kind("1 after the warm-up", "-", _constant),
    "linear": Kind("1 - p, to final_ratio", "-", _after_warmup(shapes.linear), _FLOOR),
    "d2z": Kind("linear to zero", "Bergsma et al. 2025, arXiv:2502.15938", _after_warmup(shapes.linear)),
    "cosine": Kind("half a cosine to final_ratio", "-", _after_warmup(shapes.cosine), _FLOOR),
    "inverse-sqrt": Kind(
        "sqrt(warmup / t)", "transformers get_inverse_sqrt_schedule", _inverse_sqrt, {"timescale": None}
    ),
    "polynomial": Kind("(1 - p)^power", "-", _polynomial, {"power": 2.0, "final_ratio": 0.0}),
    "multi-step": Kind(
        "1, then a factor after each milestone",
        "DeepSeek LLM, arXiv:2401.02954, section 2.3",
        _multi_step,
        {"milestones": (0.8, 0.9), "factors": (0.316, 0.1)},
    ),
    "wsd": Kind("warm-up, stable, decay", "Hu et al. 2024, arXiv:2404.06395", _wsd, _DECAY_OPTIONS),
    "trapezoid": Kind(
        "WSD with a linear decay",
        "Hägele et al. 2024, arXiv:2405.18392",
        _wsd,
        {"final_ratio": 0.0, "decay_fraction": 0.2, "decay_steps": None},
    ),
    "wsd-s": Kind(
        "WSD that decays to every checkpoint and goes on from it",
        "Wen et al. 2024, arXiv:2410.05192",
        _wsd_s,
        {
            **_DECAY_OPTIONS,
            "decay": "harmonic",
            "decay_fraction": 0.1,
            "final_ratio": 0.1,
            "checkpoints": None,
        },
    ),
    "wsm": Kind(
        "warm-up, stable; `schedule merge` gives the weights that stand for a decay",
        "Tian et al. 2025, arXiv:2507.17634",
        _constant,
    ),
    "power": Kind(
        "min(1, batch_seqs * coefficient * tokens^exponent / peak_lr), then a decay",
        "Shen et al. 2024, arXiv:2408.13359; coefficients as in Levanter",
        _power_scheduler,
        {
            **_DECAY_OPTIONS,
            "decay_fraction": 0.1,
            "batch_seqs": None,
            "seq_len": None,
            "coefficient": 4.6,
            "exponent": -0.51,
        },
        {"batch_seqs": 128, "seq_len": 4096},
    ),
    "rex": Kind(
        "(1 - p) / (1 - gamma p); gamma 0.5 in the paper, 0.45 in its code",
        "Chen et al. 2021, arXiv:2107.04197",
        _rex,
        {"gamma": 0.5, "final_ratio": 0.0},
    ),
    "rewarmed": Kind(
        "continual pre-training: from the last run's final LR back to the peak, then cosine",
        "Ibrahim et al. 2024, arXiv:2403.08763",
        _after_warmup(shapes.cosine),
        {"final_ratio": 0.1},
    ),
    "refined": Kind(
        "from a finished run's gradient norms",
        "Defazio et al. 2023, arXiv:2310.07831",
        _refined,
        {"grad_norms": None, "adam": True, "smoothing": 1},
        {"grad_norms": (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)},
        warms_up=False,
    ),
    "wsdc": Kind(
        "WSD whose decay ends early, then constant at the floor",
        "PLM, arXiv:2503.12167 (name only)",
        _wsdc,
        {
            "final_ratio": 0.1,
            "decay": "linear",
            "decay_start": None,
            "decay_end": None,
            "decay_power": None,
            "decay_start_ratio": None,
            "half_life_steps": None,
        },
        {"decay_start": 0.7, "decay_end": 0.9},
        experimental="shape and lengths of the decay are not verified",
    ),
    "uba": Kind(
        "2 u / (phi + (2 - phi) u), u the cosine",
        "arXiv:2505.24452 (formula through one third-party code)",
        _uba,
        {"phi": None, "final_ratio": 0.0},
        {"phi": 1.0},
        experimental="the formula and the default of phi are not verified",
    ),
    "infinite": Kind(
        "cooldown to a constant, kept for as long as data comes, then annealing",
        "Ibrahim et al. 2024, arXiv:2403.08763; values from a later study",
        _infinite,
        {
            "cooldown": "cosine",
            "cooldown_end": 0.7,
            "constant_ratio": 0.55,
            "annealing_start": 0.8,
            "final_ratio": 0.1,
        },
        experimental="the original paper's own values are not verified",
    ),
}


def find_kind(name: str) -> Kind:
    """The kind of this name; UsageError with the nearest one otherwise."""
    if name not in KINDS:
        msg = f"no schedule {plain(name)!r}.{did_you_mean(name, KINDS)} Known: {', '.join(KINDS)}."
        raise UsageError(msg)
    return KINDS[name]
