"""Two arithmetics for one implementation: plain floats, which import nothing, and numpy arrays.

Functions of a plan take `xp`: `PLAIN` here, or numpy itself.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, TypeAlias

Numbers: TypeAlias = Any  # a float, or a float array of shape (n_targets,)

PLAIN = SimpleNamespace(
    exp=math.exp,
    log=math.log,
    floor=math.floor,
    ceil=math.ceil,
    rint=round,
    where=lambda condition, yes, no: yes if condition else no,
    maximum=max,
    minimum=min,
)
