"""Configs held to their plan and their law: what is found, what is silent, what is never read or shown."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hptransfer.checking import check
from hptransfer.checks import CHECKS
from hptransfer.config import config_from_plan, config_to_yaml
from hptransfer.errors import InputError, UsageError
from hptransfer.findings.record import Finding, Report, report_to_dict
from hptransfer.law import Bowl, Law, Note, law_to_json
from hptransfer.planning import Target, plan
from hptransfer.project import resolve_law
from tests.test_config import fitted_law

TARGET = Target(params=1e9, tokens=1e10, params_kind="non-embedding")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a law in it, as working directory."""
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    save(fitted_law(params_kind="non-embedding"))
    return tmp_path


def save(law: Law) -> None:
    Path("law.json").write_text(law_to_json(law))


def write(path: str = "configs/a.yaml", *, spec: str = "law.json", target: Target = TARGET) -> str:
    """Plan with a law and write the config; returns its text."""
    resolved = resolve_law(spec)
    text = config_to_yaml(config_from_plan(plan(resolved.law, target), resolved.reference_from(path)))
    Path(path).write_text(text)
    return text


def edit(**values: Any) -> Report:
    """Write a clean config, change top-level values, and check."""
    text = write()
    lines = text.splitlines()
    for name, value in values.items():
        at = next((i for i, line in enumerate(lines) if line.startswith(f"{name}:")), None)
        new = f"{name}: {value}"
        lines = [*lines, new] if at is None else [*lines[:at], new, *lines[at + 1 :]]
    Path("configs/a.yaml").write_text("\n".join(lines) + "\n")
    return check("configs")


def slugs(report: Report) -> list[str]:
    return [finding.slug for finding in report.findings]


def only(report: Report) -> Finding:
    (finding,) = report.findings
    return finding


def planned() -> Any:
    return plan(resolve_law("law.json").law, TARGET)


def test_doubts_that_fit_recorded_in_the_law_are_repeated_as_warnings() -> None:
    notes = (
        Note(code="not-identifiable", message="params and tokens moved together."),
        Note(code="no-loss-law", message="too few cells."),
    )
    save(fitted_law(params_kind="non-embedding").model_copy(update={"warnings": notes}))
    write()
    report = check("configs")
    assert (slugs(report), report.exit_code) == (["proxies-not-representative"], 0)
    assert "params and tokens moved together" in only(report).message


def test_a_plan_as_written_is_clean() -> None:
    write()
    report = check("configs")
    assert (report.findings, report.exit_code) == ((), 0)
    assert report.checked == ("configs/a.yaml",)


@pytest.mark.parametrize("spec", ["step-law", "law.json"])
@pytest.mark.parametrize("batch", [None, 1e6])
def test_clean_for_every_kind_of_law_and_pinned_batch(spec: str, batch: float | None) -> None:
    write(spec=spec, target=replace(TARGET, batch_tokens=batch))
    report = check("configs/a.yaml")
    assert [f for f in report.findings if f.severity == "error"] == []


def test_an_edited_lr_is_named_with_old_new_and_how_much() -> None:
    lr = planned().rounded.peak_lr
    report = edit(peak_lr=f"{lr * 2:.6e}")
    assert slugs(report) == ["edited", "off-law-lr"]
    assert report.exit_code == 1
    edited, off = report.findings
    assert edited.field == "peak_lr"
    assert edited.expected == lr
    assert edited.got == pytest.approx(2 * lr)
    lines = Path("configs/a.yaml").read_text().splitlines()
    assert edited.line is not None
    assert lines[edited.line - 1].startswith("peak_lr:")
    assert "2x the law's" in off.message
    assert "allowed x1.25" in off.message


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (1.005, []),
        (1.02, ["edited"]),
        (1.24, ["edited"]),
        (1.3, ["edited", "off-law-lr"]),
        (1 / 1.3, ["edited", "off-law-lr"]),
    ],
)
def test_edited_and_off_the_law_have_their_own_limits(factor: float, expected: list[str]) -> None:
    assert slugs(edit(peak_lr=f"{planned().rounded.peak_lr * factor:.6e}")) == expected


