"""What a trainer's config needs beside the plan, and how one is written and talked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import typer

from hptransfer.cli.options import SeqLen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hptransfer.cli.talk import Talk
    from hptransfer.law import Note
    from hptransfer.trainers import Format, Machine, Recipe

NEEDED_BESIDE: Final = ("world-size", "seq-len")
"""Codes of notes that say what a config needs besides, rather than what is wrong or missing in it."""


@dataclass(frozen=True)
class MachineOptions:
    """The machine that a trainer's config is for."""

    PANEL: ClassVar[str] = "Trainer"

    world_size: Annotated[
        int | None, typer.Option("--world-size", min=1, help="Data-parallel ranks of the run.")
    ] = None
    micro_batch: Annotated[
        int | None, typer.Option("--micro-batch", min=1, help="Sequences that a rank takes at once.")
    ] = None
    fit_batch: Annotated[
        bool,
        typer.Option("--fit-batch", help="Take the nearest batch that divides; the LR goes with it."),
    ] = False
    seq_len: SeqLen = None

    def machine(self) -> Machine:
        """As writers and readers of formats take it."""
        from hptransfer.trainers import Machine

        return Machine(world_size=self.world_size, micro_batch=self.micro_batch, seq_len=self.seq_len)


def write_in_format(
    recipe: Recipe,
    form: Format,
    machine: Machine,
    output: str,
    *,
    provenance: Mapping[str, Any],
    inputs: Iterable[str],
    force: bool,
    talk: Talk,
) -> None:
    """Write a recipe in a trainer's format and, where that leaves something out, a sidecar beside it."""
    from hptransfer.files import STANDARD_STREAM, write_text
    from hptransfer.trainers import write_config

    made = write_config(recipe, form, machine, provenance=provenance)
    inputs = list(inputs)
    talk.wrote(write_text(output, made.text, force=force, inputs=inputs), output)
    write_sidecar(made.sidecar, output, inputs, force=force, talk=talk)
    say_notes(made.notes, talk)
    if output == STANDARD_STREAM:
        talk.then("add -o FILE to write it, with what the format leaves out in a file beside it")
    else:
        say_usage(form, output, talk)


def write_sidecar(text: str | None, output: str, inputs: Iterable[str], *, force: bool, talk: Talk) -> None:
    """Write what stands beside a config, where anything does and the config is a file."""
    from hptransfer.files import STANDARD_STREAM, write_text
    from hptransfer.trainers.writing import SIDECAR

    if text is not None and output != STANDARD_STREAM:
        beside = output + SIDECAR
        talk.wrote(write_text(beside, text, force=force, inputs=inputs), beside)


def say_notes(notes: Iterable[Note], talk: Talk) -> None:
    """Say what a format leaves out or does otherwise, and what it needs."""
    from hptransfer.errors import plain

    for note in notes:
        kind = "note" if note.code in NEEDED_BESIDE else "warning"
        talk.say(f"{kind} [{note.code}]: {plain(note.message, limit=600)}")


def say_usage(form: Format, output: str, talk: Talk) -> None:
    """Say how the trainer is given the file, or how to check it."""
    from hptransfer.errors import plain

    talk.then(form.usage.replace("FILE", plain(output)) or f"hptransfer check {plain(output)}")
