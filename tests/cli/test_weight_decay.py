"""A sweep that varies weight decay, from its file to the weight decay of a plan."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from weight_decay_sections import COEFFICIENT, EXPONENT, NOISE, decayed_sweep

FIT = ("fit", "sweep.csv", "--vary", "weight_decay", "--resamples", "0", "--params-kind", "total", "-q")
TARGET = (
    "--params", "1e9", "--tokens", "2e10", "--batch-tokens", "524288", "--params-kind", "total",
)  # fmt: skip


@pytest.fixture
def fitted(run: Run, tmp_path: Path) -> Run:
    """The program in a folder that holds the law of a noisy sweep with a known timescale."""
    sweep = decayed_sweep(noise=NOISE)
    columns = (sweep.params, sweep.tokens, sweep.lr, sweep.batch_tokens, sweep.weight_decay, sweep.loss)
    rows = [",".join(f"{value:.9g}" for value in row) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]
    header = "params,tokens,lr,batch_tokens,weight_decay,loss"
    (tmp_path / "sweep.csv").write_text("\n".join([header, *rows]))
    assert run(*FIT).code == 0
    return run


def test_the_plan_has_the_weight_decay_of_the_fitted_timescale(fitted: Run) -> None:
    plan = json.loads(fitted("plan", *TARGET, "--json").out)
    tau = COEFFICIENT * 20**EXPONENT
    truth = 524288 / (plan["rounded"]["peak_lr"] * tau * 2e10)
    low, high = plan["weight_decay_interval"]
    assert low < plan["weight_decay"] < high
    assert low < truth < high
    assert math.log(high / low) < 1
    assert plan["weight_decay"] == pytest.approx(plan["weight_decay_timescale"], rel=1e-3)
    assert plan["origin"]["weight_decay"]["source"] == "best weight decay of 9 cells of the sweep"


def test_people_see_value_interval_and_whose_it_is(fitted: Run) -> None:
    row = next(line for line in fitted("plan", *TARGET).out.splitlines() if line.startswith("weight_decay"))
    assert row.endswith("the law")
    assert " to " in row
    assert "tau_ema" in fitted(*FIT, "--force").out


def test_every_target_of_many_has_the_same_weight_decay_as_alone(fitted: Run, tmp_path: Path) -> None:
    (tmp_path / "targets.csv").write_text("params,tokens,batch_tokens\n1e9,2e10,524288\n2e9,8e10,1048576\n")
    first = json.loads(fitted("plan", "--targets", "targets.csv", "--json").out.splitlines()[0])
    alone = json.loads(fitted("plan", *TARGET, "--json").out)
    assert first["weight_decay_interval"] == pytest.approx(alone["weight_decay_interval"])


def test_a_published_timescale_has_no_interval(run: Run) -> None:
    plan = json.loads(run("plan", "--law", "step-law", "--params", "1e9", "--tokens", "2e10", "--json").out)
    assert plan["weight_decay"] is not None
    assert plan["weight_decay_interval"] is None


def test_a_sweep_counted_independent_of_the_lr_gives_the_same_plan(fitted: Run, tmp_path: Path) -> None:
    rows = [line.split(",") for line in (tmp_path / "sweep.csv").read_text().splitlines()]
    for row in rows[1:]:
        row[4] = repr(float(row[4]) * float(row[2]))
    (tmp_path / "sweep.csv").write_text("\n".join(",".join(row) for row in rows))
    before = json.loads(fitted("plan", *TARGET, "--json").out)
    assert fitted(*FIT, "--weight-decay-convention", "composer", "--force").code == 0
    after = json.loads(fitted("plan", *TARGET, "--json").out)
    assert after["weight_decay"] == pytest.approx(before["weight_decay"], rel=1e-3)
    independent = after["rounded"]["peak_lr"] * after["weight_decay"]
    assert after["weight_decay_independent"] == pytest.approx(independent)
    assert "leaves the LR out" in fitted("plan", *TARGET, "--explain").out
    refused = fitted(*FIT, "--weight-decay-convention", "torch")
    assert refused.code == 2
    assert "need one of pytorch, independent, composer" in refused.err


def test_a_few_epochs_are_said_and_many_refused(run: Run) -> None:
    target = ("plan", "--law", "step-law", "--params", "1e9", "--tokens", "2e10")
    assert "[repeated-data]: 2.5 epochs" in run(*target, "--unique-tokens", "8e9").err
    assert "epochs" not in run(*target, "--unique-tokens", "3e10").err
    refused = run(*target, "--unique-tokens", "1e9")
    assert refused.code == 2
    assert "20 epochs" in refused.err
    assert "arXiv:2509.14786" in refused.err