def test_limits_can_be_set() -> None:
    edit(peak_lr=f"{planned().rounded.peak_lr * 1.3:.6e}")
    assert slugs(check("configs", tolerances={"edited": 0.5, "lr_factor": 1.4})) == []
    with pytest.raises(UsageError, match="lr_factor"):
        check("configs", tolerances={"lr_factor": 0.5})


def test_an_override_of_a_field_accepts_the_edit_but_not_what_the_law_says() -> None:
    lr = f"{planned().rounded.peak_lr * 2:.6e}"
    report = edit(peak_lr=lr, override="{peak_lr: the ablation asked for it}")
    assert slugs(report) == ["off-law-lr"]
    assert [o.reason for o in report.overridden] == ["the ablation asked for it"]
    report = edit(peak_lr=lr, override="{peak_lr: the ablation, off-law-lr: the ablation}")
    assert (slugs(report), report.exit_code, len(report.overridden)) == ([], 0, 2)


def test_a_batch_off_the_law_is_found_and_the_lr_is_judged_at_that_batch() -> None:
    p = planned()
    report = edit(batch_tokens=p.rounded.batch_tokens * 2)
    assert {"edited", "off-law-lr", "off-law-batch", "steps-tokens"} <= set(slugs(report))
    off = next(f for f in report.findings if f.slug == "off-law-lr")
    assert off.expected == pytest.approx(p.rounded.peak_lr * 2**0.5, rel=1e-3)  # square-root rule


@pytest.mark.parametrize(
    ("values", "slug", "field"),
    [
        ({"schedule": "wsd"}, "edited", "schedule"),
        ({"steps": 10}, "steps-tokens", "steps"),
        ({"warmup_steps": 10**9}, "warmup-beyond-run", "warmup_steps"),
        ({"warmup_tokens": "1.0e+11"}, "warmup-beyond-run", "warmup_tokens"),
        ({"warmup_steps": 10**4}, "warmup-disagrees", "warmup_steps"),
        ({"weight_decay": 10.0}, "off-law-weight-decay", "weight_decay"),
        ({"override": "{peak_rl: x}"}, "unknown-override", "override.peak_rl"),
        ({"grad_clip": "1e0"}, "number-as-text", "grad_clip"),
        ({"grad_norm": 1.0}, "unknown-field", "grad_norm"),
        ({"grad_clip": "none"}, "bad-value", "grad_clip"),
    ],
)
def test_each_check_fires_on_its_mutation(values: dict[str, Any], slug: str, field: str) -> None:
    report = edit(**values)
    assert (slug, field) in [(f.slug, f.field) for f in report.findings]
    assert all(f.line is not None for f in report.findings)


def test_a_misspelled_field_is_a_finding_with_a_suggestion_and_the_rest_is_still_checked() -> None:
    report = edit(grad_norm=1.0, schedule="wsd")
    assert slugs(report) == ["unknown-field", "edited"]
    Path("configs/a.yaml").write_text(write().replace("\npeak_lr:", "\npeak_Ir:", 1))
    report = check("configs")
    assert "Did you mean 'peak_lr'?" in only(report).message
    assert report.exit_code == 1


def test_a_missing_field_is_a_finding() -> None:
    text = write()
    Path("configs/a.yaml").write_text("".join(x for x in text.splitlines(True) if not x.startswith("beta1:")))
    assert (only(check("configs")).slug, only(check("configs")).field) == ("missing-field", "beta1")


def test_a_batch_in_sequences_is_one_finding_that_explains_the_rest() -> None:
    batch = planned().rounded.batch_tokens
    report = edit(batch_tokens=int(batch / 2048))
    finding = only(report)
    assert (finding.slug, finding.field) == ("batch-unit", "batch_tokens")
    assert "looks like sequences" in finding.message
    assert only(edit(batch_tokens=int(batch * 2048))).slug == "batch-unit"


@pytest.mark.parametrize("power", [-2, -1, 1, 3])
def test_an_lr_off_by_a_power_of_ten_is_one_finding(power: int) -> None:
    finding = only(edit(peak_lr=f"{planned().rounded.peak_lr * 10.0**power:.6e}"))
    assert finding.slug == "lr-unit"
    assert f"10^{power}" in finding.message


def test_an_lr_per_sequence_is_one_finding() -> None:
    p = planned()
    sequences = p.rounded.batch_tokens / p.seq_len
    finding = only(edit(peak_lr=f"{p.rounded.peak_lr / sequences:.6e}"))
    assert finding.slug == "lr-unit"


