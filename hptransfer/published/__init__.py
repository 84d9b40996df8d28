"""What papers claim, as data: `laws.toml` holds every published law, this module loads one by id.

A law is added by adding an entry to the file: planning, tests and docs read the same entries.
"""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from hptransfer.errors import UsageError, did_you_mean, plain
from hptransfer.law import Law

QUANTITIES = ("peak_lr", "batch_tokens", "critical_batch", "tau_ema")
"""Parts of a law that are power laws (or linear in logs); `loss` is the other part."""

# For tests and docs; not part of the law.
_ABOUT = ("golden", "pitfalls", "counts", "range_note", "parent")


@cache
def _texts() -> dict[str, str]:
    """The text of every entry by id: a plan parses one law, not all of them."""
    text = Path(__file__).with_name("laws.toml").read_text(encoding="utf-8")
    starts = list(re.finditer(r"^\[([a-z0-9-]+)\]$", text, re.MULTILINE))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return {start[1]: text[start.start() : end] for start, end in zip(starts, ends, strict=True)}


@cache
def _entry(law_id: str) -> dict[str, Any]:
    import tomllib  # a fitted law needs none of this

    content: dict[str, Any] = tomllib.loads(_texts()[law_id])[law_id]
    return content


def entries() -> dict[str, dict[str, Any]]:
    """Every entry of `laws.toml` as written, by id: the law, its golden values and its pitfalls."""
    return {law_id: _entry(law_id) for law_id in law_ids()}


def law_ids() -> list[str]:
    """Ids of all published laws, in the order of the file."""
    return list(_texts())


def published_law(law_id: str) -> Law:
    """Load a published law.

    Raises:  UsageError naming the nearest id when there is no such law.
    """
    known = law_ids()
    if law_id not in known:
        hint = did_you_mean(law_id, known) or f" Known laws: {', '.join(known)}."
        msg = f"no published law is called {plain(law_id)!r}.{hint}"
        raise UsageError(msg)
    entry = {key: value for key, value in _entry(law_id).items() if key not in _ABOUT}
    for name in QUANTITIES:
        entry[name] = _power_law(entry[name]) if name in entry else None
    if "loss" in entry:
        entry["loss"] = entry["loss"] | {"terms": [_loss_term(term) for term in entry["loss"]["terms"]]}
    return Law.model_validate({"id": law_id, **entry})


def _power_law(written: dict[str, Any]) -> dict[str, Any]:
    """Bring an entry to natural units: the logarithm of its level, exponents of plain counts and tokens."""
    about: dict[str, Any] = {key: written[key] for key in ("form", "certainty", "source") if key in written}
    if written.get("form") == "linear-in-log":
        exponents = {name: slope / written["coefficient"] for name, slope in written["slopes"].items()}
        return {"log_coefficient": math.log(written["coefficient"]), "exponents": exponents, **about}
    level = written["log_coefficient"] if "log_coefficient" in written else math.log(written["coefficient"])
    if "times" in written:
        level += math.log(written["times"])
    for name, unit in written.get("units", {}).items():
        level -= written["exponents"][name] * math.log(unit)
    return {"log_coefficient": level, "exponents": written["exponents"], **about}


def _loss_term(written: dict[str, Any]) -> dict[str, Any]:
    """Turn (scale / input) ** exponent into coefficient / input ** exponent."""
    rest = {key: value for key, value in written.items() if key != "scale"}
    return rest | {"coefficient": written["scale"] ** written["exponent"]} if "scale" in written else rest
