"""What papers claim, as data: `laws.toml` holds every published law, this module loads one by id.

A law is added by adding an entry to the file: planning, tests and docs read the same entries.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.law import Law

_QUANTITIES = ("peak_lr", "batch_tokens", "tau_ema")
_ABOUT = ("golden", "pitfalls")  # for tests and docs; not part of the law


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Every entry of `laws.toml` as written, by id: the law, its golden values and its pitfalls."""
    import tomllib  # a fitted law needs none of this

    return tomllib.loads(Path(__file__).with_name("laws.toml").read_text(encoding="utf-8"))


def law_ids() -> list[str]:
    """Ids of all published laws, in the order of the file."""
    return list(entries())


def published_law(law_id: str) -> Law:
    """Load a published law.

    Raises:  UsageError naming the nearest id when there is no such law.
    """
    known = entries()
    if law_id not in known:
        hint = did_you_mean(law_id, known) or f" Known laws: {', '.join(known)}."
        msg = f"no published law is called {plain(law_id)!r}.{hint}"
        raise UsageError(msg)
    entry = {key: value for key, value in known[law_id].items() if key not in _ABOUT}
    for name in _QUANTITIES:
        entry[name] = _power_law(entry[name]) if name in entry else None
    return Law.model_validate({"id": law_id, **entry})


def _power_law(written: dict[str, Any]) -> dict[str, Any]:
    """Turn an entry's coefficient into the logarithm that a law keeps."""
    rest = {key: value for key, value in written.items() if key != "coefficient"}
    return {"log_coefficient": math.log(written["coefficient"]), **rest}