def test_warmup_in_the_wrong_unit_is_one_finding() -> None:
    rounded = planned().rounded
    assert only(edit(warmup_tokens=rounded.warmup_steps)).slug == "warmup-unit"
    assert only(edit(warmup_steps=int(rounded.warmup_tokens))).slug == "warmup-unit"


def test_what_a_unit_slip_does_not_explain_is_still_found() -> None:
    lr = planned().rounded.peak_lr
    assert slugs(edit(peak_lr=f"{lr * 10:.6e}", schedule="wsd")) == ["edited", "lr-unit"]


def test_a_law_fitted_anew_is_stale() -> None:
    write()
    save(fitted_law(params_kind="non-embedding", lr_batch_exponent=0.3))
    finding = only(check("configs"))
    assert (finding.slug, finding.severity) == ("stale-law", "error")


def test_titles_do_not_make_a_law_stale() -> None:
    write()
    save(fitted_law(params_kind="non-embedding", title="another title"))
    assert check("configs").findings == ()


def test_a_law_that_counts_other_params_is_one_finding() -> None:
    write()
    save(fitted_law(params_kind="total"))
    assert slugs(check("configs")) == ["stale-law", "params-kind"]


def test_a_law_that_refuses_is_a_finding() -> None:
    write()
    note = {"code": "single-params", "message": "one size"}
    save(fitted_law(params_kind="non-embedding", fitted_on={"params": (1e8, 1e8)}, warnings=(note,)))
    assert slugs(check("configs")) == ["stale-law", "law-refuses"]


def test_doubtful_laws_and_far_targets_are_warnings() -> None:
    law = fitted_law(params_kind="non-embedding")
    assert law.peak_lr is not None
    save(law.model_copy(update={"peak_lr": law.peak_lr.model_copy(update={"certainty": "recalled"})}))
    write(target=replace(TARGET, params=5e9))
    report = check("configs")
    assert slugs(report) == ["experimental-law", "outside-fitted-range"]
    assert report.exit_code == 0


def test_how_far_outside_the_fitted_range_is_too_far_can_be_set() -> None:
    """The law was fitted up to 1e9 params: the target lies 5 times beyond."""
    write(target=replace(TARGET, params=5e9))
    assert slugs(check("configs")) == ["outside-fitted-range"]
    assert slugs(check("configs", tolerances={"reach_factor": 5.1})) == []
    toml('[tolerances]\nreach_factor = 4.0\n[severity]\nHPT405 = "error"')
    assert (slugs(check("configs")), check("configs").exit_code) == (["outside-fitted-range"], 1)


def test_a_given_law_wins_over_the_settings_file_which_wins_over_the_config() -> None:
    write()
    Path("other.json").write_text(law_to_json(fitted_law(params_kind="non-embedding", seq_len=512)))
    assert slugs(check("configs")) == []
    Path("hptransfer.toml").write_text('law = "other.json"')
    assert "stale-law" in slugs(check("configs"))
    assert slugs(check("configs", law="law.json")) == []
    assert slugs(check("configs", law=resolve_law("law.json").law)) == []


def test_a_missing_law_is_exit_2_and_edits_are_still_found() -> None:
    lr = planned().rounded.peak_lr
    edit(peak_lr=f"{lr * 2:.6e}")
    Path("law.json").unlink()
    report = check("configs")
    assert slugs(report) == ["edited"]
    assert report.exit_code == 2
    assert "../law.json: there is no such file" in report.unreadable[0].message


