"""Rerun every figure that was asked for and print one table.

    python benchmarks/evidence.py [SECTION ...]

Real sweeps are read from `../shared/data`, beside the project; without them their rows say so.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
import random
import re
import shlex
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import backtest_sections
import batch_sections
import check_sections
import critical_sections
import design_sections
import diagnosis_sections
import power_sections
import proof_sections
import report_sections
import schedule_sections
import trainer_sections
import weight_decay_sections

if TYPE_CHECKING:
    from hptransfer.losses.points import LossPoints

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"
STEP_LAW = SHARED / "data/steplaw/dense_lr_bs_loss_upto_537M.csv"
REGRET = SHARED / "bench/regret.py"
PROGRAM = [sys.executable, "-m", "hptransfer"]

Row = tuple[str, str, str]  # figure, measured, aim


def run(arguments: list[str], folder: str | Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Run a process and keep what it printed."""
    return subprocess.run(arguments, capture_output=True, text=True, cwd=folder, check=False)


def step_law_file() -> Iterator[Row]:
    """The Step Law file fitted as published and planned at the held-back scale."""
    if not STEP_LAW.exists():
        yield ("Step Law file", "not here: needs ../shared/data", "")
        return
    with tempfile.TemporaryDirectory() as folder:
        law = str(Path(folder) / "law.json")
        options = ["--column", "loss=smooth loss", "--estimator", "near-optimal", "-o", law]
        run([*PROGRAM, "fit", str(STEP_LAW), *options])
        content = json.loads(Path(law).read_text())
        for name in ("peak_lr", "batch_tokens"):
            exponents = content[name]["exponents"].items()
            text = ", ".join(f"{k}^{v:.3f}" for k, v in exponents)
            yield (f"Step Law file, near-optimal: {name}", text, "")
        target = ["--params", "1.07e9", "--tokens", "5.69e10", "--json"]
        plan = json.loads(run([*PROGRAM, "plan", "--law", law, *target]).stdout)
        published = json.loads(run([*PROGRAM, "plan", "--law", "step-law", *target]).stdout)
    for name in ("peak_lr", "batch_tokens"):
        low, high = plan[f"{name}_interval"]
        text = f"{plan[name]:.4g} [{low:.3g}, {high:.3g}]"
        yield (f"planned {name} at 1.07e9 / 5.69e10", text, f"Step Law published: {published[name]:.4g}")


def regret() -> Iterator[Row]:
    """Excess loss at held-out scales, beside Step Law's own recipe (regret.py, default estimator)."""
    if not REGRET.exists():
        yield ("regret.py", "not here: needs ../shared/bench", "")
        return
    done = run([sys.executable, str(REGRET), "--hptransfer", " ".join(PROGRAM), "--json"])
    if done.returncode:
        yield ("regret.py", f"failed: {done.stderr.strip().splitlines()[-1]}", "runs through")
        return
    content = json.loads(done.stdout)
    for name, split in content["splits"].items():
        ours = "refused" if split["refused"] else f"{split['hptransfer']:.4f} %"
        theirs = f"Step Law's recipe {split['step_law_estimator']:.4f} %"
        yield (f"excess loss, {name} ({split['runs']} runs)", ours, theirs)
    for name, summary in content["intervals"].items():
        if summary:
            covered, score = summary["covered"], summary["interval_score"]
            text = f"LR {covered[0]:.0%} score {score[0]:.2f}; batch {covered[1]:.0%} score {score[1]:.2f}"
            yield (f"90 % intervals: {name}", text, "")


LOSS_SETS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {  # file, --where, --column
    **{
        f"Gadre {dataset}": ("gadre_overtrain.csv", {"dataset": dataset}, {"params": "params"})
        for dataset in ("c4_original", "rpj", "rw_original")
    },
    **{
        f"isoFLOP {experiment}": ("isoflops.csv", {"experiment": experiment}, {})
        for experiment in (
            "epochai_chinchilla__massivetext__chinchilla",
            "ml_scalefit__massivetext__chinchilla",
            "llama_3__exp_loss",
            "llama_3__raw_loss",
            "marin_202603__comma__llama_2",
            "marin_202603__dclm__llama_2",
            "marin_202603__nemotron__llama_2",
            "misfitting__fineweb_c4__transformer",
        )
    },
    "OLMo ladder cosine": ("olmo_ladder.csv", {"family": "peteish-moreeval", "ladder": "1"}, {}),
    "OLMo ladder decay": ("olmo_ladder.csv", {"family": "peteish-moreeval-decay", "ladder": "1"}, {}),
}
HOLD_OUT = 4.0


