"""`hptransfer compare`: two laws, whether they differ beyond their noise, and what each would plan."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer compare step-law porian --params 1e9 --tokens 1e11"


def command(
    law_a: Annotated[str, typer.Argument(metavar="LAW_A", help="Law file, or id of a published law.")],
    law_b: Annotated[str, typer.Argument(metavar="LAW_B", help="Law to hold against it.")],
    params: Annotated[
        str | None, typer.Option("--params", help="Target: what would each plan? With --tokens.")
    ] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="Training tokens of the target.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two laws: exponents and levels by their noise, where they cross, what each would plan.

    For two data sets, architectures, optimizers or schedules. Refuses where the question has no meaning:
    params counted differently, losses in other units, a fixed batch against a re-tuned one.
    """
    from dataclasses import asdict

    from hptransfer.cli import render, render_comparison
    from hptransfer.comparison.two_laws import compare_laws
    from hptransfer.errors import UsageError
    from hptransfer.planning import Target
    from hptransfer.project import resolve_law
    from hptransfer.quantities import parse_positive

    if (params is None) is not (tokens is None):
        msg = "a target needs both --params and --tokens."
        raise UsageError(msg)
    target = None
    if params is not None and tokens is not None:
        target = Target(params=parse_positive(params, "--params"), tokens=parse_positive(tokens, "--tokens"))
    found = compare_laws(resolve_law(law_a).law, resolve_law(law_b).law, target)
    if json:
        render.print_json(asdict(found))
    else:
        render_comparison.show_law_comparison(found)
    Talk(quiet=quiet).then(f"hptransfer plan --law {law_a} --params 7e9 --tokens 1e12")