@pytest.mark.parametrize("kind", ["relative", "absolute", "symlink"])
def test_a_law_outside_the_project_is_neither_read_nor_shown(
    kind: str, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("outside") / "secret.json"
    secret.write_text(json.dumps({"schema_version": 1, "password": "hunter2"}))
    (project / "configs" / "link.json").symlink_to(secret)
    path = {
        "relative": os.path.relpath(secret, project / "configs"),
        "absolute": str(secret),
        "symlink": "link.json",
    }[kind]
    Path("configs/a.yaml").write_text(write().replace('path: "../law.json"', f'path: "{path}"'))
    report = check("configs")
    assert report.exit_code == 2
    assert "leaves the project" in report.unreadable[0].message
    assert "hunter2" not in json.dumps(report_to_dict(report))


def test_a_file_inside_the_project_that_is_no_law_is_never_shown() -> None:
    Path("settings.json").write_text(json.dumps({"schema_version": 1, "password": "hunter2"}))
    Path("configs/a.yaml").write_text(write().replace("../law.json", "../settings.json"))
    report = check("configs")
    assert report.exit_code == 2
    assert "hunter2" not in json.dumps(report_to_dict(report))
    assert "password" not in json.dumps(report_to_dict(report))


def test_a_law_of_a_newer_schema_is_exit_2() -> None:
    write()
    text = Path("law.json").read_text().replace('"schema_version": 1', '"schema_version": 2')
    Path("law.json").write_text(text)
    assert check("configs").exit_code == 2
    with pytest.raises(InputError, match="Upgrade"):
        check("configs", law="law.json")


def test_a_config_of_a_newer_schema_is_exit_2() -> None:
    report = edit(hptransfer_config=2)
    assert (report.exit_code, report.checked) == (2, ())
    assert "line 2, hptransfer_config: got 2" in report.unreadable[0].message


def test_foreign_yaml_is_skipped_with_a_count_in_a_folder_and_unreadable_when_named() -> None:
    write()
    Path("configs/k8s.yaml").write_text("kind: Pod\npassword: hunter2\n")
    Path("configs/binary.yml").write_bytes(b"\x00\xff\xfe" * 100)
    Path("configs/latin.yml").write_bytes("näme: 1\n".encode("latin-1"))
    Path("configs/notes.txt").write_text("hptransfer_config: 1")
    report = check("configs")
    assert (report.skipped, report.exit_code) == (3, 0)
    for name in ("k8s.yaml", "binary.yml", "latin.yml"):
        report = check(f"configs/{name}")
        assert report.exit_code == 2
        assert "hunter2" not in report.unreadable[0].message


def test_a_broken_config_of_ours_in_a_folder_is_unreadable() -> None:
    text = write()
    Path("configs/latin.yaml").write_bytes(text.replace("pow2", "pöw2").encode("latin-1"))
    Path("configs/twice.yaml").write_text(text + "steps: 1\n")
    Path("configs/cut.yaml").write_text(text[:200] + "\n[")
    report = check("configs")
    assert report.exit_code == 2
    assert sorted(u.file for u in report.unreadable) == [
        "configs/cut.yaml", "configs/latin.yaml", "configs/twice.yaml"
    ]  # fmt: skip
    assert report.checked == ("configs/a.yaml",)


def test_findings_and_an_unreadable_file_are_both_shown() -> None:
    edit(schedule="wsd")
    report = check(["configs", "missing.yaml"])
    assert slugs(report) == ["edited"]
    assert [u.file for u in report.unreadable] == ["missing.yaml"]
    assert report.exit_code == 2


def test_nothing_to_check_is_exit_2(project: Path) -> None:
    (project / "empty").mkdir()
    assert check("empty").exit_code == 2
    assert check([]).exit_code == 2


def test_folders_are_searched_without_hidden_names_or_symlink_loops(project: Path) -> None:
    write()
    (project / "configs" / "deep").mkdir()
    write("configs/deep/b.yml")
    (project / "configs" / ".hidden").mkdir()
    write("configs/.hidden/c.yaml")
    (project / "configs" / "deep" / "loop").symlink_to(project / "configs")
    (project / "configs" / "self.txt").symlink_to("self.txt")
    report = check(["configs", Path("configs/a.yaml"), "./configs"])
    assert report.checked == ("configs/a.yaml", "configs/deep/b.yml")
    assert report.exit_code == 0


def test_a_link_to_itself_is_unreadable(project: Path) -> None:
    (project / "configs" / "self.yaml").symlink_to("self.yaml")
    assert check("configs").exit_code == 2


def test_a_pipe_in_a_folder_is_not_waited_for(project: Path) -> None:
    write()
    os.mkfifo(project / "configs" / "pipe.yaml")
    assert (check("configs").skipped, check("configs").exit_code) == (1, 0)


def test_a_report_is_plain_json() -> None:
    report = edit(schedule="wsd", override="{steps: x}")
    content = json.loads(json.dumps(report_to_dict(report), allow_nan=False))
    assert content["exit_code"] == 1
    assert content["findings"][0]["id"] == "HPT101"
    assert content["checked"] == ["configs/a.yaml"]


def test_control_characters_of_a_config_never_reach_a_message() -> None:
    report = edit(schedule='"\\e[31m::error::x"', override='{"\\e": x}')
    assert all(c.isprintable() for f in report.findings for c in f"{f.message}{f.field}{f.got}")
    assert "::" not in json.dumps(report_to_dict(report))


EXTREMES = [
    "0",
    "-1",
    "1.0e-30",
    "1.0e+30",
    "1.0e+308",
    "null",
    "true",
    "text",
    "''",
    "[1, 2]",
    "{a: 1}",
    ".inf",
    "1",
]


@pytest.mark.parametrize("value", EXTREMES)
def test_no_value_anywhere_breaks_a_check(value: str) -> None:
    lines = write().splitlines()
    for at, line in enumerate(lines):
        name, colon, old = line.partition(":")
        if colon and old.strip() and not line.lstrip().startswith(("-", "#")):
            Path("configs/a.yaml").write_text("\n".join([*lines[:at], f"{name}: {value}", *lines[at + 1 :]]))
            report = check("configs/a.yaml")
            json.dumps(report_to_dict(report), allow_nan=False)
            assert report.exit_code in (0, 1, 2)


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        ("deepseek-llm", replace(TARGET, width=2048, depth=24)),
        ("power-scheduler", replace(TARGET, params_kind="unspecified", batch_tokens=2.0**20)),
        ("power-lines", TARGET),
    ],
)
def test_laws_in_compute_with_batch_as_input_or_without_lr_are_checked(spec: str, target: Target) -> None:
    write(spec=spec, target=target)
    assert [f for f in check("configs").findings if f.severity == "error"] == []


