"""Coordinate checks: whether activations keep their size as the model gets wider, by layer and step.

Under muP every activation, and every change of one, stays O(1) in width after the first steps. The readout is
the exception at initialization, where it shrinks as width^-1/2 by design, so verdicts look at trained steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hptransfer.numerics.width import slopes
from hptransfer.sweep import BoolArray, FloatArray

Kind = Literal["embedding", "hidden", "readout", "loss"]
Quantity = Literal["size", "change", "loss"]
LayerVerdict = Literal["stable", "grows", "shrinks", "borderline", "not-enough-data"]
Overall = Literal["consistent-with-mup", "not-mup", "undecided", "not-enough-data"]
ReadoutLogged = Literal["auto", "before", "after"]

LIMIT = 0.15
"""Exponent of width up to which a layer is stable: between muP's finite-width drift and SP's smallest."""

LOSS_LIMIT = 0.1
"""Exponent of width up to which the training loss is stable: growing outputs raise it within a few steps."""

HALF_POWER = 0.3
"""Loss exponent at initialization from which the outputs themselves grow, nearer to 1/2 than to 0."""

_EMBEDDING = re.compile(r"emb|wte|wpe", re.IGNORECASE)
_READOUT = re.compile(r"lm_?head|readout|unembed|logits|(^|[./ ])(output|head)([./ ]|_act|$)", re.IGNORECASE)
_CHANGE = re.compile(r"delta|change|diff|update", re.IGNORECASE)


@dataclass(frozen=True)
class ActivationLog:
    """Sizes over widths and steps, one entry a row, shape (n_rows,); NaN where a layer was not logged."""

    width: FloatArray
    step: FloatArray
    parametrization: Sequence[str]
    layers: Mapping[str, FloatArray]
    loss: FloatArray | None


@dataclass(frozen=True)
class StepSlope:
    """Exponent of width at one step, with a 90 % interval."""

    step: float
    slope: float
    low: float
    high: float


@dataclass(frozen=True)
class Layer:
    """One layer: its exponents, the median of the trained steps, the verdict."""

    name: str
    kind: Kind
    quantity: Quantity
    first: float | None  # exponent at the first logged step
    trained: float | None  # median over the later steps
    verdict: LayerVerdict
    steps: tuple[StepSlope, ...]
    note: str = ""


@dataclass(frozen=True)
class CoordinateCheck:
    """Verdict on one parametrization, and which half-done muP it looks like."""

    parametrization: str
    verdict: Overall
    looks_like: str
    layers: tuple[Layer, ...]


def coordinate_check(
    log: ActivationLog, *, limit: float = LIMIT, readout_logged: ReadoutLogged = "auto"
) -> list[CoordinateCheck]:
    """Judge every parametrization in a log.

    Args:    limit: exponent up to which a layer is stable; readout_logged: whether the readout's size was
             taken before or after its 1/m multiplier; "auto" lets the loss decide.
    """
    names = np.array(log.parametrization, dtype=object)
    return [_check(log, names == name, str(name), limit, readout_logged) for name in dict.fromkeys(names)]


def kind_of(layer: str) -> Kind:
    """What a layer is, by its name.

    >>> kind_of("token_embedding_act"), kind_of("lm_head_act"), kind_of("attn_head_act"), kind_of("mlp")
    ('embedding', 'readout', 'hidden', 'hidden')
    """
    if _EMBEDDING.search(layer):
        return "embedding"
    return "readout" if _READOUT.search(layer) else "hidden"


def _check(
    log: ActivationLog, rows: BoolArray, name: str, limit: float, readout_logged: ReadoutLogged
) -> CoordinateCheck:
    def judged(layer: str, kind: Kind, quantity: Quantity, values: FloatArray, limit: float) -> Layer:
        found = _step_slopes(log.step[rows], log.width[rows], values[rows])
        return _layer(layer, kind, quantity, found, limit)

    loss = None if log.loss is None else judged("loss", "loss", "loss", log.loss, LOSS_LIMIT)
    layers = []
    for layer, values in log.layers.items():
        found = judged(layer, kind_of(layer), "change" if _CHANGE.search(layer) else "size", values, limit)
        layers.append(_readout(found, loss, limit, readout_logged) if found.kind == "readout" else found)
    every = tuple(layers) if loss is None else (*layers, loss)
    return CoordinateCheck(name, *_overall(every), every)


def _layer(name: str, kind: Kind, quantity: Quantity, found: Sequence[StepSlope], limit: float) -> Layer:
    """Judge a layer by the median exponent of its trained steps, and by the median of its intervals."""
    if not found:
        return Layer(name, kind, quantity, None, None, "not-enough-data", ())
    later = found[1:] or found
    trained, low, high = (
        float(np.median([getattr(one, name) for one in later])) for name in ("slope", "low", "high")
    )
    verdict: LayerVerdict = "stable"
    if low > limit:
        verdict = "grows"
    elif kind == "loss" and trained < 0:  # a loss that falls with width is what width is for
        verdict = "stable"
    elif high < -limit:
        verdict = "shrinks"
    elif abs(trained) > limit:
        verdict = "borderline"
    return Layer(name, kind, quantity, found[0].slope, trained, verdict, tuple(found))


def _step_slopes(step: FloatArray, width: FloatArray, values: FloatArray) -> list[StepSlope]:
    at = [_slope_at(float(one), step == one, width, values) for one in np.unique(step)]
    return [one for one in at if one is not None]


def _slope_at(step: float, rows: BoolArray, width: FloatArray, values: FloatArray) -> StepSlope | None:
    """Exponent of width at one step; zeros and values that are not finite are left out."""
    good = rows & np.isfinite(values) & (values > 0)
    if len(np.unique(width[good])) < 3:
        return None
    fitted = slopes(np.log(width[good])[:, None], np.log(values[good]))
    if fitted is None:
        return None
    slope, half = float(fitted.slopes[0]), float(fitted.half_widths[0])
    return StepSlope(step, slope, slope - half, slope + half)


def _readout(layer: Layer, loss: Layer | None, limit: float, logged: ReadoutLogged) -> Layer:
    """Judge a readout that grows: taken before its 1/m multiplier it must, taken after it must not."""
    if layer.trained is None or logged == "after" or (logged == "auto" and layer.trained < limit):
        return layer
    if logged == "auto" and (loss is None or loss.verdict != "stable"):
        return layer
    effective = layer.trained - 1.0
    if abs(effective) > limit:
        return layer
    why = "as the loss does not grow" if logged == "auto" else "as stated"
    note = f"taken before the output multiplier, {why}: m^-1 leaves {effective:+.2f}"
    return Layer(
        layer.name, layer.kind, layer.quantity, layer.first, layer.trained, "stable", layer.steps, note
    )


def _overall(layers: Sequence[Layer]) -> tuple[Overall, str]:
    judged = [layer for layer in layers if layer.verdict != "not-enough-data"]
    if not judged:
        return "not-enough-data", "no layer was logged at three widths or more."
    if all(layer.verdict == "stable" for layer in judged):
        if all(layer.kind == "loss" for layer in judged):
            return "not-enough-data", "the loss stays, but no activations were logged: that shows too little."
        return "consistent-with-mup", "sizes stay as width grows."
    if all(layer.verdict in ("stable", "borderline") for layer in judged):
        names = ", ".join(layer.name for layer in judged if layer.verdict == "borderline")
        return "undecided", f"the intervals of {names} reach across the limit: add widths or seeds."
    return "not-mup", " ".join(_signs(judged))


def _signs(layers: Sequence[Layer]) -> list[str]:
    """What the failing layers point at."""
    bad = {(layer.kind, layer.verdict) for layer in layers}
    loss = next((layer for layer in layers if layer.kind == "loss"), None)
    hidden = [layer for layer in layers if layer.kind == "hidden"]
    signs = []
    if ("hidden", "grows") in bad:
        at_start = any((layer.first or 0.0) > LIMIT for layer in hidden)
        signs.append(
            "Hidden layers grow from the start: their init std is not divided by sqrt(m)."
            if at_start
            else "Hidden layers grow once trained: their LR is not divided by m."
        )
    if ("embedding", "grows") in bad:
        signs.append("The embedding grows: its LR or init rises with width.")
    if loss is not None and loss.verdict == "grows":
        signs.append(_loss_sign(loss, hidden))
    elif ("readout", "grows") in bad:
        signs.append(
            "The readout grows: no output multiplier 1/m, or it was logged before the multiplier "
            "(--readout-logged before)."
        )
    if ("hidden", "shrinks") in bad and len(signs) == 0:
        signs.append("Hidden layers shrink: their LR or init falls faster than muP's.")
    if ("readout", "shrinks") in bad and len(signs) == 0:
        signs.append("The readout shrinks once trained: its LR or multiplier falls faster than muP's.")
    return signs or ["Layers change with width in a way that no usual slip explains."]


def _loss_sign(loss: Layer, hidden: Sequence[Layer]) -> str:
    if not hidden or all(layer.verdict == "not-enough-data" for layer in hidden):
        return "The loss grows with width, as in SP at one LR; log activations to see which part is missing."
    if (loss.first or 0.0) > HALF_POWER:
        return "The loss grows already at init: the output multiplier 1/m is missing."
    return (
        "The loss grows only once trained: the output multiplier is too weak (like 1/sqrt(m)), or the "
        "readout's LR is not scaled."
    )
