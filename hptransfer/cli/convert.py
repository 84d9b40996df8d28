"""`hptransfer convert`: a config in one format to another trainer's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hptransfer.cli import completing
from hptransfer.cli.base_options import BaseOptions, write_trainer_config
from hptransfer.cli.groups import with_groups
from hptransfer.cli.machine_options import MachineOptions
from hptransfer.cli.options import Force, Quiet
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError, plain

if TYPE_CHECKING:
    from hptransfer.trainers import Format, Machine, Recipe

EXAMPLE = "Example: hptransfer convert config.yaml --to litgpt -o litgpt.yaml"


@with_groups
def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A plan's config, or a trainer's; - is stdin.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="See `hptransfer formats`.", autocompletion=completing.formats
        ),
    ],
    options: MachineOptions,
    base: BaseOptions,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Format of FILE. [default: by its content]",
            autocompletion=completing.formats,
        ),
    ] = None,
    from_world_size: Annotated[
        int | None,
        typer.Option(
            "--from-world-size", min=1, help="Data-parallel ranks that FILE is for. [default: --world-size]"
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Config to write. [default: stdout]")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a plan's config, or a trainer's, in the format of another trainer.

    What the other format cannot say is told on stderr, in a comment, and in a file beside it. With --base
    only the hyperparameters of a config that you have are set: shown as a diff, changed with --write.
    """
    from hptransfer.files import read_text
    from hptransfer.trainers import find_format

    talk, form, machine = Talk(quiet=quiet), find_format(to), options.machine()
    source_machine = replace(machine, world_size=from_world_size or machine.world_size)
    base.require_consistent(output)
    if file == base.base == "-":
        msg = "FILE and --base cannot both be stdin."
        raise UsageError(msg)
    recipe, provenance = _read(read_text(file), file, source, source_machine, talk)
    machine = base.machine_of(options, to, talk).machine()
    recipe = replace(recipe, seq_len=machine.seq_len or recipe.seq_len)
    if options.fit_batch:
        recipe = _fitted(recipe, machine, talk)
    write_trainer_config(
        recipe, form, machine, base, output, provenance=provenance, inputs=[file], force=force, talk=talk
    )


def _read(
    text: str, name: str, source: str | None, machine: Machine, talk: Talk
) -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a plan's config or a trainer's, and what it was planned for."""
    from hptransfer.trainers import find_format, planned_for, read_text_as, recipe_from

    if source == "native" or (source is None and _is_native(text)):
        from hptransfer.config import config_from_yaml
        from hptransfer.trainers import provenance_of, recipe_of

        config = config_from_yaml(text, name)
        return recipe_of(config, seq_len=machine.seq_len), provenance_of(config)
    form = _detected(name, text) if source is None else find_format(source)
    reading = read_text_as(text, name, form, machine)
    recipe = recipe_from(reading)
    talk.say(f"{plain(name)}: read as {form.name}")
    for trap in reading.traps:
        where = "" if trap.line is None else f"line {trap.line}, "
        talk.say(f"warning [{trap.code}]: {where}{plain(trap.field)}: {plain(trap.message)}")
    return recipe, planned_for(text)


def _is_native(text: str) -> bool:
    from hptransfer.config import MARK

    return any(line.startswith(f"{MARK}:") for line in text.splitlines())


def _detected(name: str, text: str) -> Format:
    from hptransfer.trainers import FORMATS, detect

    found = detect(name, text)
    if len(found) == 1:
        return found[0]
    seen = (
        f"can be {' or '.join(form.name for form in found)}" if found else "is no trainer's config known here"
    )
    known = ", ".join(form.name for form in found) or f"native, {', '.join(FORMATS)}"
    msg = f"{plain(name)} {seen}. Say which with --from FORMAT ({known})."
    raise UsageError(msg)


def _fitted(recipe: Recipe, machine: Machine, talk: Talk) -> Recipe:
    """The recipe with the nearest batch that divides, said when it is another one."""
    from hptransfer.trainers.base import fitting_batch
    from hptransfer.trainers.recipe import with_batch

    batch = fitting_batch(recipe.batch_tokens, seq_len=recipe.seq_len, machine=machine)
    if batch == recipe.batch_tokens:
        return recipe
    fitted = with_batch(recipe, batch)
    talk.say(
        f"warning [batch-fitted]: batch {recipe.batch_tokens} -> {batch} tokens so that it divides; peak LR "
        f"{recipe.peak_lr:g} -> {fitted.peak_lr:g} by the square root of the ratio, steps {recipe.steps} -> "
        f"{fitted.steps}. Planning again with --batch-tokens {batch} follows the law instead."
    )
    return fitted
