"""The residual scheme of u-muP: weights of branch and skip that keep the stream at unit scale."""

from __future__ import annotations

import math


def residual_taus(depth: int, *, scale: float = 1.0, attention_ratio: float = 1.0) -> list[float]:
    """Ratio of branch to skip for each of the 2 * depth sub-layers, attention first.

    The branch is weighted with tau / sqrt(1 + tau^2), the skip with 1 / sqrt(1 + tau^2).

    Args:    depth: Transformer blocks; scale: alpha_res; attention_ratio: alpha_res-attn-ratio.
    Source:  arXiv:2407.17465, Table 2 and appendix on the residual scheme.

    >>> [round(tau, 4) for tau in residual_taus(4)]
    [0.5, 0.4472, 0.4082, 0.378, 0.3536, 0.3333, 0.3162, 0.3015]
    """
    mlp = scale * math.sqrt(2 / (1 + attention_ratio**2))
    attention = attention_ratio * mlp
    taus = []
    for layer in range(2 * depth):
        before = math.ceil(layer / 2) * attention**2 + (layer // 2) * mlp**2
        taus.append((mlp if layer % 2 else attention) / math.sqrt(depth + before))
    return taus
