"""`--base`: a plan in a config that somebody has, shown as a diff and written when asked to."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import stat
from pathlib import Path

import pytest
import yaml

from hptransfer.cli import base_options, render
from hptransfer.trainers.describing import trainers_page
from tests.cli.conftest import Run

TARGET = ("--law", "step-law", "--params", "1e9", "--tokens", "1e11")
INTO = ("plan", *TARGET, "--format", "litgpt", "--base", "run.yaml")
BASE = "# mine\nmodel_name: pythia-14m  # small\ntrain:\n  max_tokens: 1000\n  save_interval: 5\n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A litgpt config in the folder that the program runs in."""
    file = tmp_path / "run.yaml"
    file.write_text(BASE, encoding="utf-8")
    return file


def test_the_examples_of_the_page_run(run: Run) -> None:
    (block,) = re.findall("```sh\n(.*?)```", trainers_page(), re.DOTALL)
    for line in block.splitlines():
        outcome = run(*line.removeprefix("hptransfer ").split())
        assert outcome.code == 0, outcome.err


def test_the_diff_is_shown_and_nothing_is_written(run: Run, base: Path) -> None:
    outcome = run(*INTO)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("--- run.yaml\n+++ run.yaml (planned)\n@@ ")
    assert "-  max_tokens: 1000\n" in outcome.out
    assert "\x1b" not in outcome.out
    assert base.read_text() == BASE
    assert outcome.err.splitlines()[-1] == "next: add --write to change run.yaml, or -o FILE to write another"


def test_written_with_write_and_the_second_run_changes_nothing(run: Run, base: Path) -> None:
    base.chmod(0o640)
    shown = run(*INTO).out
    written = run(*INTO, "--write")
    assert written.code == 0, written.err
    assert shown in written.err  # never silently
    assert "replaced run.yaml" in written.err
    assert written.out.startswith("Plan for")
    content = yaml.safe_load(base.read_text())
    assert content["train"]["save_interval"] == 5
    assert content["optimizer"]["init_args"]["lr"] == pytest.approx(1.588e-3, rel=1e-3)
    assert base.read_text().startswith("# mine\nmodel_name: pythia-14m  # small\n")
    assert stat.S_IMODE(base.stat().st_mode) == 0o640
    again = run(*INTO)
    assert (again.code, again.out) == (0, "")
    assert "unchanged run.yaml: it holds these values already" in again.err
    assert "unchanged run.yaml" in run(*INTO, "--write").err


def test_output_takes_the_merged_file_elsewhere(run: Run, base: Path, tmp_path: Path) -> None:
    assert run(*INTO, "-o", "other.yaml").code == 0
    assert base.read_text() == BASE
    assert run(*INTO, "--write").code == 0
    assert (tmp_path / "other.yaml").read_text() == base.read_text()
    whole = run(*INTO, "-o", "-")
    assert whole.out == base.read_text()
    refused = run(*INTO, "-o", "run.yaml")
    assert refused.code == 2
    assert "run.yaml: is an input of this command" in refused.err


def test_convert_and_json_take_a_base(run: Run, base: Path, tmp_path: Path) -> None:
    assert run("plan", *TARGET, "-o", "config.yaml").code == 0
    converted = run("convert", "config.yaml", "--to", "litgpt", "--base", "run.yaml")
    assert converted.out == run(*INTO).out
    outcome = run(*INTO, "--write", "--json")
    assert json.loads(outcome.out)["rounded"]["peak_lr"] == pytest.approx(1.588e-3, rel=1e-3)
    assert "+++ run.yaml (planned)" in outcome.err
    assert run("plan", *TARGET, "--format", "litgpt", "--base", "-").code == 2  # stdin is empty


def test_windows_files_and_byte_order_marks_stay(run: Run, base: Path) -> None:
    base.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert run(*INTO, "--write").code == 0
    content = base.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# mine\r\n")
    assert content.count(b"\r\n") == content.count(b"\n")


def test_the_machine_of_the_base_counts(run: Run, base: Path) -> None:
    base.write_text("train:\n  micro_batch_size: 12\n")
    refused = run(*INTO)
    assert refused.code == 2
    assert "note [machine-of-base]: run.yaml says --micro-batch 12" in refused.err
    assert "does not divide by 12" in refused.err
    assert run(*INTO, "--fit-batch").code == 0
    assert "machine-of-base" not in run(*INTO, "--micro-batch", "4").err
    assert run("plan", *TARGET, "-o", "config.yaml").code == 0
    assert run("convert", "config.yaml", "--to", "litgpt", "--base", "run.yaml", "--fit-batch").code == 0


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("axolotl", "sequence_len: 4096\nmicro_batch_size: 2\n", "sequence_len: "),
        ("litgpt", "train:\n  max_seq_length: 4096\n", "max_seq_length: "),
        ("llama-factory", "cutoff_len: 4096\nstage: pt\n", "cutoff_len: "),
        ("megatron", "HPTRANSFER_ARGS=(\n  --seq-length 4096\n)\n", "--seq-length "),
    ],
)
def test_the_sequence_length_of_the_base_stays(
    run: Run, tmp_path: Path, name: str, content: str, field: str
) -> None:
    (tmp_path / "base").write_text(content)
    into = ("--format", name, "--base", "base", "--world-size", "64", "-o", "-")
    planned = run("plan", *TARGET, *into)
    assert planned.code == 0, planned.err
    assert "note [machine-of-base]: base says " in planned.err
    assert "--seq-len 4096" in planned.err
    assert f"{field}4096" in planned.out
    assert f"{field}1024" in run("plan", *TARGET, *into, "--seq-len", "1024").out
    assert run("plan", *TARGET, "-o", "config.yaml").code == 0
    converted = run("convert", "config.yaml", "--to", *into[1:])
    assert f"{field}4096" in converted.out, converted.err