def _loss_points(name: str) -> LossPoints:
    """One of `LOSS_SETS`, whatever weight decay its runs had."""
    from hptransfer.readers import read_loss_points
    from hptransfer.readers.mapping import Reading

    file, where, columns = LOSS_SETS[name]
    reading = Reading(where=where, columns=columns, vary=("weight_decay",))
    return read_loss_points(SHARED / "data" / file, reading)[0]


def loss_law() -> Iterator[Row]:
    """Loss laws fitted without the largest compute and held to it; the Chinchilla replication."""
    from hptransfer.losses.fitting import backtest_loss, fit_loss_law

    if not (SHARED / "data/isoflops.csv").exists():
        yield ("loss law", "not here: needs ../shared/data", "")
        return
    held_out, inside = 0, 0.0
    for name in LOSS_SETS:
        points = _loss_points(name)
        ours, plain = (backtest_loss(points, factor=HOLD_OUT, form=form) for form in ("auto", "additive"))
        text = (
            f"{ours.form}: mean {ours.mean_error:+.2%}, RMS {ours.rms_error:.2%}, half width "
            f"{ours.median_half_width:.2%}, covered {ours.covered:.0%}"
        )
        aim = f"additive RMS {plain.rms_error:.2%}; 90 %"
        yield (f"loss, {name}: {ours.held_out} held out, {ours.fitted} fitted", text, aim)
        held_out += ours.held_out
        inside += (ours.covered or 0.0) * ours.held_out
    yield ("loss, all sets: inside their 90 % interval", f"{inside:.0f} of {held_out}", "90 %")
    points = _loss_points("isoFLOP ml_scalefit__massivetext__chinchilla")
    kept = (points.tokens / points.params).argsort()[5:]  # its notebook drops five outliers
    chinchilla = points.take(kept)
    law, _ = fit_loss_law(chinchilla, form="additive")
    params, tokens = law.terms
    yield (
        f"Chinchilla replication, {len(chinchilla)} points",
        f"E {law.floor:.4f}, A {params.coefficient:.0f}, B {tokens.coefficient:.0f}, "
        f"alpha {params.exponent:.4f}, beta {tokens.exponent:.4f}",
        "1.8172 ± 0.0257, 482 ± 125, 2085 ± 1293, 0.3478 ± 0.0154, 0.3658 ± 0.0206",
    )


COLD = {
    "hptransfer --help": (["--help"], 2.0),
    "hptransfer plan --json": (
        ["plan", "--law", "step-law", "--params", "7e9", "--tokens", "1e12", "--json"],
        2.5,
    ),
    "hptransfer plan --targets": (["plan", "--law", "step-law", "--targets", "TARGETS", "--json"], 3.5),
}


def cold_start() -> Iterator[Row]:
    """Whole processes against `python -c "import numpy"`, interleaved; the median of each."""
    with tempfile.TemporaryDirectory() as folder:
        targets = Path(folder) / "targets.csv"
        targets.write_text("params,tokens\n7e9,1e12\n1e9,1e11\n")
        commands = {"numpy": [sys.executable, "-c", "import numpy"]}
        for name, (arguments, _) in COLD.items():
            commands[name] = [*PROGRAM, *(str(targets) if a == "TARGETS" else a for a in arguments)]
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(15):
            for name, command in commands.items():
                start = time.perf_counter()
                run(command, folder)
                seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["numpy"])
    for name, (_, limit) in COLD.items():
        ratio = statistics.median(seconds[name]) / base
        yield (f"cold start: {name} / import numpy", f"{ratio:.2f}x", f"under {limit}x")


def properties() -> Iterator[Row]:
    """The properties asked for, as tests."""
    wanted = "noise_free or row_order or unit or round_trip or batched or loop or single_ones"
    done = run([sys.executable, "-m", "pytest", "-q", "-k", wanted, "-p", "no:cacheprovider"])
    summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-80:]
    count = re.findall(r"\.", done.stdout)
    passed = "all passed" if done.returncode == 0 else summary
    yield (
        "properties (noise-free, order, units, round trips, batched = looped)",
        passed,
        f"{len(count)} tests",
    )


