"""GitLab's code quality report: the fields its documentation asks for."""

from __future__ import annotations

import json

from hptransfer.findings.record import Report
from hptransfer.findings.reports.gitlab import write


def test_every_issue_has_the_documented_fields(report: Report) -> None:
    issues = json.loads(write(report))
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["lines"]["begin"] >= 1
        assert not issue["location"]["path"].startswith("./")
    assert [issue["severity"] for issue in issues] == ["blocker"] + ["major"] * 4 + ["minor"]
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)


def test_nothing_found_is_an_empty_list() -> None:
    assert json.loads(write(Report((), (), (), ("a",), 0))) == []