def test_a_symlink_stays_one(run: Run, base: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    base.rename(tmp_path / "real" / "run.yaml")
    base.symlink_to("real/run.yaml")
    assert run(*INTO, "--write").code == 0
    assert base.is_symlink()
    assert "init_args" in (tmp_path / "real" / "run.yaml").read_text()


def test_what_the_format_cannot_say_is_beside_the_changed_file(run: Run, base: Path, tmp_path: Path) -> None:
    outcome = run(*INTO, "--schedule", "wsd", "--write")
    assert "warning [not-expressed]: litgpt pretrain (YAML) has no schedule like the plan's" in outcome.err
    assert json.loads((tmp_path / "run.yaml.hptransfer.json").read_text())["values"]["schedule"] == "wsd"


def _unchanged(run: Run, file: Path, said: str, *arguments: str) -> None:
    before = file.read_bytes() if file.is_file() else None
    for more in ((), ("--write",)):
        outcome = run(*(arguments or INTO), *more)
        assert outcome.code == 2
        assert said in " ".join(outcome.err.split())
    assert before is None or file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "run.yaml: is empty. Leave out --base"),
        (b"\x00\x01\xff\xfe", "run.yaml: is not UTF-8 text (byte 2 is 0xff)"),
        (b"\x00\x01", "run.yaml: not valid YAML"),
        (b"train: [1\n", "run.yaml, line 2: not valid YAML"),
        (b"- 1\n", "run.yaml, line 1: need a mapping"),
        (b"train:\n  min_lr: 1\n  min_lr: 2\n", "line 3, train.min_lr: is given twice (first in line 2)"),
        (b"train: 5\n", "line 1, train: holds '5', and train."),
        (b"micro_batch_size: 1\nsequence_len: 5\n", "run.yaml reads as axolotl, not as litgpt"),
        (
            b"optimizer: &o\n  init_args: {lr: 1}\nsecond:\n  <<: *o\n",
            "second.init_args.lr: shares its place in this file with what the plan sets, through an anchor",
        ),
        (b"a: " + b"x" * base_options.MAX_BASE_BYTES, "run.yaml: is larger than 256 KiB"),
    ],
)
def test_bases_that_cannot_be_used_are_refused(run: Run, base: Path, content: bytes, said: str) -> None:
    base.write_bytes(content)
    _unchanged(run, base, said)


def test_files_that_are_none_are_refused(run: Run, base: Path) -> None:
    base.unlink()
    _unchanged(run, base, "run.yaml: cannot be read: no such file or directory")
    base.mkdir()
    _unchanged(run, base, "run.yaml: cannot be read: is a directory")


def test_a_read_only_file_is_shown_but_not_changed(run: Run, base: Path, tmp_path: Path) -> None:
    base.chmod(0o444)
    assert run(*INTO).code == 0
    outcome = run(*INTO, "--write")
    assert outcome.code == 2
    assert (
        "run.yaml: is read-only. Make it writable (chmod u+w), or write another file with -o." in outcome.err
    )
    assert base.read_text() == BASE
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", *TARGET, "--base", "run.yaml"), "--base and --write go with --format NAME"),
        (("plan", *TARGET, "--format", "litgpt", "--write"), "--write goes with --base FILE"),
        ((*INTO, "--write", "-o", "x.yaml"), "give that a name, and no -o"),
        (("plan", *TARGET, "--format", "litgpt", "--base", "-", "--write"), "give that a name, and no -o"),
        ((*INTO, "--json"), "add --write or -o FILE"),
        (("convert", "-", "--to", "litgpt", "--base", "-"), "cannot both be stdin"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    run: Run, base: Path, arguments: tuple[str, ...], said: str
) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert base.read_text() == BASE


def test_a_diff_is_in_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m+b" in _on_a_terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in _on_a_terminal()


def _on_a_terminal() -> str:
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        render.show_diff("--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n", terminal)
    shown = b""
    with (
        contextlib.suppress(OSError),
        os.fdopen(reader, "rb", buffering=0) as screen,
    ):  # the other end is shut
        while chunk := screen.read(4096):
            shown += chunk
    return shown.decode()
