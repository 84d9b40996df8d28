"""Two laws, of two data sets, architectures, optimizers or schedules: do they differ beyond their noise?

Exponents and levels are compared by z: the difference over the standard deviation of both laws together, from
the covariances that the laws carry. A level is compared where both were fitted (the middle of the shared
range), not at one parameter and one token, where nobody trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hptransfer.errors import HptransferError, RefusalError
from hptransfer.law import Law, PowerLaw
from hptransfer.planning import Plan, Target, plan
from hptransfer.plans.prediction import predict_log
from hptransfer.quantities import short_count

CLEAR = 1.96
"""|z| beyond which two coefficients differ: 1 in 20 equal pairs does by chance."""

QUANTITIES = ("peak_lr", "batch_tokens")
WORDS = {"peak_lr": "best LR", "batch_tokens": "best batch"}


@dataclass(frozen=True)
class Difference:
    """One coefficient of both laws. `z` is None where a law carries no uncertainty.

    `term` is an input (its exponent) or `level`: the natural log of the quantity at the middle of the ranges.
    """

    quantity: str
    term: str
    a: float
    b: float
    std: float | None
    z: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the difference exceeds the noise of both laws."""
        return self.z is not None and abs(self.z) > CLEAR


@dataclass(frozen=True)
class Crossing:
    """Where both laws give the same value, along one input with the other at the middle."""

    quantity: str
    along: str
    at: float
    fixed: Mapping[str, float]


@dataclass(frozen=True)
class Planned:
    """What each law plans for the target; ratio is B over A. None where a law says nothing."""

    quantity: str
    a: float | None
    a_interval: tuple[float, float] | None
    b: float | None
    b_interval: tuple[float, float] | None

    @property
    def ratio(self) -> float | None:
        """B over A."""
        return None if self.a is None or self.b is None else self.b / self.a


@dataclass(frozen=True)
class LawComparison:
    """Two laws side by side. `caveats` say in which respect they are not the same question."""

    a: str
    b: str
    middle: Mapping[str, float]
    differences: tuple[Difference, ...]
    crossings: tuple[Crossing, ...]
    planned: tuple[Planned, ...]
    caveats: tuple[str, ...]
    verdict: str


def compare_laws(a: Law, b: Law, target: Target | None = None) -> LawComparison:
    """Compare two laws, and what each plans for a target.

    Raises:  RefusalError where a comparison would mean nothing: other params, another loss unit, or a fixed
             batch against a re-tuned one.
    """
    _refuse_what_cannot_be_compared(a, b)
    middle = _middle(a, b)
    logs = {name: math.log(value) for name, value in middle.items()}
    differences = tuple(
        difference for q in QUANTITIES for difference in _differences(q, _power(a, q), _power(b, q), logs)
    )
    crossings = tuple(found for q in QUANTITIES for found in _crossings(q, _power(a, q), _power(b, q), logs))
    planned = () if target is None else tuple(_planned(a, b, target))
    if not differences:
        msg = f"laws {a.id} and {b.id} share no law in params and tokens that could be compared."
        raise RefusalError(msg)
    verdict = _verdict(differences, planned)
    return LawComparison(a.id, b.id, middle, differences, crossings, planned, tuple(_caveats(a, b)), verdict)


def _power(law: Law, quantity: str) -> PowerLaw | None:
    return law.peak_lr if quantity == "peak_lr" else law.batch_tokens


def _refuse_what_cannot_be_compared(a: Law, b: Law) -> None:
    if "unspecified" not in (a.params_kind, b.params_kind) and a.params_kind != b.params_kind:
        msg = (
            f"law {a.id} counts {a.params_kind} params, law {b.id} {b.params_kind} ones: their exponents "
            "are of different quantities. Fit both on params counted alike."
        )
        raise RefusalError(msg)
    if a.loss_unit is not None and b.loss_unit is not None and a.loss_unit != b.loss_unit:
        msg = (
            f"law {a.id} was fitted to loss in {a.loss_unit}, law {b.id} in {b.loss_unit}: fit both on "
            "one unit "
            "(--loss-unit says what a file holds)."
        )
        raise RefusalError(msg)
    fixed = [batch_is_fixed(law) for law in (a, b)]
    if fixed[0] != fixed[1]:
        which, other = (a, b) if fixed[0] else (b, a)
        msg = (
            f"law {which.id} holds at a fixed batch, law {other.id} at a re-tuned one: LR exponents "
            "differ for that "
            "alone (LR falls with tokens at a fixed batch, because the best batch grows). Compare laws "
            "of one kind."
        )
        raise RefusalError(msg)


def batch_is_fixed(law: Law) -> bool:
    """Whether the law's LR holds at the batch of its runs rather than at the best one."""
    return law.batch_tokens is None and "batch_tokens" not in (law.peak_lr.exponents if law.peak_lr else {})


def _middle(a: Law, b: Law) -> dict[str, float]:
    """Geometric middle of the range that both laws were fitted on, or of the gap between the two."""
    middle = {}
    for name in ("params", "tokens"):
        spans = [law.fitted_on[name] for law in (a, b) if name in law.fitted_on]
        if spans:
            low, high = max(span[0] for span in spans), min(span[1] for span in spans)
            middle[name] = math.sqrt(low * high)
        else:
            middle[name] = {"params": 1e9, "tokens": 2e10}[name]
    return middle


def _comparable(power: PowerLaw | None, logs: Mapping[str, float]) -> bool:
    return power is not None and power.form == "power" and set(power.exponents) <= set(logs)


