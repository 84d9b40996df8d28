"""`hptransfer schedule`: LR schedules by name, side by side, moved, extended, branched and merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from hptransfer.cli import completing
from hptransfer.cli.options import Force, Json, Quiet, one_of
from hptransfer.cli.plotting import Plot, require_plot, save_plot
from hptransfer.cli.talk import Talk
from hptransfer.quantities import parse_positive

if TYPE_CHECKING:
    from hptransfer.schedules import Schedule

EXAMPLE = "Example: hptransfer schedule wsd --steps 10000 --warmup-steps 100 --decay-fraction 0.2"
COMPARE_EXAMPLE = "Example: hptransfer schedule compare cosine wsd:decay=1-sqrt d2z --steps 10000"
CONVERT_EXAMPLE = "Example: hptransfer schedule convert --peak-lr 1e-3 --from wsd --to cosine --steps 50000"
EXTEND_EXAMPLE = "Example: hptransfer schedule extend --steps 50000 --longer 100000 --decay-fraction 0.2"
BRANCHES_EXAMPLE = "Example: hptransfer schedule branches 10000 20000 40000 --decay-fraction 0.2"
MERGE_EXAMPLE = "Example: hptransfer schedule merge --decay 1-sqrt --checkpoints 5"
LIST_EXAMPLE = "Example: hptransfer schedule list"


class _ShowByDefault(TyperGroup):
    """`schedule NAME ...` means `schedule show NAME ...`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put `show` before a first word that is no command."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Offer the commands, and the names of schedules that `show` takes."""
        spec = self.commands["show"].params[0]
        return [*super().shell_complete(ctx, incomplete), *spec.shell_complete(ctx, incomplete)]


