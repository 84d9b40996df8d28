"""Configs are held to their plan and their law: paths in, a report of findings out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hptransfer.anchoring import anchor
from hptransfer.checks import CHECKS
from hptransfer.checks.base import Check, Deviation, Severity, Subject, Tolerances, Value
from hptransfer.config import TrainConfig, config_from_document
from hptransfer.document import read_document
from hptransfer.errors import HptransferError, UsageError, plain
from hptransfer.files import STANDARD_STREAM, read_text
from hptransfer.law import Law
from hptransfer.plan_schedules import with_schedule
from hptransfer.planning import Plan, Target, plan
from hptransfer.project import project_law, project_root, referred_law, resolve_law
from hptransfer.published import published_law
from hptransfer.spreading import with_param_groups

MAX_CONFIG_BYTES = 2**20
SUFFIXES = (".yaml", ".yml")
_MARKED = re.compile(rb"^(?:\xef\xbb\xbf)?[{\"' ]{0,4}hptransfer_config[\"']? *:", re.MULTILINE)
_MARK_WITHIN = 2**16  # bytes from the start in which a config's mark must stand


@dataclass(frozen=True)
class Finding:
    """What is wrong at one place. Ids and slugs are stable."""

    id: str
    slug: str
    severity: Severity
    file: str
    line: int | None
    field: str
    message: str
    expected: Value
    got: Value
    fix: str


@dataclass(frozen=True)
class Overridden:
    """A finding that its config overrides, and the reason given."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Unreadable:
    """A file, or the law of a file, that could not be used."""

    file: str
    message: str


@dataclass(frozen=True)
class Report:
    """What checking found. `skipped` counts a folder's YAML files that are no configs of ours."""

    findings: tuple[Finding, ...]
    overridden: tuple[Overridden, ...]
    unreadable: tuple[Unreadable, ...]
    checked: tuple[str, ...]
    skipped: int

    @property
    def exit_code(self) -> int:
        """0 clean (warnings allowed), 1 errors found, 2 something unreadable or nothing to check."""
        if self.unreadable or not self.checked:
            return 2
        return int(any(finding.severity == "error" for finding in self.findings))


def check(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    law: str | Law | None = None,
    tolerances: Tolerances = Tolerances(),  # noqa: B008 - immutable
) -> Report:
    """Check configs against their recorded plans and their law.

    Args:    paths: files ("-" is stdin) and folders, searched for *.yaml and *.yml; hidden names are
             skipped, symlinked folders not entered; law: file, id or record in place of what the
             configs say.
    Raises:  UsageError, FileError or InputError when `law` itself cannot be used, UsageError for a
             tolerance that makes no sense.
    """
    _require_sensible(tolerances)
    laws = _Laws(resolve_law(law).law if isinstance(law, str) else law)
    wanted = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = _Found([], [], 0)
    for path in wanted:
        _gather(os.fspath(path), found)
    findings: list[Finding] = []
    overridden: list[Overridden] = []
    unreadable = found.unreadable
    checked: list[str] = []
    for file in _distinct(found.files):
        try:
            subject, law_trouble = _subject(file, laws, tolerances)
        except HptransferError as error:
            unreadable.append(Unreadable(file, _without_name(error, file)))
            continue
        checked.append(file)
        if law_trouble is not None:
            unreadable.append(Unreadable(file, law_trouble))
        kept, silenced = examine(subject, file)
        findings += kept
        overridden += silenced
    return Report(tuple(findings), tuple(overridden), tuple(unreadable), tuple(checked), found.skipped)


def report_to_dict(report: Report) -> dict[str, Any]:
    """Turn a report into plain values for JSON."""
    return {"exit_code": report.exit_code, **asdict(report)}


def _require_sensible(tolerances: Tolerances) -> None:
    for name, value in asdict(tolerances).items():
        low = 1.0 if name.endswith("_factor") else 0.0
        if not value >= low:
            msg = f"{name}: got {value}, need at least {low:g}."
            raise UsageError(msg)


@dataclass
class _Found:
    """What searching the paths came across."""

    files: list[str]
    unreadable: list[Unreadable]
    skipped: int


def _gather(path: str, found: _Found) -> None:
    """Collect the configs that a path stands for."""
    if path == STANDARD_STREAM or not Path(path).is_dir():
        found.files.append(path)
        return
    for file in _yaml_files(path, found):
        try:
            ours = _is_marked(file)
        except OSError as error:
            found.unreadable.append(Unreadable(file, _cannot_be_read(error)))
            continue
        if ours:
            found.files.append(file)
        else:
            found.skipped += 1


def _yaml_files(folder: str, found: _Found) -> Iterator[str]:
    def complain(error: OSError) -> None:
        found.unreadable.append(Unreadable(str(error.filename), _cannot_be_read(error)))

    for here, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(here) / name)


def _cannot_be_read(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or 'unknown reason').lower()}."


def _is_marked(file: str) -> bool:
    """Whether a file says that it is a config of ours, whatever else may be wrong with it."""
    path = Path(file)
    if path.exists() and not path.is_file():  # a pipe or device would keep us waiting
        return False
    with path.open("rb") as stream:
        return _MARKED.search(stream.read(_MARK_WITHIN)) is not None


