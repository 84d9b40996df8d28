"""`hptransfer.toml`: what it says, and every mistake named with its key and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.errors import FileError, InputError
from hptransfer.settings import Settings, glob_matches, key_lines, read_settings

WHOLE = """\
law = "law.json"
select = ["HPT1", "HPT4"]
ignore = ["experimental-law"]

[severity]
HPT104 = "error"

[tolerances]
lr_factor = 1.5

[[configs]]
files = ["configs/moe/**"]
law = "step-law"
target = { params = 7e9, tokens = 1e12, params_kind = "active" }
tolerances = { excess = 0.01 }

[[configs]]
files = ["configs/**/*.yaml", "train/*.json"]
format = "olmo-core"
"""


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "hptransfer.toml").write_text(text)
    return read_settings(folder)


def test_without_a_file_settings_are_empty(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings()


def test_every_key_is_read(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, WHOLE)
    assert (settings.law, settings.select, settings.ignore) == (
        "law.json",
        ("HPT1", "HPT4"),
        ("experimental-law",),
    )
    assert settings.severity == {"HPT104": "error"}
    assert settings.tolerances.given() == {"lr_factor": 1.5}
    moe, rest = settings.configs
    assert moe.target is not None
    assert (moe.target.params, moe.target.params_kind) == (7e9, "active")
    assert moe.tolerances.given() == {"excess": 0.01}
    assert rest.format == "olmo-core"


def test_the_first_entry_that_matches_is_a_configs_own(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, WHOLE)
    moe, rest = settings.configs
    assert settings.of_config("configs/moe/a.yaml") is moe
    assert settings.of_config("configs/dense/deep/a.yaml") is rest
    assert settings.of_config("train/a.json") is rest
    assert settings.of_config("elsewhere/a.yaml") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("law = ", "not valid TOML"),
        ("x = " + "[" * 10_000, "not valid TOML"),
        ("lw = 'x'", r"line 1, lw: unknown key\. Did you mean 'law'\?"),
        ("\nlaw = 3", "line 2, law: need text"),
        ("law = ''", "line 1, law: need text"),
        ("law = 1979-05-27", "line 1, law: need text"),
        ("configs = 3", "line 1, configs: need a list"),
        ("configs = [3]", "line 1, configs.0: need a table"),
        ("[[configs]]\nlaw = 'a'", r"line 1, configs\.0\.files: needed, and missing"),
        ("[[configs]]\nfiles = 'a'", r"line 2, configs\.0\.files: need a list"),
        ("[[configs]]\nfiles = []", r"line 2, configs\.0\.files"),
        ("[[configs]]\nfiles = ['a']\n[[configs]]\nfiles = ['b']\n\nlwa = 'x'", "line 6, .*mean 'law'"),
        ("[[configs]]\nfiles = ['../a']", "line 2, .*inside the project"),
        ("[[configs]]\nfiles = ['/a']", "line 2, .*inside the project"),
        ("[[configs]]\nfiles = ['configs/']", r"names a folder; its files are configs/\*\*"),
        ("[[configs]]\nfiles = ['a']\ntarget = {params = '7B', tokens = 1e9}", "line 3, .*need a number"),
        ("[[configs]]\nfiles = ['a']\n[configs.target]\ntokns = 1e9", "line 4, .*Did you mean 'tokens'"),
        ("[[configs]]\nfiles = ['a']\ntarget = {params = -1, tokens = nan}", "line 3, .*params"),
        ("[tolerances]\nlr_facto = 1.5", r"line 2, tolerances\.lr_facto: .*Did you mean 'lr_factor'"),
        ("[tolerances]\nlr_factor = '2'", r"line 2, tolerances\.lr_factor: need a number"),
        ("[severity]\nHPT101 = 'fatal'", r"line 2, severity\.HPT101"),
        ("select = ['E501']", "line 1, select.*such as HPT1"),
    ],
)  # fmt: skip
def test_every_mistake_is_named_with_key_and_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        settings_of(tmp_path, text)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="1 MiB"):
        settings_of(tmp_path, "#" * (2**20 + 1))


@pytest.mark.parametrize(
    ("path", "glob", "expected"),
    [
        ("a.yaml", "*.yaml", True),
        ("b/a.yaml", "*.yaml", False),
        ("b/a.yaml", "**/*.yaml", True),
        ("a.yaml", "**/*.yaml", True),
        ("b/c/d/a.yaml", "b/**/a.yaml", True),
        ("b/a.yaml", "b/**/a.yaml", True),
        ("b/a.yaml", "b/**", True),
        ("b/a.yaml", "b", False),
        ("b", "b/**", True),
        ("b/a.yaml", "b/?.yaml", True),
        ("a/b/c", "**/**/**", True),
        ("a/b/c", "**/b/**/b", False),
    ],
)
def test_globs(path: str, glob: str, expected: bool) -> None:
    assert glob_matches(path, glob) is expected


def test_a_hostile_glob_takes_no_time() -> None:
    assert not glob_matches("/".join("a" * 200), "/".join(["**", "a"] * 100 + ["b"]))


def test_keys_are_found_through_tables_and_arrays_of_tables() -> None:
    lines = key_lines(WHOLE)
    assert (lines["law"], lines["severity.HPT104"], lines["configs.1.format"]) == (1, 6, 19)
