"""Trainers' own configs held to a law: what is found, with the trainer's field names and lines."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hptransfer.checking import check
from hptransfer.config import LawReference, config_from_plan
from hptransfer.errors import UsageError
from hptransfer.findings.fixing import find_patches
from hptransfer.findings.record import Report
from hptransfer.planning import Target, plan
from hptransfer.published import published_law
from hptransfer.settings import TargetSettings
from hptransfer.trainers import FORMATS, recipe_of, write_config
from hptransfer.trainers.base import Machine
from hptransfer.trainers.writing import SIDECAR

LAW = published_law("step-law")
TARGET = TargetSettings(params=1e9, tokens=2e10, params_kind="non-embedding")
MACHINE = Machine(world_size=8, micro_batch=4, seq_len=2048)
PLANNED = config_from_plan(
    plan(LAW, Target(params=1e9, tokens=2e10, params_kind="non-embedding")),
    LawReference(id="step-law", digest=LAW.digest()),
)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, old: str = "", new: str = "", **provenance: Any) -> str:
    """Write the plan in a format, with one text replaced by a pattern; returns the file's name."""
    form = FORMATS[name]
    text = write_config(recipe_of(PLANNED), form, MACHINE, provenance=provenance).text
    changed = re.sub(old, new, text, count=1, flags=re.MULTILINE) if old else text
    assert not old or changed != text
    file = f"config{form.syntax.suffixes[0]}"
    Path(file).write_text(changed)
    return file


def judged(file: str, **options: Any) -> Report:
    given: dict[str, Any] = {"law": "step-law", "target": TARGET, "world_size": 8, "seq_len": 2048}
    return check(file, **(given | options))


def slugs(report: Report) -> list[str]:
    return [finding.slug for finding in report.findings]


@pytest.mark.parametrize("name", FORMATS)
def test_a_plan_in_any_format_is_clean(name: str) -> None:
    report = judged(write(name), format=name)
    assert ([f for f in report.findings if f.slug != "outside-fitted-range"], report.unreadable) == ([], ())
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("name", "old", "new", "slug", "field"),
    [
        ("hf", r"9\.396e-04", "3.0e-03", "off-law-lr", "learning_rate"),
        ("hf", r"9\.396e-04", '"9e-4"', "trainer-trap", "learning_rate"),
        ("hf", r"9\.396e-04", "-1.0", "trainer-trap", "learning_rate"),
        ("hf", r'"adam_beta2": 0\.95,', "", "off-plan-optimizer", "beta2"),
        ("hf", r'"learning_rate": 9\.396e-04,', "", "left-to-default", "peak_lr"),
        ("hf", r'"warmup_steps": \d+', '"warmup_steps": 0', "off-plan-warmup", "warmup_steps"),
        ("hf", r'"warmup_steps"', '"warmup_ratio": 0.01, "x"', "trainer-trap", "warmup_ratio"),
        ("hf", r"0\.01064", "0.1", "off-plan-floor", "lr_scheduler_kwargs.min_lr_rate"),
        ("hf", "cosine_with_min_lr", "constant_with_warmup", "off-plan-schedule", "lr_scheduler_type"),
        ("hf", "50863", "5086", "steps-tokens", "max_steps"),
        ("hf", r'_steps": 6', '_steps": 12', "off-law-batch", "per_device_train_batch_size"),
        ("litgpt", r"weight_decay: .*", "weight_decay: 1.0", "off-law-weight-decay",
         "optimizer.init_args.weight_decay"),
        ("litgpt", r"9\.396e-04", "fast", "trainer-trap", "optimizer.init_args.lr"),
        ("nanogpt", r"^min_lr = .*", "min_lr = 9.0e-05", "off-plan-floor", "min_lr"),
        ("nanogpt", r"^lr_decay_iters = .*", "lr_decay_iters = 600000", "trainer-trap", "lr_decay_iters"),
    ],
)  # fmt: skip
def test_a_spoiled_config_is_found_under_the_trainers_name(
    name: str, old: str, new: str, slug: str, field: str
) -> None:
    report = judged(write(name, old, new), format=name)
    assert (slug, field) in [(f.slug, f.field) for f in report.findings], report


def test_a_finding_names_the_line() -> None:
    file = write("litgpt", r"9\.396e-04", "3.0e-03")
    (finding,) = [f for f in judged(file).findings if f.slug == "off-law-lr"]
    assert finding.line is not None
    assert "lr: 3.0e-03" in Path(file).read_text().splitlines()[finding.line - 1]


