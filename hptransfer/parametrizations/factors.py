"""Factors as papers print them, `m_in^-1 l^-1/2`: parsed once, written in the rule sets, evaluated here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fractions import Fraction

SYMBOLS: Mapping[str, str] = {
    "m": "width / base width",
    "m_in": "fan-in / the proxy's fan-in of the same tensor",
    "m_out": "fan-out / the proxy's fan-out of the same tensor",
    "m_ffn": "feed-forward width / the proxy's",
    "l": "depth / base depth, in residual blocks",
    "L": "depth in residual blocks",
    "n_in": "fan-in of the tensor",
    "n_out": "fan-out of the tensor",
    "n_max": "the larger of fan-in and fan-out",
    "aspect": "max(1, fan-out / fan-in)",
    "d_h": "head dimension",
    "d_h0": "the proxy's head dimension",
    "m_B": "batch tokens / the proxy's",
    "m_D": "training tokens / the proxy's",
}
"""What may stand in a factor, beside plain numbers."""

_TERM = re.compile(r"([A-Za-z_]\w*|\d+(?:\.\d+)?)(?:\^(\([^()]*\)|-?[\w./]+))?")
_SUMMAND = re.compile(r"([+-]?)\s*([\w./]+)")


class Factor:
    """A product of powers, each a symbol or a number to an exponent.

    Exponents are numbers, fractions, or sums that may name an option of the rule set: `l^(alpha-1)`.

    >>> Factor("m_in^-1 l^(alpha-1)", {"alpha": 0.5}).value({"m_in": 4.0, "l": 4.0})
    0.125
    """

    def __init__(self, text: str, options: Mapping[str, float] | None = None) -> None:
        """Parse; raise ValueError for anything but a product of powers of known symbols."""
        self.text = text
        self.exponents: dict[str, float] = {}
        self.coefficient = 1.0
        for term in text.split():
            match = _TERM.fullmatch(term)
            if match is None:
                msg = f"not a product of powers: {text!r}"
                raise ValueError(msg)
            base, exponent = match.group(1), _exponent(match.group(2) or "1", options or {})
            if base[0].isdigit():
                self.coefficient *= float(base) ** exponent
            elif base in SYMBOLS:
                self.exponents[base] = self.exponents.get(base, 0.0) + exponent
            else:
                msg = f"unknown symbol {base!r} in {text!r}"
                raise ValueError(msg)

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols that the value depends on."""
        return frozenset(name for name, exponent in self.exponents.items() if exponent)

    def missing(self, known: Collection[str]) -> list[str]:
        """Symbols that are needed and not known."""
        return sorted(self.symbols - set(known))

    def value(self, at: Mapping[str, float]) -> float:
        """Evaluate where every needed symbol is known (KeyError otherwise)."""
        value = self.coefficient
        for name, exponent in self.exponents.items():
            if exponent:
                value *= at[name] ** exponent
        return value

    def __str__(self) -> str:
        """Write with options resolved to numbers.

        >>> str(Factor("m_in^wd l^(alpha-1)", {"wd": 0.5, "alpha": 1})), str(Factor("1"))
        ('m_in^1/2', '1')
        """
        terms = [] if self.coefficient == 1 else [f"{self.coefficient:.6g}"]
        for name, exponent in self.exponents.items():
            if exponent:
                power = _written(exponent)
                terms.append(name if power == "1" else f"{name}^{power}")
        return " ".join(terms) or "1"


def _written(exponent: float) -> str:
    """A simple fraction as papers print it, anything else as a decimal."""
    simple = Fraction(exponent).limit_denominator(12)
    return str(simple) if abs(float(simple) - exponent) < 1e-9 else f"{exponent:.6g}"


def _exponent(text: str, options: Mapping[str, float]) -> float:
    """Evaluate an exponent: a sum of signed numbers, fractions and options."""
    inner = text.strip("()").replace(" ", "")
    total, end = 0.0, 0
    for match in _SUMMAND.finditer(inner):
        if match.start() != end or (end and not match.group(1)):
            break
        sign = -1.0 if match.group(1) == "-" else 1.0
        name = match.group(2)
        total += sign * (options[name] if name in options else float(Fraction(name)))
        end = match.end()
    if end != len(inner):
        msg = f"not an exponent: {text!r}"
        raise ValueError(msg)
    return total
