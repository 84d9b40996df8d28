"""Configs are held to their plan and their law: paths in, a report of findings out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from hptransfer.anchoring import anchor
from hptransfer.checks import CHECKS, find_check
from hptransfer.checks.base import Check, Deviation, Needs, Severity, Subject, Tolerances
from hptransfer.checks.gathering import gather, is_native
from hptransfer.checks.selection import Selection, read_codes
from hptransfer.checks.suppressing import trouble_with
from hptransfer.config import TrainConfig, config_from_document
from hptransfer.document import Document, read_document
from hptransfer.errors import HptransferError, UsageError, did_you_mean, plain
from hptransfer.files import SETTINGS_FILE, STANDARD_STREAM, read_text
from hptransfer.findings.record import Finding, Overridden, Report, Unreadable
from hptransfer.findings.suppressions import Suppression, read_suppressions
from hptransfer.law import Law
from hptransfer.parametrizations.spreading import with_param_groups
from hptransfer.planning import Plan, Target, plan
from hptransfer.plans.schedules import with_schedule
from hptransfer.project import law_of_settings, project_root, referred_law, resolve_law
from hptransfer.published import published_law
from hptransfer.settings import ConfigSettings, Settings, TargetSettings, read_settings
from hptransfer.stages import Progress

MAX_CONFIG_BYTES = 2**20
NATIVE = "native"
NO_TARGET = "its target is not known. Give --params and --tokens, or a `target` in hptransfer.toml."
BAD_SUPPRESSION = find_check("bad-suppression").id  # which no comment silences


def check(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    law: str | Law | None = None,
    tolerances: Mapping[str, float] | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    format: str | None = None,  # noqa: A002 - the option's name
    target: TargetSettings | None = None,
    world_size: int | None = None,
    seq_len: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check configs against their recorded plans and their law.

    What is given here wins over the project's `hptransfer.toml`, which wins over what a config says.

    Args:    paths: files ("-" is stdin) and folders, searched for *.yaml and *.yml; hidden names are
             skipped, symlinked folders not entered; law: file, id or record; tolerances: by the names of
             `Tolerances`; select, ignore: codes as in `Selection`; format: of trainers' configs, which else
             is recognized; target, world_size (ranks), seq_len (tokens): what trainers' configs do not say;
             progress: called with (files done, files).
    Raises:  UsageError, FileError or InputError when `law` itself cannot be used, UsageError for a
             tolerance or a code that makes no sense.
    """
    if format not in (None, NATIVE):
        from hptransfer.trainers import find_format

        find_format(format)
    asked = _Asked(
        law=resolve_law(law).law if isinstance(law, str) else law,
        tolerances=_sensible(dict(tolerances or {})),
        select=read_codes(select, "--select"),
        ignore=read_codes(ignore, "--ignore"),
        format=format,
        target=target,
        world_size=world_size,
        seq_len=seq_len,
    )
    projects = _Projects(asked)
    wanted = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = gather((os.fspath(path) for path in wanted), projects.names)
    findings: list[Finding] = []
    overridden: list[Overridden] = []
    unreadable = found.unreadable
    checked: list[str] = []
    for done, file in enumerate(found.files):
        if progress is not None:
            progress(done, len(found.files))
        try:
            terms = projects.terms(file)
            subject, law_trouble = _subject(file, terms, projects)
        except HptransferError as error:
            unreadable.append(Unreadable(file, _without_name(error, file)))
            continue
        checked.append(file)
        if law_trouble is not None:
            unreadable.append(Unreadable(file, law_trouble))
        kept, silenced = examine(subject, file, terms)
        findings += kept
        overridden += silenced
    return Report(tuple(findings), tuple(overridden), tuple(unreadable), tuple(checked), found.skipped)


def _sensible(tolerances: Mapping[str, float]) -> Mapping[str, float]:
    known = [entry.name for entry in fields(Tolerances)]
    for name, value in tolerances.items():
        if name not in known:
            msg = f"{plain(name)}: no such tolerance.{did_you_mean(name, known)}"
            raise UsageError(msg)
        low = 1.0 if name.endswith("_factor") else 0.0
        if not value >= low:
            msg = f"{name}: got {value}, need at least {low:g}."
            raise UsageError(msg)
    return tolerances


def _without_name(error: HptransferError, file: str) -> str:
    """Message of an error without the file's name, which the report shows itself."""
    return str(error).removeprefix(plain(file)).lstrip(":, ")


@dataclass(frozen=True)
class _Asked:
    """What the caller asks of all configs."""

    law: Law | None
    tolerances: Mapping[str, float]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    format: str | None
    target: TargetSettings | None
    world_size: int | None
    seq_len: int | None


@dataclass(frozen=True)
class Terms:
    """What one config is held to: settled from the caller, the project's settings and the defaults."""

    root: Path
    entry: ConfigSettings | None  # of hptransfer.toml, for this file
    tolerances: Tolerances
    selection: Selection
    severity: Mapping[str, Severity]  # by id, where it is not the check's own
    format: str | None
    target: TargetSettings | None
    world_size: int | None
    seq_len: int | None


