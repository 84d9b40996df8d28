"""Factors: what parses, what it evaluates to, how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.parametrizations.factors import SYMBOLS, Factor

EXPONENTS = st.fractions(min_value=-3, max_value=3, max_denominator=4)


@given(st.dictionaries(st.sampled_from(sorted(SYMBOLS)), EXPONENTS, max_size=4))
def test_what_is_written_reads_back_as_the_same_factor(exponents: dict[str, object]) -> None:
    factor = Factor(" ".join(f"{name}^{exponent}" for name, exponent in exponents.items()) or "1")
    again = Factor(str(factor))
    assert again.exponents == {name: power for name, power in factor.exponents.items() if power}


@given(st.floats(min_value=1, max_value=64), st.floats(min_value=1, max_value=64))
def test_powers_of_ratios_compose(first: float, second: float) -> None:
    """From 256 to 512 and on to 1024 is from 256 to 1024."""
    factor = Factor("m_in^-1 l^-1/2")
    steps = factor.value({"m_in": first, "l": first}) * factor.value({"m_in": second, "l": second})
    assert steps == pytest.approx(factor.value({"m_in": first * second, "l": first * second}))


def test_numbers_and_options_in_exponents() -> None:
    assert Factor("1.4 L^-1/2").value({"L": 4.0}) == pytest.approx(0.7)
    assert Factor("2^-1/2").value({}) == pytest.approx(0.5**0.5)
    assert Factor("m_in^(3/2-alignment)", {"alignment": 0.5}).value({"m_in": 4.0}) == 4.0


@pytest.mark.parametrize("text", ["m_in**2", "q^2", "m_in^", "m_in^x", "m_in^(1-)", "m_in^(1 2)", "-m_in"])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        Factor(text)
