"""How much the centres of the prior `weak` decide: plans at held-out scales with each centre moved by 0.2.

    python benchmarks/prior_shifts.py

Scores as `../shared/bench/regret.py` does, in one process. The priors themselves are not changed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np

from hptransfer.estimators import priors, surface
from hptransfer.fitting import fit
from hptransfer.law import Law
from hptransfer.numerics.centroids import LawPrior
from hptransfer.planning import Target, plan
from hptransfer.sweep import sweep_from_arrays

REGRET = Path(__file__).resolve().parents[2] / "shared/bench/regret.py"
SHIFTS = (-0.2, 0.2)
SPLITS = {
    "steplaw, mean of five": ("steplaw", ("params_up", "compute_up", "compute_up2", "tokens_up", "tpp_up")),
    "steplaw, sparse 5 %": ("steplaw", tuple(f"sparse5pct_{seed}" for seed in range(4))),
    "steplaw, collinear": ("steplaw", ("collinear",)),
    "oellm, mean of four": ("oellm", ("o_params_up", "o_tokens_up", "o_both_up", "o_down_up")),
}


def regret_module() -> ModuleType:
    """The score that matters, as a module."""
    spec = importlib.util.spec_from_file_location("regret", REGRET)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shifted(field: str | None, shift: float) -> mock._patch[object]:
    """Have the surface estimator see one exponent's centre moved; None: as committed."""

    def moved(*args: object, **options: object) -> LawPrior:
        prior = priors.exponent_prior(*args, **options)  # type: ignore[arg-type]
        if field is None:
            return prior
        normal = getattr(prior, field)
        return replace(prior, **{field: replace(normal, mean=normal.mean + shift)})

    return mock.patch.object(surface, "exponent_prior", moved)


def mean_excess(regret: ModuleType, data: str, names: tuple[str, ...]) -> float:
    """Mean excess loss in percent over splits, each the mean over its held-out cells."""
    _, arrays = regret.load(regret.DEFAULT[data], data)
    splits = regret.splits(arrays, data)
    means = []
    for name in names:
        train, test = splits[name]
        law = fitted(arrays, train)
        cells = [
            (regret.Cell(arrays, rows), plan(law, Target(*scale), rounding="none"))
            for scale, rows in regret.cells(arrays, test)
        ]
        means.append(np.mean([cell.excess_pct(p.peak_lr, p.batch_tokens) for cell, p in cells]))
    return float(np.mean(means))


def fitted(arrays: dict[str, np.ndarray], rows: list[int], *, resamples: int = 0) -> Law:
    """The surface on some rows; without resamples, points only."""
    columns = {"params": "N", "tokens": "D", "lr": "lr", "batch_tokens": "batch", "loss": "smooth loss"}
    sweep = sweep_from_arrays(**{name: arrays[column][rows] for name, column in columns.items()})  # type: ignore[arg-type]
    return fit(sweep, estimator="surface", prior="weak", resamples=resamples)


def table() -> Iterator[tuple[str, dict[str, float]]]:
    """Each shift's name and the mean excess loss (percent) of each group of splits."""
    regret = regret_module()
    exponents = [field.name for field in fields(LawPrior) if field.name != "ridge"]
    for field, shift in [(None, 0.0), *((f, s) for f in (*exponents, "ridge") for s in SHIFTS)]:
        with shifted(field, shift):
            scores = {name: mean_excess(regret, data, splits) for name, (data, splits) in SPLITS.items()}
        yield ("as committed" if field is None else f"{field} {shift:+.1f}", scores)


def main() -> None:
    """Print the table; without the shared data say so."""
    if not REGRET.exists():
        print("not here: needs ../shared/bench")
        return
    print(f"{'centre moved':24s}" + "".join(f"{name:>24s}" for name in SPLITS))
    for name, scores in table():
        print(f"{name:24s}" + "".join(f"{scores[key]:23.4f}%" for key in SPLITS), flush=True)


if __name__ == "__main__":
    main()