app = typer.Typer(
    cls=_ShowByDefault,
    help="LR schedules: one by name, several side by side, and how the best peak LR moves between them.",
    epilog=EXAMPLE,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Steps = Annotated[str | None, typer.Option("--steps", help="Updates of the whole run.")]
WarmupSteps = Annotated[str, typer.Option("--warmup-steps", help="Updates of linear warm-up.")]
PeakLr = Annotated[str | None, typer.Option("--peak-lr", help="Top of the schedule. [default: 1]")]
DecayFraction = Annotated[float, typer.Option("--decay-fraction", help="Of all steps, at the end.")]
CountFrom = Annotated[
    int,
    typer.Option(
        "--count-from",
        min=0,
        max=1,
        help="0: an update uses the updates done before it (torch, transformers); 1: it counts itself.",
    ),
]


def _whole(text: str, flag: str) -> int | float:
    """A count as given; what is not whole is left to the schedule to refuse."""
    value = parse_positive(text, flag) if text != "0" else 0.0
    return int(value) if value == int(value) else value


def _common(
    steps: str | None, warmup_steps: str, peak_lr: str | None, count_from: Literal[0, 1]
) -> dict[str, Any]:
    """What every schedule of a command shares, as `schedule_from_spec` takes it."""
    common: dict[str, Any] = {
        "warmup_steps": _whole(warmup_steps, "--warmup-steps"),
        "count_from": count_from,
    }
    if steps is not None:
        common["steps"] = _whole(steps, "--steps")
    if peak_lr is not None:
        common["peak_lr"] = parse_positive(peak_lr, "--peak-lr")
    return common


@app.command("show", epilog=EXAMPLE)
def show(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:OPTION=VALUE,...]",
            help="See `schedule list`.",
            autocompletion=completing.schedules,
        ),
    ],
    steps: Steps = None,
    warmup_steps: WarmupSteps = "0",
    peak_lr: PeakLr = None,
    count_from: CountFrom = 0,
    final_ratio: Annotated[float | None, typer.Option("--final-ratio", help="Last LR / peak LR.")] = None,
    decay: Annotated[
        str | None, typer.Option("--decay", help="Shape of the decay.", autocompletion=completing.decays)
    ] = None,
    decay_fraction: Annotated[
        float | None, typer.Option("--decay-fraction", help="Of all steps, warm-up included.")
    ] = None,
    decay_steps: Annotated[int | None, typer.Option("--decay-steps", help="In place of a fraction.")] = None,
    batch_seqs: Annotated[float | None, typer.Option("--batch-seqs", help="power: sequences a step.")] = None,
    seq_len: Annotated[float | None, typer.Option("--seq-len", help="power: tokens a sequence.")] = None,
    grad_norms: Annotated[
        str | None, typer.Option("--grad-norms", metavar="FILE", help="refined: one norm a line.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="All updates: step,lr,multiplier.")] = False,
    json: Json = False,
    plot: Plot = None,
    output: Annotated[str, typer.Option("--output", "-o", help="Where --csv goes; - is stdout.")] = "-",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Show one schedule: its curve, area, mean and last value, or every update as CSV or JSON.

    The first column of the CSV counts updates from 0, whatever --count-from says about their LR.
    """
    from hptransfer.cli import render_schedules
    from hptransfer.files import write_text
    from hptransfer.readers.norms import read_norms
    from hptransfer.schedules import schedule_from_spec
    from hptransfer.schedules.options import spec_with

    options = {
        "final_ratio": final_ratio,
        "decay": decay,
        "decay_fraction": decay_fraction,
        "decay_steps": decay_steps,
        "batch_seqs": batch_seqs,
        "seq_len": seq_len,
    }
    talk = Talk(quiet=quiet)
    common = _common(steps, warmup_steps, peak_lr, _count(count_from))
    if grad_norms is not None:
        common["grad_norms"] = read_norms(grad_norms)
    made = schedule_from_spec(spec_with(spec, options), **common)
    render_schedules.warn_experimental([made], talk)
    if plot is not None:
        _save_plot({made.name: made}, plot, force=force, talk=talk)
    if csv or output != "-":
        text = render_schedules.csv_text(made)
        talk.wrote(write_text(output, text, force=force, inputs=[grad_norms] if grad_norms else []), output)
    elif json:
        render_schedules.print_schedule(made)
    elif plot is None:
        render_schedules.show_schedules({spec: made})
    talk.then(f"hptransfer schedule compare {spec} d2z --steps {made.steps}")


def _save_plot(made: Mapping[str, Schedule], path: str, *, force: bool, talk: Talk) -> None:
    require_plot(path)
    from hptransfer.drawing.plots import schedule_plot
    from hptransfer.figures.schedules import schedule_figure

    save_plot(schedule_plot(schedule_figure(made)), path, force=force, inputs=[], talk=talk)


def _count(value: int) -> Literal[0, 1]:
    return 1 if value == 1 else 0


@app.command("list", epilog=LIST_EXAMPLE)
def list_kinds(json: Json = False, quiet: Quiet = False) -> None:
    """List the schedules, their options with defaults, and their sources; and the shapes of a decay."""
    from hptransfer.cli import render_schedules

    render_schedules.show_kinds(json=json)
    Talk(quiet=quiet).then("hptransfer schedule wsd --steps 10000")


@app.command("compare", epilog=COMPARE_EXAMPLE)
def compare(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC",
            help="See `schedule list`.",
            autocompletion=completing.schedules,
        ),
    ],
    steps: Steps = None,
    warmup_steps: WarmupSteps = "0",
    peak_lr: PeakLr = None,
    count_from: CountFrom = 0,
    json: Json = False,
    plot: Plot = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Compare schedules: curves, areas, last values, and the best peak LR of each in the convex bound.

    The last is relative to the first schedule: comparing schedules at one LR is unfair, the best one
    differs up to 2x.
    """
    from hptransfer.cli import render_schedules
    from hptransfer.schedules import schedule_from_spec

    talk = Talk(quiet=quiet)
    common = _common(steps, warmup_steps, peak_lr, _count(count_from))
    made = {spec: schedule_from_spec(spec, **common) for spec in specs}
    render_schedules.warn_experimental(made.values(), talk)
    if plot is not None:
        _save_plot(made, plot, force=force, talk=talk)
    if json:
        render_schedules.print_schedules(made)
    else:
        render_schedules.show_schedules(made)
    talk.then(f"hptransfer schedule convert --peak-lr 1e-3 --from {specs[0]} --to {specs[-1]} --steps 10000")


@app.command("convert", epilog=CONVERT_EXAMPLE)
def convert(
    peak_lr: Annotated[str, typer.Option("--peak-lr", help="Tuned for the schedule --from.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SPEC",
            help="The schedule it was tuned for.",
            autocompletion=completing.schedules,
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to", metavar="SPEC", help="The schedule of the next run.", autocompletion=completing.schedules
        ),
    ],
    steps: Steps = None,
    warmup_steps: WarmupSteps = "0",
    horizon_exponent: Annotated[
        float | None,
        typer.Option(
            "--horizon-exponent", help="Of the best LR in the steps, from your sweeps. [default: -0.27]"
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Move a tuned peak LR to another schedule and horizon (steps=N inside a SPEC), batch and model kept.

    Between shapes the convex bound decides; between horizons a measured exponent, with theory beside it.
    """
    from hptransfer.cli import render_schedules
    from hptransfer.plans.conversion import DEFAULT_EXPONENT, convert_peak_lr
    from hptransfer.schedules import schedule_from_spec

    talk = Talk(quiet=quiet)
    common = _common(steps, warmup_steps, None, 0)
    converted = convert_peak_lr(
        parse_positive(peak_lr, "--peak-lr"),
        source=schedule_from_spec(source, **common),
        target=schedule_from_spec(target, **common),
        horizon_exponent=DEFAULT_EXPONENT if horizon_exponent is None else horizon_exponent,
    )
    render_schedules.show_converted(converted, json=json)
    talk.warn(converted.warnings)
    horizon = "" if steps is None or _has_steps(target) else f" --steps {steps}"
    talk.then(f"hptransfer schedule {target}{horizon} --peak-lr {converted.peak_lr:.3g}")


def _has_steps(spec: str) -> bool:
    """Whether a schedule is written with its own horizon, `cosine:steps=50000`."""
    return any(option.strip().startswith("steps=") for option in spec.partition(":")[2].split(","))


@app.command("extend", epilog=EXTEND_EXAMPLE)
def extend_run(
    steps: Annotated[str, typer.Option("--steps", help="What the run was tuned for.")],
    longer: Annotated[str, typer.Option("--longer", help="How long it shall be now.")],
    decay_fraction: DecayFraction = 0.2,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a running WSD job to more steps: lower the LR once, or lengthen the cooldown."""
    from hptransfer.cli import render_schedules
    from hptransfer.plans.conversion import extend

    extension = extend(
        steps=int(_whole(steps, "--steps")), longer=int(_whole(longer, "--longer")), cooldown=decay_fraction
    )
    render_schedules.show_extension(extension, json=json)
    Talk(quiet=quiet).then(f"hptransfer schedule wsd --steps {extension.longer}")


@app.command("branches", epilog=BRANCHES_EXAMPLE)
def branches(
    horizons: Annotated[list[int], typer.Argument(metavar="STEPS", help="Horizons wanted.", min=1)],
    decay_fraction: DecayFraction = 0.2,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plan one constant-LR trunk with a decay branching off for each horizon, and say what it saves."""
    from hptransfer.cli import render_schedules
    from hptransfer.plans.conversion import branch_plan

    render_schedules.show_branches(*branch_plan(horizons, decay_fraction=decay_fraction), json=json)
    Talk(quiet=quiet).then(
        f"hptransfer schedule wsd --steps {max(horizons)} --decay-fraction {decay_fraction:g}"
    )


@app.command("merge", epilog=MERGE_EXAMPLE)
def merge(
    checkpoints: Annotated[int, typer.Option("--checkpoints", min=1, help="Intervals that are merged.")],
    decay: Annotated[
        str, typer.Option("--decay", help="linear, 1-sqrt, cosine, ...", autocompletion=completing.decays)
    ] = "linear",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Weights of constant-LR checkpoints whose average stands for a decay (WSM).

    The first weight is the checkpoint before the first interval, then one after each.
    """
    from hptransfer.cli import render_schedules
    from hptransfer.schedules.merging import weights_for_decay

    render_schedules.show_merge(*weights_for_decay(one_of_decays(decay), intervals=checkpoints), json=json)
    Talk(quiet=quiet).then("hptransfer schedule wsm --steps 10000")


def one_of_decays(decay: str) -> str:
    """The decay named; UsageError that lists those that end at zero."""
    from hptransfer.schedules.merging import MERGEABLE

    return one_of(decay, MERGEABLE, "--decay")
