"""One tuned model, or a few, in place of a sweep: a law's ratio carries their optimum to other scales.

An anchored law has the level of the anchors (the geometric mean of measured over predicted) and the
exponents of the law. Its interval is the spread of comparable published laws over the same distance;
docs/which-law.md derives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Annotated

from pydantic import ConfigDict, Field

from hptransfer.comparison.traits import comparable
from hptransfer.errors import UsageError
from hptransfer.law import Input, Law, Note, ParamsKind, PowerLaw, Record, Uncertainty
from hptransfer.plans.prediction import asked_inputs, batch_slope, linear_factor, predict_log, takes_batch
from hptransfer.published import entries, published_law
from hptransfer.quantities import short_count

BOWL_DEPTH = {"peak_lr": 0.02, "batch_tokens": 0.016}  # nats per squared natural log, off the optimum
LOSS_NOISE = 0.0015 * 2.5  # nats between repeats: 1 to 2 permille of a loss of 2.5
ANCHOR_GRID = 2.0  # a tuned model tried values a factor of 2 apart
FULL_GRID = math.sqrt(2.0)  # the grid that would show the optimum at the target
NORMAL_90 = 1.6448536269514722  # two-sided 90 % quantile
STUDENT_90 = {2: 2.919986, 3: 2.353363, 4: 2.131847, 5: 2.015048, 6: 1.943180}  # by degrees of freedom
MIN_OTHERS = 2  # fewer comparable laws have no spread to speak of

Bounded = Annotated[float, Field(ge=1e-30, le=1e30)]
Scale = tuple[float, float]  # (of params, of tokens)
Matrix = list[list[float]]


def tuned_std(name: str, grid_step: float) -> float:
    """Standard deviation, in natural logs, of an optimum read off a grid of single runs.

    Two uniform errors: the optimum lies anywhere between grid points, and points whose loss is within
    the noise of the best cannot be told from it, which in a bowl of this depth is +- sqrt(noise / depth).

    >>> tuned_std("peak_lr", 2.0), tuned_std("batch_tokens", 2.0)
    (0.320, 0.344)
    """
    return math.sqrt(math.log(grid_step) ** 2 / 12 + LOSS_NOISE / BOWL_DEPTH[name] / 3)


class Anchor(Record):
    """A tuned model: its scale (params, tokens), its best peak LR and batch (tokens); other inputs by name.

    `weight_decay` is the one its LR was tuned at: it is kept, as that of a sweep's runs is.
    """

    model_config = ConfigDict(strict=True)

    params: Bounded
    tokens: Bounded
    lr: Bounded
    batch_tokens: Bounded | None = None
    weight_decay: Annotated[float, Field(ge=0, le=1e30)] | None = None
    loss: Bounded | None = None
    width: Bounded | None = None
    depth: Bounded | None = None
    active_ratio: Bounded | None = None
    experts: Bounded | None = None


def anchor(law: Law, anchors: Sequence[Anchor], *, params_kind: ParamsKind = "unspecified") -> Law:
    """Move a law's level to tuned models, keeping its exponents.

    Laws in compute are restated in params and tokens by C = 6 N D, whose factor cancels in a ratio.

    Args:    anchors: at least one; params_kind: what their params (and the target's) count.
    Raises:  UsageError naming what an anchor lacks for this law, or where the law has no value.
    """
    points = [_logs(law, one) for one in anchors]
    notes = [_about(law, anchors)]
    changes: dict[str, object] = {"title": f"{law.title}, at the level of {_counted(anchors)}"}
    with_batch = [i for i, one in enumerate(anchors) if one.batch_tokens is not None]
    logs_of_batch = {i: math.log(anchors[i].batch_tokens or 1.0) for i in with_batch}
    offsets = [0.0] * len(anchors)
    if law.batch_tokens is not None and with_batch:
        at = [points[i] for i in with_batch]
        changes["batch_tokens"] = _moved(law, "batch_tokens", at, [logs_of_batch[i] for i in with_batch])
    elif law.batch_held is not None and len(with_batch) == len(anchors):
        held = sum(logs_of_batch.values()) / len(anchors)
        changes["batch_held"] = math.exp(held)
        offsets = [batch_slope(law) * (held - logs_of_batch[i]) for i in with_batch]
    if len(with_batch) < len(anchors) and not takes_batch(law):
        notes.append(_without_batch(law))
    if law.peak_lr is not None:
        measured = [math.log(one.lr) + offset for one, offset in zip(anchors, offsets, strict=True)]
        changes["peak_lr"] = _moved(law, "peak_lr", points, measured)
        notes += _disagreements(law, anchors, points, measured)
    changes |= {
        "flops_formula": None,
        "params_kind": params_kind,
        "setting": law.setting | _kept(anchors),
        "warnings": (*law.warnings, *notes),
    }
    return law.model_copy(update=changes)


def _kept(anchors: Sequence[Anchor]) -> dict[str, str | float]:
    """The weight decay that every anchor was tuned at, where they agree on one."""
    first = anchors[0].weight_decay
    agreed = first is not None and all(one.weight_decay == first for one in anchors)
    return {"weight_decay": first} if first is not None and agreed else {}


def _logs(law: Law, one: Anchor) -> dict[str, float]:
    """Natural logs of all inputs of a law at an anchor."""
    given = {**one.model_dump(exclude={"lr", "weight_decay"}), "flops": 6.0 * one.params * one.tokens}
    given["tokens_per_param"] = one.tokens / one.params
    missing = sorted(name for name in asked_inputs(law) if given[name] is None)
    if missing:
        lacks = ", ".join(f"{name}=..." for name in missing)
        msg = f"law {law.id} has inputs that an anchor lacks. Add {lacks} to every --anchor."
        raise UsageError(msg)
    logs = {name: math.log(value) for name, value in given.items() if value is not None}
    if (
        law.peak_lr is not None
        and law.peak_lr.form == "linear-in-log"
        and linear_factor(law.peak_lr, logs) <= 0
    ):
        msg = (
            f"law {law.id} gives no positive learning rate at an anchor of {short_count(one.params)} params."
        )
        raise UsageError(msg)
    return logs


def _moved(law: Law, name: str, points: Sequence[Mapping[str, float]], measured: Sequence[float]) -> PowerLaw:
    """A part of a law through the anchors: level by geometric mean, uncertainty by spread and anchor noise.

    Args:    points: natural logs of the inputs, one an anchor; measured: natural logs of the tuned values.
    """
    power: PowerLaw = getattr(law, name)
    gaps = [value - predict_log(power, at) for value, at in zip(measured, points, strict=True)]
    restated = power if power.form == "linear-in-log" else in_scale(power)
    level = restated.log_coefficient + sum(gaps) / len(gaps)
    spread = exponent_covariance(law, name)
    uncertainty = None if spread is None else _through(restated, spread, points, name, power.uncertainty)
    source = f"level of {_counted(points)}, exponents of {power.source or f'law {law.id}'}"
    return restated.model_copy(
        update={"log_coefficient": level, "uncertainty": uncertainty, "source": source}
    )


def in_scale(power: PowerLaw) -> PowerLaw:
    """Restate a power law so that params and tokens stand for compute (C = 6 N D) and tokens per param.

    >>> from hptransfer.published import published_law
    >>> in_scale(published_law("moonlight").batch_tokens).exponents
    {'params': 0.4137915, 'tokens': 0.4137915}
    """
    compute, ratio = power.exponents.get("flops", 0.0), power.exponents.get("tokens_per_param", 0.0)
    exponents: dict[Input, float] = {
        "params": power.exponents.get("params", 0.0) + compute - ratio,
        "tokens": power.exponents.get("tokens", 0.0) + compute + ratio,
    }
    replaced = ("params", "tokens", "flops", "tokens_per_param")
    exponents |= {name: e for name, e in power.exponents.items() if name not in replaced}
    level = power.log_coefficient + compute * math.log(6.0)
    return power.model_copy(update={"log_coefficient": level, "exponents": exponents, "uncertainty": None})


def exponent_covariance(law: Law, name: str) -> Matrix | None:
    """Covariance of the exponents of (params, tokens) in a part of a law; None where nobody can say.

    A fitted law brings its own. For a published one it is the mean square of how far the exponents of
    comparable laws lie from its own: they are as good a guess at how this set-up behaves as it is. With
    so few of them it is widened to give Student's interval where the normal quantile is used.
    """
    power: PowerLaw = getattr(law, name)
    if power.form == "linear-in-log":
        return None
    if power.uncertainty is not None:
        return _own_covariance(power, power.uncertainty)
    own = _scale_exponents(power)
    others = [_scale_exponents(getattr(other, name)) for other in comparable_laws(law, name)]
    if len(others) < MIN_OTHERS:
        return None
    away = [(a - own[0], b - own[1]) for a, b in others]
    widened = (STUDENT_90.get(len(away), NORMAL_90) / NORMAL_90) ** 2 / len(away)
    return [[widened * sum(d[i] * d[j] for d in away) for j in range(2)] for i in range(2)]


def comparable_laws(law: Law, name: str) -> list[Law]:
    """Published laws with the same part, in scale alone, whose optimum moves for the same reasons.

    Left out are experimental laws, those that rest on another one's runs, and the law itself.
    """
    return [
        other
        for other in _independent_laws()
        if other.id != law.id
        and (power := getattr(other, name)) is not None
        and power.form == "power"
        and set(power.exponents) <= {"params", "tokens", "flops", "tokens_per_param"}
        and comparable(law, other)
    ]


@cache
def _independent_laws() -> tuple[Law, ...]:
    laws = (published_law(law_id) for law_id, entry in entries().items() if "parent" not in entry)
    return tuple(law for law in laws if not law.experimental)


def _scale_exponents(power: PowerLaw) -> Scale:
    exponents = in_scale(power).exponents
    return exponents["params"], exponents["tokens"]


def _own_covariance(power: PowerLaw, spread: Uncertainty) -> Matrix:
    """The exponents' block of a fitted law's covariance, for (params, tokens); 0 where it has none."""
    at = {name: i for i, name in enumerate(power.exponents, start=1)}
    return [
        [spread.covariance[at[a]][at[b]] if a in at and b in at else 0.0 for b in ("params", "tokens")]
        for a in ("params", "tokens")
    ]


def _through(
    power: PowerLaw, spread: Matrix, points: Sequence[Mapping[str, float]], name: str, own: Uncertainty | None
) -> Uncertainty:
    """Uncertainty of a law that turns about the anchors' centre.

    The variance at x is (x - centre)' S (x - centre) + (variance of an anchor) / n. Written as a quadratic in
    (1, x): the block of exponents is S, the row of the coefficient -S centre, its corner centre' S centre.
    """
    size, noise = len(power.exponents), tuned_std(name, ANCHOR_GRID) ** 2
    centre = [sum(at[axis] for at in points) / len(points) for axis in power.exponents]
    block = [[spread[i][j] if max(i, j) < 2 else 0.0 for j in range(size)] for i in range(size)]
    row = [-sum(block[i][j] * centre[j] for j in range(size)) for i in range(size)]
    corner = -sum(r * c for r, c in zip(row, centre, strict=True)) + noise / len(points)
    covariance = ((corner, *row), *((row[i], *block[i]) for i in range(size)))
    if own is not None:
        return own.model_copy(update={"covariance": covariance})
    return Uncertainty(covariance=covariance, quantile=NORMAL_90, cell_std=tuned_std(name, FULL_GRID))


def _disagreements(
    law: Law, anchors: Sequence[Anchor], points: Sequence[Mapping[str, float]], measured: Sequence[float]
) -> Iterator[Note]:
    """The two anchors whose ratio is least like the law's, when even the spread of laws leaves it out."""
    assert law.peak_lr is not None  # noqa: S101 - asked by the caller
    if len(anchors) < 2:
        return
    spread = exponent_covariance(law, "peak_lr") or [[0.0, 0.0], [0.0, 0.0]]
    noise = 2 * tuned_std("peak_lr", ANCHOR_GRID) ** 2
    gaps = [value - predict_log(law.peak_lr, at) for value, at in zip(measured, points, strict=True)]

    def excess(pair: tuple[int, int]) -> float:
        i, j = pair
        step = [points[i][name] - points[j][name] for name in ("params", "tokens")]
        variance = sum(step[a] * spread[a][b] * step[b] for a in range(2) for b in range(2))
        return float(abs(gaps[i] - gaps[j])) / (NORMAL_90 * math.sqrt(variance + noise))

    i, j = max(combinations(range(len(anchors)), 2), key=excess)
    if excess((i, j)) > 1.0:
        text = (
            f"anchors {i + 1} and {j + 1} disagree: between them the LR moved "
            f"{math.exp(abs(gaps[i] - gaps[j])):.3g}x otherwise than law {law.id} says, more than the spread "
            "of laws and of tuned values allows. Check what they count, or fit their runs as a sweep."
        )
        yield Note(code="anchors-disagree", message=text)


def _about(law: Law, anchors: Sequence[Anchor]) -> Note:
    """Where level, exponents and interval come from, and what is taken for granted."""
    parts = [name for name in ("peak_lr", "batch_tokens") if getattr(law, name) is not None]
    fitted = any(getattr(law, name).uncertainty is not None for name in parts)
    others = sorted({other.id for name in parts for other in comparable_laws(law, name)})
    if fitted:
        interval = "the interval comes from its own exponents' uncertainty"
    elif len(others) >= MIN_OTHERS:
        interval = f"the interval from how {', '.join(others)} differ from it"
    else:
        interval = "too few laws are comparable with it for an interval"
    text = (
        f"the level is that of {_counted(anchors)}, the change with scale law {law.id}'s; {interval}. "
        "Schedule, data and optimizer are taken to stay those of the anchor."
    )
    return Note(code="anchored", message=text)


def _without_batch(law: Law) -> Note:
    whose = f"law {law.id}'s own level" if law.batch_tokens is not None else "what it was"
    text = f"an anchor says nothing about its batch, which is taken to be tuned; batches here are at {whose}."
    return Note(code="anchor-without-batch", message=text)


def _counted(anchors: Sequence[object]) -> str:
    return f"{len(anchors)} anchor{'' if len(anchors) == 1 else 's'}"
