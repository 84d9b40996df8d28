"""Files of finished runs -> `Sweep`. Formats, foreign headers, units and guessing live here only."""

from hptransfer.readers.reading import read_loss_points, read_sweep, read_tuned_runs

__all__ = ["read_loss_points", "read_sweep", "read_tuned_runs"]
