"""Options in groups: one flag a field, shared fields once, values back in their groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
import typer

from hptransfer.cli.groups import GroupedHelp, with_groups


@dataclass(frozen=True)
class Wheels:
    """A group with a heading."""

    PANEL: ClassVar[str] = "Wheels"

    count: Annotated[int, typer.Option("--count", help="How many.")] = 4
    size: Annotated[float | None, typer.Option("--size", help="Inches.")] = None


@dataclass(frozen=True)
class Spares(Wheels):
    """A group that shares fields with another."""

    PANEL: ClassVar[str] = "Spares"

    spare: Annotated[bool, typer.Option("--spare", help="One more.")] = False


@dataclass(frozen=True)
class Unmarked:
    """No group of options."""

    count: int = 1


seen: list[object] = []


@with_groups
def build(
    name: Annotated[str, typer.Argument(help="What.")],
    wheels: Wheels,
    spares: Spares,
    fast: Annotated[bool, typer.Option("--fast", help="Quickly.")] = False,
) -> None:
    """Build a thing."""
    seen[:] = [name, wheels, spares, fast]


def make_app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(epilog="Example: build cart", cls=GroupedHelp)(build)
    return app


def run(*arguments: str) -> object:
    return make_app()(list(arguments), standalone_mode=False)


def test_values_come_back_in_their_groups() -> None:
    run("cart", "--count", "3", "--spare", "--fast")
    assert seen == ["cart", Wheels(count=3), Spares(count=3, spare=True), True]


def test_defaults_are_the_fields() -> None:
    run("cart")
    assert seen == ["cart", Wheels(), Spares(), False]


def test_help_has_a_heading_a_group_and_a_shared_flag_once(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    text = capsys.readouterr().out
    assert text.index("Arguments:") < text.index("--fast") < text.index("Wheels:") < text.index("--size")
    assert text.index("--size") < text.index("Spares:") < text.index("--spare")
    assert text.count("--count") == 1


def test_a_field_without_an_option_is_told() -> None:
    with pytest.raises(TypeError, match=r"needs Annotated"):

        @with_groups
        def broken(unmarked: Unmarked) -> None:
            """Never runs."""
