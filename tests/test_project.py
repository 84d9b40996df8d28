"""Where a project begins, and which law wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hptransfer.errors import FileError, HptransferError, InputError, UsageError
from hptransfer.law import law_to_json
from hptransfer.project import project_law, project_root, resolve_law
from hptransfer.published import published_law
from tests.test_config import fitted_law


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.json").write_text(law_to_json(fitted_law()))
    return tmp_path


def test_a_project_begins_at_the_nearest_marker(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert project_root(inner / "c.yaml", cwd=inner) == tmp_path
    (tmp_path / "a" / "hptransfer.toml").write_text("")
    assert project_root(inner / "c.yaml", cwd=inner) == tmp_path / "a"


def test_without_a_marker_a_project_is_the_working_directory_or_the_files_own_folder(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert project_root(inner / "c.yaml", cwd=tmp_path) == tmp_path
    assert project_root(tmp_path / "c.yaml", cwd=inner) == tmp_path


def test_a_law_is_looked_up_in_the_documented_order(folder: Path) -> None:
    default = resolve_law(None, cwd=folder)
    assert (default.law.id, [note.code for note in default.warnings]) == ("step-law", ["default-law"])
    assert "warning" in default.origin
    (folder / "hptransfer.toml").write_text('law = "mine.json"')
    assert resolve_law(None, cwd=folder).law.id == "fitted-0"
    assert "hptransfer.toml" in resolve_law(None, cwd=folder).origin
    (folder / "law.json").write_text(law_to_json(fitted_law(id="fitted-1")))
    assert resolve_law(None, cwd=folder).law.id == "fitted-1"
    assert resolve_law("deepseek-llm", cwd=folder).law.id == "deepseek-llm"
    assert resolve_law("mine.json", cwd=folder).law.id == "fitted-0"


def test_an_id_wins_over_a_file_of_that_name_unless_it_looks_like_a_path(folder: Path) -> None:
    (folder / "step-law").write_text(law_to_json(fitted_law()))
    assert resolve_law("step-law", cwd=folder).law.id == "step-law"
    assert resolve_law("./step-law", cwd=folder).law.id == "fitted-0"


def test_a_misspelled_id_suggests_the_nearest(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'step-law'\?"):
        resolve_law("steplaw", cwd=folder)


@pytest.mark.parametrize("spec", ["none.json", ".", "./", "sub/none"])
def test_a_law_file_that_cannot_be_read_is_an_error_naming_it(folder: Path, spec: str) -> None:
    with pytest.raises(HptransferError, match=spec.replace(".", r"\.")) as caught:
        resolve_law(spec, cwd=folder)
    assert str(folder) not in str(caught.value)


def test_a_law_cut_in_half_is_an_input_error(folder: Path) -> None:
    text = law_to_json(fitted_law())
    (folder / "half.json").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"half\.json, line \d+"):
        resolve_law("half.json", cwd=folder)


def test_a_law_over_the_limit_is_refused(folder: Path) -> None:
    with (folder / "big.json").open("wb") as stream:
        stream.truncate(64 * 2**20 + 1)
    with pytest.raises(FileError, match="64 MiB"):
        resolve_law("big.json", cwd=folder)


@pytest.mark.parametrize("law", ["../secret.json", "link", "/etc/hostname", "sub/../../secret.json"])
def test_a_settings_file_cannot_name_a_law_outside_its_project(folder: Path, law: str) -> None:
    root = folder / "project"
    root.mkdir()
    (folder / "secret.json").write_text(json.dumps({"schema_version": 1, "password": "hunter2"}))
    (root / "link").symlink_to(folder / "secret.json")
    (root / "hptransfer.toml").write_text(f'law = "{law}"')
    with pytest.raises(UsageError, match="leaves the project") as caught:
        project_law(root)
    assert "hunter2" not in str(caught.value)


def test_a_reference_is_an_id_or_a_path_relative_to_the_config(folder: Path) -> None:
    published = resolve_law("step-law", cwd=folder).reference_from("x.yaml", cwd=folder)
    assert (published.id, published.path) == ("step-law", None)
    assert published.digest == published_law("step-law").digest()
    own = resolve_law("mine.json", cwd=folder)
    assert own.reference_from("configs/7b.yaml", cwd=folder).path == "../mine.json"
    assert own.reference_from("-", cwd=folder).path == "mine.json"
    assert own.files == (str(folder / "mine.json"),)