def published_laws() -> Iterator[Row]:
    """Every golden value of the published laws, and what the reference sheet lists, evaluated again."""
    from hptransfer.comparison.at_target import compare
    from hptransfer.planning import Target
    from hptransfer.published import entries, published_law

    wanted = "golden or reference_table or reference_ratios or timescale"
    done = run([sys.executable, "-m", "pytest", "-q", "-k", wanted, "-p", "no:cacheprovider", "tests"])
    laws = [published_law(law_id) for law_id in entries()]
    goldens = sum(len(entry["golden"]) for entry in entries().values())
    passed = "all within the digits printed" if done.returncode == 0 else done.stdout.strip()[-200:]
    yield (f"{len(laws)} published laws, {goldens} golden values", passed, "laws.md 16 and 19")
    experimental = ", ".join(law.id for law in laws if law.experimental)
    yield ("experimental, never a default", experimental, "recalled or uncertain ones")
    for params, tokens in ((1e9, 2e10), (7e9, 1e12), (70e9, 15e12)):
        found = compare(Target(params=params, tokens=tokens), ids=ADAMW_LAWS)
        values = ", ".join(f"{one.law.id} {one.peak_lr:.3g}" for one in found if one.peak_lr)
        yield (f"peak LR at {params:.3g} / {tokens:.3g}", values, "laws.md 16.1")


ADAMW_LAWS = ("step-law", "deepseek-llm", "moonlight", "openeurollm", "kaplan")
OPEN_EURO = SHARED / "data/oellm_dense_english_upto_302M.csv"
GRIDS = {
    "Step Law's grid": (STEP_LAW, ("N", "D", "lr", "bs", "smooth loss"), 2048),
    "OpenEuroLLM's grid": (OPEN_EURO, ("N", "D", "lr", "gbsz", "loss"), 4096),
}


def anchors() -> Iterator[Row]:
    """Each cell of a real grid as the anchor of every dearer one: error and coverage, by law."""
    for grid, (path, columns, seq_len) in GRIDS.items():
        if not path.exists():
            yield (f"anchors on {grid}", "not here: needs ../shared/data", "")
            continue
        cells = interior_optima(path, columns, seq_len)
        for law_id in ("step-law", "deepseek-llm", "moonlight", "openeurollm"):
            yield (f"{law_id} from one cell of {grid}", *anchored_errors(law_id, cells))


def interior_optima(path: Path, columns: tuple[str, ...], seq_len: int) -> list[tuple[float, ...]]:
    """(params, tokens, lr, batch_tokens) of the best run of each cell that is not on its grid's edge."""
    cells: dict[tuple[float, float], list[tuple[float, ...]]] = {}
    with path.open() as lines:
        for row in csv.DictReader(lines):
            params, tokens, *run_values = (float(row[column] or "nan") for column in columns)
            if math.isfinite(run_values[-1]):
                cells.setdefault((params, tokens), []).append(tuple(run_values))
    optima: list[tuple[float, ...]] = []
    for scale, runs in cells.items():
        lr, batch, _ = min(runs, key=lambda values: values[-1])
        inside = [
            min(level) < best < max(level)
            for best, level in ((lr, [r[0] for r in runs]), (batch, [r[1] for r in runs]))
        ]
        if all(inside):
            optima.append((*scale, lr, batch * seq_len))
    return optima