@dataclass
class _Projects:
    """Settles what configs are held to, and reads each project's settings and each law once."""

    asked: _Asked
    settings: dict[Path, Settings] = field(default_factory=dict)
    named: dict[tuple[Path, str], Law] = field(default_factory=dict)  # by settings
    referred: dict[Path, Law] = field(default_factory=dict)  # by configs

    def terms(self, file: str) -> Terms:
        """Settle what a config is held to.

        Raises:  InputError, FileError or UsageError for settings that cannot be used.
        """
        here = _place(file)
        root = project_root(here)
        if root not in self.settings:
            self.settings[root] = read_settings(root)
        settings = self.settings[root]
        entry = None
        if here.resolve().is_relative_to(root):
            entry = settings.of_config(here.resolve().relative_to(root).as_posix())
        return _terms(root, settings, entry, self.asked)

    def names(self, file: str) -> bool:
        """Whether hptransfer.toml says what a file is, so that it counts as a config in a folder."""
        try:
            entry = self.terms(file).entry
        except HptransferError:
            return False
        return entry is not None and (entry.format is not None or entry.target is not None)

    def law_behind(self, file: str, terms: Terms, *, law_id: str | None, path: str | None) -> Law:
        """Find a config's law: the caller's, else hptransfer.toml's, else what the config refers to.

        Raises:  UsageError, FileError or InputError; what a config points at is never shown.
        """
        if self.asked.law is not None:
            return self.asked.law
        entry, setting = terms.entry, self.settings[terms.root].law
        name = setting if entry is None or entry.law is None else entry.law
        if name is not None:
            return self._named(name, terms.root)
        if path is None:
            if law_id is None:
                msg = "its law is not known. Name it: --law, or `law` in hptransfer.toml."
                raise UsageError(msg)
            return published_law(law_id)
        folder = _place(file).parent
        place = folder / path
        if place not in self.referred:
            self.referred[place] = referred_law(path, folder, terms.root)
        return self.referred[place]

    def _named(self, name: str, root: Path) -> Law:
        if (root, name) not in self.named:
            self.named[root, name] = law_of_settings(name, root).law
        return self.named[root, name]


def _place(file: str) -> Path:
    """Where a config lies; one from stdin in the working directory."""
    return Path.cwd() / "config" if file == STANDARD_STREAM else Path(file).resolve()


def _terms(root: Path, settings: Settings, entry: ConfigSettings | None, asked: _Asked) -> Terms:
    """What the caller gives wins over the entry of a config, which wins over the top of the file."""
    layers: list[Settings | ConfigSettings] = [settings, *([] if entry is None else [entry])]
    tolerances: dict[str, float] = {}
    select, ignore = asked.select, asked.ignore
    for layer in layers:
        tolerances |= _sensible(layer.tolerances.given())
    for layer in reversed(layers):
        select = select or read_codes(layer.select or (), f"{SETTINGS_FILE}, select")
        ignore = ignore or read_codes(layer.ignore or (), f"{SETTINGS_FILE}, ignore")
    severity = {find_check(name).id: value for name, value in settings.severity.items()}
    own = entry or ConfigSettings(files=("**",))
    return Terms(
        root=root,
        entry=entry,
        tolerances=Tolerances(**{**tolerances, **asked.tolerances}),
        selection=Selection(select, ignore),
        severity=severity,
        format=asked.format or own.format,
        target=asked.target or own.target,
        world_size=asked.world_size or own.world_size,
        seq_len=asked.seq_len or own.seq_len,
    )


def _subject(file: str, terms: Terms, projects: _Projects) -> tuple[Subject, str | None]:
    """Read a config and all that its checks look at; and say why its law is missing, if it is."""
    text = read_text(file, max_bytes=MAX_CONFIG_BYTES)
    if terms.format == NATIVE or (terms.format is None and (is_native(text) or file == STANDARD_STREAM)):
        return _native_subject(file, text, terms, projects)
    return _trainer_subject(file, text, terms, projects)


def _native_subject(file: str, text: str, terms: Terms, projects: _Projects) -> tuple[Subject, str | None]:
    document = read_document(text, file)
    config, problems = config_from_document(document, file)
    wanted = None if terms.entry is None else terms.entry.target
    subject = Subject(
        document,
        problems,
        config,
        tolerances=terms.tolerances,
        wanted=wanted,
        suppressions=read_suppressions(text),
    )
    if config is None:
        return subject, None
    try:
        law = projects.law_behind(file, terms, law_id=config.law.id, path=config.law.path)
    except HptransferError as error:
        return subject, str(error)
    return _with_law(subject, config, law), None


