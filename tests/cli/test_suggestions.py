"""A misspelt name is answered with the one that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

PLAN = ("plan", "--params", "1e9", "--tokens", "1e11")
WIDE = ("--parametrization", "mup", "--base-width", "256", "--width", "512", "--base-weight-decay", "0.1")
SWEEP = str(Path(__file__).resolve().parents[2] / "examples" / "proxies" / "sweep.csv")

MISSPELT = {
    "option": (("plan", "--parms", "1e9"), "--params"),
    "option of fit": (("fit", SWEEP, "--resample", "0"), "--resamples"),
    "command": (("pln",), "plan"),
    "command of a group": (("laws", "sho", "step-law"), "show"),
    "law": (("laws", "show", "stp-law"), "step-law"),
    "law of plan": ((*PLAN, "--law", "step-lw"), "step-law"),
    "law of backtest": (("backtest", SWEEP, "--law", "stp-law"), "step-law"),
    "law of compare": (("laws", "compare", *PLAN[1:], "--law", "kaplam"), "kaplan"),
    "format": ((*PLAN, "--law", "step-law", "--format", "litgp"), "litgpt"),
    "format of convert": (("convert", SWEEP, "--to", "nanogtp"), "nanogpt"),
    "schedule": (("schedule", "cosin", "--steps", "10"), "cosine"),
    "schedule of plan": ((*PLAN, "--law", "step-law", "--schedule", "linaer"), "linear"),
    "option of a schedule": (("schedule", "wsd:decy=linear", "--steps", "10"), "decay"),
    "decay": (("schedule", "wsd:decay=liner", "--steps", "10"), "linear"),
    "decay of merge": (("schedule", "merge", "--decay", "liner", "--checkpoints", "3"), "linear"),
    "estimator": (("fit", SWEEP, "--estimator", "surfce"), "surface"),
    "estimator of backtest": (("backtest", SWEEP, "--estimator", "near-optimum"), "near-optimal"),
    "prior": (("fit", SWEEP, "--prior", "wek"), "weak"),
    "kind of params": (("fit", SWEEP, "--params-kind", "non-embeding"), "non-embedding"),
    "unit": (("fit", SWEEP, "--loss-unit", "nat"), "nats"),
    "rounding": ((*PLAN, "--law", "step-law", "--round", "pw2"), "pow2"),
    "form": (("loss", SWEEP, "--form", "additiv"), "additive"),
    "rule set": ((*PLAN, "--law", "step-law", *WIDE, "--parametrization", "muup"), "mup"),
    "rule": ((*PLAN, "--law", "step-law", *WIDE, "--rule", "weigth-decay=keep"), "weight-decay"),
    "choice of a rule": ((*PLAN, "--law", "step-law", *WIDE, "--rule", "weight-decay=kep"), "keep"),
    "list of runs": (
        ("design", "--target", "params=7e9,tokens=1e12", "--budget-flops", "1e20", "--format", "slrum"),
        "slurm",
    ),
    "check": (("check", "--explain", "HPT10"), "HPT105"),
    "code": (("check", SWEEP, "--select", "editd"), "edited"),
    "report": (("check", SWEEP, "--output-format", "jsn"), "json"),
    "schema": (("schema", "plam"), "plan"),
    "column": (("fit", SWEEP, "--column", "los=x"), "loss"),
}


@pytest.mark.parametrize("what", MISSPELT)
def test_the_nearest_name_is_suggested(run: Run, what: str) -> None:
    arguments, meant = MISSPELT[what]
    done = run(*arguments)
    assert done.code == 2
    assert f"Did you mean {meant!r}?" in done.err
