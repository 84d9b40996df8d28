"""The program: its commands, and the one place where errors become messages and exit codes.

Exit codes: 0 clean, 1 findings (`check` only), 2 bad usage, unusable input, a refusal or an internal
error, 130 on Ctrl-C. A closed pipe ends the program quietly.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from hptransfer import __version__
from hptransfer.cli.groups import GroupedHelp
from hptransfer.cli.screen import prose
from hptransfer.cli.streams import give_up_stdout, prepare, tell
from hptransfer.errors import HptransferError, did_you_mean, plain

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
DEBUG = "--debug"

HELP = "Turn small training sweeps into the hyperparameters of a large run, and say how far to trust them."
COMMANDS = (
    "doctor",
    "design",
    "fit",
    "init",
    "plan",
    "convert",
    "formats",
    "laws",
    "check",
    "schema",
    "shape",
    "width",
    "coordcheck",
    "backtest",
    "compare",
    "report",
    "loss",
    "batch",
    "simulate",
    "curves",
    "schedule",
)
"""Modules of this package, in the order of --help; each has `command`, or an `app` of its own."""


def make_app(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """Make the program with these commands only: start-up is dear, and each command is a module to load."""
    app = typer.Typer(
        name="hptransfer",
        help=HELP,
        epilog="Example: hptransfer plan --params 7e9 --tokens 1e12",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help: half the start-up time, and the same in a pipe
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name in commands:
        module = import_module(f"hptransfer.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, epilog=getattr(module, "EXAMPLE", None))
        else:
            app.command(name, epilog=module.EXAMPLE, cls=GroupedHelp)(module.command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hptransfer {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="On an internal error show the traceback (works after any command).")
    ] = False,
) -> None:
    """Options that stand before a command."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the program on `argv` (default: the process's own arguments) and exit."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them is a tenth of a plan
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = DEBUG in arguments
    if argv is None:
        prepare()
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `hptransfer ... | head` ends without a word
    sys.exit(_run([argument for argument in arguments if argument != DEBUG], debug=debug))


def _run(arguments: list[str], *, debug: bool) -> int:
    wanted = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
    try:
        code = make_app(wanted)(arguments, prog_name="hptransfer", standalone_mode=False)
        sys.stdout.flush()
    except HptransferError as error:
        return _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # usage errors of typer's own click
            _suggest_option(error)
            with contextlib.suppress(OSError):
                error.show(sys.stderr)
            return EXIT_ERROR
        if "KeyboardInterrupt" in str(error):  # pydantic's compiled core wraps what interrupts it
            return EXIT_INTERRUPTED
        if debug:
            raise
        return _fail_unexpectedly(error)
    return code if isinstance(code, int) else 0


def _suggest_option(error: Any) -> None:
    """Say which option a misspelt one may have been: the nearest, not all that look like it."""
    if getattr(error, "possibilities", None) and hasattr(error, "option_name"):
        error.message += f".{did_you_mean(error.option_name, error.possibilities)}"
        error.possibilities = None


def _fail_unexpectedly(error: Exception) -> int:
    """Say that standard output failed (files that fail have a name), else that it is our fault."""
    if isinstance(error, OSError) and error.filename is None:
        give_up_stdout()
        if isinstance(error, BrokenPipeError):
            return EXIT_ERROR
        return _fail(f"standard output: cannot be written: {(error.strerror or str(error)).lower()}.")
    what = f"{type(error).__name__}: {plain(error)}" if str(error) else type(error).__name__
    return _fail(f"internal error, please report it ({what}). Run again with {DEBUG} for the traceback.")


def _fail(message: str) -> int:
    tell(prose(f"hptransfer: error: {message}", sys.stderr))
    return EXIT_ERROR
