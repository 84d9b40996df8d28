"""The evidence on LR-vs-batch rules: no error where a sweep follows the rule, the right one elsewhere."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest

from hptransfer.batches.critical import critical_batch
from tests.test_batch_sections import tilted_sweep

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import critical_sections


@pytest.mark.parametrize(("slope", "exact"), [(0.0, "none"), (0.5, "sqrt"), (1.0, "linear")])
def test_the_rule_that_a_sweep_follows_carries_its_lr_exactly(slope: float, exact: str) -> None:
    ((_, text, _),) = critical_sections._rules("sweep", tilted_sweep(slope), slope, None)
    errors = {name: float(x) for name, x in re.findall(r"([a-z][a-z ]*) x([\d.]+)", text)}
    assert errors[exact] == errors["its own exponent"] == 1.0
    # seven batches 2 apart, carried from the middle one: RMS log of a slope off by 1/2
    off = 0.5 * math.log(2) * math.sqrt(sum(k * k for k in range(-3, 4)) / 6)
    wrong = "sqrt" if exact != "sqrt" else "linear"
    assert errors[wrong] == pytest.approx(math.exp(off), abs=0.01)


def test_a_simulated_sweep_gives_its_critical_batch_back() -> None:
    found = critical_batch(critical_sections.simulated(0))
    log_critical, half = critical_sections.at_tokens(found, critical_sections.AT)
    assert abs(log_critical - math.log(4.41e6)) < max(half, 0.05)
