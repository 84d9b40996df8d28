"""JUnit reports against Jenkins' junit-10.xsd, as pytest's source distribution ships it.

`make test-oracle` fetches that archive and lays the schema beside its environment; xmlschema validates.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hptransfer.findings.record import Report
from hptransfer.findings.reports.junit import write
from tests.findings.reports.samples import everything

pytestmark = pytest.mark.oracle
SCHEMA = Path(sys.prefix) / "junit-10.xsd"


@pytest.mark.parametrize("found", [everything(), Report((), (), (), ("a",), 0)], ids=["everything", "clean"])
def test_a_report_is_valid(found: Report) -> None:
    import xmlschema

    xmlschema.XMLSchema(str(SCHEMA)).validate(write(found))


def test_the_schema_is_not_one_that_takes_anything() -> None:
    import xmlschema

    broken = write(everything()).replace("<failure", "<failed").replace("</failure", "</failed")
    assert not xmlschema.XMLSchema(str(SCHEMA)).is_valid(broken)
