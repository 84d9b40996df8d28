"""hptransfer: small training sweeps in, the hyperparameters of a large run out.

The package reads like the data flow: a sweep is fitted, the fit gives a law, a law gives a plan,
a plan becomes a config, a config gets checked.

    from hptransfer import read_sweep, fit, plan, check

The names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hptransfer.checking import check
    from hptransfer.fitting import fit
    from hptransfer.planning import plan
    from hptransfer.readers import read_sweep

__version__ = "0.1.0"

__all__ = ["__version__", "check", "fit", "plan", "read_sweep"]

_HOMES = {
    "check": "hptransfer.checking",
    "fit": "hptransfer.fitting",
    "plan": "hptransfer.planning",
    "read_sweep": "hptransfer.readers",
}


def __getattr__(name: str) -> Any:
    """Load a public function from its module on first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module 'hptransfer' has no attribute {name!r}"
    raise AttributeError(msg)
