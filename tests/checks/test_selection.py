"""Selecting checks by the start of an id: the longer code decides, ignoring wins a tie."""

from __future__ import annotations

import pytest

from hptransfer.checks import find_check
from hptransfer.checks.selection import Selection, read_codes
from hptransfer.errors import UsageError


@pytest.mark.parametrize(
    ("select", "ignore", "runs"),
    [
        ((), (), True),
        (("HPT",), (), True),
        (("HPT1",), (), True),
        (("HPT2",), (), False),
        ((), ("HPT1",), False),
        (("HPT1",), ("HPT1",), False),
        (("HPT10",), ("HPT1",), True),
        (("HPT1",), ("HPT101",), False),
        (("edited",), ("HPT10",), True),
        (("HPT",), ("edited",), False),
    ],
)
def test_the_longest_code_decides(select: tuple[str, ...], ignore: tuple[str, ...], runs: bool) -> None:
    assert (find_check("edited") in Selection(select, ignore)) is runs


def test_codes_may_be_joined_by_commas() -> None:
    assert read_codes(["HPT1, edited", "HPT4"], "--select") == ("HPT1", "edited", "HPT4")


@pytest.mark.parametrize("code", ["HPT9", "hpt1", "edit", "E501", "HPT1012"])
def test_a_code_that_fits_nothing_is_an_error(code: str) -> None:
    with pytest.raises(UsageError, match="fits no check"):
        read_codes([code], "--select")
