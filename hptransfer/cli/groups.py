"""Options in groups: a command asks for a record, and gets the flags of the record's fields.

A group is a frozen dataclass whose fields are annotated as options are. Groups may share a field: it is
one flag, and every group gets its value.

    @dataclass(frozen=True)
    class TargetOptions:
        PANEL: ClassVar[str] = "Target"  # heading in --help
        params: Annotated[str | None, typer.Option("--params", help="...")] = None

    @with_groups
    def command(target: TargetOptions, json: Json = False) -> None: ...
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.core import TyperCommand


def with_groups(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Spread the groups that `command` asks for into options, and gather their values again on a call.

    Options keep the order of the signature, a group's fields where the group stands.
    """
    signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True)
    groups = {name: hints[name] for name in signature.parameters if _is_group(hints[name])}
    spread: dict[str, inspect.Parameter] = {}
    for name, parameter in signature.parameters.items():
        if name in groups:
            spread.update((one.name, one) for one in _options_of(groups[name]) if one.name not in spread)
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            spread[name] = parameter.replace(annotation=hints[name], kind=kind)

    def gathered(**values: Any) -> int | None:
        whole = {
            name: group(**{field.name: values[field.name] for field in fields(group)})
            for name, group in groups.items()
        }
        own = {name: values[name] for name in signature.parameters if name not in groups}
        return command(**whole, **own)

    gathered.__name__, gathered.__module__, gathered.__doc__ = (
        command.__name__,
        command.__module__,
        command.__doc__,
    )
    gathered.__annotations__ = {name: one.annotation for name, one in spread.items()}
    gathered.__signature__ = inspect.Signature(list(spread.values()))  # type: ignore[attr-defined]
    return gathered


class GroupedHelp(TyperCommand):
    """A command whose --help lists each group of options under its own heading."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the command's own options, then each group, in the order of the signature."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                own = "Arguments" if parameter.param_type_name == "argument" else "Options"
                sections.setdefault(panel or own, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)


def _options_of(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_under_heading(hints[field.name], getattr(group, "PANEL", None)),
        )
        for field in fields(group)
    ]


def _under_heading(annotation: Any, panel: str | None) -> Any:
    """Give an option's annotation the heading of its group."""
    if get_origin(annotation) is not Annotated:
        msg = f"a field of a group of options needs Annotated[..., typer.Option(...)], got {annotation}"
        raise TypeError(msg)
    kind, option = get_args(annotation)
    headed = copy.copy(option)
    headed.rich_help_panel = panel
    return Annotated[kind, headed]
