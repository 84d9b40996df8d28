"""`hptransfer laws`: what papers claim, one by one and side by side."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hptransfer.cli import completing
from hptransfer.cli.groups import GroupedHelp, with_groups
from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.talk import Talk
from hptransfer.cli.target_options import ScaleOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hptransfer.comparison.at_target import Comparison

EXAMPLE = "Example: hptransfer laws"
SHOW_EXAMPLE = "Example: hptransfer laws show openeurollm"
COMPARE_EXAMPLE = "Example: hptransfer laws compare --params 7e9 --tokens 1e12 --loss 2.1"
NAMES = ("peak_lr", "batch_tokens", "critical_batch", "tau_ema", "loss")

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@app.callback(epilog=EXAMPLE)
def command(context: typer.Context, json: Json = False, quiet: Quiet = False) -> None:
    """List the published laws: what each predicts, what it counts, where it was fitted, how sure it is.

    `laws show ID` says all there is about one, `laws compare` puts them side by side at a target.
    """
    if context.invoked_subcommand is not None:
        return
    from hptransfer.cli import render
    from hptransfer.published import entries
    from hptransfer.published.describing import certainty, predicts, ranges

    if json:
        render.print_json([_content(law_id) for law_id in entries()])
    else:
        rows = (
            (
                law_id,
                predicts(entry),
                certainty(entry) + (" (experimental)" if _experimental(law_id) else ""),
                entry["counts"].get("params", "do not enter"),
                ranges(entry),
            )
            for law_id, entry in entries().items()
        )
        render.table("Published laws", ("law", "predicts", "certainty", "params~", "fitted on~"), rows)
    Talk(quiet=quiet).then("hptransfer laws show step-law")


@app.command("show", epilog=SHOW_EXAMPLE)
def show(
    law_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a published law.", autocompletion=completing.laws)
    ],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show one published law: formula, range, setting, source, pitfalls and golden values."""
    from hptransfer.cli import render
    from hptransfer.published import entries, published_law
    from hptransfer.published.describing import law_page

    published_law(law_id)  # a misspelt id gets a suggestion
    if json:
        render.print_json(_content(law_id))
    else:
        render.say(law_page(law_id, entries()[law_id]).rstrip())
    Talk(quiet=quiet).then(f"hptransfer plan --law {law_id} --params 7e9 --tokens 1e12")


@app.command("compare", epilog=COMPARE_EXAMPLE, cls=GroupedHelp)
@with_groups
def compare(
    scale: ScaleOptions,
    law: Annotated[
        list[str] | None,
        typer.Option(
            "--law",
            help="Compare these laws only (repeatable; default: all).",
            autocompletion=completing.laws,
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            "--against", help="The law that differences are told from.", autocompletion=completing.laws
        ),
    ] = "step-law",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put the published laws side by side at a target: values, how far out of range, why they differ.

    Every law is given the same params, whatever it counts. Without a shape, laws in C = M * tokens are
    evaluated at C = 6 N D (marked ~).
    """
    from hptransfer.cli import render
    from hptransfer.comparison import at_target as comparing

    found = comparing.compare(scale.scale(), ids=law, reference=reference)
    talk = Talk(quiet=quiet)
    if json:
        render.print_json([_comparison_content(one) for one in found])
    else:
        _show(found, talk)
    talk.then(f"hptransfer plan --law {reference} --params {scale.params} --tokens {scale.tokens} --explain")


def _show(found: Iterable[Comparison], talk: Talk) -> None:
    from hptransfer.cli import render

    said = [one for one in found if any(getattr(one, name) is not None for name in NAMES)]
    rows = (
        (
            one.law.id,
            ("~" if one.flops_approximated and one.peak_lr else "") + render.number(one.peak_lr),
            render.count(one.batch_tokens),
            render.count(one.critical_batch),
            "-" if one.loss is None else f"{one.loss:.4f}",
            _out_of_range(one),
            one.differs or "the law the others are told from",
        )
        for one in said
    )
    columns = ("law", "peak_lr#", "batch#", "critical batch#", "loss#", "out of range", "differs in~")
    render.table("Published laws at the target", columns, rows)
    for one in found:
        if one.lacks is not None:
            talk.say(f"{one.law.id}: {one.lacks}")


def _out_of_range(one: Comparison) -> str:
    if not one.reach:
        return "range not stated" if not one.law.fitted_on else "-"
    outside = [f"{name} {factor:.3g}x" for name, factor in one.reach.items() if factor > 1]
    return ", ".join(outside) or "inside"


def _comparison_content(one: Comparison) -> dict[str, Any]:
    plain = {f.name: getattr(one, f.name) for f in dataclasses.fields(one) if f.name != "law"}
    return {"law": one.law.id, "experimental": one.law.experimental, **plain, "reach": dict(one.reach)}


def _content(law_id: str) -> dict[str, Any]:
    """An entry as written, with what is derived from it."""
    from hptransfer.published import entries, published_law

    law = published_law(law_id)
    return {"id": law_id, "experimental": law.experimental, "digest": law.digest(), **entries()[law_id]}


def _experimental(law_id: str) -> bool:
    from hptransfer.published import published_law

    return published_law(law_id).experimental
