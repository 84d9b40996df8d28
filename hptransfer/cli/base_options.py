"""A config that somebody has and a plan's values are written into: shown as a diff, changed when asked to."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import typer

from hptransfer.cli.machine_options import (
    MachineOptions,
    say_notes,
    say_usage,
    write_in_format,
    write_sidecar,
)
from hptransfer.errors import UsageError, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hptransfer.cli.talk import Talk
    from hptransfer.trainers import Format, Machine, Output, Recipe

MAX_BASE_BYTES: Final = 2**18  # configs are a tenth of it, and YAML of this size is edited in seconds


@dataclass(frozen=True)
class BaseOptions:
    """Where a trainer's config goes that is not written whole."""

    PANEL: ClassVar[str] = "Trainer"

    base: Annotated[
        str | None,
        typer.Option("--base", metavar="FILE", help="Put the values into this config; show what changes."),
    ] = None
    write: Annotated[bool, typer.Option("--write", help="With --base: change the file.")] = False

    def require_consistent(self, output: str | None) -> None:
        """Refuse options that contradict each other.

        Raises:  UsageError.
        """
        if self.write and self.base is None:
            msg = "--write goes with --base FILE, the config to change."
            raise UsageError(msg)
        if self.write and (output is not None or self.base == "-"):
            msg = "--write changes the file of --base in place: give that a name, and no -o."
            raise UsageError(msg)

    def machine_of(self, options: MachineOptions, format_name: str, talk: Talk) -> MachineOptions:
        """The machine, with what the base says (micro batch, world size, sequence length) beside options."""
        if self.base in (None, "-"):
            return options
        from hptransfer.trainers import find_format
        from hptransfer.trainers.merging import machine_of_base

        form, name = find_format(format_name), self.base or ""
        machine = machine_of_base(options.machine(), _text(name)[1], form, name)
        own = {
            "--micro-batch": (options.micro_batch, machine.micro_batch),
            "--world-size": (options.world_size, machine.world_size),
            "--seq-len": (options.seq_len, machine.seq_len),
        }
        said = [f"{flag} {of_base}" for flag, (given, of_base) in own.items() if given != of_base]
        if said:
            talk.say(f"note [machine-of-base]: {plain(name)} says {' '.join(said)}")
        return replace(
            options,
            micro_batch=machine.micro_batch,
            world_size=machine.world_size,
            seq_len=machine.seq_len,
        )


def _text(base: str) -> tuple[str, str]:
    """The byte-order mark of a base file, and its text."""
    from hptransfer.files import BYTE_ORDER_MARK, read_text

    content = read_text(base, max_bytes=MAX_BASE_BYTES, keep_mark=True)
    text = content.removeprefix(BYTE_ORDER_MARK)
    return content[: len(content) - len(text)], text


def write_trainer_config(
    recipe: Recipe,
    form: Format,
    machine: Machine,
    options: BaseOptions,
    output: str | None,
    *,
    provenance: Mapping[str, Any],
    inputs: Iterable[str],
    force: bool,
    talk: Talk,
) -> None:
    """Write a recipe in a trainer's format: whole, or into a base file."""
    if options.base is None:
        write_in_format(
            recipe,
            form,
            machine,
            output or "-",
            provenance=provenance,
            inputs=inputs,
            force=force,
            talk=talk,
        )
        return
    before, made = _merged(recipe, form, machine, options.base, provenance)
    if output is None:
        _change_or_show(made, form, before, options, talk)
        return
    from hptransfer.files import write_text

    inputs = [*inputs, options.base]
    talk.wrote(write_text(output, made.text, force=force, inputs=inputs), output)
    write_sidecar(made.sidecar, output, inputs, force=force, talk=talk)
    say_notes(made.notes, talk)
    say_usage(form, output, talk)


def _merged(
    recipe: Recipe, form: Format, machine: Machine, base: str, provenance: Mapping[str, Any]
) -> tuple[str, Output]:
    """The base's text, and what it becomes; a byte-order mark stays."""
    from hptransfer.trainers import merged_config, require_base

    mark, text = _text(base)
    require_base(form, base, text)
    made = merged_config(recipe, form, machine, base=text, name=base, provenance=provenance)
    return mark + text, replace(made, text=mark + made.text)


def _change_or_show(made: Output, form: Format, before: str, options: BaseOptions, talk: Talk) -> None:
    from hptransfer.cli import render
    from hptransfer.findings.fixing import Patch

    file = options.base or "-"
    patch = Patch(file, before, made.text, word="planned")
    render.show_diff(patch.diff(), sys.stderr if options.write else sys.stdout)
    if options.write:
        talk.wrote(patch.write(), file)
        write_sidecar(made.sidecar, file, [], force=True, talk=talk)
        say_notes(made.notes, talk)
        say_usage(form, file, talk)
        return
    say_notes(made.notes, talk)
    if made.text == before:
        talk.say(f"unchanged {plain(file)}: it holds these values already")
        say_usage(form, file, talk)
    else:
        talk.then(f"add --write to change {plain(file)}, or -o FILE to write another")
