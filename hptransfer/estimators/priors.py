"""Priors on the exponents of a fitted law: `weak`, `none`, or centred on a published law.

The numbers of `weak` live in `published/priors.toml`, their derivation in docs/priors.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hptransfer import published
from hptransfer.law import Law, PowerLaw
from hptransfer.numerics.centroids import LawPrior
from hptransfer.numerics.surface import Normal
from hptransfer.plans.prediction import SQRT_RULE
from hptransfer.published import published_law

WEAK, NONE = "weak", "none"
STANDARD = ("standard", "sp")

Centres = dict[str, dict[str, Normal]]  # quantity, input


@cache
def _tables() -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    text = Path(published.__file__).with_name("priors.toml").read_text(encoding="utf-8")
    return {name: {k: v for k, v in tables.items() if k != "title"} for name, tables in _parsed(text).items()}


def _parsed(text: str) -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    return tomllib.loads(text)


def exponent_prior(name: str, *, parametrization: str, batch_searched: bool) -> LawPrior:
    """Prior of a sweep's law.

    Args:
        name:            `weak`, `none` or the id of a published law: its exponents as centres where it has
                         them, with the standard deviations of `weak`.
        parametrization: the sweep's, as "standard" or "mup".
        batch_searched:  whether LR* is that of the best batch, or of the batch the sweep ran at.
    Raises:  UsageError for an unknown law.
    """
    if name == NONE:
        return LawPrior()
    normals = _weak(parametrization, batch_searched=batch_searched)
    if name != WEAK:
        normals = _centred(normals, _exponents(published_law(name), batch_searched=batch_searched))
    lr, batch = normals["peak_lr"], normals.get("batch_tokens", {})
    return LawPrior(
        lr_params=lr.get("params"),
        lr_tokens=lr.get("tokens"),
        batch_params=batch.get("params"),
        batch_tokens=batch.get("tokens"),
        ridge=lr.get("batch_tokens"),
    )


def _weak(parametrization: str, *, batch_searched: bool) -> Centres:
    weak = _tables()["weak"]
    parts = (
        weak["standard" if parametrization in STANDARD else "mup"],
        weak["batch_retuned" if batch_searched else "batch_fixed"],
    )
    normals: Centres = {}
    for part in parts:
        for quantity, inputs in part.items():
            known = normals.setdefault(quantity, {})
            known |= {name: Normal(mean=n["centre"], std=n["sd"]) for name, n in inputs.items()}
    return normals


def _centred(normals: Centres, exponents: Mapping[str, Mapping[str, float]]) -> Centres:
    """Move the centres that a law has an exponent for."""
    return {
        quantity: {
            name: Normal(mean=exponents.get(quantity, {}).get(name, normal.mean), std=normal.std)
            for name, normal in inputs.items()
        }
        for quantity, inputs in normals.items()
    }


def _exponents(law: Law, *, batch_searched: bool) -> dict[str, dict[str, float]]:
    """Exponents of a published law in params and tokens, and its LR in batch where it has one.

    A law in compute is read with 6 params tokens; an LR law that takes the batch is followed along its own
    best batch when the batch is searched.
    """
    found: dict[str, dict[str, float]] = {}
    if law.batch_tokens is not None:
        found["batch_tokens"] = _in_params_and_tokens(law.batch_tokens)
    if law.peak_lr is not None:
        lr = _in_params_and_tokens(law.peak_lr)
        along = law.peak_lr.exponents.get("batch_tokens")
        if along is not None and batch_searched:
            batch = found.get("batch_tokens", {})
            lr = {name: e + along * batch.get(name, 0.0) for name, e in lr.items()}
        ridge = along if along is not None else law.lr_batch_exponent
        found["peak_lr"] = lr | {"batch_tokens": SQRT_RULE if ridge is None else ridge}
    return found


def _in_params_and_tokens(power: PowerLaw) -> dict[str, float]:
    """Exponents with compute and tokens per param written out in params and tokens."""
    e = power.exponents
    compute, ratio = e.get("flops", 0.0), e.get("tokens_per_param", 0.0)
    return {
        "params": e.get("params", 0.0) + compute - ratio,
        "tokens": e.get("tokens", 0.0) + compute + ratio,
    }
