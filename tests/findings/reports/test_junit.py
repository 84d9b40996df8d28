"""JUnit: suites of configs, cases of checks. Its XSD is tested in tests/oracle."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hptransfer.findings.record import Report
from hptransfer.findings.reports.junit import write
from tests.findings.reports.samples import finding


def test_a_suite_a_config_and_a_case_a_check(report: Report) -> None:
    root = ET.fromstring(write(report))
    names = [suite.get("name") for suite in root]
    assert names == ["configs/a b.yaml", "../outside/b,c:d.yaml", "-", "configs/clean.yaml", "configs/ä.yaml"]
    assert [case.get("name") for case in root[0]] == ["HPT404 experimental-law", "HPT102 off-law-lr"]
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "6", "failures": "3", "errors": "1"
    }  # fmt: skip


def test_a_warning_passes_an_error_fails_and_an_unreadable_file_is_an_error(report: Report) -> None:
    root = ET.fromstring(write(report))
    warning, failure = root[0]
    assert [child.tag for child in warning] == ["system-out"]
    assert [child.tag for child in failure] == ["failure"]
    assert (failure[0].text or "").count("Fix: Plan again.") == 2
    assert len(root[3][0]) == 0
    assert root[4][0][0].tag == "error"


def test_control_characters_do_not_break_the_document() -> None:
    odd = finding(message="\x1b[31m\x00\ud800", file="a\x07.yaml")
    root = ET.fromstring(write(Report((odd,), (), (), (odd.file,), 0)))
    assert root[0].get("name") == "a?.yaml"