def anchored_errors(law_id: str, cells: list[tuple[float, ...]]) -> tuple[str, str]:
    """Median factor off and coverage of the 90 % intervals over all pairs; beside it the law's own level."""
    from hptransfer.anchoring import Anchor, anchor
    from hptransfer.planning import Target, plan
    from hptransfer.published import published_law

    law = published_law(law_id)
    off: dict[str, list[float]] = {"lr": [], "batch": [], "own level": []}
    covered: dict[str, list[bool]] = {"lr": [], "batch": []}
    for near, far in itertools.permutations(cells, 2):
        if near[0] * near[1] >= far[0] * far[1]:
            continue
        target = Target(params=far[0], tokens=far[1])
        tuned = Anchor(params=near[0], tokens=near[1], lr=near[2], batch_tokens=near[3])
        moved = plan(anchor(law, [tuned]), target, rounding="none")
        alone = plan(law.model_copy(update={"flops_formula": "6ND"}), target, rounding="none")
        assert moved.peak_lr
        assert moved.batch_tokens
        assert alone.peak_lr
        off["lr"].append(abs(math.log(moved.peak_lr / far[2])))
        off["batch"].append(abs(math.log(moved.batch_tokens / far[3])))
        off["own level"].append(abs(math.log(alone.peak_lr / far[2])))
        for name, bounds, best in (
            ("lr", moved.peak_lr_interval, far[2]),
            ("batch", moved.batch_tokens_interval, far[3]),
        ):
            assert bounds
            covered[name].append(bounds[0] <= best <= bounds[1])
    factor = {name: math.exp(statistics.median(values)) for name, values in off.items()}
    share = {name: statistics.mean(values) for name, values in covered.items()}
    return (
        f"LR off x{factor['lr']:.2f}, batch x{factor['batch']:.2f}; "
        f"90 % intervals hold {share['lr']:.0%} and {share['batch']:.0%} ({len(off['lr'])} pairs)",
        f"LR at the law's own level: x{factor['own level']:.2f}",
    )


def shapes() -> Iterator[Row]:
    """One simulated sweep in ten shapes, fitted with no flag beyond --column for the loss."""
    sys.path.insert(0, str(PROJECT))
    from tests.readers.shapes import SHAPES

    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            path, law = shape.write(Path(folder)), str(Path(folder) / "law.json")
            column = ["--column", f"loss={shape.loss}"] if shape.loss else []
            command = [*PROGRAM, "fit", "-" if shape.is_stdin else str(path), *column, "-o", law]
            content = path.read_text() if shape.is_stdin else None
            done = subprocess.run(command, capture_output=True, text=True, check=False, input=content)
            if done.returncode:
                yield (f"fit {name}", done.stderr.strip().splitlines()[-1], "fitted")
                continue
            fitted = json.loads(Path(law).read_text())
        exponents = ", ".join(f"{k}^{v:.3f}" for k, v in fitted["peak_lr"]["exponents"].items())
        yield (f"fit {name}", f"{fitted['fit']['runs']} runs, LR {exponents}", " ".join(column))


MILLION = """
import resource, sys, time
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
if sys.argv[1] == "plain":
    import csv
    start = time.process_time()
    with open(sys.argv[2], newline="") as file:
        for _ in csv.reader(file): pass
else:
    from hptransfer.readers import read_sweep
    start = time.process_time()
    read_sweep(sys.argv[2])
print(time.process_time() - start, peak())
"""


