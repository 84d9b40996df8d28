"""`doctor` never stops at the first problem, and the line it prints works as typed; `init` saves it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from hptransfer.readers.mapping import read_map
from hptransfer.simulation import simulate_csv
from tests.cli.conftest import Run

DATA = Path(__file__).parents[3] / "shared/data"
HEADER, *ROWS = simulate_csv(seed=0).splitlines()


def doctor(run: Run, *arguments: str) -> tuple[int, dict[str, Any]]:
    outcome = run("doctor", *arguments, "--json")
    content = json.loads(outcome.out)
    assert isinstance(content, dict)
    return outcome.code, content


def codes(content: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in content["findings"]}


def fits_as_typed(run: Run, content: dict[str, Any]) -> bool:
    program, *arguments = shlex.split(content["fit"])
    assert program == "hptransfer"
    outcome = run(*arguments, "--resamples", "0", "--force")
    assert outcome.code == 0, outcome.err
    return True


def test_a_sound_sweep_gets_its_fit_line(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    code, content = doctor(run, "sweep.csv")
    assert (code, content["verdict"]["code"]) == (0, "lr-and-batch")
    assert content["fit"] == "hptransfer fit sweep.csv -o law.json"
    assert fits_as_typed(run, content)
    shown = run("doctor", "sweep.csv")
    assert "Verdict: a law of the LR and the batch" in shown.out
    assert shown.err.splitlines()[-1] == f"next: {content['fit']}"
    assert content["fit"] not in shown.out  # said once
    assert not any(line.endswith("\x1b") for line in shown.out.splitlines())


def test_everything_wrong_is_said_at_once(run: Run, tmp_path: Path) -> None:
    """Two losses, a batch without unit, mixed schedules, bad numbers, a repeated row and a missing loss."""
    columns = HEADER.replace("batch_tokens", "batch_size").replace("loss", "train/loss").split(",")
    rows = [row.split(",") for row in ROWS]
    schedule, lr, loss = (columns.index(name) for name in ("schedule", "lr", "train/loss"))
    for row in rows[::40]:
        row[schedule] = "wsd, 20%"
    rows[1][lr] = "0,003"
    rows[2][lr] = "-1e-3"
    rows[3][loss] = ""
    rows.append(rows[4])
    lines = [f"{','.join(columns)},eval/loss"]
    lines += [",".join(f'"{cell}"' for cell in [*row, row[loss]]) for row in rows]
    (tmp_path / "s.csv").write_text("\n".join(lines))
    code, content = doctor(run, "s.csv")
    assert code == 0
    assert {"open-question", "bad-row", "mixed-settings", "missing-value", "duplicate"} <= codes(content)
    bad = next(finding["message"] for finding in content["findings"] if finding["code"] == "bad-row")
    assert "decimal comma" in bad
    assert "line 4: lr: got -0.001" in bad
    assert content["verdict"]["where"] == {"schedule": "cosine"}
    assert "--column loss=eval/loss" in content["fit"]
    assert run("fit", "s.csv").code == 2
    assert fits_as_typed(run, content)


def test_a_line_with_every_kind_of_quoting_works_as_typed(run: Run, tmp_path: Path) -> None:
    header = HEADER.replace("loss", "my loss, $smoothed").replace("schedule", "lr_schedule")
    rows = [row.replace("cosine", "cosine (to `10%`)") for row in ROWS]
    odd = header.replace("my loss, $smoothed", '"my loss, $smoothed"')
    other = [row.replace("cosine (to `10%`)", "it's wsd") for row in rows[:9]]
    (tmp_path / "a sweep.csv").write_text("\n".join([odd, *rows[9:], *other]))
    code, content = doctor(run, "a sweep.csv", "--column", "loss=my loss, $smoothed")
    assert (code, content["verdict"]["where"]) == (0, {"schedule": "cosine (to `10%`)"})
    assert fits_as_typed(run, content)


def test_a_sweep_that_supports_nothing_exits_2_and_says_what_to_add(run: Run, tmp_path: Path) -> None:
    lr = HEADER.split(",").index("lr")
    rows = [",".join([*row.split(",")[:lr], "1e-3", *row.split(",")[lr + 1 :]]) for row in ROWS]
    (tmp_path / "s.csv").write_text("\n".join([HEADER, *rows]))
    code, content = doctor(run, "s.csv")
    assert (code, content["fit"], content["verdict"]["code"]) == (2, None, "nothing")
    assert "last-lr" in codes(content)
    assert content["add"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("params,tokens,loss\n1e8,2e9,3\n", "no column for lr"),
        ("params,tokens,lr,loss\n1e8,2e9,,3\n", "no lr in 1"),
        ("params,tokens,lr,loss\n1e8,2e9,x,3\n", "line 2, lr: got 'x'"),
    ],
)
def test_what_cannot_be_a_sweep_still_shows_what_was_understood(
    run: Run, tmp_path: Path, text: str, match: str
) -> None:
    (tmp_path / "s.csv").write_text(text)
    code, content = doctor(run, "s.csv")
    assert (code, content["fit"]) == (2, None)
    assert match in content["verdict"]["reason"]
    assert content["understood"]["columns"][0]["tokens"] == "tokens"
    assert run("doctor", "s.csv").code == 2


def test_a_unit_that_is_open_is_assumed_and_asked(run: Run, tmp_path: Path) -> None:
    """Batches in sequences without tokens per sequence or steps."""
    names = HEADER.split(",")
    keep = [i for i, name in enumerate(names) if name not in ("seq_len", "steps")]
    batch = names.index("batch_tokens")
    lines = [",".join(names[i] for i in keep).replace("batch_tokens", "gbs")]
    for row in ROWS:
        cells = row.split(",")
        cells[batch] = str(int(cells[batch]) // 2048)
        lines.append(",".join(cells[i] for i in keep))
    (tmp_path / "s.csv").write_text("\n".join(lines))
    code, content = doctor(run, "s.csv")
    assert code == 0
    assert "--batch-unit sequences --seq-len 2048" in content["fit"]
    assert any("assumed here" in question for question in content["understood"]["questions"])
    assert fits_as_typed(run, content)


# --- init --------------------------------------------------------------------------------------------


def test_init_writes_a_mapping_that_fit_takes(run: Run, tmp_path: Path) -> None:
    lines = [HEADER.replace(",loss,", ",smooth loss,") + ",loss", *(f"{row},3.0" for row in ROWS)]
    lines[1:10] = [line.replace("cosine", "wsd") for line in lines[1:10]]
    (tmp_path / "sweep.csv").write_text("\n".join(lines))
    started = run("init", "sweep.csv")
    assert started.code == 0
    assert started.err.splitlines()[-1] == "next: hptransfer fit sweep.csv --map sweep.map.toml"
    reading = read_map(str(tmp_path / "sweep.map.toml"))
    assert reading.columns["loss"] == "smooth loss"
    assert reading.where == {"schedule": "cosine"}
    assert "guess" in (tmp_path / "sweep.map.toml").read_text()
    assert run("fit", "sweep.csv", "--map", "sweep.map.toml").code == 0
    assert "2 columns can be loss" in (tmp_path / "sweep.map.toml").read_text()


def test_init_never_replaces_an_edited_mapping_silently(run: Run, tmp_path: Path) -> None:
    run("simulate", "-o", "sweep.csv")
    assert run("init", "sweep.csv").code == 0
    assert "unchanged" in run("init", "sweep.csv").err
    (tmp_path / "sweep.map.toml").write_text("seq_len = 1\n")
    refused = run("init", "sweep.csv")
    assert (refused.code, "--force" in refused.err) == (2, True)


def test_init_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("N,D,speed\n1e8,2e9,3\n")
    started = run("init", "s.csv", "-o", "-")
    assert started.code == 0
    assert "no column for lr" in started.out
    assert 'params = "N"' in started.out


# --- real sweeps -------------------------------------------------------------------------------------


def real(name: str) -> str:
    path = DATA / name
    if not path.exists():
        pytest.skip("needs ../shared/data beside the project")
    return str(path)


def test_the_mislabelled_size_of_the_misfitting_sweep_is_named_and_no_other(run: Run) -> None:
    """Its rows of 17M non-embedding params repeat losses under other LRs (the data's own description)."""
    code, content = doctor(run, real("misfitting_openlm.csv"))
    mislabelled = [f["message"] for f in content["findings"] if f["code"] == "mislabelled-rows"]
    assert len(mislabelled) == 1
    assert "(16865856)" in mislabelled[0]
    assert (code, content["verdict"]["code"]) == (0, "lr-at-fixed-batch")
    assert content["verdict"]["without"] == [["params", 16865856.0]]
    assert {"single-batch", "coarse-grid", "edge-optimum", "duplicate"} <= codes(content)
    assert fits_as_typed(run, content)


@pytest.mark.parametrize(
    ("name", "verdict", "reason", "findings"),
    [
        # one factor at a time around a baseline that itself differs by cell
        ("marin_adamw_ablations.csv", "one-direction", "in tokens, at 134M params", {"one-at-a-time"}),
        # one model size has more than one LR within one schedule, cooldown and dataset
        ("lr_scheduling.csv", "one-direction", "in tokens, at 124M params", {"single-batch"}),
        # every µP size is best at the lowest LR that was tried
        ("mup_mlp_cifar_bad_hp.csv", "nothing", "bounds-only", {"no-finished-run", "mixed-settings"}),
        # one LR a size
        ("olmo_ladder.csv", "nothing", "0 cells of (params, tokens) with a search", {"one-lr-cells"}),
        ("gadre_overtrain.csv", "nothing", "0 cells of (params, tokens) with a search", {"last-lr"}),
        ("isoflops.csv", "nothing", "no lr in 947", set()),
        (
            "oellm_dense_english_upto_302M.csv",
            "lr-and-batch",
            "searched LR and batch together",
            {"open-question"},
        ),
        ("steplaw/dense_lr_bs_loss_upto_537M.csv", "lr-and-batch", "15 of 15 cells", {"open-question"}),
    ],
)
def test_the_verdict_on_real_sweeps(
    run: Run, name: str, verdict: str, reason: str, findings: set[str]
) -> None:
    code, content = doctor(run, real(name))
    assert content["verdict"]["code"] == verdict
    assert reason in content["verdict"]["reason"]
    assert findings <= codes(content)
    assert "mislabelled-rows" not in codes(content)
    assert code == (2 if verdict == "nothing" else 0)
    if code == 0:
        assert fits_as_typed(run, content)


def test_doctor_and_fit_count_the_same_cells(run: Run) -> None:
    """One of the shipped sweep's 22 cells has a single run; the rest do not become all for that."""
    sweep = str(Path(__file__).resolve().parents[2] / "examples" / "proxies" / "sweep.csv")
    _, content = doctor(run, sweep)
    fitted = run("fit", sweep, "-o", "law.json", "--resamples", "0")
    (said,) = (one["message"] for one in content["findings"] if one["code"] == "edge-optimum")
    assert "in 1 of 22 cells" in said
    assert "in 1 of 22 cells" in fitted.err
