"""As for the figures: the shipped sweep, its law and a plan beyond it."""

from tests.figures.conftest import law, planned, sweep

__all__ = ["law", "planned", "sweep"]
