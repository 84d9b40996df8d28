"""`hptransfer schedule` and `hptransfer curves` as typed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from hptransfer.cli import schedule as module
from tests.cli.conftest import Run

EXAMPLES = [value for name, value in vars(module).items() if name.endswith("EXAMPLE")]
COMMANDS = ("show", "list", "compare", "convert", "extend", "branches", "merge")


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(run: Run, example: str) -> None:
    program, *arguments = example.removeprefix("Example: ").split()
    assert program == "hptransfer"
    outcome = run(*arguments)
    assert outcome.code == 0
    assert outcome.err.splitlines()[-1].startswith("next: hptransfer ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_ends_with_its_example(run: Run, command: str) -> None:
    outcome = run("schedule", command, "--help")
    assert outcome.code == 0
    assert "Example: hptransfer schedule" in " ".join(outcome.out.split()[-30:])


def test_csv_has_every_update(run: Run, tmp_path: Path) -> None:
    options = ("--steps", "1K", "--warmup-steps", "100", "--peak-lr", "3e-4")
    shown = run("schedule", "wsd", *options, "--csv")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [int(row["step"]) for row in rows] == list(range(1000))
    assert float(rows[900]["lr"]) == pytest.approx(1.5e-4)
    assert run("schedule", "wsd", *options, "-o", "lr.csv").code == 0
    assert (tmp_path / "lr.csv").read_text() == shown.out


def test_json_counts_from_where_it_is_told(run: Run) -> None:
    content = json.loads(run("schedule", "linear", "--steps", "4", "--count-from", "1", "--json").out)
    assert content["multiplier"] == [0.75, 0.5, 0.25, 0.0]
    assert content["area"] == 1.5
    content = json.loads(run("schedule", "linear", "--steps", "4", "--json").out)
    assert content["multiplier"] == [1.0, 0.75, 0.5, 0.25]


def test_comparison_knows_areas_and_best_peaks(run: Run) -> None:
    content = json.loads(run("schedule", "compare", "wsd", "cosine", "--steps", "4000", "--json").out)
    assert [item["spec"] for item in content] == ["wsd", "cosine"]
    assert content[1]["best_peak_lr_factor"] == pytest.approx(1.89, abs=0.01)
    assert content[0]["mean_multiplier"] == pytest.approx(0.9, abs=2e-4)


def test_what_is_not_verified_is_marked(run: Run) -> None:
    outcome = run("schedule", "uba:phi=1", "--steps", "10")
    assert outcome.code == 0
    assert "warning [experimental]: uba" in outcome.err


def test_refined_reads_norms(run: Run, tmp_path: Path) -> None:
    (tmp_path / "norms.csv").write_text("norm\n" + "1\n" * 6)
    outcome = run("schedule", "refined", "--steps", "5", "--grad-norms", "norms.csv", "--json")
    assert json.loads(outcome.out)["multiplier"] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    (tmp_path / "norms.csv").write_text("norm\n1\nx\n")
    bad = run("schedule", "refined", "--steps", "5", "--grad-norms", "norms.csv")
    assert (bad.code, "line 3" in bad.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("wsd",), "--steps N"),
        (("wsd", "--steps", "1000", "--decay-steps", "2000"), "longer than what is left"),
        (("cosine", "--steps", "100", "--warmup-steps", "200"), "does not end before the run"),
        (("power", "--steps", "1000"), "--batch-seqs N --seq-len TOKENS"),
        (("cosin", "--steps", "10"), "Did you mean 'cosine'"),
        (("cosine", "--steps", "10", "--decay", "linear"), "has no option 'decay'"),
        (("cosine", "--steps", "ten"), "--steps"),
        (("merge", "--decay", "exponential", "--checkpoints", "3"), "--decay"),
        (("compare", "cosine", "--steps", "1.5"), "whole number"),
        (("extend", "--steps", "100", "--longer", "50"), "need a longer run"),
        (("convert", "--peak-lr", "0", "--from", "wsd", "--to", "d2z", "--steps", "9"), "--peak-lr"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_do(run: Run, arguments: tuple[str, ...], match: str) -> None:
    outcome = run("schedule", *arguments)
    assert outcome.code == 2
    assert match in outcome.err


def test_a_plot_without_matplotlib_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    outcome = run("schedule", "cosine", "--steps", "10", "--plot", "x.png")
    assert (outcome.code, "pip install 'hptransfer[plot]'" in outcome.err) == (2, True)


def test_curves_fit_test_and_rank(run: Run, tmp_path: Path) -> None:
    run("simulate", "--curves", "-o", "curves.csv")
    options = ("curves.csv", "--fit", "cosine", "--fit", "constant", "--fit", "wsd", "--steps", "8000")
    specs = ("--predict", "linear:final_ratio=0.1", "--predict", "constant", "--warmup-steps", "400")
    outcome = run("curves", *options, *specs, "--json", "-o", "predicted.csv")
    assert outcome.code == 0
    content = json.loads(outcome.out)
    assert [p["schedule"] for p in content["predictions"]] == ["linear:final_ratio=0.1", "constant"]
    assert [t["run"] for t in content["held_out"]["multi-power"]] == ["linear"]
    assert content["held_out"]["multi-power"][0]["mean_abs_error"] < 0.005
    rows = list(csv.DictReader((tmp_path / "predicted.csv").read_text().splitlines()))
    assert len(rows) == 2 * (8000 - 400)
    shown = run("curves", *options, *specs)
    assert "Predicted, best first" in shown.out


def test_curves_extrapolate_an_unfinished_run(run: Run, tmp_path: Path) -> None:
    run("simulate", "--curves", "-o", "curves.csv")
    lines = (tmp_path / "curves.csv").read_text().splitlines(keepends=True)
    cut = [line for line in lines if not (line.startswith("wsd,") and int(line.split(",")[1]) > 5000)]
    (tmp_path / "cut.csv").write_text("".join(cut))
    end = ("--predict", "wsd:decay=1-sqrt,final_ratio=0.1", "--steps", "8000", "--warmup-steps", "400")
    outcome = run("curves", "cut.csv", "--unfinished", "wsd", *end, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)["extrapolation"]
    low, high = found["interval"]
    assert low < found["loss"] < high
    assert "Run wsd, logged to step 5,000" in run("curves", "cut.csv", "--unfinished", "wsd", *end).out


@pytest.mark.parametrize(
    ("text", "arguments", "match"),
    [
        ("run,step,lr,loss\na,1,1,3\na,2,1,3\na,1,1,3\n", (), "Two runs under one id?"),
        ("run,step,lr,loss\na,1,1,3\na,3,1,3\na,2,1,3\n", (), "steps must rise"),
        ("step,lr,loss\n1,1,3\n2,1,3\n3,.5,3\n90,.1,2\n", (), "--allow-gaps"),
        ("step,lr,loss\n1,1,3\n2,1,3\n", ("--unfinished", "run"), "needs one --predict SPEC"),
        ("step,lr,loss\n1,1,3\n2,1,3\n", ("--law", "power"), "multi-power, annealing"),
        ("step,lr,loss\n1,1,3\n2,1,3\n", ("--fit", "b"), "no run 'b'"),
    ],
)
def test_bad_curves_exit_2(
    run: Run, tmp_path: Path, text: str, arguments: tuple[str, ...], match: str
) -> None:
    (tmp_path / "c.csv").write_text(text)
    outcome = run("curves", "c.csv", *arguments)
    assert outcome.code == 2
    assert match in outcome.err


@pytest.mark.parametrize("given", [("--steps", "10000"), ()])
def test_the_next_line_of_a_conversion_keeps_the_targets_own_horizon(
    run: Run, given: tuple[str, ...]
) -> None:
    specs = ("--from", "wsd:steps=20000", "--to", "cosine:steps=50000")
    done = run("schedule", "convert", "--peak-lr", "1e-3", *specs, *given)
    assert done.code == 0, done.err
    command = done.err.splitlines()[-1].removeprefix("next: hptransfer ")
    assert command.startswith("schedule cosine:steps=50000 --peak-lr")
    assert run(*command.split()).code == 0
