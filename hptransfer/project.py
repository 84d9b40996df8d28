"""Where a project begins, and which law its plans and checks use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hptransfer.errors import FileError, InputError, UsageError, plain
from hptransfer.files import SETTINGS_FILE, STANDARD_STREAM, read_text
from hptransfer.law import Law, Note, law_from_json
from hptransfer.published import law_ids, published_law

if TYPE_CHECKING:
    from hptransfer.config import LawReference
    from hptransfer.settings import Settings

DEFAULT_LAW = "step-law"
LOCAL_LAW = "law.json"
MAX_LAW_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ResolvedLaw:
    """A law, why it is this one (`origin`, to show), and the file it came from (None: published)."""

    law: Law
    origin: str
    path: Path | None = None
    warnings: tuple[Note, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Files that were read: never to be written to."""
        return () if self.path is None else (str(self.path),)

    def reference_from(self, config_path: str, *, cwd: Path | None = None) -> LawReference:
        """Refer to this law from a config at `config_path` ("-": in the working directory).

        Raises:  UsageError for a law read from stdin, which no check could find again.
        """
        from hptransfer.config import LawReference

        digest = self.law.digest()
        if self.path is None:
            return LawReference(id=self.law.id, digest=digest)
        if str(self.path) == STANDARD_STREAM:
            msg = "a config must name its law, and one from stdin has no name. Save the law to a file first."
            raise UsageError(msg)
        here = (cwd or Path.cwd()).resolve()
        folder = here if config_path == STANDARD_STREAM else (here / config_path).resolve().parent
        relative = os.path.relpath((here / self.path).resolve(), folder)
        if not relative.isprintable():  # bytes that are no UTF-8, or control characters
            msg = f"no config can hold the name of law {plain(relative)}, and it must. Rename the file."
            raise UsageError(msg)
        return LawReference(path=Path(relative).as_posix(), digest=digest)


def project_root(file: Path, *, cwd: Path | None = None) -> Path:
    """Return the folder that a file's project begins in.

    The nearest folder above it that holds `hptransfer.toml` or `.git`; else the working directory if the
    file is inside it; else the file's own folder.
    """
    folder = file.resolve().parent
    for candidate in (folder, *folder.parents):
        if (candidate / SETTINGS_FILE).is_file() or (candidate / ".git").exists():
            return candidate
    here = (cwd or Path.cwd()).resolve()
    return here if folder.is_relative_to(here) else folder


def resolve_law(spec: str | None, *, cwd: Path | None = None) -> ResolvedLaw:
    """Find the law to plan with: `spec` (file or id), else ./law.json, else hptransfer.toml, else Step Law.

    Raises:  UsageError for an unknown id, FileError or InputError for a file that is no usable law.
    """
    here = cwd or Path.cwd()
    if spec is not None:
        return _named_law(spec, here, "--law")
    if (here / LOCAL_LAW).is_file():
        return _law_file(LOCAL_LAW, here, f"./{LOCAL_LAW}")
    named = project_law(project_root(here / LOCAL_LAW, cwd=here))
    if named is not None:
        return named
    why = f"no --law, no ./{LOCAL_LAW} and no {SETTINGS_FILE}: the published {DEFAULT_LAW} is used."
    note = Note(code="default-law", message=why)
    return ResolvedLaw(published_law(DEFAULT_LAW), f"{DEFAULT_LAW} (warning: {why})", warnings=(note,))


def law_of_config(file: str) -> ResolvedLaw:
    """Find the law of a config where `check` looks for it: in hptransfer.toml, then in the config.

    Raises:  InputError for a file that is no config; else as `law_of_settings` and `referred_law`.
    """
    from hptransfer.config import config_from_yaml  # planning has no config to read

    reference = config_from_yaml(read_text(file), file).law
    place = Path(file).resolve()
    root = project_root(place)
    named = project_law(root)
    if named is not None:
        return named
    if reference.path is None:
        return ResolvedLaw(published_law(reference.id or ""), f"{plain(reference.id)} ({plain(file)})")
    law = referred_law(reference.path, place.parent, root)
    return ResolvedLaw(law, f"{plain(reference.path)} ({plain(file)})", path=place.parent / reference.path)


