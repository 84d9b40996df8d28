"""Files of finished runs -> `Sweep`. Formats, foreign headers, units and guessing live here only."""

from hptransfer.readers.reading import read_sweep

__all__ = ["read_sweep"]
