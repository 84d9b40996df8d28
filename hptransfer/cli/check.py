"""`hptransfer check`: configs held to their plan and their law, for people and for CI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from hptransfer.cli import completing
from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Force, Json, NoProgress, ParamsKindOption, Quiet, SeqLen, params_kind_of
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError
from hptransfer.quantities import parse_positive

if TYPE_CHECKING:
    from hptransfer.findings.record import Report
    from hptransfer.settings import TargetSettings

EXAMPLE = "Example: hptransfer plan --params 1e9 --tokens 1e11 -o config.yaml && hptransfer check config.yaml"

Codes = list[str] | None


@dataclass(frozen=True)
class LimitOptions:
    """How far a config may be from plan and law; each wins over hptransfer.toml."""

    PANEL: ClassVar[str] = "Limits (else hptransfer.toml's, else as in brackets)"

    edited: Annotated[
        float | None, typer.Option("--edited-tolerance", help="Relative change that is an edit [0.01].")
    ] = None
    lr_factor: Annotated[
        float | None, typer.Option("--lr-factor", help="Allowed factor from the law's LR [1.25].")
    ] = None
    batch_factor: Annotated[
        float | None, typer.Option("--batch-factor", help="Allowed factor from the law's batch [1.5].")
    ] = None
    weight_decay_factor: Annotated[
        float | None,
        typer.Option("--weight-decay-factor", help="Allowed factor from the law's weight decay [2]."),
    ] = None
    excess: Annotated[
        float | None,
        typer.Option("--excess", help="Allowed predicted excess loss over the plan's own [0.0025]."),
    ] = None
    reach_factor: Annotated[
        float | None,
        typer.Option("--reach-factor", help="Allowed factor outside the law's fitted range [1]."),
    ] = None


@dataclass(frozen=True)
class TrainerOptions:
    """What trainers' own configs do not say; each wins over hptransfer.toml."""

    PANEL: ClassVar[str] = "Trainers' configs (else hptransfer.toml's)"

    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Their format, where two are possible.",
            autocompletion=completing.formats,
        ),
    ] = None
    params: Annotated[str | None, typer.Option("--params", help="Parameters that are trained.")] = None
    tokens: Annotated[str | None, typer.Option("--tokens", help="Tokens that they are trained on.")] = None
    params_kind: ParamsKindOption = None
    world_size: Annotated[int | None, typer.Option("--world-size", min=1, help="Data-parallel ranks.")] = None
    seq_len: SeqLen = None


@dataclass(frozen=True)
class ChoiceOptions:
    """Which checks run, and which findings count."""

    PANEL: ClassVar[str] = "What counts"

    select: Annotated[
        Codes, typer.Option("--select", metavar="CODE", help="Run these checks only: HPT1, HPT101, edited.")
    ] = None
    ignore: Annotated[
        Codes, typer.Option("--ignore", metavar="CODE", help="Leave these checks out; the longer code wins.")
    ] = None
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="FILE", help="Findings that are accepted already.")
    ] = None
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write today's findings to --baseline, and exit.")
    ] = False


@dataclass(frozen=True)
class FixOptions:
    """What is done about findings."""

    PANEL: ClassVar[str] = "Fixing"

    fix: Annotated[bool, typer.Option("--fix", help="Show the fixes that need no judgement, as a diff.")] = (
        False
    )
    write: Annotated[bool, typer.Option("--write", help="With --fix: change the files.")] = False


