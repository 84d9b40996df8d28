"""A report as JUnit XML: one suite a config, one test case a check that found something.

Errors are failures, unreadable files are errors. A warning must not turn a pipeline red: it is the output
of a case that passes. Element order and attributes are those of Jenkins' schema junit-10.xsd.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET  # writing only: nothing foreign is parsed

from hptransfer.findings.record import Finding, Report
from hptransfer.findings.reports.common import relative_path


def write(report: Report) -> str:
    """Write one XML document."""
    suites = ET.Element("testsuites", name="hptransfer check")
    files = dict.fromkeys([*report.checked, *(trouble.file for trouble in report.unreadable)])
    for file in files:
        _suite(suites, file, report)
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _suite(suites: ET.Element, file: str, report: Report) -> None:
    name = _text(relative_path(file))
    suite = ET.SubElement(suites, "testsuite", name=name)
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.file == file:
            found.setdefault(f"{finding.id} {finding.slug}", []).append(finding)
    for check, findings in found.items():
        _case(suite, check, name, findings)
    troubles = [trouble.message for trouble in report.unreadable if trouble.file == file]
    for message in troubles:
        case = ET.SubElement(suite, "testcase", name="readable", classname=name)
        ET.SubElement(case, "error", message=_text(message), type="unreadable")
    if not found and not troubles:
        ET.SubElement(suite, "testcase", name="hptransfer check", classname=name)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    suite.set("errors", str(len(troubles)))


def _case(suite: ET.Element, check: str, name: str, findings: list[Finding]) -> None:
    case = ET.SubElement(suite, "testcase", name=check, classname=name)
    lines = "\n".join(
        f"{finding.file}{'' if finding.line is None else f':{finding.line}'}: {finding.message}\n"
        f"Fix: {finding.fix}"
        for finding in findings
    )
    if any(finding.severity == "error" for finding in findings):
        failure = ET.SubElement(case, "failure", message=_text(findings[0].message), type=findings[0].id)
        failure.text = _text(lines)
    else:
        ET.SubElement(case, "system-out").text = _text(lines)


def _text(text: str) -> str:
    """Replace what XML 1.0 cannot hold: control characters and lone surrogates."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
