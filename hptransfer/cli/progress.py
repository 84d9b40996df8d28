"""A progress bar for steps that take more than a moment, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.progress import Progress

PATIENCE_S = 1.0

Report = Callable[[int, int], None]


def progress_bar(text: str, *, wanted: bool) -> AbstractContextManager[Report | None]:
    """Give a function to call with (steps done, steps); None where no bar is wanted or could be seen.

    The bar appears once the work has taken a second, and goes away when it is done.
    """
    if not (wanted and sys.stderr.isatty()):
        return nullcontext()
    return _bar(text)


@contextmanager
def _bar(text: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    started = time.monotonic()
    bar: Progress = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(text)

    def report(done: int, steps: int) -> None:
        if time.monotonic() - started > PATIENCE_S and done < steps:
            bar.start()
        bar.update(task, completed=done, total=steps)

    try:
        yield report
    finally:
        bar.stop()