def project_law(root: Path) -> ResolvedLaw | None:
    """Find the law that a project's hptransfer.toml names; None where it names none.

    Raises:  as `read_settings` and `law_of_settings`.
    """
    settings = _settings(root)
    setting = None if settings is None else settings.law
    return None if setting is None else law_of_settings(setting, root)


def _settings(root: Path) -> Settings | None:
    """The project's settings; None where it has none, without loading what reads them."""
    if not (root / SETTINGS_FILE).is_file():
        return None
    from hptransfer.settings import read_settings

    return read_settings(root)


def law_of_settings(setting: str, root: Path) -> ResolvedLaw:
    """Find a law that the hptransfer.toml in `root` names: an id, or a path relative to it.

    Raises:  as `referred_law` and `published_law`.
    """
    origin = f"{plain(setting)} ({SETTINGS_FILE})"
    if not _means_file(setting) and (setting in law_ids() or not (root / setting).exists()):
        return ResolvedLaw(published_law(setting), origin)
    return ResolvedLaw(referred_law(setting, root, root), origin, path=root / setting)


def schema_from(config_path: str) -> str | None:
    """Name the project's schema of configs from a config at `config_path`; None where the project has none.

    Raises:  as `read_settings`.
    """
    here = Path.cwd() / (LOCAL_LAW if config_path == STANDARD_STREAM else config_path)
    root = project_root(here)
    settings = _settings(root)
    named = None if settings is None else settings.config_schema
    return None if named is None else Path(os.path.relpath(root / named, here.resolve().parent)).as_posix()


def referred_law(name: str, folder: Path, root: Path) -> Law:
    """Read a law file that a project's own file in `folder` names.

    Such a file may come from a stranger. So it must not choose what is read outside the project, and
    nothing of what it points at is ever shown.

    Raises:  UsageError when the path leads out of the project, FileError when there is no usable law.
    """
    real = (folder / name).resolve()
    if Path(name).is_absolute() or not real.is_relative_to(root.resolve()):
        msg = f"law {plain(name)}: the path leaves the project. Name the law with --law instead."
        raise UsageError(msg)
    if not real.is_file():  # a pipe would keep us waiting
        raise FileError(f"law {plain(name)}", "there is no such file. Name the law with --law.")
    try:
        return read_law(real, name)
    except InputError:  # its text may quote the file
        raise FileError(
            f"law {plain(name)}", "is no law that this hptransfer can read. To see why, name it with --law."
        ) from None


def _means_file(spec: str) -> bool:
    separators = {"/", os.sep, os.altsep or os.sep}
    return spec.endswith(".json") or any(separator in spec for separator in separators)


def _named_law(spec: str, folder: Path, asked_by: str) -> ResolvedLaw:
    """Load a law by id or file: an id wins over a file, but a separator or `.json` always means a file."""
    if _means_file(spec) or spec == STANDARD_STREAM:
        return _law_file(spec, folder, asked_by)
    if spec and spec not in law_ids() and (folder / spec).exists():
        return _law_file(spec, folder, asked_by)
    return ResolvedLaw(published_law(spec), f"{spec} ({asked_by})")


def _law_file(name: str, folder: Path, asked_by: str) -> ResolvedLaw:
    path = Path(name) if name == STANDARD_STREAM else folder / name
    return ResolvedLaw(read_law(path, name), f"{plain(name)} ({asked_by})", path=path)


def read_law(path: Path, name: str) -> Law:
    """Read a law file; `name` is what the user called it.

    Raises:  FileError when it cannot be read, InputError when it is no law this version can read.
    """
    if path.is_dir():
        raise FileError(name, "is a folder. Give the law file in it.")
    try:
        text = read_text(str(path), max_bytes=MAX_LAW_BYTES)
    except FileError as error:
        raise FileError(name, str(error).removeprefix(f"{plain(error.path)}: ")) from None
    return law_from_json(text, name)
