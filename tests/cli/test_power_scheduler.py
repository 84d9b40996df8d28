"""From a sweep to a config that follows the Power Scheduler."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from power_sections import COEFFICIENT, EXPONENT, SEQ_LEN, Truth, power_sweep

FIT = ("fit", "sweep.csv", "--estimator", "power-scheduler", "--params-kind", "total")
PLAN = (
    "plan", "--params", "1e9", "--tokens", "1e12", "--params-kind", "total", "--seq-len", str(SEQ_LEN),
)  # fmt: skip


@pytest.fixture
def searched(run: Run, tmp_path: Path) -> Run:
    """The program in a folder with a search whose truth is the paper's law."""
    sweep = power_sweep(Truth(), sizes=(12e6, 121e6), batches=(0.5, 1.0, 2.0))
    columns = (sweep.params, sweep.tokens, sweep.lr, sweep.batch_tokens, sweep.loss)
    rows = [",".join(f"{value:.9g}" for value in row) for row in zip(*columns, strict=True)]
    text = "\n".join(f"{row},{SEQ_LEN},mup" for row in rows)
    (tmp_path / "sweep.csv").write_text(
        f"params,tokens,lr,batch_tokens,loss,seq_len,parametrization\n{text}\n"
    )
    return run


def test_fit_plan_and_check_agree(searched: Run) -> None:
    fitted = searched(*FIT)
    assert fitted.code == 0
    assert f"LR = batch * {COEFFICIENT} * tokens^{EXPONENT}, batch in sequences of {SEQ_LEN}" in fitted.out
    assert "What the form fixes, let free (8 cells)" in fitted.out
    batch = ("--batch-tokens", str(1024 * SEQ_LEN))
    plan = json.loads(searched(*PLAN, *batch, "--schedule", "power", "--json").out)
    assert plan["schedule"] == "power"
    assert plan["schedule_options"]["coefficient"] == pytest.approx(COEFFICIENT, rel=1e-6)
    assert searched(*PLAN, *batch, "--schedule", "power", "-o", "run.yaml").code == 0
    assert searched("check", "run.yaml", "--select", "HPT1").code == 0


def test_a_plan_says_which_lr_is_which_and_where_the_schedule_ends(run: Run, tmp_path: Path) -> None:
    target = ("--params", "3e9", "--tokens", "1e12", "--batch-tokens", "1Mi", "--seq-len", "2048")
    command = ("plan", "--law", "power-scheduler", *target)
    shown = " ".join(run(*command, "-o", "run.yaml").out.split())
    assert "the run's LR is where the warm-up ends" in shown
    assert "final_ratio 0.1 default" in shown
    config = (tmp_path / "run.yaml").read_text()
    assert "  batch_seqs: 512\n" in config
    assert "  coefficient: 2.0\n" in config
    line = json.loads(run(*command, "--json").out)
    assert line["origin"]["final_lr_ratio"]["formula"] == "0.1 of the LR before the decay / peak LR"


def test_what_it_cannot_do_exits_2_and_says_why(searched: Run) -> None:
    assert searched(*FIT, "-q").code == 0
    without_batch = searched(*PLAN)
    assert (without_batch.code, "--batch-tokens B" in without_batch.err) == (2, True)
    plotted = searched(*FIT, "--force", "--plot", "law.png")
    assert (plotted.code, "has no such curves" in plotted.err) == (2, True)


def test_a_backtest_does_not_guess_the_batch_that_the_form_leaves_open(searched: Run) -> None:
    assert "its LR is for a batch that is given" in searched(*FIT, "-q", "--backtest").out


def test_its_next_line_gives_the_batch_that_the_law_asks_for(searched: Run) -> None:
    fitted = searched(*FIT)
    command = fitted.err.splitlines()[-1].removeprefix("next: hptransfer ").split()
    assert "--batch-tokens" in command
    assert searched(*command, "--params-kind", "total").code == 0


def test_exponents_that_the_form_fixes_have_no_interval(searched: Run) -> None:
    lines = [line.split() for line in searched(*FIT).out.splitlines()]
    assert ["batch_tokens", "exponent", "1.0000", "fixed"] in lines
    assert ["params", "exponent", "0.0000", "fixed"] in lines
