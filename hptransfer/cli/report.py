"""`hptransfer report`: a sweep, its law and a plan as one page for a reader who was not in the room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hptransfer.cli import completing
from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Force, NoProgress, Quiet
from hptransfer.cli.sweep_options import Files, SweepOptions, reading_options
from hptransfer.cli.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hptransfer.project import ResolvedLaw
    from hptransfer.sweep import Sweep

EXAMPLE = "Example: hptransfer report sweep.csv -o report.html"

LAW_FILE = "law.json"


@with_groups
def command(
    files: Files,
    options: SweepOptions,
    law: Annotated[
        str | None,
        typer.Option(
            "--law",
            help="Law file or id (default: the plan's, else one is fitted to the sweep).",
            autocompletion=completing.laws,
        ),
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="CONFIG", help="Config that `hptransfer plan -o` wrote.")
    ] = None,
    with_backtest: Annotated[
        bool,
        typer.Option("--backtest", help="Also hold out the largest scales and draw what plans lost there."),
    ] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="Page to write, - for stdout.")] = (
        "report.html"
    ),
    force: Force = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Write one self-contained HTML page: the answer, the runs, the law, its reach, what being wrong costs.

    Opens from disk without network or JavaScript, and prints. Needs matplotlib (extra `plot`).
    """
    from hptransfer.checking import check, plan_again
    from hptransfer.cli.progress import progress_bar
    from hptransfer.config import config_from_yaml
    from hptransfer.drawing.canvas import require_matplotlib
    from hptransfer.evidence.backtesting import backtest
    from hptransfer.files import read_text, write_text
    from hptransfer.fitting import DEFAULT_ESTIMATOR
    from hptransfer.law import Note
    from hptransfer.reporting.gathering import gather
    from hptransfer.reporting.page import report_page

    require_matplotlib()
    talk = Talk(quiet=quiet)
    config = None if plan is None else config_from_yaml(read_text(plan), plan)
    sweep = options.sweep(files)
    shows = not (quiet or no_progress)
    used = _law(sweep, law, plan, progress=shows)
    talk.say(f"law: {used.origin}")
    fitted = used.law.fit
    tested = None
    if with_backtest:
        estimator, prior = (fitted.estimator, fitted.prior) if fitted else (DEFAULT_ESTIMATOR, "weak")
        with progress_bar("holding out the largest scales", wanted=shows) as report:
            tested = backtest(sweep, estimator=estimator, prior=prior, resamples=0, progress=report)
    material = gather(
        sweep,
        used.law,
        None if config is None else plan_again(config, used.law, config.plan.batch_tokens),
        backtest=tested,
        findings=() if plan is None else check([plan], law=used.law).findings,
        commands=list(_commands(files, options, law, plan, output, tested=with_backtest)),
        config=plan,
    )
    with progress_bar("drawing", wanted=shows):
        page = report_page(material)
    inputs = [*options.inputs(files), *used.files, *([] if plan is None else [plan])]
    talk.wrote(write_text(output, page, force=force, inputs=inputs), output)
    edited = list(dict.fromkeys(one.field for one in material.findings if one.severity == "error"))
    if edited:
        text = f"{plan} says otherwise than its law in {', '.join(edited)}; the page shows the law's plan."
        talk.warn([Note(code="config-differs", message=text)])
    if plan is None:
        talk.then(f"hptransfer plan --law {law or LAW_FILE} ... -o config.yaml, then add --plan config.yaml")
    else:
        talk.then(f"hptransfer check {plan}")


def _law(sweep: Sweep, law: str | None, plan: str | None, *, progress: bool) -> ResolvedLaw:
    """The law that was named, else that of the plan, else one fitted here as `hptransfer fit` would."""
    from hptransfer.cli.progress import progress_bar
    from hptransfer.fitting import fit
    from hptransfer.project import ResolvedLaw, law_of_config, resolve_law

    if law is not None:
        return resolve_law(law)
    if plan is not None:
        return law_of_config(plan)
    with progress_bar("fitting", wanted=progress) as report:
        return ResolvedLaw(fit(sweep, progress=report), "fitted to this sweep, as `hptransfer fit` does")


def _commands(
    files: list[str], options: SweepOptions, law: str | None, plan: str | None, output: str, *, tested: bool
) -> Iterator[str]:
    """What makes the page again."""
    from hptransfer.readers.columns import quoted

    reading = [*map(quoted, files), *reading_options(options.reading())]
    if law is None and plan is None:
        yield " ".join(["hptransfer fit", *reading, "-o", LAW_FILE])
    parts = ["hptransfer report", *reading]
    parts += ["--law", quoted(law or LAW_FILE)] if law is not None or plan is None else []
    parts += ["--plan", quoted(plan)] if plan is not None else []
    parts += ["--backtest"] if tested else []
    yield " ".join([*parts, "-o", quoted(output)])
    if plan is not None:
        yield f"hptransfer check {quoted(plan)}"
