"""Writing: whole or not at all, never silently over something else."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from hptransfer.errors import FileError
from hptransfer.files import Written, read_text, write_text


def test_new_unchanged_and_forced(tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    assert write_text(str(path), "one\n") is Written.NEW
    assert write_text(str(path), "one\n") is Written.UNCHANGED
    with pytest.raises(FileError, match="--force"):
        write_text(str(path), "two\n")
    assert path.read_text() == "one\n"
    assert write_text(str(path), "two\n", force=True) is Written.REPLACED
    assert path.read_text() == "two\n"
    assert [p.name for p in tmp_path.iterdir()] == ["law.json"]


def test_mode_is_kept_and_symlinks_are_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(str(link), "new", force=True)
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_gets_the_usual_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_text(str(tmp_path / "x"), "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_the_output_may_not_be_an_input(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.csv"
    sweep.write_text("params\n")
    (tmp_path / "alias.csv").symlink_to(sweep)
    with pytest.raises(FileError, match="is an input"):
        write_text(str(tmp_path / "alias.csv"), "law", force=True, inputs=[str(sweep)])
    assert sweep.read_text() == "params\n"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interruption_leaves_the_old_file_and_no_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: BaseException
) -> None:
    """Ctrl-C and a full disk in the middle of a write."""
    path = tmp_path / "law.json"
    path.write_text("old")

    def interrupt(_descriptor: int) -> None:
        raise interruption

    monkeypatch.setattr(os, "fsync", interrupt)
    expected = FileError if isinstance(interruption, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_text(str(path), "new", force=True)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["law.json"]


def test_a_full_device_is_a_clear_error() -> None:
    if not Path("/dev/full").exists():
        return  # only Linux has one; the simulated interruption above covers the rest
    with pytest.raises(FileError, match="disk is full"):
        write_text("/dev/full", "x" * 100_000)


def test_folders_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        write_text(str(tmp_path), "x")
    for named in ("", f"{tmp_path}/new/"):
        with pytest.raises(FileError, match="names a folder"):
            write_text(named, "x")
    with pytest.raises(FileError, match="folder does not exist"):
        write_text(str(tmp_path / "no" / "such" / "law.json"), "x")
    assert list(tmp_path.iterdir()) == []


def test_one_missing_folder_is_made(tmp_path: Path) -> None:
    """`plan -o configs/7b.yaml` works as the README prints it."""
    assert write_text(str(tmp_path / "configs" / "7b.yaml"), "x") is Written.NEW
    assert (tmp_path / "configs" / "7b.yaml").read_text() == "x"


def test_pipes_are_streamed_to(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()))
    reader.start()
    assert write_text(str(fifo), "law") is Written.STREAMED
    reader.join(timeout=10)
    assert read == ["law"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_reading_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbfx")
    (tmp_path / "big").write_bytes(b"x" * 2**20 + b"x")
    with pytest.raises(FileError, match="byte 3 is 0xe9"):
        read_text(str(tmp_path / "latin"))
    with pytest.raises(FileError, match="larger than 1 MiB"):
        read_text(str(tmp_path / "big"), max_bytes=2**20)
    with pytest.raises(FileError, match="cannot be read: no such file"):
        read_text(str(tmp_path / "missing"))
    assert read_text(str(tmp_path / "bom")) == "x"
