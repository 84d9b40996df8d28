"""Cost curves: closed forms on a quadratic bowl, asymmetry on a cubic one, bounds where runs ended."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from hptransfer.law import Bowl, Law, PowerLaw, Uncertainty
from hptransfer.planning import Target, plan
from hptransfer.plans.cost import Cost, cost_of_being_wrong
from hptransfer.plans.prediction import NORMAL_95

QUADRATIC = Bowl(
    powers=((2, 0), (1, 1), (0, 2)), terms=(0.02, 0.0, 0.012), trusted_u=(-3.0, 3.0), trusted_v=(-3.0, 3.0)
)
STD = 0.3
TARGET = Target(params=1e9, tokens=2e10)


def law(bowl: Bowl | None = QUADRATIC, *, std: float | None = STD) -> Law:
    spread = None if std is None else Uncertainty(covariance=((std**2,),))
    return Law(
        id="made-up",
        title="made up",
        peak_lr=PowerLaw(log_coefficient=math.log(1e-3), exponents={}, uncertainty=spread),
        batch_tokens=PowerLaw(log_coefficient=math.log(524_288), exponents={}, uncertainty=spread),
        bowl=bowl,
    )


def at(curve: tuple[Cost, ...], factor: float) -> Cost:
    return next(cost for cost in curve if cost.factor == factor)


def test_on_a_quadratic_bowl_cost_and_expectation_are_closed_forms() -> None:
    """E[c (log 2 - e)^2] = c (log(2)^2 + std^2); expm1 changes the fourth digit."""
    found = cost_of_being_wrong(plan(law(), TARGET))
    assert found is not None
    for curve, depth in ((found.peak_lr, 0.02), (found.batch_tokens, 0.012)):
        double = at(curve, 2.0)
        assert double.excess == pytest.approx(math.expm1(depth * math.log(2) ** 2))
        assert double.expected == pytest.approx(depth * (math.log(2) ** 2 + STD**2), rel=0.03)
        assert double.interval is not None
        high = depth * (math.log(2) + NORMAL_95 * STD) ** 2
        assert double.interval[1] == pytest.approx(high, rel=0.08)
        assert at(curve, 1.0).excess == pytest.approx(0.0, abs=1e-12)
    assert (found.safe_lr, found.safe_batch) == ("even", "even")


def test_doubling_the_batch_halves_the_steps() -> None:
    found = cost_of_being_wrong(plan(law(), TARGET))
    assert found is not None
    assert at(found.batch_tokens, 1.0).steps == math.ceil(2e10 / 524_288)
    assert at(found.batch_tokens, 2.0).steps == math.ceil(1e10 / 524_288)
    assert any(text.startswith("Doubling the batch") for text in found.summary)


def test_a_lopsided_bowl_names_the_safe_side() -> None:
    steep_above = QUADRATIC.model_copy(
        update={"powers": (*QUADRATIC.powers, (3, 0)), "terms": (*QUADRATIC.terms, 0.003)}
    )
    found = cost_of_being_wrong(plan(law(steep_above), TARGET))
    assert found is not None
    assert found.safe_lr == "low"
    assert at(found.peak_lr, 2.0).excess > at(found.peak_lr, 0.5).excess
    assert "when in doubt go lower" in found.summary[0]


def test_beyond_the_runs_the_cost_is_a_bound_and_never_the_safe_side() -> None:
    short = QUADRATIC.model_copy(update={"trusted_u": (-0.3, 3.0)})
    found = cost_of_being_wrong(plan(law(short), TARGET))
    assert found is not None
    assert at(found.peak_lr, 0.5).at_least
    assert not at(found.peak_lr, 2.0).at_least
    assert found.safe_lr == "unknown"


def test_a_pinned_batch_is_priced_from_where_it_lies() -> None:
    found = cost_of_being_wrong(plan(law(), replace(TARGET, batch_tokens=2 * 524_288.0)))
    assert found is not None
    assert at(found.batch_tokens, 1.0).excess == pytest.approx(math.expm1(0.012 * math.log(2) ** 2))
    assert at(found.batch_tokens, 0.5).excess == pytest.approx(0.0, abs=1e-12)
    assert at(found.batch_tokens, 2.0).interval is None


def test_without_a_bowl_nothing_is_invented() -> None:
    assert cost_of_being_wrong(plan(law(None), TARGET)) is None


def test_without_an_interval_the_curve_has_none() -> None:
    found = cost_of_being_wrong(plan(law(std=None), TARGET))
    assert found is not None
    assert all(cost.interval is None and cost.expected is None for cost in found.peak_lr)


def test_at_a_batch_that_was_not_searched_costs_are_bounds_and_nothing_is_compared() -> None:
    """The difference of two lower bounds says nothing, nor does a cost of at least zero."""
    short = QUADRATIC.model_copy(update={"trusted_v": (-3.0, 1.0)})
    found = cost_of_being_wrong(plan(law(short), replace(TARGET, batch_tokens=4 * 524_288.0)))
    assert found is not None
    assert all(cost.at_least and not cost.is_known for cost in found.peak_lr)
    assert at(found.batch_tokens, 1.0).at_least
    assert at(found.batch_tokens, 1.0).is_known
    assert (found.safe_lr, found.safe_batch) == ("unknown", "low")
    said = " ".join(found.summary)
    assert "lower bounds" in said
    assert not re.search(r"Doubling|Halving|0\.00%", said)


def test_an_interval_holds_its_estimate() -> None:
    """A wide doubt about the optimum moves nearly all of the distribution above the cost at the plan."""
    found = cost_of_being_wrong(plan(law(std=2.0), TARGET))
    assert found is not None
    for cost in (*found.peak_lr, *found.batch_tokens):
        assert cost.interval is not None
        assert cost.interval[0] <= cost.excess <= cost.interval[1]


def test_a_bound_in_words_has_no_closed_interval() -> None:
    short = QUADRATIC.model_copy(update={"trusted_u": (-0.3, 3.0)})
    found = cost_of_being_wrong(plan(law(short), TARGET))
    assert found is not None
    assert re.search(r"half of it costs at least [0-9.]+%, twice [0-9.]+% \(", found.summary[0])