def million_rows() -> Iterator[Row]:
    """A million rows of seven columns: CPU time (the machine may be shared) and peak memory of a process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.csv"
        rng = random.Random(0)
        with path.open("w") as file:
            file.write("run,params,tokens,lr,batch_tokens,optimizer,loss\n")
            for i in range(1_000_000):
                scale = f"{rng.choice((60, 120, 250))}000000,{rng.choice((2, 4))}000000000"
                lr, loss = 10 ** rng.uniform(-4, -2), rng.uniform(3, 3.4)
                file.write(f"r{i},{scale},{lr:.5g},{rng.choice((65536, 131072))},adamw,{loss:.5f}\n")
        measured: dict[str, list[tuple[float, float]]] = {"plain": [], "hptransfer": []}
        for _ in range(3):
            for name, values in measured.items():
                done = run([sys.executable, "-c", MILLION, name, str(path)])
                seconds, megabytes = map(float, done.stdout.split())
                values.append((seconds, megabytes))
    (plain, plain_peak), (ours, ours_peak) = (min(values) for values in measured.values())
    yield (
        "1,000,000 CSV rows: CPU time",
        f"{ours:.1f} s",
        f"csv.reader alone {plain:.2f} s: {ours / plain:.1f}x",
    )
    yield ("1,000,000 CSV rows: peak memory", f"{ours_peak:.0f} MB", f"csv.reader alone {plain_peak:.0f} MB")


def hostile_inputs() -> Iterator[Row]:
    """A gzip bomb and a locked database: a clear error, in bounded memory."""
    with tempfile.TemporaryDirectory() as folder:
        bomb = Path(folder) / "bomb.csv.gz"
        for what, start, block in (
            ("of rows", b"params,tokens,lr,loss\n", b"1e8,2e9,1e-3,3.0\n"),
            ("of one line", b"", b"x"),
        ):
            piece = gzip.compress(block * (10_000_000 // len(block)))
            bomb.write_bytes(gzip.compress(start) + 500 * piece)
            size = f"5 GB in {bomb.stat().st_size / 1e6:.0f} MB"
            yield (f"gzip bomb {what}, {size}", *refusal([*PROGRAM, "fit", str(bomb)]))
        database = Path(folder) / "study.db"
        packed = PROJECT / "tests/readers/data/optuna.db.gz"
        database.write_bytes(gzip.decompress(packed.read_bytes()))
        lock = sqlite3.connect(database, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        yield ("locked SQLite file", *refusal([*PROGRAM, "fit", str(database)]))
        lock.close()


def refusal(arguments: list[str]) -> tuple[str, str]:
    """Exit code and last line of stderr without the path; peak memory of the process."""
    program = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    done = run([sys.executable, "-c", program, *arguments])
    code, peak = done.stdout.split()
    return f"exit {code}: {done.stderr.strip().splitlines()[-1].split(': ', 3)[-1]}", f"peak {peak} MB"


DOCTORED = (
    ("misfitting_openlm.csv", "one mislabelled model size, then LR at a fixed batch"),
    ("marin_adamw_ablations.csv", "one factor at a time: LR over tokens at one size"),
    ("lr_scheduling.csv", "LR over horizon at one size, one schedule"),
    ("mup_mlp_cifar_bad_hp.csv", "nothing: every best LR is the lowest tried"),
    ("olmo_ladder.csv", "nothing: one LR a size"),
)


def doctor() -> Iterator[Row]:
    """What `doctor` says of sweeps whose state is known."""
    for name, aim in DOCTORED:
        path = SHARED / "data" / name
        if not path.exists():
            yield (f"doctor {name}", "not here: needs ../shared/data", aim)
            continue
        content = json.loads(run([*PROGRAM, "doctor", str(path), "--json"]).stdout)
        named = [f["message"] for f in content["findings"] if f["code"] == "mislabelled-rows"]
        for message in named or ["none"]:
            yield (f"doctor {name}: mislabelled", message.split(":")[0], "")
        verdict = content["verdict"]
        yield (f"doctor {name}: verdict", f"{verdict['sentence']}: {verdict['reason']}", aim)
        if content["fit"] is not None:
            yield (f"doctor {name}: its fit line", _as_typed(content["fit"]), "exit 0")


def _as_typed(line: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return f"exit {run([*PROGRAM, *shlex.split(line)[1:]], folder).returncode}"


MUP_MLP, MUP_BAD, COORDINATES = (
    SHARED / "data" / name
    for name in ("mup_mlp_cifar.csv", "mup_mlp_cifar_bad_hp.csv", "coordcheck_nanogpt.csv")
)


def width() -> Iterator[Row]:
    """Drift of the best LR with width on mup's own runs, and verdicts on six coordinate checks."""
    if not MUP_MLP.exists():
        yield ("width and coordcheck", "not here: needs ../shared/data", "")
        return
    aims = {"mup": "within +-0.1 log2 per doubling", "sp": "about -0.6"}
    found = run([*PROGRAM, "width", str(MUP_MLP), "--column", "loss=loss_epoch5", "--json"])
    for one in json.loads(found.stdout):
        drift = one["drifts"][0]
        text = f"{drift['per_doubling']:+.3f} [{drift['low']:+.3f}, {drift['high']:+.3f}]: {one['verdict']}"
        yield (f"mup_mlp_cifar, epoch 5, {one['parametrization']}", text, aims[one["parametrization"]])
    found = run([*PROGRAM, "width", str(MUP_BAD), "--column", "loss=loss_epoch5", "--json"])
    for one in json.loads(found.stdout):
        aim = "not enough usable runs"
        yield (f"mup_mlp_cifar_bad_hp, {one['parametrization']}", one["verdict"], aim)
    for one in json.loads(run([*PROGRAM, "coordcheck", str(COORDINATES), "--json"]).stdout):
        yield (f"coordcheck_nanogpt, {one['parametrization']}", f"{one['verdict']}: {one['looks_like']}", "")