def test_a_config_can_come_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    text = write("b.yaml")
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert check("-").exit_code == 0


STEEP = Bowl(
    powers=((2, 0), (1, 1), (0, 2)), terms=(0.1, 0.0, 0.05), trusted_u=(-2.0, 2.0), trusted_v=(-2.0, 2.0)
)


def test_a_pair_that_costs_loss_is_found_though_each_value_is_near() -> None:
    """LR x1.2 on a bowl of 0.1 u^2: 0.1 * log(1.2)^2 = 0.33 % of the loss; x1.1 costs 0.09 %."""
    save(fitted_law(params_kind="non-embedding", bowl=STEEP))
    lr = plan(resolve_law("law.json").law, TARGET).rounded.peak_lr
    assert lr is not None
    off = edit(peak_lr=1.2 * lr, override="{peak_lr: a test}")
    assert slugs(off) == ["off-law-loss"]
    assert "0.33%" in off.findings[0].message
    assert slugs(edit(peak_lr=1.1 * lr, override="{peak_lr: a test}")) == []


def test_the_cost_of_a_pinned_batch_is_the_plans_own() -> None:
    """What the plan gave up for its pinned batch is no finding."""
    save(fitted_law(params_kind="non-embedding", bowl=STEEP))
    free = plan(resolve_law("law.json").law, TARGET)
    assert free.rounded.batch_tokens is not None
    write(target=replace(TARGET, batch_tokens=2 * free.rounded.batch_tokens))
    assert slugs(check("configs")) == []


def toml(text: str) -> None:
    Path("hptransfer.toml").write_text(text)


def test_an_entry_of_the_settings_gives_its_files_a_law_of_their_own() -> None:
    write()
    Path("other.json").write_text(law_to_json(fitted_law(params_kind="non-embedding", seq_len=512)))
    toml('law = "law.json"\n[[configs]]\nfiles = ["configs/*.yaml"]\nlaw = "other.json"')
    assert "stale-law" in slugs(check("configs"))
    toml('law = "other.json"\n[[configs]]\nfiles = ["configs/*.yaml"]\nlaw = "law.json"')
    assert slugs(check("configs")) == []
    toml('law = "other.json"\n[[configs]]\nfiles = ["elsewhere/*"]\nlaw = "law.json"')
    assert "stale-law" in slugs(check("configs"))


