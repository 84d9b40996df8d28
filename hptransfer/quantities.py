"""Numbers as people write them: `7e9`, `7B`, `1.2T`, `4Mi`, `524_288`; and back to short text."""

from __future__ import annotations

import math
import re

from hptransfer.errors import UsageError, plain

DECADES = 1e3  # times, from end to end of an interval, that leave no digit of a number known
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_SUFFIXES |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)\s*([A-Za-z]{0,2})")


def parse_number(text: str) -> float:
    """Read a finite number with an optional suffix (K M B G T, or Ki Mi Gi Ti for powers of 1024).

    Raises:  ValueError when the text is not such a number.

    >>> parse_number("7B"), parse_number("1.2T"), parse_number("4Mi"), parse_number("524_288")
    (7000000000.0, 1200000000000.0, 4194304.0, 524288.0)
    """
    match = _NUMBER.fullmatch(text.strip())
    suffix = match.group(2).lower() if match else "?"
    if match is None or suffix not in _SUFFIXES:
        msg = f"not a number: {plain(text)!r}"
        raise ValueError(msg)
    value = float(match.group(1).replace("_", "")) * _SUFFIXES[suffix]
    if not math.isfinite(value):
        msg = f"not a finite number: {plain(text)!r}"
        raise ValueError(msg)
    return value


def parse_positive(text: str, name: str) -> float:
    """Read a positive number given for `name`, or raise UsageError with examples of what is accepted."""
    try:
        value = parse_number(text)
    except ValueError:
        value = -1.0
    if not value > 0:
        msg = f"{name}: got {plain(text)!r}, need a positive number such as 7e9, 7B, 1.2T, 4Mi or 524_288."
        raise UsageError(msg)
    return value


def short_count(value: float) -> str:
    """Write a count of parameters or tokens the way people say it.

    >>> short_count(7e9), short_count(59_968_512), short_count(1e12), short_count(999.96e6), short_count(0)
    ('7B', '60M', '1T', '1B', '0')
    """
    if not math.isfinite(value) or value <= 0:
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    for factor, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if rounded >= factor:
            return f"{rounded / factor:.3g}{suffix}" if rounded < 1e15 else f"{rounded:.3g}"
    return f"{rounded:.3g}"


def short_span(bounds: tuple[float, float]) -> str:
    """Write an interval of counts: over three decades in powers of ten, where suffixes are easily misread.

    >>> short_span((416, 1250)), short_span((3.32, 4.55e14))
    ('416 to 1.25K', '3.3e+00 to 4.6e+14')
    """
    low, high = bounds
    if spans_decades(bounds):
        return f"{low:.1e} to {high:.1e}"
    return f"{short_count(low)} to {short_count(high)}"


def spans_decades(bounds: tuple[float, float]) -> bool:
    """Whether an interval is so wide that it says the order of magnitude at best."""
    return bounds[0] > 0 and bounds[1] >= DECADES * bounds[0]


def significant(value: float, digits: int = 4) -> float:
    """Round to significant digits: enough for any hyperparameter, and readable in a config.

    >>> significant(8.335162746460964e-04), significant(0.0)
    (0.0008335, 0.0)
    """
    return float(f"{value:.{digits - 1}e}")


def scientific(value: float, digits: int = 4) -> str:
    """Write a float that every YAML reader takes as a number (mantissa with a point, signed exponent).

    >>> scientific(3e-4), scientific(0.00082693)
    ('3.0e-04', '8.269e-04')
    """
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0")
    if mantissa.endswith("."):
        mantissa += "0"
    return f"{mantissa}e{exponent}"