def parametrization_goldens() -> Iterator[Row]:
    """Factors by tensor class against the tables of the papers, as tests."""
    done = run([sys.executable, "-m", "pytest", "-q", "tests/parametrizations", "-p", "no:cacheprovider"])
    count = len(re.findall(r"\.", done.stdout))
    passed = "all passed" if done.returncode == 0 else done.stdout.strip().splitlines()[-1]
    yield ("golden numbers and equalities of 23 rule sets", passed, f"{count} tests")


def trained_proof() -> Iterator[Row]:
    """The shipped runs of examples/train_width.py: best base LR at width 32 and at 8x, muP and SP."""
    found = run([*PROGRAM, "width", str(PROJECT / "examples/width_sweep.csv"), "--json"])
    for one in json.loads(found.stdout):
        best = {at["width"]: at["lr"] for at in one["widths"] if at["lr"] is not None}
        text = ", ".join(f"width {width:g}: 2^{math.log2(lr):.2f}" for width, lr in best.items())
        aim = {"mup": "within one grid step (1.00)", "sp": "moves"}[one["parametrization"]]
        yield (f"trained proof, best LR, {one['parametrization']}", text, aim)


def surface() -> Iterator[Row]:
    """Prior `none`, speed of the surface's refits, and the loop of scipy beside them."""
    if REGRET.exists():
        done = run([sys.executable, str(REGRET), "--hptransfer", " ".join(PROGRAM), "--prior", "none"])
        for line in done.stdout.splitlines():
            if line.startswith(("mean of", "hptransfer, dense")):
                yield ("surface, prior none", line, "")
    bench = run([sys.executable, str(PROJECT / "benchmarks/numerics/bench_surface.py")])
    for line in bench.stdout.splitlines()[1:]:
        fields = line.split()
        if len(fields) == 6:
            runs, resamples, whole, point, drawn, _ = fields
            text = f"selection and fit {whole} s, fit alone {point} s, resamples {drawn} s"
            yield (f"surface: {runs} runs, {resamples} resamples", text, "1746: fit + 1000 below 2 s")
        else:
            yield ("surface refits", line, "at least 10x" if "loop" in line else "")


def prior_shifts() -> Iterator[Row]:
    """Each centre of the prior `weak` moved by 0.2: plans at held-out scales."""
    done = run([sys.executable, str(PROJECT / "benchmarks/prior_shifts.py")])
    header, *rows = done.stdout.splitlines() or [done.stderr.strip()[-80:]]
    names = re.split(r"\s{2,}", header.strip())
    for row in rows:
        shift, *scores = re.split(r"\s{2,}", row.strip())
        text = "; ".join(f"{name} {score}" for name, score in zip(names[1:], scores, strict=False))
        yield (f"prior weak, {shift}", text, "mean of five moves by 0.01 at most")


def pinned_batch() -> Iterator[Row]:
    """Intervals of the peak LR where the batch is pinned."""
    done = run([sys.executable, str(PROJECT / "benchmarks/pinned_batch.py")])
    for line in done.stdout.splitlines() or [done.stderr.strip()[-80:]]:
        name, _, text = line.partition(": ")
        yield (f"90 % interval of the LR at a pinned batch, {name}", text, "85 % covered")


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "step-law-file": step_law_file,
    "regret": regret,
    "loss-law": loss_law,
    "surface": surface,
    "prior-shifts": prior_shifts,
    "pinned-batch": pinned_batch,
    "cold-start": cold_start,
    "properties": properties,
    "published-laws": published_laws,
    "anchors": anchors,
    **schedule_sections.SECTIONS,
    **check_sections.SECTIONS,
    **batch_sections.SECTIONS,
    **power_sections.SECTIONS,
    **critical_sections.SECTIONS,
    **weight_decay_sections.SECTIONS,
    **design_sections.SECTIONS,
    **proof_sections.SECTIONS,
    **trainer_sections.SECTIONS,
    "reports": report_sections.reports,
    "backtests": backtest_sections.backtests,
    "diagnostics": diagnosis_sections.diagnostics,
    "shapes": shapes,
    "million-rows": million_rows,
    "hostile-inputs": hostile_inputs,
    "doctor": doctor,
    "width": width,
    "parametrizations": parametrization_goldens,
    "trained-proof": trained_proof,
}


def main() -> None:
    """Print the table, a section at a time."""
    wanted = sys.argv[1:] or list(SECTIONS)
    print("| figure | measured | aim or beside it |\n|---|---|---|")
    for name in wanted:
        for row in SECTIONS[name]():
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
