"""GitHub annotations: escaped, most severe first, ten of a type, and a notice of what is cut off."""

from __future__ import annotations

import re

from hptransfer.findings.record import Report
from hptransfer.findings.reports.github import write
from tests.findings.reports.samples import finding

COMMAND = re.compile(r"::(error|warning|notice)( [a-z]+=[^:,]*(,[a-z]+=[^:,]*)*)?::(?:(?!::).)*")


def test_every_line_of_a_small_report_is_one_whole_command(report: Report) -> None:
    lines = write(report).splitlines()
    assert all(COMMAND.fullmatch(line) for line in lines), lines
    kinds = [line.split()[0].strip(":") for line in lines]
    assert kinds == ["error"] * 5 + ["warning", "notice"]
    assert lines[0].startswith("::error file=configs/ä.yaml,title=unreadable::is not UTF-8")
    assert lines[1].startswith("::error file=configs/a b.yaml,line=7,title=HPT102 off-law-lr::")


def test_messages_and_properties_are_escaped(report: Report) -> None:
    text = write(report)
    assert "50%25 of" in text
    assert "file=../outside/b%2Cc%3Ad.yaml" in text
    assert "error::no command" not in text


def test_beyond_ten_of_a_type_the_rest_is_plain_log_and_counted() -> None:
    errors = tuple(finding(line=i, message=f"error {i}") for i in range(1, 14))
    warnings = tuple(finding(severity="warning", message=f"warning {i}") for i in range(12))
    lines = write(Report((*warnings, *errors), (), (), ("a",), 0)).splitlines()
    assert [line.split()[0] for line in lines[:20]] == ["::error"] * 10 + ["::warning"] * 10
    assert not any(line.startswith("::") for line in lines[20:-1])
    assert "error 13" in "".join(lines[20:-1])
    assert "13 errors, 12 warnings" in lines[-1]
    assert "10 annotations of a type: 5 more are in the log" in lines[-1]


def test_a_clean_report_is_a_notice() -> None:
    assert write(Report((), (), (), ("a", "b"), 0)) == (
        "::notice title=hptransfer check::2 configs checked, 0 errors, 0 warnings.\n"
    )