@with_groups
def command(
    limits: LimitOptions,
    choice: ChoiceOptions,
    fixing: FixOptions,
    trainer: TrainerOptions,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Configs, or folders of them; - is stdin.")
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(
            "--law", help="Law file or id, in place of what the configs say.", autocompletion=completing.laws
        ),
    ] = None,
    output_format: Annotated[
        str,
        typer.Option(
            "--output-format",
            envvar="HPTRANSFER_OUTPUT_FORMAT",
            help="text, json, github, sarif, junit or gitlab.",
            autocompletion=completing.one_of(("text", "json", "github", "sarif", "junit", "gitlab")),
        ),
    ] = "text",
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="ID",
            help="Describe one check and exit; `all` lists them.",
            autocompletion=completing.checks,
        ),
    ] = None,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> int:
    """Check that configs are still what their plan and law say.

    Exit code 0 when clean (warnings allowed), 1 with findings, 2 when something cannot be read or no
    config was found.
    """
    from hptransfer.cli import render_check

    if explain is not None:
        render_check.show_checks(explain)
        Talk(quiet=quiet).then(
            "hptransfer check --explain ID" if explain == "all" else "hptransfer check CONFIG"
        )
        return 0
    if not paths:
        msg = "nothing to check: name a config or a folder, such as `hptransfer check configs/`."
        raise UsageError(msg)
    _require_consistent(choice, fixing)
    from hptransfer.findings.reports import report_writer

    form = "json" if json else output_format
    write = None if form == "text" else report_writer(form)
    talk = Talk(quiet=quiet)
    target = _target(trainer)

    def found() -> Report:
        from hptransfer.checking import check
        from hptransfer.cli.progress import progress_bar

        with progress_bar("checking", wanted=not (quiet or no_progress)) as progress:
            return check(
                paths,
                law=law,
                tolerances={name: value for name, value in asdict(limits).items() if value is not None},
                select=choice.select or (),
                ignore=choice.ignore or (),
                format=trainer.format,
                target=target,
                world_size=trainer.world_size,
                seq_len=trainer.seq_len,
                progress=progress,
            )

    report = found()
    if choice.baseline is not None and choice.write_baseline:
        return _write_baseline(report, choice.baseline, force=force, talk=talk)
    show = print if form == "text" else talk.say  # nothing but the report goes where a program reads it
    if fixing.fix and _fix(report, talk, show, write=fixing.write):
        report = found()
    if choice.baseline is not None:
        report = _without_accepted(report, choice.baseline, talk)
    if write is None:
        render_check.show_report(report, talk)
    else:
        print(write(report), end="")
    return report.exit_code


def _require_consistent(choice: ChoiceOptions, fixing: FixOptions) -> None:
    if fixing.write and not fixing.fix:
        msg = "--write goes with --fix."
        raise UsageError(msg)
    if choice.write_baseline and choice.baseline is None:
        msg = "--write-baseline needs to know where: add --baseline FILE."
        raise UsageError(msg)
    if choice.write_baseline and fixing.fix:
        msg = "--fix and --write-baseline are two steps: fix first."
        raise UsageError(msg)


def _target(trainer: TrainerOptions) -> TargetSettings | None:
    """The target that the options name; None where they name none.

    Raises:  UsageError when only one of its two sizes is given, or a number is none.
    """
    if trainer.params is None and trainer.tokens is None:
        return None
    if trainer.params is None or trainer.tokens is None:
        msg = "a target needs --params and --tokens."
        raise UsageError(msg)
    from hptransfer.settings import TargetSettings

    return TargetSettings(
        params=parse_positive(trainer.params, "--params"),
        tokens=parse_positive(trainer.tokens, "--tokens"),
        params_kind=params_kind_of(trainer.params_kind) or "unspecified",
    )


def _fix(report: Report, talk: Talk, show: Callable[[str], None], *, write: bool) -> bool:
    """Show what can be fixed, write it where asked; whether files changed."""
    from hptransfer.findings.fixing import find_patches

    patches = list(find_patches(report.findings))
    for patch in patches:
        show(patch.diff().rstrip("\n"))
        if write:
            talk.wrote(patch.write(), patch.file)
    if patches and not write:
        talk.say("nothing is written: add --write to change the files.")
    return write and bool(patches)


def _write_baseline(report: Report, path: str, *, force: bool, talk: Talk) -> int:
    """Accept today's findings; what cannot be read is still an error."""
    from hptransfer.cli import render_check
    from hptransfer.files import write_text
    from hptransfer.findings.baseline import baseline_to_json

    if report.unreadable or not report.checked:
        render_check.show_report(report, talk)
        return report.exit_code
    text = baseline_to_json(report.findings, path)
    talk.wrote(write_text(path, text, force=force, inputs=report.checked), path)
    talk.say(f"{len(report.findings)} findings accepted.")
    talk.then(f"hptransfer check ... --baseline {path}")
    return 0


def _without_accepted(report: Report, path: str, talk: Talk) -> Report:
    from hptransfer.findings.baseline import apply_baseline, read_baseline

    report, gone = apply_baseline(report, read_baseline(path), path)
    if gone:
        talk.say(f"{gone} entries of the baseline are found no more: write it again with --write-baseline.")
    return report
