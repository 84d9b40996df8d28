"""Plan the targets of the proof, by every method, before a target is trained.

    python -m examples.proxies.advising sp-n4-d2

Each target is 8 times the compute of the largest proxy. Writes `targets/NAME.csv`, a row a method: the LR and
the batch to run, for laws also the optimum and its 90 % interval. Only the sweeps are read; the file is
committed, and every run of the target carries its git blob hash (`examples/proxies/proof.py` sees to that).
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from math import sqrt
from pathlib import Path

import numpy as np

from examples.proxies.runs import Run
from hptransfer import fit, plan, read_sweep
from hptransfer.errors import HptransferError
from hptransfer.files import write_text
from hptransfer.law import Law
from hptransfer.planning import Plan, Target
from hptransfer.published import published_law
from hptransfer.sweep import Sweep

HERE = Path(__file__).parent
OURS, RECIPE, KEPT = "hptransfer", "step-law-recipe", "keep-proxys-best"
PUBLISHED = {  # laws in params and tokens that give an LR; without a batch of their own they get the plan's
    "sp": (
        "step-law",
        "deepseek-llm",
        "porian",
        "ling",
        "moonlight",
        "openeurollm",
        "bjorck",
        "kaplan",
        "mm1",
    ),
    "mup": ("power-scheduler",),
}


@dataclass(frozen=True)
class ProofTarget:
    """A run to plan: how wide, how long, and on which sweep the plan rests."""

    parametrization: str
    width: int
    tokens: int
    sweep: str

    @property
    def params(self) -> int:
        """Non-embedding, as in the sweep: those of the feed-forward block (`model.params_non_embedding`)."""
        return 8 * self.width**2


TARGETS = {
    "sp-n4-d2": ProofTarget("sp", 192, 3_145_728, "sweep.csv"),
    "sp-d8": ProofTarget("sp", 96, 12_582_912, "sweep.csv"),
    "mup-n8": ProofTarget("mup", 272, 786_432, "mup.csv"),
}


@dataclass(frozen=True)
class Advice:
    """What one method would run at a target; optimum and 90 % intervals where it has them."""

    method: str
    law: str
    lr: float
    batch_tokens: int
    lr_optimum: float | None = None
    lr_lo: float | None = None
    lr_hi: float | None = None
    batch_optimum: float | None = None
    batch_lo: float | None = None
    batch_hi: float | None = None

    def run(self, target: ProofTarget, seed: int) -> Run:
        """The run that follows the advice."""
        return Run(target.parametrization, target.width, target.tokens, self.batch_tokens, self.lr, seed)


def advice(target: ProofTarget, folder: Path = HERE) -> Iterator[Advice]:
    """What every method says, the fitted law first; laws that refuse are left out with a word.

    Args:    folder: where the target's sweep lies.
    """
    sweep = read_sweep(folder / target.sweep)
    sweeps_own = round(float(np.median(sweep.batch_tokens)))  # for laws of sweeps that kept the batch
    ours = _planned(OURS, fit(sweep), target, pinned=sweeps_own)
    yield ours
    yield _planned(RECIPE, fit(sweep, estimator="near-optimal"), target, pinned=sweeps_own)
    for law_id in PUBLISHED[target.parametrization]:
        try:
            yield _planned(law_id, published_law(law_id), target, pinned=ours.batch_tokens)
        except HptransferError as error:
            print(f"{law_id}: {error}", file=sys.stderr)
    yield from rules_of_thumb(sweep, target, ours.batch_tokens)


def rules_of_thumb(sweep: Sweep, target: ProofTarget, batch_tokens: int) -> Iterator[Advice]:
    """The best run of the proxy with most compute, kept, and with square-root rules for batch and width."""
    compute = sweep.cell_params * sweep.cell_tokens
    best = _best_run(sweep, int(compute.argmax()))
    lr, batch = float(sweep.lr[best]), round(float(sweep.batch_tokens[best]))
    width = sqrt(float(sweep.params[best]) / 8)
    yield Advice(KEPT, "", lr, batch)
    if target.parametrization == "mup":
        smallest = _best_run(sweep, int(compute.argmin()))
        yield Advice("keep-smallest-proxys-best", "", float(sweep.lr[smallest]), batch)
    if batch_tokens != batch:
        yield Advice("sqrt-batch", "", _digits(lr * sqrt(batch_tokens / batch)), batch_tokens)
    if target.parametrization == "sp" and round(width) != target.width:
        yield Advice("sqrt-width", "", _digits(lr * sqrt(width / target.width)), batch)
        yield Advice("inverse-width", "", _digits(lr * width / target.width), batch)


def _best_run(sweep: Sweep, cell: int) -> int:
    runs = np.flatnonzero((sweep.cell == cell) & ~sweep.diverged)
    return int(runs[sweep.loss[runs].argmin()])


def _planned(method: str, law: Law, target: ProofTarget, *, pinned: int) -> Advice:
    """A law's plan, its batch rounded to 2^k or 3 * 2^k tokens; a law without a batch gets the pinned one."""
    batch = pinned if law.batch_tokens is None else None
    at = Target(
        target.params,
        target.tokens,
        batch_tokens=batch,
        seq_len=1,
        flops_per_token=6 * target.params,
        params_kind=law.params_kind,
    )
    return _advice(method, plan(law, at))


def _advice(method: str, planned: Plan) -> Advice:
    run = planned.rounded
    if run.peak_lr is None or run.batch_tokens is None:
        msg = f"{method}: no LR or no batch at this target"
        raise HptransferError(msg)
    lr_lo, lr_hi = planned.peak_lr_interval or (None, None)
    batch_lo, batch_hi = planned.batch_tokens_interval or (None, None)
    return Advice(
        method=method,
        law=planned.law.id,
        lr=_digits(run.peak_lr),
        batch_tokens=round(run.batch_tokens),
        lr_optimum=_maybe(planned.peak_lr),
        lr_lo=_maybe(lr_lo),
        lr_hi=_maybe(lr_hi),
        batch_optimum=_maybe(planned.batch_tokens),
        batch_lo=_maybe(batch_lo),
        batch_hi=_maybe(batch_hi),
    )


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def _maybe(value: float | None) -> float | None:
    return None if value is None else _digits(value)


def plan_path(name: str) -> Path:
    """Where the plans of a target lie."""
    return HERE / "targets" / f"{name}.csv"


def runs_path(name: str) -> Path:
    """Where the runs of a target lie."""
    return plan_path(name).with_suffix(".runs.csv")


def advice_text(rows: Sequence[Advice]) -> str:
    """The plans of a target as CSV; what is not known is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(Advice)])
    writer.writerows([["" if v is None else v for v in asdict(row).values()] for row in rows])
    return stream.getvalue()


def read_advice(path: Path) -> list[Advice]:
    """The plans of a target, as `advice_text` wrote them."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            Advice(
                row["method"],
                row["law"],
                float(row["lr"]),
                int(row["batch_tokens"]),
                *(float(text) if text else None for text in list(row.values())[4:]),
            )
            for row in csv.DictReader(stream)
        ]


def main() -> None:
    """Plan the named targets."""
    for name in sys.argv[1:]:
        rows = list(advice(TARGETS[name]))
        done = write_text(str(plan_path(name)), advice_text(rows))
        print(f"{done.value} {plan_path(name)}: {rows[0]}")


if __name__ == "__main__":
    main()