def test_limits_of_the_settings_hold_and_the_callers_win() -> None:
    edit(peak_lr=f"{planned().rounded.peak_lr * 1.3:.6e}")
    toml("[tolerances]\nlr_factor = 1.4\nedited = 0.5")
    assert slugs(check("configs")) == []
    assert slugs(check("configs", tolerances={"edited": 0.01})) == ["edited"]
    toml("[tolerances]\nlr_factor = 1.4\n[[configs]]\nfiles = ['**']\ntolerances = {lr_factor = 1.1}")
    assert slugs(check("configs")) == ["edited", "off-law-lr"]
    toml("[tolerances]\nlr_factor = 0.4")
    assert "lr_factor: got 0.4" in check("configs").unreadable[0].message


def test_a_law_of_the_settings_outside_the_project_is_neither_read_nor_shown(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write()
    secret = tmp_path_factory.mktemp("outside") / "secret.json"
    secret.write_text(json.dumps({"password": "hunter2"}))
    toml(f'[[configs]]\nfiles = ["**"]\nlaw = "{os.path.relpath(secret, project)}"')
    report = check("configs")
    assert report.exit_code == 2
    assert "leaves the project" in report.unreadable[0].message
    assert "hunter2" not in json.dumps(report_to_dict(report))


def test_a_config_for_another_target_than_the_project_says_is_a_finding() -> None:
    write()
    toml("[[configs]]\nfiles = ['**']\ntarget = {params = 1e9, tokens = 1e10}")
    assert slugs(check("configs")) == []
    toml("[[configs]]\nfiles = ['**']\ntarget = {params = 1e9, tokens = 2e10}")
    finding = only(check("configs"))
    assert (finding.slug, finding.field) == ("other-target", "target.tokens")
    assert "0.5x" in finding.message


def test_settings_that_cannot_be_read_are_exit_2_for_their_configs() -> None:
    write()
    toml("lw = 1")
    report = check("configs")
    assert (report.exit_code, report.checked) == (2, ())
    assert "hptransfer.toml, line 1, lw: unknown key" in report.unreadable[0].message


def test_checks_are_selected_and_ignored() -> None:
    edit(peak_lr=f"{planned().rounded.peak_lr * 2:.6e}", schedule="wsd", grad_clip="1e0")
    assert slugs(check("configs")) == ["number-as-text", "edited", "edited", "off-law-lr"]
    assert slugs(check("configs", select=["HPT1"])) == ["edited", "edited", "off-law-lr"]
    assert slugs(check("configs", select=["HPT102,HPT004"])) == ["number-as-text", "off-law-lr"]
    assert slugs(check("configs", select=["edited"], ignore=["HPT1"])) == ["edited", "edited"]
    assert slugs(check("configs", ignore=["HPT1", "HPT0"])) == []
    toml('ignore = ["edited"]')
    assert slugs(check("configs")) == ["number-as-text", "off-law-lr"]
    assert slugs(check("configs", ignore=["HPT0"])) == ["edited", "edited", "off-law-lr"]


def test_a_code_that_fits_no_check_is_an_error() -> None:
    write()
    with pytest.raises(UsageError, match=r"--select: 'HPT9' fits no check"):
        check("configs", select=["HPT9"])
    toml('ignore = ["editde"]')
    assert "Did you mean 'edited'" in check("configs").unreadable[0].message


def test_a_project_can_make_a_warning_an_error_and_the_reverse() -> None:
    edit(grad_clip="1e0")
    assert check("configs").exit_code == 0
    toml('[severity]\nHPT004 = "error"')
    assert (only(check("configs")).severity, check("configs").exit_code) == ("error", 1)
    edit(schedule="wsd")
    toml('[severity]\nedited = "warning"')
    assert (only(check("configs")).severity, check("configs").exit_code) == ("warning", 0)


def commented(old: str, new: str, **values: Any) -> Report:
    """A config with edited values, in which a line's text is replaced."""
    edit(**values)
    path = Path("configs/a.yaml")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    return check("configs")


@pytest.mark.parametrize(
    "new",
    [
        "schedule: wsd  # hptransfer: ignore[HPT101] asked for by the ablation",
        "schedule: wsd # hptransfer:ignore[edited]: asked for by the ablation",
        "# hptransfer: ignore[HPT101, off-law-lr] asked for by the ablation\nschedule: wsd",
        "# hptransfer: ignore[HPT101] asked for by the ablation\n# more words\n\nschedule: wsd",
        "schedule: wsd\n# hptransfer: ignore-file[HPT101] asked for by the ablation",
    ],
)
def test_a_comment_with_a_reason_silences_a_finding_of_its_line(new: str) -> None:
    report = commented("schedule: wsd", new, schedule="wsd")
    assert (slugs(report), report.exit_code) == ([], 0)
    (silenced,) = report.overridden
    assert (silenced.finding.slug, silenced.by, silenced.reason) == (
        "edited",
        "comment",
        "asked for by the ablation",
    )


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("ignore[HPT101]", "gives no reason"),
        ("ignore a reason", "names no check"),
        ("ignore[] a reason", "names no check"),
        ("ignore[HPT1] a reason", "'HPT1' is no check's id"),
        ("ignore[editde] a reason", "Did you mean 'edited'"),
        ("ignroe[HPT101] a reason", "'ignroe' is no instruction"),
        ("ignore[HPT101,HPT006]", "gives no reason"),
    ],
)
def test_a_comment_that_makes_no_sense_silences_nothing_and_is_found(comment: str, message: str) -> None:
    report = commented("schedule: wsd", f"schedule: wsd  # hptransfer: {comment}", schedule="wsd")
    assert slugs(report) == ["bad-suppression", "edited"]
    assert message in report.findings[0].message
    assert report.findings[0].line == report.findings[1].line