def _distinct(files: Iterable[str]) -> list[str]:
    """Keep the first name of each file."""
    names: dict[str, str] = {}
    for file in files:
        names.setdefault(os.path.realpath(file), file)
    return list(names.values())


def _without_name(error: HptransferError, file: str) -> str:
    """Message of an error without the file's name, which the report shows itself."""
    return str(error).removeprefix(plain(file)).lstrip(":, ")


def _subject(file: str, laws: _Laws, tolerances: Tolerances) -> tuple[Subject, str | None]:
    """Read a config and all that its checks look at; and say why its law is missing, if it is."""
    document = read_document(read_text(file, max_bytes=MAX_CONFIG_BYTES), file)
    config, problems = config_from_document(document, file)
    subject = Subject(document, problems, config, tolerances=tolerances)
    if config is None:
        return subject, None
    try:
        law = laws.behind(config, file)
    except HptransferError as error:
        return subject, str(error)
    return _with_law(subject, config, law), None


def _with_law(subject: Subject, config: TrainConfig, law: Law) -> Subject:
    try:
        as_asked = plan_again(config, law, config.plan.batch_tokens)
        at_own_batch = plan_again(config, law, config.batch_tokens)
    except HptransferError as error:
        return replace(subject, law=law, refusal=str(error))
    return replace(subject, law=law, as_asked=as_asked, at_own_batch=at_own_batch)


def plan_again(config: TrainConfig, law: Law, batch_tokens: float | None) -> Plan:
    """Plan a config's target again with a law, with the batch pinned where one is given.

    A config's anchors set the law's level, as they did when it was planned. Errors as `plan` and `anchor`.
    """
    asked = config.plan
    if asked.anchors:
        law = anchor(law, asked.anchors, params_kind=config.target.params_kind)
    target = Target(
        params=config.target.params,
        tokens=config.target.tokens,
        batch_tokens=batch_tokens,
        seq_len=asked.seq_len,
        width=asked.width,
        depth=asked.depth,
        loss=asked.loss,
        active_ratio=asked.active_ratio,
        experts=asked.experts,
        flops_per_token=asked.flops_per_token,
        params_kind=config.target.params_kind,
    )
    planned = plan(law, target, rounding=asked.rounding)
    if asked.schedule is not None:
        planned = with_schedule(planned, asked.schedule, proxy=asked.proxy_schedule)
    return planned if asked.scaling is None else with_param_groups(planned, asked.scaling)


@dataclass
class _Laws:
    """Finds the law behind each config, and reads each law once."""

    given: Law | None  # by the user, for all configs
    of_projects: dict[Path, Law | None] = field(default_factory=dict)
    of_files: dict[Path, Law] = field(default_factory=dict)

    def behind(self, config: TrainConfig, file: str) -> Law:
        """Find a config's law: the user's, else hptransfer.toml's, else what the config refers to.

        Raises:  UsageError, FileError or InputError; what a config points at is never shown.
        """
        if self.given is not None:
            return self.given
        here = Path.cwd() / "config" if file == STANDARD_STREAM else Path(file).resolve()
        root = project_root(here)
        if root not in self.of_projects:
            named = project_law(root)
            self.of_projects[root] = None if named is None else named.law
        law = self.of_projects[root]
        if law is not None:
            return law
        name = config.law.path
        if name is None:
            return published_law(config.law.id or "")
        place = here.parent / name
        if place not in self.of_files:
            self.of_files[place] = referred_law(name, here.parent, root)
        return self.of_files[place]


def examine(subject: Subject, file: str) -> tuple[list[Finding], list[Overridden]]:
    """Run every check that applies; what the config overrides comes apart, what a unit slip explains goes."""
    override = {} if subject.config is None else subject.config.override
    seen = [
        (entry, deviation)
        for entry in CHECKS
        if subject.has(entry.needs)
        for deviation in entry.look(subject)
    ]
    kept, silenced = [], []
    for entry, deviation in seen:
        reason = override.get(entry.slug) or (
            override.get(deviation.field.partition(".")[0]) if entry.slug == "edited" else None
        )
        if reason is None:
            kept.append((entry, deviation))
        else:
            silenced.append(Overridden(_finding(entry, deviation, subject, file), plain(reason)))
    explained = {name for _, deviation in kept for name in deviation.explains}
    findings = [
        _finding(entry, deviation, subject, file)
        for entry, deviation in kept
        if not explained & {entry.slug, f"{entry.slug}:{deviation.field}"}
    ]
    return findings, silenced


def _finding(entry: Check, deviation: Deviation, subject: Subject, file: str) -> Finding:
    lines = subject.document.lines
    parts = deviation.field.split(".")
    paths = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return Finding(
        id=entry.id,
        slug=entry.slug,
        severity=entry.severity,
        file=file,
        line=next((lines[path] for path in paths if path in lines), None),
        field=plain(deviation.field),
        message=deviation.message,
        expected=deviation.expected,
        got=plain(deviation.got) if isinstance(deviation.got, str) else deviation.got,
        fix=entry.fix.replace("FIELD", plain(deviation.field)),
    )
