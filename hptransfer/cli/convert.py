"""`hptransfer convert`: a config in one format to another trainer's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hptransfer.cli import completing
from hptransfer.cli.base_options import BaseOptions, write_trainer_config
from hptransfer.cli.groups import with_groups
from hptransfer.cli.machine_options import MachineOptions
from hptransfer.cli.options import Force, Quiet
from hptransfer.cli.talk import Talk
from hptransfer.errors import UsageError, plain

if TYPE_CHECKING:
    from hptransfer.trainers import Format, Machine, Reading, Recipe
    from hptransfer.trainers.beside import Beside

EXAMPLE = "Example: hptransfer convert config.yaml --to litgpt -o litgpt.yaml"
SAME_TOKENS: Final = 0.01
"""Relative difference of a run's tokens that rounding to whole steps can make."""


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
    read = _read(read_text(file), file, source, source_machine, talk)
    machine = base.machine_of(options, to, talk).machine()
    recipe = replace(read.recipe, seq_len=machine.seq_len or read.recipe.seq_len)
    if options.fit_batch:
        recipe = _fitted(recipe, machine, talk)
    if recipe.seq_len == read.recipe.seq_len:
        machine = _keeping(read.micro_batch, machine, recipe, talk)
    write_trainer_config(
        recipe, form, machine, base, output, provenance=read.provenance, inputs=[file], force=force, talk=talk
    )


@dataclass(frozen=True)
class _Read:
    """A config to convert: its recipe, what it was planned for, and the micro batch that it says."""

    recipe: Recipe
    provenance: dict[str, Any]
    micro_batch: int | None = None


def _read(text: str, name: str, source: str | None, machine: Machine, talk: Talk) -> _Read:
    """Read a plan's config or a trainer's, the latter with the sequence length beside it if it says none."""
    from hptransfer.trainers import find_format, planned_for, read_text_as, recipe_from
    from hptransfer.trainers.beside import Beside, read_beside

    if source == "native" or (source is None and _is_native(text)):
        from hptransfer.config import config_from_yaml
        from hptransfer.trainers import provenance_of, recipe_of

        config = config_from_yaml(text, name)
        return _Read(recipe_of(config, seq_len=machine.seq_len), provenance_of(config))
    form = _detected(name, text) if source is None else find_format(source)
    beside = read_beside(name)
    beside = beside if beside.format == form.name else Beside()
    reading = read_text_as(text, name, form, replace(machine, seq_len=beside.seq_len or machine.seq_len))
    recipe = recipe_from(reading)
    talk.say(f"{plain(name)}: read as {form.name}")
    _say_beside(beside, reading, recipe, machine, talk)
    for trap in reading.traps:
        where = "" if trap.line is None else f"line {trap.line}, "
        talk.say(f"warning [{trap.code}]: {where}{plain(trap.field)}: {plain(trap.message)}")
    return _Read(recipe, planned_for(text) or beside.plan, _micro_batch(reading))


def _say_beside(beside: Beside, reading: Reading, recipe: Recipe, machine: Machine, talk: Talk) -> None:
    """Say that the sequence length is the sidecar's, and that the file's tokens are no longer the plan's."""
    from hptransfer.trainers.writing import SIDECAR

    file, own = plain(reading.source.name), beside.seq_len
    if own not in (None, machine.seq_len) and not reading.values["seq_len"].fields:
        what = f" --seq-len {machine.seq_len} is of what is written: the batch in tokens stays."
        talk.say(
            f"note [seq-len-beside]: {file} is read in sequences of {own} tokens, as {file}{SIDECAR} says."
            f"{what if machine.seq_len else ''} If it is trained with others, take that file away."
        )
    tokens = recipe.steps * recipe.batch_tokens
    if beside.tokens is not None and not 1 - SAME_TOKENS < tokens / beside.tokens < 1 + SAME_TOKENS:
        talk.say(
            f"warning [not-as-planned]: {file} trains {tokens:.3g} tokens as it was read, "
            f"{beside.tokens:.3g} were planned ({file}{SIDECAR}). Give --from-world-size if it is for "
            f"other ranks than {machine.world_size or 1}, or take that file away if {file} was changed since."
        )


def _micro_batch(reading: Reading) -> int | None:
    """The micro batch that a file says, None where it says none or no whole number."""
    value = reading.values.get("micro_batch")
    number = reading.number("micro_batch")
    if value is None or not value.fields or number is None or number < 1:
        return None
    return int(number) if number == int(number) else None


def _keeping(micro_batch: int | None, machine: Machine, recipe: Recipe, talk: Talk) -> Machine:
    """The machine with the micro batch of the source, where nobody says another and the batch divides."""
    from hptransfer.trainers.base import split_batch

    if micro_batch is None or machine.micro_batch is not None:
        return machine
    kept = replace(machine, micro_batch=micro_batch)
    try:
        split_batch(recipe, kept)
    except UsageError:
        talk.say(
            f"note [micro-batch]: the batch does not divide by the file's micro batch of {micro_batch} on "
            f"each of {machine.world_size or 1} ranks: it is 1 here. Give another with --micro-batch."
        )
        return machine
    return kept


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
