"""Plans of targets: rules of thumb by hand, and files that give back what was planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.proxies.advising import (
    TARGETS,
    Advice,
    ProofTarget,
    advice_text,
    read_advice,
    rules_of_thumb,
)
from examples.proxies.runs import Run
from hptransfer import read_sweep

LINES = """params,tokens,lr,batch_tokens,loss
8192,98304,0.016,64,2.5
8192,786432,0.016,256,2.3
73728,786432,0.004,256,2.24
73728,786432,0.008,256,2.23
73728,786432,0.016,256,2.25
"""


def test_rules_of_thumb_start_from_the_best_run_of_the_largest_proxy(tmp_path: Path) -> None:
    (tmp_path / "sweep.csv").write_text(LINES, encoding="utf-8")
    sweep = read_sweep(tmp_path / "sweep.csv", params_kind="non-embedding")
    target = ProofTarget("sp", width=384, tokens=1_572_864, sweep="sweep.csv")  # four times as wide as 96
    found = {row.method: (row.lr, row.batch_tokens) for row in rules_of_thumb(sweep, target, 1024)}
    assert found == {
        "keep-proxys-best": (0.008, 256),
        "sqrt-batch": (0.016, 1024),  # four times the batch, twice the LR
        "sqrt-width": (0.004, 256),
        "inverse-width": (0.002, 256),
    }


def test_a_plan_file_gives_back_its_rows(tmp_path: Path) -> None:
    rows = [
        Advice("hptransfer", "fitted-1", 0.0035, 512, 0.0037, 0.0025, 0.0055, 574.5, 380.0, 867.0),
        Advice("mm1", "mm1", 0.0028, 512, lr_optimum=0.0028),
    ]
    (tmp_path / "plan.csv").write_text(advice_text(rows), encoding="utf-8")
    assert read_advice(tmp_path / "plan.csv") == rows


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_targets_are_eight_times_the_compute_of_the_largest_proxy(target: ProofTarget) -> None:
    largest = {"sp": Run("sp", 96, 1_572_864, 256, 0.008, 0), "mup": Run("mup", 96, 786_432, 256, 0.032, 0)}
    proxy = largest[target.parametrization]
    ratio = target.params * target.tokens / (8 * proxy.width**2 * proxy.tokens)
    assert ratio == pytest.approx(8, rel=0.01)