def _differences(
    quantity: str, a: PowerLaw | None, b: PowerLaw | None, logs: Mapping[str, float]
) -> Iterator[Difference]:
    """Exponents that both have, and the level at the middle."""
    if a is None or b is None or not (_comparable(a, logs) and _comparable(b, logs)):
        return
    for name in a.exponents:
        if name in b.exponents:
            pick: dict[str, float] = {name: 1.0}
            yield _difference(quantity, name, (a.exponents[name], b.exponents[name]), (a, b), pick)
    yield _difference(
        quantity, "level", (predict_log(a, logs), predict_log(b, logs)), (a, b), {"": 1.0, **logs}
    )


def _difference(
    quantity: str,
    term: str,
    values: tuple[float, float],
    powers: tuple[PowerLaw, PowerLaw],
    pick: Mapping[str, float],
) -> Difference:
    """`pick` is what multiplies each coefficient, the log coefficient under the name ''."""
    variances = [_variance(power, pick) for power in powers]
    known = [v for v in variances if v is not None]
    std = math.sqrt(sum(known)) if len(known) == 2 else None
    z = (values[1] - values[0]) / std if std else None
    return Difference(quantity, term, values[0], values[1], std, z)


def _variance(power: PowerLaw, pick: Mapping[str, float]) -> float | None:
    """Variance of a combination of coefficients; what was averaged over counts too."""
    if power.uncertainty is None:
        return None
    x = [pick.get(name, 0.0) for name in ("", *power.exponents)]
    total = _quadratic(x, power.uncertainty.covariance)
    if power.uncertainty.between is not None:
        total += _quadratic(x, power.uncertainty.between)
    return max(total, 0.0)


def _quadratic(x: Sequence[float], matrix: Sequence[Sequence[float]]) -> float:
    return sum(a * b * c for a, row in zip(x, matrix, strict=True) for b, c in zip(x, row, strict=True))


MOST_CROSSING = math.log(1e4)  # beyond the middle: nobody plans further away


def _crossings(
    quantity: str, a: PowerLaw | None, b: PowerLaw | None, logs: Mapping[str, float]
) -> Iterator[Crossing]:
    """Where the two lines meet, along params and along tokens."""
    if a is None or b is None or not (_comparable(a, logs) and _comparable(b, logs)):
        return
    gap = predict_log(b, logs) - predict_log(a, logs)
    for name in ("params", "tokens"):
        slope = b.exponents.get(name, 0.0) - a.exponents.get(name, 0.0)
        if slope != 0 and abs(gap / slope) <= MOST_CROSSING:
            fixed = {other: math.exp(log) for other, log in logs.items() if other != name}
            yield Crossing(quantity, name, math.exp(logs[name] - gap / slope), fixed)


def _planned(a: Law, b: Law, target: Target) -> Iterator[Planned]:
    plans: list[Plan | None] = []
    for law in (a, b):
        try:
            plans.append(plan(law, target, rounding="none"))
        except HptransferError:
            plans.append(None)
    for quantity in QUANTITIES:
        values = [None if p is None else getattr(p, quantity) for p in plans]
        spans = [None if p is None else getattr(p, f"{quantity}_interval") for p in plans]
        yield Planned(quantity, values[0], spans[0], values[1], spans[1])


def _caveats(a: Law, b: Law) -> Iterator[str]:
    """What differs between the settings, and what is not known."""
    names = sorted({*a.setting, *b.setting})
    for name in names:
        values = [law.setting.get(name) for law in (a, b)]
        if values[0] != values[1]:
            yield f"{name}: {values[0] if values[0] is not None else '?'} against " + str(
                values[1] if values[1] is not None else "?"
            )
    if "unspecified" in (a.params_kind, b.params_kind):
        yield "nobody said what params counts in one of them: it may not be the same quantity."
    for law in (a, b):
        if law.peak_lr is not None and law.peak_lr.uncertainty is None:
            yield f"law {law.id} carries no uncertainty: nothing can be said about noise."
    for name in ("params", "tokens"):
        spans = [law.fitted_on[name] for law in (a, b) if name in law.fitted_on]
        if len(spans) == 2 and max(s[0] for s in spans) > min(s[1] for s in spans):
            yield f"their ranges of {name} do not overlap: the level is compared in between, outside both."


def _verdict(differences: Sequence[Difference], planned: Sequence[Planned]) -> str:
    """One sentence."""
    clear = [d for d in differences if d.is_clear]
    judged = [d for d in differences if d.z is not None]
    if not judged:
        text = "Without uncertainties the laws can be put side by side, not told apart"
    elif clear:
        shown = ", ".join(_shown(d) for d in clear)
        text = f"The laws differ beyond their noise in {shown}"
    else:
        largest = max(judged, key=lambda d: abs(d.z or 0.0))
        text = f"The laws do not differ beyond their noise (largest: {_shown(largest)})"
    ratios = [f"{WORDS[p.quantity]} x{p.ratio:.3g}" for p in planned if p.ratio is not None]
    return text + (f"; for the target B plans {' and '.join(ratios)} of A's." if ratios else ".")


def _shown(difference: Difference) -> str:
    word = WORDS[difference.quantity]
    z = "" if difference.z is None else f" (z {difference.z:+.1f})"
    if difference.term == "level":
        return f"the level of the {word}, x{math.exp(difference.b - difference.a):.3g}{z}"
    return f"the exponent of the {word} in {difference.term}, {difference.b - difference.a:+.3f}{z}"


def where(middle: Mapping[str, float]) -> str:
    """The middle in words."""
    return f"{short_count(middle['params'])} params, {short_count(middle['tokens'])} tokens"
