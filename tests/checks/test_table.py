"""The table of checks: every entry is complete, unique and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hptransfer.checks import CHECKS, checks_page, find_check
from hptransfer.checks.base import Check
from hptransfer.config import RUN_FIELDS
from hptransfer.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_ids_and_slugs_are_unique_and_no_slug_is_a_field() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert len({check.slug for check in CHECKS} | set(RUN_FIELDS)) == len(CHECKS) + len(RUN_FIELDS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.slug)
def test_an_entry_says_what_why_and_how_to_fix_it(check: Check) -> None:
    assert re.fullmatch(r"HPT\d{3}", check.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", check.slug)
    assert check.title
    assert check.why.endswith(".")
    assert check.fix.endswith(".")
    assert check.source


def test_checks_are_found_by_id_and_slug() -> None:
    assert find_check("HPT101") is find_check("edited") is find_check("hpt101")
    with pytest.raises(UsageError, match=r"Did you mean 'edited'\?"):
        find_check("editde")


def test_the_page_is_fresh_and_names_every_check() -> None:
    assert PAGE.read_text(encoding="utf-8").strip().endswith(checks_page().strip())
    assert all(f"## {check.id} {check.slug}" in checks_page() for check in CHECKS)
