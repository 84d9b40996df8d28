"""`hptransfer design`: which proxy runs to make next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hptransfer.cli import completing
from hptransfer.cli.groups import with_groups
from hptransfer.cli.options import Force, Json, NoProgress, Quiet, one_of
from hptransfer.cli.sweep_options import SweepOptions
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError, plain

if TYPE_CHECKING:
    from hptransfer.designing import Design
    from hptransfer.sweep import Sweep

EXAMPLE = "Example: hptransfer design --target params=7e9,tokens=1e12 --budget-flops 1e20 -o runs.csv"
DEFAULT_SEQ_LEN = 2048


@with_groups
def command(
    target: Annotated[str, typer.Option("--target", metavar="params=N,tokens=D", help="The run to prepare.")],
    budget_flops: Annotated[
        str, typer.Option("--budget-flops", help="Compute of all proposed runs, 6 params tokens each.")
    ],
    options: SweepOptions,
    sweep: Annotated[
        list[str] | None, typer.Option("--sweep", metavar="FILE", help="Runs made so far; repeatable.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=4, max=1000, help="At most so many runs.")] = 12,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Where the runs go; - is stdout.")
    ] = None,
    list_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, wandb, optuna, ray, or slurm (script beside the CSV).",
            autocompletion=completing.one_of(("csv", "wandb", "optuna", "ray", "slurm")),
        ),
    ] = "csv",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Propose proxy runs expected to tell most about a target's peak LR and batch for their compute.

    With --sweep, runs that add most to what it holds; without, a first sweep. Shows cost, and the 90 %
    interval to expect at the target before and after. Nothing is started. Experimental: better than
    random runs of equal cost in simulation, not always on real grids (docs/which-runs.md).
    """
    from hptransfer.cli import render
    from hptransfer.cli.progress import progress_bar
    from hptransfer.designing import design, design_to_dict, parse_target
    from hptransfer.files import write_text
    from hptransfer.quantities import parse_positive
    from hptransfer.readers.columns import quoted
    from hptransfer.run_lists import FORMATS, files_of

    talk = Talk(quiet=quiet)
    wanted, asked = one_of(list_format, FORMATS, "--format"), parse_target(target)
    budget = parse_positive(budget_flops, "--budget-flops")
    if wanted == "slurm" and output in (None, "-"):
        msg = "--format slurm writes two files, a CSV and a script that reads it: name the CSV, -o runs.csv."
        raise UsageError(msg)
    so_far = options.sweep(sweep) if sweep else None
    length = options.seq_len or (so_far.seq_len if so_far else None) or DEFAULT_SEQ_LEN
    with progress_bar("choosing runs", wanted=not (quiet or no_progress)):
        found = design(asked, budget_flops=budget, n_runs=runs, sweep=so_far, seq_len=length)
    if json and output != "-":
        render.print_json(design_to_dict(found))
    elif output != "-":
        _show(found)
    for note in found.notes:
        talk.say(f"note: {plain(note, limit=400)}")
    for path, text in files_of(found, output, wanted) if output else ():
        talk.wrote(write_text(path, text, force=force, inputs=options.inputs(sweep or [])), path)
    files = " ".join(map(quoted, [*(sweep or []), output or "runs.csv"]))
    talk.say("train these, fill in their loss, then fit:")
    talk.then(f"hptransfer fit {files}{_kind(so_far)}")


def _kind(sweep: Sweep | None) -> str:
    """What the sweep's params count, as an option: the list of runs counts alike and does not say so."""
    if sweep is None or sweep.params_kind == "unspecified":
        return ""
    return f" --params-kind {sweep.params_kind}"


def _show(found: Design) -> None:
    """Print the runs, and what is expected of them."""
    from hptransfer.cli import render

    rows = [
        (
            render.count(run.params),
            render.count(run.tokens),
            render.number(run.lr),
            render.count(run.batch_tokens),
            f"{run.flops:.2g}",
            f"again, seed {run.repeat}" if run.repeat else "",
        )
        for run in found.runs
    ]
    cost = f"{found.flops:.3g} of {found.budget_flops:.3g} FLOP"
    title = f"{len(rows)} runs, {cost}; optima guessed by {found.guess}"
    render.table(title, ("params#", "tokens#", "peak LR#", "batch#", "FLOP#", ""), rows)
    expected = [
        (when, render.interval(part.peak_lr), render.interval(part.batch_tokens, render.count))
        for when, part in (("before", found.before), ("after", found.after))
    ]
    where = f"{render.count(found.params)} params, {render.count(found.tokens)} tokens"
    render.table(f"expected 90 % intervals at {where}", ("", "peak LR#", "batch tokens#"), expected)
