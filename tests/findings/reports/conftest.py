"""The report that every format is tried on."""

from __future__ import annotations

import pytest

from hptransfer.findings.record import Report
from tests.findings.reports.samples import everything


@pytest.fixture
def report() -> Report:
    """Findings of every kind at once."""
    return everything()
