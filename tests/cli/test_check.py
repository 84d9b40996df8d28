"""`hptransfer check` as CI runs it: formats, baseline, fixes; exit codes as documented."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hptransfer.cli.render_check import show_report
from hptransfer.cli.talk import Talk
from hptransfer.findings.record import Finding, Report
from hptransfer.findings.reports import FORMATS
from tests.cli.conftest import Run

PLAN = ("plan", "--law", "step-law", "--params", "1e9", "--tokens", "2e10", "--params-kind", "non-embedding")


@pytest.fixture
def config(run: Run, tmp_path: Path) -> Path:
    """A clean config."""
    (tmp_path / "configs").mkdir()
    assert run(*PLAN, "-o", "configs/a.yaml").code == 0
    return tmp_path / "configs/a.yaml"


def edit(config: Path, **values: str) -> None:
    text = config.read_text()
    for name, value in values.items():
        text = re.sub(rf"^{name}: \S+", f"{name}: {value}", text, count=1, flags=re.M)
    config.write_text(text)


@pytest.mark.parametrize("form", ["text", *FORMATS])
def test_every_format_has_the_same_exit_codes_and_shows_findings_beside_unreadable_files(
    run: Run, config: Path, form: str
) -> None:
    option = ("--output-format", form)
    clean = run("check", "configs", *option)
    assert (clean.code, "HPT102" in clean.out) == (0, form == "sarif")  # SARIF lists all rules
    edit(config, peak_lr="3.0e-03")
    found = run("check", "configs", *option)
    assert found.code == 1
    assert "off-law-lr" in found.out
    both = run("check", "configs", "missing.yaml", *option)
    assert both.code == 2
    assert "off-law-lr" in both.out
    assert "missing.yaml" in both.out


def test_json_is_a_format_as_well(run: Run, config: Path) -> None:
    assert run("check", "configs", "--json").out == run("check", "configs", "--output-format", "json").out


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--output-format", "sarfi"), "Did you mean 'sarif'"),
        (("--write",), "--write goes with --fix"),
        (("--write-baseline",), "add --baseline FILE"),
        (("--fix", "--baseline", "b.json", "--write-baseline"), "two steps"),
        (("--baseline", "none.json"), "none.json"),
        (("--select", "E501"), "fits no check"),
        (("--lr-factor", "0.5"), "need at least 1"),
    ],
)
def test_options_that_make_no_sense_are_exit_2(
    run: Run, config: Path, options: tuple[str, ...], match: str
) -> None:
    outcome = run("check", "configs", *options)
    assert (outcome.code, match in outcome.err) == (2, True)


def test_a_baseline_accepts_what_is_there_and_nothing_new(run: Run, config: Path, tmp_path: Path) -> None:
    edit(config, peak_lr="3.0e-03")
    written = run("check", "configs", "--baseline", "b.json", "--write-baseline")
    assert (written.code, "2 findings accepted" in written.err) == (0, True), written.err
    content = json.loads((tmp_path / "b.json").read_text())
    assert {one["file"] for one in content["findings"]} == {"configs/a.yaml"}
    accepted = run("check", "configs", "--baseline", "b.json")
    assert (accepted.code, "2 silenced" in accepted.out) == (0, True)
    edit(config, grad_clip="2.0")
    new = run("check", "configs", "--baseline", "b.json")
    assert (new.code, new.out.count("HPT101")) == (1, 1)
    edit(config, peak_lr="1.2e-02")  # a value that changed is found again
    assert run("check", "configs", "--baseline", "b.json").code == 1


def test_a_baseline_says_when_its_findings_are_gone_and_is_never_replaced_silently(
    run: Run, config: Path
) -> None:
    before = config.read_text()
    edit(config, peak_lr="3.0e-03")
    run("check", "configs", "--baseline", "b.json", "--write-baseline")
    config.write_text(before)
    outcome = run("check", "configs", "--baseline", "b.json")
    assert (outcome.code, "2 entries of the baseline are found no more" in outcome.err) == (0, True)
    assert run("check", "configs", "--baseline", "b.json", "--write-baseline").code == 2
    assert run("check", "configs", "--baseline", "b.json", "--write-baseline", "--force").code == 0


@pytest.mark.parametrize("text", ["", "[]", '{"hptransfer_baseline": 2, "findings": []}', "\x00", "{}"])
def test_a_file_that_is_no_baseline_is_named(run: Run, config: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    outcome = run("check", "configs", "--baseline", "b.json")
    assert (outcome.code, "b.json" in outcome.err, "--write-baseline" in outcome.err) == (2, True, True)


def test_a_baseline_is_not_written_over_unreadable_files(run: Run, config: Path, tmp_path: Path) -> None:
    outcome = run("check", "configs", "none.yaml", "--baseline", "b.json", "--write-baseline")
    assert (outcome.code, (tmp_path / "b.json").exists()) == (2, False)


def test_fix_shows_a_diff_and_writes_only_when_asked(run: Run, config: Path) -> None:
    before = config.read_bytes()
    edit(config, peak_lr="3e-3  # faster", grad_clip="2.0")
    edited = config.read_bytes()
    shown = run("check", "configs", "--fix")
    assert (shown.code, config.read_bytes()) == (1, edited)
    assert "-grad_clip: 2.0\n+grad_clip: 1.0\n" in shown.out
    assert "add --write" in shown.err
    fixed = run("check", "configs", "--fix", "--write")
    assert fixed.code == 0, fixed.out
    assert (
        config.read_bytes() == before.replace(b"\nweight", b"\nweight") or b"# faster" in config.read_bytes()
    )
    assert run("check", "configs").code == 0


def test_fix_keeps_windows_line_ends_and_comments(run: Run, config: Path) -> None:
    windows = config.read_text().replace("\n", "\r\n").encode()
    config.write_bytes(windows.replace(b"grad_clip: 1.0", b"grad_clip: 2.0  # why", 1))
    assert run("check", "configs", "--fix", "--write").code == 0
    assert config.read_bytes() == windows.replace(b"grad_clip: 1.0", b"grad_clip: 1.0  # why", 1)


def test_with_a_format_for_programs_the_diff_is_talk(run: Run, config: Path) -> None:
    edit(config, grad_clip="2.0")
    outcome = run("check", "configs", "--fix", "--json")
    assert json.loads(outcome.out)["exit_code"] == 1
    assert "+grad_clip: 1.0" in outcome.err


def test_the_next_line_explains_the_first_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Findings come in the order of the file; a warning may stand above what fails the check."""
    warning = Finding(
        id="HPT900", slug="odd", severity="warning", file="a.yaml", line=1, field="x",
        message="odd", expected=None, got=None, fix="look",
    )  # fmt: skip
    errors = [replace(warning, id=name, severity="error") for name in ("HPT103", "HPT101")]
    show_report(Report((warning, *errors), (), (), ("a.yaml",), 0), Talk(quiet=False))
    assert capsys.readouterr().err.endswith("next: hptransfer check --explain HPT103\n")
