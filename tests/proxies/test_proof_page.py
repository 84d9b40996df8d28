"""The page of the proof shows the shipped runs, and those runs came after their plan."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from examples.proxies.advising import OURS, TARGETS, plan_path, read_advice, runs_path
from examples.proxies.figure import drawing
from examples.proxies.proof import around, blob_hash
from examples.proxies.report import with_tables
from examples.proxies.runs import read_losses

DOCS = Path(__file__).parents[2] / "docs"
PROVEN = [name for name in TARGETS if runs_path(name).exists()]


def test_tables_and_figure_are_fresh() -> None:
    page = (DOCS / "proof.md").read_text(encoding="utf-8")
    assert with_tables(page, PROVEN) == page, "python -m examples.proxies.report NAMES --page docs/proof.md"
    assert all(f"<!-- {name} -->" in page for name in PROVEN)
    assert (DOCS / "proof.svg").read_text(encoding="utf-8") == drawing(PROVEN)


@pytest.mark.parametrize("name", PROVEN)
def test_every_row_carries_the_hash_of_its_plan(name: str) -> None:
    with runs_path(name).open(encoding="utf-8") as stream:
        assert {row["plan_blob"] for row in csv.DictReader(stream)} == {blob_hash(plan_path(name))}


@pytest.mark.parametrize("name", PROVEN)
def test_seven_rates_three_batches_and_three_seeds_at_the_best_two_were_run(name: str) -> None:
    target, losses = TARGETS[name], read_losses(runs_path(name))
    ours = next(row for row in read_advice(plan_path(name)) if row.method == OURS)
    grid = list(around(target, ours))
    assert set(grid) <= set(losses)
    at_batch = sorted((run for run in grid if run.batch_tokens == ours.batch_tokens), key=losses.__getitem__)
    for best in at_batch[:2]:
        same = [run for run in losses if (run.lr, run.batch_tokens) == (best.lr, best.batch_tokens)]
        assert sorted(run.seed for run in same) == [0, 1, 2]