def _trainer_subject(file: str, text: str, terms: Terms, projects: _Projects) -> tuple[Subject, str | None]:
    """As `_subject`, of a trainer's own config, whose traps are found even without target and law."""
    from hptransfer.checks import foreign  # trainers' formats: only their configs need them

    told = foreign.told_by(file, text)
    target = terms.target or told.target
    reading = foreign.read_trainer_config(
        file,
        text,
        foreign.format_of(file, text, terms.format),
        world_size=terms.world_size,
        seq_len=terms.seq_len or (None if target is None else target.seq_len),
    )
    trainer = foreign.trainer_file(reading)
    subject = Subject(
        Document(), (), None,
        tolerances=terms.tolerances, suppressions=read_suppressions(text), trainer=trainer,
    )  # fmt: skip
    if target is None:
        return subject, NO_TARGET
    law_is_file = told.law is not None and told.law.endswith(".json")
    try:
        law = projects.law_behind(
            file, terms, law_id=None if law_is_file else told.law, path=told.law if law_is_file else None
        )
        planned = plan(law, _planning_target(target, reading.number("seq_len")), rounding=target.rounding)
        if target.scaling is not None:
            planned = with_param_groups(planned, target.scaling)
        config, slips = foreign.config_of(reading, planned, told.digest)
    except HptransferError as error:
        return subject, str(error)
    trainer = replace(trainer, slips=trainer.slips + slips)
    return _with_law(replace(subject, config=config, trainer=trainer), config, law), None


def _planning_target(target: TargetSettings, seq_len: float | None) -> Target:
    values = target.model_dump(exclude={"rounding", "scaling"})
    return Target(**{**values, "seq_len": target.seq_len or (None if seq_len is None else int(seq_len))})


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
        batch_rule=asked.batch_rule,
    )
    planned = plan(law, target, rounding=asked.rounding)
    if asked.schedule is not None:
        planned = with_schedule(planned, asked.schedule, proxy=asked.proxy_schedule)
    return planned if asked.scaling is None else with_param_groups(planned, asked.scaling)


def examine(subject: Subject, file: str, terms: Terms) -> tuple[list[Finding], list[Overridden]]:
    """Run every check that applies; what is silenced comes apart, what a unit slip explains goes."""
    kept, silenced = [], []
    used: set[Suppression] = set()
    for entry, deviation in _look(subject, terms):
        finding = _finding(entry, deviation, subject, file, terms)
        silencer = _silencer(finding, subject)
        if silencer is None:
            kept.append((finding, deviation))
        else:
            silenced.append(silencer[0])
            used |= silencer[1]
    unused = tuple(one for one in _that_could(subject, terms) if one not in used)
    closing = replace(subject, unused=unused)
    findings = [finding for finding, _ in kept if not _is_explained(finding, [about for _, about in kept])]
    findings += [
        _finding(entry, deviation, subject, file, terms)
        for entry, deviation in _look(closing, terms, only="suppressions")
    ]
    return findings, silenced


def _look(subject: Subject, terms: Terms, *, only: Needs | None = None) -> Iterator[tuple[Check, Deviation]]:
    for entry in CHECKS:
        if entry in terms.selection and subject.has(entry.needs) and only in (None, entry.needs):
            yield from ((entry, deviation) for deviation in entry.look(subject))


def _silencer(finding: Finding, subject: Subject) -> tuple[Overridden, set[Suppression]] | None:
    """What silences a finding: the config's `override`, or comments; None where nothing does."""
    override = {} if subject.config is None else subject.config.override
    reason = override.get(finding.slug) or (
        override.get(finding.field.partition(".")[0]) if finding.slug == "edited" else None
    )
    if reason is not None:
        return Overridden(finding, plain(reason), "override"), set()
    names = (finding.id, finding.slug)
    comments = [
        one
        for one in subject.suppressions
        if one.silences(line=finding.line, names=names) and trouble_with(one) is None
    ]
    if not comments or finding.id == BAD_SUPPRESSION:
        return None
    return Overridden(finding, plain(comments[0].reason), "comment"), set(comments)


def _that_could(subject: Subject, terms: Terms) -> Iterator[Suppression]:
    """Comments whose checks all ran: of others nobody can say whether they are of use."""
    for comment in subject.suppressions:
        if trouble_with(comment) is None:
            checks = [find_check(code) for code in comment.codes]
            if all(entry in terms.selection and subject.has(entry.needs) for entry in checks):
                yield comment


def _is_explained(finding: Finding, kept: Sequence[Deviation]) -> bool:
    names = {finding.slug, f"{finding.slug}:{finding.field}"}
    return any(names & set(deviation.explains) for deviation in kept)


def _finding(entry: Check, deviation: Deviation, subject: Subject, file: str, terms: Terms) -> Finding:
    lines = subject.document.lines
    parts = deviation.field.split(".")
    paths = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    line = next((lines[path] for path in paths if path in lines), None)
    name, fixable = deviation.field, entry.fixable
    if subject.trainer is not None:
        name = subject.trainer.fields.get(deviation.field, deviation.field)
        line = subject.trainer.lines.get(deviation.field)
        fixable = (entry.fixable or entry.fixable_in_trainers) and deviation.field in subject.trainer.copied
    return Finding(
        id=entry.id,
        slug=entry.slug,
        severity=terms.severity.get(entry.id, entry.severity),
        file=file,
        line=line if deviation.line is None else deviation.line,
        field=plain(name),
        message=deviation.message,
        expected=deviation.expected,
        got=plain(deviation.got) if isinstance(deviation.got, str) else deviation.got,
        fix=entry.fix.replace("FIELD", plain(name)),
        fixable=fixable and deviation.expected is not None,
    )
