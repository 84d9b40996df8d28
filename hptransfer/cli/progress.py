"""A progress bar for steps that take more than a moment, on a terminal only."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from hptransfer.cli.screen import is_terminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

PATIENCE_S = 1.0

Report = Callable[[int, int], None]


def progress_bar(text: str, *, wanted: bool) -> AbstractContextManager[Report | None]:
    """Give a function to call with (steps done, steps); None where no bar is wanted or could be seen.

    The bar appears once the work has taken a second, steps or not, and goes away when it is done.
    """
    if not wanted or not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        return nullcontext()
    return _bar(text)


@contextmanager
def _bar(text: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(text, total=None)
    alarm = threading.Timer(PATIENCE_S, bar.start)
    alarm.daemon = True
    alarm.start()
    try:
        yield lambda done, steps: bar.update(task, completed=done, total=steps)
    finally:
        alarm.cancel()
        alarm.join()  # or it would start a bar that nobody stops
        bar.stop()