def test_target_and_law_come_from_the_settings() -> None:
    write("litgpt")
    Path("hptransfer.toml").write_text(
        '[[configs]]\nfiles = ["*.yaml"]\nlaw = "step-law"\n'
        'target = {params = 1e9, tokens = 2e10, params_kind = "non-embedding"}\n'
    )
    report = check(".")
    assert (report.checked, report.exit_code) == (("./config.yaml".removeprefix("./"),), 0)
    Path("hptransfer.toml").write_text("")
    assert (check(".").checked, check(".").skipped) == ((), 1)  # nothing says that it is a config


def test_target_and_law_come_from_the_header_that_hptransfer_wrote() -> None:
    provenance: dict[str, Any] = {
        "target": {"params": 1e9, "tokens": 2e10},
        "law": {"id": "step-law", "digest": "sha256:0"},
    }
    write("litgpt", **provenance)
    report = check(".")
    assert "stale-law" in slugs(report)
    assert report.unreadable == ()


def test_without_a_target_traps_are_found_and_the_exit_code_is_2() -> None:
    report = check(write("litgpt", r"9\.396e-04", "fast"))
    assert "trainer-trap" in slugs(report)
    assert "target is not known" in report.unreadable[0].message
    assert report.exit_code == 2


def test_without_a_law_the_exit_code_is_2() -> None:
    report = judged(write("litgpt"), law=None)
    assert "law is not known" in report.unreadable[0].message
    assert report.exit_code == 2


def test_a_batch_that_nobody_knows_is_said() -> None:
    report = judged(write("hf"), world_size=None)
    assert ("value-unknown", "batch_tokens") in [(f.slug, f.field) for f in report.findings]


def test_two_formats_that_match_are_reported_and_a_name_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("nanogpt")
    twin = replace(FORMATS["nanogpt"], name="twin")
    monkeypatch.setitem(FORMATS, "twin", twin)
    report = judged(file)
    assert (report.exit_code, report.checked) == (2, ())
    assert "can be read as nanogpt, twin" in report.unreadable[0].message
    assert judged(file, format="nanogpt").exit_code == 0


def test_an_unknown_format_is_an_error_and_a_file_of_no_format_is_unreadable() -> None:
    with pytest.raises(UsageError, match="Formats:"):
        judged(write("hf"), format="hff")
    Path("none.json").write_text('{"speed": 1}')
    assert "known format" in judged("none.json").unreadable[0].message


def test_fixes_put_the_laws_value_into_the_trainers_field() -> None:
    file = write("hf", r"9\.396e-04", "3.0e-03")
    (patch,) = find_patches(judged(file).findings)
    patch.write()
    assert '"learning_rate": 9.39' in Path(file).read_text()
    assert "off-law-lr" not in slugs(judged(file))


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("binary.json", b"\x00\xff\xfe" * 1000),
        ("huge.json", b'{"learning_rate": 1, "x": "' + b"a" * 2**21 + b'"}'),
        ("deep.json", b'{"learning_rate": ' + b"[" * 100_000),
        ("bomb.yaml", BOMB.encode() + b"train:\n  min_lr: *i\n"),
        ("twice.json", b'{"learning_rate": 1, "learning_rate": 2, "lr_scheduler_type": "x"}'),
        ("code.py", b"learning_rate = __import__('os').system('touch pwned')\nmax_iters = 9**9**9\n"),
        ("empty.json", b""),
    ],
)
def test_hostile_files_end_in_a_message(name: str, content: bytes) -> None:
    """Never a traceback, never code that runs, never long: each alone, and beside a good config."""
    Path(name).write_bytes(content)
    report = judged(name)
    assert report.exit_code in (1, 2)
    assert report.unreadable or report.findings
    assert not Path("pwned").exists()
    assert all(len(one.message) < 1000 for one in report.unreadable)


def test_sidecars_beside_trainers_configs_are_no_configs(project: Path) -> None:
    file = write("hf")
    Path(file + SIDECAR).write_text('{"hptransfer_version": "0"}')
    Path("hptransfer.toml").write_text(
        '[[configs]]\nfiles = ["*.json"]\nlaw = "step-law"\nworld_size = 8\nseq_len = 2048\n'
        'target = { params = 1e9, tokens = 2e10, params_kind = "non-embedding" }\n'
    )
    report = check(str(project))
    assert (report.unreadable, report.findings) == ((), ())
    assert len(report.checked) == 1