def test_no_comment_silences_the_check_of_comments() -> None:
    text = "schedule: wsd  # hptransfer: ignore[HPT101]\n# hptransfer: ignore-file[HPT006] be quiet"
    assert "bad-suppression" in slugs(commented("schedule: wsd", text, schedule="wsd"))


def test_a_comment_of_another_line_or_check_silences_nothing_and_is_unused() -> None:
    report = commented("seq_len:", "# hptransfer: ignore[HPT101] why\nseq_len:", schedule="wsd")
    assert slugs(report) == ["edited", "unused-suppression"]
    report = commented("schedule: wsd", "schedule: wsd # hptransfer: ignore[HPT102] why", schedule="wsd")
    assert slugs(report) == ["edited", "unused-suppression"]
    assert slugs(check("configs", select=["edited", "HPT007"])) == ["edited"]  # HPT102 did not run


def test_a_config_that_silences_everything_is_clean_and_every_finding_is_listed() -> None:
    ids = ",".join(entry.id for entry in CHECKS)
    lr = planned().rounded.peak_lr
    text = f"# hptransfer: ignore-file[{ids}] nothing to see here\nschedule: wsd"
    report = commented("schedule: wsd", text, schedule="wsd", peak_lr=3 * lr, steps=10)
    assert report.exit_code == 0
    assert {o.finding.slug for o in report.overridden} >= {"edited", "off-law-lr", "steps-tokens"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (r"^  peak_lr: \S+\n  peak_lr_interval", "  peak_lr: 1.0e-03\n  peak_lr_interval", "optimum.peak_lr"),
        (r"^  peak_lr_interval: \[\S+,", "  peak_lr_interval: [1.0e-09,", "optimum.peak_lr_interval.0"),
        (r"^    factor: 1.0", "    factor: 7.0", "reach.params.factor"),
        (r"^  eps: .*default.*", '  eps: "1e-8 | measured"', "origin.eps"),
        (r"^  steps: \d+", "  steps: 7", "planned.steps"),
    ],
)
def test_a_record_that_was_edited_is_found(old: str, new: str, field: str) -> None:
    """What the plan recorded of itself follows from the law and what was asked of it."""
    text = write()
    changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
    assert changed != text
    Path("configs/a.yaml").write_text(changed)
    report = check("configs")
    assert ("record-differs", field) in [(f.slug, f.field) for f in report.findings], report.findings
    assert report.exit_code == 1


def test_a_stale_law_is_not_also_a_record_that_differs() -> None:
    write()
    save(fitted_law(params_kind="non-embedding", lr_batch_exponent=0.3))
    assert slugs(check("configs")) == ["stale-law"]


def test_texts_of_another_version_are_no_finding() -> None:
    text = re.sub(r"eps: .*default.*", 'eps: "in other words"', write().replace('"0.1.0"', '"0.0.9"'))
    Path("configs/a.yaml").write_text(text)
    assert slugs(check("configs")) == []
