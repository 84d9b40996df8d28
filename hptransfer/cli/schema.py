"""`hptransfer schema`: the JSON Schema of a law, a plan, a config or hptransfer.toml."""

from __future__ import annotations

from typing import Annotated

import typer

from hptransfer.cli import completing
from hptransfer.cli.options import Force, Quiet
from hptransfer.cli.talk import Talk

EXAMPLE = "Example: hptransfer schema config -o config.schema.json"


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="law, plan, config or settings.",
            autocompletion=completing.one_of(("law", "plan", "config", "settings")),
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="File to write; - is stdout.")] = "-",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Print a JSON Schema, for editors and for other programs.

    With `config_schema = "config.schema.json"` in hptransfer.toml, `plan -o` names it in the configs it
    writes, so that editors complete and check them.
    """
    from hptransfer.files import write_text
    from hptransfer.schemas import schema_to_json

    talk = Talk(quiet=quiet)
    talk.wrote(write_text(output, schema_to_json(name), force=force), output)
    talk.then("hptransfer plan --params 7e9 --tokens 1e12 -o config.yaml")
