"""`width` and `coordcheck` on real runs, on shipped ones, and on what cannot be read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hptransfer.cli import coordcheck, width
from tests.cli.conftest import Run

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT.parent / "shared" / "data"
MLP, BAD, COORDINATES = (
    DATA / name for name in ("mup_mlp_cifar.csv", "mup_mlp_cifar_bad_hp.csv", "coordcheck_nanogpt.csv")
)
needs_data = pytest.mark.skipif(not MLP.exists(), reason="needs ../shared/data, not part of the project")


@needs_data
def test_mup_transfers_and_sp_drifts_on_mups_own_runs(run: Run) -> None:
    """muP within +-0.1 log2 per doubling at epoch 5, SP about -0.6."""
    done = run("width", str(MLP), "--column", "loss=loss_epoch5", "--json")
    assert done.code == 0, done.err
    found = {one["parametrization"]: one for one in json.loads(done.out)}
    mup, sp = found["mup"]["drifts"][0], found["sp"]["drifts"][0]
    assert (found["mup"]["verdict"], found["sp"]["verdict"]) == ("transfers", "drifts")
    assert -0.1 < mup["low"] < mup["high"] < 0.1
    assert -0.7 < sp["low"] < sp["high"] < -0.5


@needs_data
def test_a_ruined_sweep_says_not_enough_usable_runs(run: Run) -> None:
    done = run("width", str(BAD), "--column", "loss=loss_epoch5")
    assert done.code == 0
    assert done.out.count("not enough usable runs") == 2
    assert done.err.endswith(f"next: add widths or LRs, then hptransfer width {BAD}\n")


@needs_data
def test_six_variants_of_a_coordinate_check(run: Run) -> None:
    done = run("coordcheck", str(COORDINATES), "--json")
    found = {one["parametrization"]: one for one in json.loads(done.out)}
    half_done = "sp_with_mup_hidden_init"
    verdicts = {name: one["verdict"] for name, one in found.items()}
    assert verdicts == {
        "mup": "consistent-with-mup",
        "sp": "not-mup",
        half_done: "not-mup",
        f"{half_done}_and_lr": "not-mup",
        f"{half_done}_and_lr_output_logits": "consistent-with-mup",
        f"{half_done}_and_lr_partial_output_logits": "not-mup",
    }
    assert "LR is not divided by m" in found[half_done]["looks_like"]
    assert "1/m is missing" in found[f"{half_done}_and_lr"]["looks_like"]
    assert "like 1/sqrt(m)" in found[f"{half_done}_and_lr_partial_output_logits"]["looks_like"]


@pytest.mark.parametrize("module", [width, coordcheck])
def test_the_examples_run_on_shipped_runs(run: Run, tmp_path: Path, module: object) -> None:
    shutil.copytree(PROJECT / "examples", tmp_path / "examples")
    _, *arguments = str(vars(module)["EXAMPLE"]).removeprefix("Example: ").split()
    assert run(*arguments).code == 0


def test_mups_long_form_is_read(run: Run, tmp_path: Path) -> None:
    """get_coord_data of the mup package: width, module, t, l1."""
    rows = [f"{w},mlp,{t},{w**0.5 if t else 1.0}" for w in (64, 128, 256) for t in (0, 1, 2)]
    (tmp_path / "coord.csv").write_text("width,module,t,l1\n" + "\n".join(rows) + "\n")
    (found,) = json.loads(run("coordcheck", "coord.csv", "--json").out)
    assert (found["verdict"], found["layers"][0]["trained"]) == ("not-mup", pytest.approx(0.5))


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("width", "lr,loss\n1e-3,2\n", "no column for width"),
        ("width", "width,lr,loss\n64,0,2\n", "line 2, lr: got 0"),
        ("width", "width,lr,loss,optimizer\n64,1e-3,2,adam\n64,1e-3,2,sgd\n", "--where optimizer=adam"),
        ("width", "width,lr,loss,val_loss\n64,1e-3,2,2\n", "--column loss="),
        ("width", "width\n64\n", "only one column"),
        ("width", "width,lr,loss\n", "no rows"),
        ("coordcheck", "step,mlp_act\n0,1\n", "no column for width"),
        ("coordcheck", "width,step,x\n64,0,1\n", "--layer"),
        ("coordcheck", "width,step,mlp_act\n-64,0,1\n", "line 2, width"),
        ("coordcheck", "width,step,mlp_act\n64,0,big\n", "'big'"),
    ],
)
def test_what_cannot_be_read_is_named(run: Run, tmp_path: Path, command: str, text: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    done = run(command, "log.csv")
    assert done.code == 2
    assert said in done.err


def test_a_drift_feeds_the_plan(run: Run, tmp_path: Path) -> None:
    rows = [
        f"{w},{2.0**k},{2 + 0.05 * (k + 6 + 0.5 * i) ** 2}"
        for i, w in enumerate((64, 128, 256, 512))
        for k in range(-12, 0)
    ]
    (tmp_path / "sweep.csv").write_text("width,lr,loss\n" + "\n".join(rows) + "\n")
    done = run("width", "sweep.csv")
    assert "--lr-width-exponent -0.50" in done.err
    options = ("--law", "power-scheduler", "--params", "1e9", "--tokens", "1e11", "--batch-tokens", "1048576")
    widths = ("--parametrization", "mup", "--base-width", "256", "--width", "1024")
    planned = run("plan", *options, *widths, "--lr-width-exponent", "-0.50", "--json")
    hidden = json.loads(planned.out)["param_groups"]["hidden"]
    assert hidden["factors"]["lr"] == pytest.approx(0.25 * 4**-0.5)


def test_a_table_of_runs_is_no_coordinate_check(run: Run) -> None:
    """`warmup_fraction` has `act` in it: settings and quantities of runs are no layers."""
    done = run("coordcheck", str(PROJECT / "examples" / "proxies" / "sweep.csv"))
    assert done.code == 2
    assert "no column looks like a layer's activations" in done.err
    assert "hptransfer width" in done.err
