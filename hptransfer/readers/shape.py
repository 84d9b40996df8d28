"""Parameters of a transformer counted from its shape, where no column counts them."""

from __future__ import annotations

import numpy as np

from hptransfer.errors import InputError, Problem
from hptransfer.readers.runs import RawRuns
from hptransfer.sweep import FloatArray, ParamsKind

CLASSICAL_RATIO = 4.0
"""ffn_width / width of the classical MLP of two matrices; other ratios are taken for a gated MLP of three."""

_FORMULA = (
    "depth x (4 width^2 + m width ffn_width), m = 2 matrices where ffn_width is 4 width (or not given), "
    "else 3 (a gated MLP)"
)


def params_from_shape(runs: RawRuns, kind: ParamsKind) -> tuple[RawRuns, tuple[tuple[str, str], ...]]:
    """Add params where only a shape is given: attention and MLP matrices, without biases and norms.

    N = depth * (4 * width**2 + m * width * ffn_width), m as in the warning; with `kind` "total" also
    vocab_size * width, the embedding counted once. Grouped-query attention has fewer.

    Returns: the runs and a warning that states the formula; unchanged where params has a column.
    Raises:  InputError for kind "total" without a vocab_size, and for "active": a shape does not say it.
    Source:  the count of arXiv:2001.08361, section 2.1 (12 depth width^2 for ffn_width = 4 width).
    """
    if "params" in runs.quantities or "width" not in runs.quantities:
        return runs, ()
    width, depth = runs.quantity("width"), runs.quantity("depth")
    params = depth * (4 * width**2 + _mlp(width, runs.quantity("ffn_width")))
    formula = _FORMULA
    if kind == "total":
        params = params + runs.quantity("vocab_size") * width
        formula += " + vocab_size x width"
    if kind == "active" or not np.isfinite(params).any():
        what = "vocab_size" if kind == "total" else "params"
        message = f"no column for {what}: a shape alone does not give {kind} params."
        raise InputError([Problem(runs.files[0], None, None, message)])
    message = f"params are counted from the shape: {formula}. Add a column params where that is not right."
    return runs.with_quantity("params", params), (("params-from-shape", message),)


def _mlp(width: FloatArray, ffn_width: FloatArray) -> FloatArray:
    """Parameters of one MLP, shape (n_rows,)."""
    ffn_width = np.where(np.isnan(ffn_width), CLASSICAL_RATIO * width, ffn_width)
    matrices = np.where(np.abs(ffn_width / (CLASSICAL_RATIO * width) - 1) < 1e-6, 2.0, 3.0)
    return matrices * width * ffn_width
