"""The one door to matplotlib: figures in our style, as bytes of a file format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from hptransfer.drawing.palette import INK, MUTED, PAPER, RULE
from hptransfer.errors import UsageError, plain
from hptransfer.quantities import short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes  # noqa: PLC0414 - others import it from here
    from matplotlib.figure import Figure as Figure  # noqa: PLC0414
else:
    Axes: TypeAlias = Any
    Figure: TypeAlias = Any

FORMATS: Final = ("png", "svg", "pdf")
DPI: Final = 200

STYLE: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same letters everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 6.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # foreign names may hold dollar signs
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.hashsalt": "hptransfer",
    "svg.fonttype": "none",  # text stays text: searchable, small, follows the page's theme
    "pdf.fonttype": 42,  # fonts that editors and journals accept
}


def require_matplotlib() -> Any:
    """matplotlib itself, without a display.

    Raises:  UsageError naming the extra when it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        msg = "figures need matplotlib, which is not installed: pip install 'hptransfer[plot]'."
        raise UsageError(msg) from None
    return mpl


def format_of(path: str) -> str:
    """File format that a name asks for by its ending.

    Raises:  UsageError for any other ending.

    >>> format_of("law.SVG")
    'svg'
    """
    ending = path.rpartition(".")[2].lower()
    if ending not in FORMATS:
        msg = f"--plot: got {plain(path)!r}, need a name that ends in .png, .svg or .pdf."
        raise UsageError(msg)
    return ending


@contextmanager
def styled() -> Iterator[None]:
    """Use our style for what is drawn inside, whatever the user's matplotlibrc says."""
    mpl = require_matplotlib()
    with mpl.rc_context():
        mpl.rcParams.update(mpl.rcParamsDefault)
        mpl.rcParams.update(STYLE)
        yield


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure of a size in inches, tied to no window; use it inside `styled`."""
    from matplotlib.figure import Figure as Made

    return Made(figsize=(width, height), **options)


def to_bytes(figure: Figure, file_format: str) -> bytes:
    """A drawn figure as the bytes of a file, without dates: the same figure gives the same bytes."""
    buffer = io.BytesIO()
    undated = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }
    figure.savefig(buffer, format=file_format, dpi=DPI, metadata=undated[file_format])
    return buffer.getvalue()


# --- axes ----------------------------------------------------------------------------------------------

_TENTHS = tuple(i / 10 for i in range(10, 100))
_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), _TENTHS)
_FEWEST_TICKS, _MOST_TICKS = 3, 7
_MOST_LONG_TICKS = 4  # of two digits each


def log_ticks(low: float, high: float) -> list[float]:
    """Round values between two positive numbers, three to seven of them, evenly spread in logs.

    Of a range too narrow for round values, its ends.

    >>> log_ticks(0.9e-3, 1.2e-1)
    [0.001, 0.01, 0.1]
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for mantissas in _MANTISSAS:
        ticks = [float(f"{m}e{decade}") for decade in decades for m in mantissas]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= _FEWEST_TICKS:
            break
    if not inside:
        return [low, high]
    most = _MOST_LONG_TICKS if mantissas is _TENTHS else _MOST_TICKS
    return inside[:: -(-len(inside) // most)]


def log_axis(axes: Axes, which: str, low: float, high: float, *, lr: bool = False) -> None:
    """Make an axis logarithmic over a range, with ticks written the way people say them."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    ticks = log_ticks(low, high)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_ticklabels([short_lr(tick) if lr else short_count(tick) for tick in ticks])


def short_lr(value: float) -> str:
    """A learning rate as a tick label.

    >>> short_lr(0.001), short_lr(0.0015), short_lr(0.5)
    ('1e-3', '1.5e-3', '0.5')
    """
    if 0.1 <= value < 10.0:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
