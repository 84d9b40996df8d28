"""Reading small text files whole, and writing files so that nothing is ever lost or half-written.

A written file appears whole or not at all. Identical content is left alone, different content is
replaced only with `force`. Only regular files are replaced: symlinks are followed to what they name,
devices and pipes are streamed to, and the mode of a replaced file is kept. A file's folder is made when
only that one is missing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from hptransfer.errors import FileError

SETTINGS_FILE = "hptransfer.toml"  # marks the root of a project
STANDARD_STREAM = "-"


class Written(Enum):
    """What happened to the file; the value is the word to show."""

    NEW = "wrote"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    STREAMED = "streamed to"


BYTE_ORDER_MARK = "\ufeff"


def read_text(path: str, *, max_bytes: int = 64 * 2**20, keep_mark: bool = False) -> str:
    """Read a whole UTF-8 text file of at most `max_bytes`; "-" is stdin. Line ends stay as they are.

    Args:    keep_mark: keep a byte-order mark, which is dropped otherwise.

    Raises:  FileError when it is missing, unreadable, larger, or not UTF-8 text.
    """
    try:
        if path == STANDARD_STREAM:
            content = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with Path(path).open("rb") as stream:
                content = stream.read(max_bytes + 1)
    except OSError as error:
        raise FileError(path, f"cannot be read: {(error.strerror or str(error)).lower()}.") from None
    if len(content) > max_bytes:
        bound = f"{max_bytes // 2**20} MiB" if max_bytes >= 2**20 else f"{max_bytes // 2**10} KiB"
        raise FileError(path, f"is larger than {bound}, which no such file should be.")
    try:
        return content.decode("utf-8" if keep_mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(
            path, f"is not UTF-8 text (byte {error.start} is {content[error.start]:#04x})."
        ) from None


def write_text(path: str, text: str, *, force: bool = False, inputs: Iterable[str] = ()) -> Written:
    """Write UTF-8 text to `path` atomically; "-" is standard output.

    Args:    force: replace a file whose content differs; inputs: files being read, never written to.
    Raises:  FileError when the file exists with other content, is an input, or cannot be written.
    """
    if path == STANDARD_STREAM:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())  # the bytes a file would get, whatever the terminal's encoding
        return Written.STREAMED
    return write_bytes(path, text.encode(), force=force, inputs=inputs)


def require_writable(path: str) -> None:
    """Refuse to change a file in place that its owner has made read-only.

    Raises:  FileError.
    """
    found = _status(Path(os.path.realpath(path)))
    if found is not None and not found.st_mode & 0o222:
        raise FileError(path, "is read-only. Make it writable (chmod u+w), or write another file with -o.")


def write_bytes(path: str, content: bytes, *, force: bool = False, inputs: Iterable[str] = ()) -> Written:
    """As `write_text`, for files that are no text; "-" is a file's name like any other."""
    try:
        return _write(path, content, force, inputs)
    except OSError as error:
        raise FileError(path, f"cannot be written: {_reason(error)}.") from None


def _write(path: str, content: bytes, force: bool, inputs: Iterable[str]) -> Written:
    if not path or path.endswith(os.sep):
        raise FileError(path, "names a folder. Give the name of a file in it.")
    target = Path(os.path.realpath(path))
    found = _status(target)
    if found is not None and any(_same_file(target, Path(name)) for name in inputs):
        raise FileError(path, "is an input of this command. Give the output another name.")
    if found is None:
        if target.parent.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
        _replace(target, content, mode=None)
        return Written.NEW
    if stat.S_ISDIR(found.st_mode):
        raise FileError(path, "is a folder. Give the name of a file in it.")
    if not stat.S_ISREG(found.st_mode):
        with target.open("wb") as stream:
            stream.write(content)
        return Written.STREAMED
    if found.st_size == len(content) and target.read_bytes() == content:
        return Written.UNCHANGED
    if not force:
        raise FileError(path, "exists with other content. Add --force to replace it, or choose another name.")
    _replace(target, content, mode=stat.S_IMODE(found.st_mode))
    return Written.REPLACED


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _same_file(target: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return target.samefile(other)
    return False


def _replace(target: Path, content: bytes, *, mode: int | None) -> None:
    """Write beside the target, flush to disk, then rename over it; clean up whatever interrupts this."""
    import tempfile  # only writing needs it, and start-up is dear

    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".tmp")
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.chmod(_default_mode() if mode is None else mode)
        scratch.replace(target)
    except BaseException:  # Ctrl-C included: the old file stays, nothing half-written is left behind
        scratch.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _default_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: OSError) -> str:
    hints = {
        errno.ENOSPC: "the disk is full; what was there before is unchanged",
        errno.EACCES: "no permission for this folder",
        errno.EROFS: "the file system is read-only",
        errno.ENOENT: "the folder does not exist; create it first",
        errno.ENAMETOOLONG: "the name is too long",
    }
    return hints.get(error.errno or 0, (error.strerror or str(error)).lower())
