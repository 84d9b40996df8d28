"""`hptransfer formats`: the trainers whose configs are written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hptransfer.cli.options import Json, Quiet
from hptransfer.cli.talk import Talk

if TYPE_CHECKING:
    from hptransfer.trainers import Format

EXAMPLE = "Example: hptransfer formats"
FLAGS = {"world_size": "--world-size", "micro_batch": "--micro-batch", "seq_len": "--seq-len"}


def command(json: Json = False, quiet: Quiet = False) -> None:
    """List the trainers' formats: version, what they need beside a plan, which schedules they can say."""
    from hptransfer.cli import render
    from hptransfer.trainers import FORMATS

    contents = [_content(form) for form in FORMATS.values()]
    if json:
        render.print_json(contents)
    else:
        rows = (
            (
                row["format"],
                row["version"],
                "/".join(row["suffixes"]),
                row["lr"],
                " ".join(row["needs"]) or "-",
                ", ".join(row["schedules"]),
            )
            for row in contents
        )
        columns = ("format", "made for", "files", "LR", "needs~", "schedules~")
        render.table("Trainers' formats", columns, rows)
    Talk(quiet=quiet).then("hptransfer plan --params 7e9 --tokens 1e12 --format litgpt -o litgpt.yaml")


def _content(form: Format) -> dict[str, Any]:
    from hptransfer.trainers.describing import field_names, schedules_held

    return {
        "format": form.name,
        "title": form.title,
        "version": form.version,
        "suffixes": list(form.syntax.suffixes),
        "needs": [FLAGS[name] for name in form.needs],
        "schedules": schedules_held(form),
        "groups": form.holds_groups,
        "lr": form.lr_of,
        "fields": field_names(form),
        "differences": list(form.differences),
        "usage": form.usage,
    }
