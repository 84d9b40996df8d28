"""Evidence for schedules, loss curves, and moving a peak LR between schedules and horizons."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hptransfer.curves.laws import LAW_NAMES, extrapolate, fit_curve_law, held_out
from hptransfer.curves.record import Curve, pick
from hptransfer.numerics import curves as numeric
from hptransfer.plans.conversion import DEFAULT_EXPONENT, THEORY_EXPONENT, convert_peak_lr
from hptransfer.readers.curves import read_curves
from hptransfer.schedules import schedule, schedule_from_spec

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT.parent / "shared/data"
CURVES = DATA / "multipowerlaw_curves.csv"
SCHEDULING = DATA / "lr_scheduling.csv"
DIVERGED = 4.0  # nats; runs of 124M that trained end near 3
MIN_LRS = 3  # that a best one between two others needs

Row = tuple[str, str, str]


def references() -> Iterator[Row]:
    """Reference values, golden refit, bound ratios: the tests that hold them."""
    wanted = {
        "schedule reference values": "tests/schedules -k reference",
        "Tissue golden refit, Multi-Power checks": "tests/numerics/test_curves.py -k golden_or_tiny_or_whole",
        "convex bound's published ratios": "tests/numerics/test_convex_bound.py tests/test_conversion.py",
    }
    for what, arguments in wanted.items():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [part.replace("_or_", " or ") for part in arguments.split()]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
        count = len(re.findall(r"\.", done.stdout.split("\n\n")[0]))
        yield (what, "all passed" if done.returncode == 0 else "FAILED", f"{count} tests")


def loss_curves() -> Iterator[Row]:
    """Fit three schedules of each size, predict the other six; extrapolate cut runs."""
    if not CURVES.exists():
        yield ("loss curves", "not here: needs ../shared/data", "")
        return
    every = read_curves(str(CURVES))
    inside = total = 0
    for size in ("25M", "100M"):
        curves = [curve for curve in every if curve.run.startswith(f"{size}/")]
        fitted_on = [pick(curves, f"{size}/{n}") for n in ("cosine_24000", "constant_24000", "wsdcon_9")]
        rest = [curve for curve in curves if curve.run not in {c.run for c in fitted_on}]
        for name in LAW_NAMES:
            law = fit_curve_law(fitted_on, law=name, warmup_steps=2160)
            errors = [held_out(law, curve).mean_abs_error for curve in rest]
            aim = "at most 0.0050" if name == "multi-power" else "beside it"
            text = f"{np.mean(errors):.5f} (worst run {max(errors):.5f})"
            yield (f"{size}: six schedules predicted, {name}, mean abs error", text, aim)
        for covered in _cut_runs(fitted_on, curves, size):
            inside, total = inside + covered, total + 1
    yield ("cut runs (30 to 85 % logged) that end inside their 90 % interval", f"{inside} of {total}", "90 %")


_ENDS = {
    "cosine_72000": "cosine:steps=72000,final_ratio=0.1",
    "constant_72000": "constant:steps=72000",
    "wsd_20000_24000": "wsd:steps=24000,decay_steps=4000,decay=exponential,final_ratio=0.1",
    "wsdld_20000_24000": "wsd:steps=24000,decay_steps=4000,final_ratio=0.1",
}


def _cut_runs(fitted_on: list[Curve], curves: list[Curve], size: str) -> Iterator[bool]:
    for name, spec in _ENDS.items():
        full = pick(curves, f"{size}/{name}")
        for share in (0.3, 0.5, 0.7, 0.85):
            n = int(share * len(full.steps))
            cut = replace(full, steps=full.steps[:n], lr=full.lr[:n], loss=full.loss[:n])
            end = schedule_from_spec(spec, warmup_steps=2160, peak_lr=3e-4)
            low, high = extrapolate([*fitted_on, cut], full.run, end, warmup_steps=2160).interval
            yield bool(low <= full.loss[-1] <= high)


def long_curves() -> Iterator[Row]:
    """A million curve points."""
    n = 1_000_000
    lr = 3e-4 * schedule("cosine", steps=n, warmup_steps=1000, final_ratio=0.1).curve()
    steps = np.arange(1001, n + 1)
    start = time.perf_counter()
    s1, s2 = (area[steps] for area in numeric.annealing_areas(numeric.flatten_warmup(lr)))
    loss, _ = numeric.annealing_loss(np.array([2.6, 0.43, 0.002, 0.55]), s1, s2)
    numeric.fit_annealing(s1, s2, loss)
    yield ("1e6 points, annealing law: exact areas, prediction and fit", f"{_since(start)}", "seconds")
    start = time.perf_counter()
    published = np.array([2.65, 0.60, 0.453, 437.9, np.log(2.13), 0.598, 0.655])
    _, error = numeric.multi_power_curve(published, lr, steps)
    text = f"{_since(start)}, grouping changes at most {error:.4f} nats"
    yield ("1e6 points, Multi-Power Law: prediction", text, "seconds, with its bound")


def _since(start: float) -> str:
    return f"{time.perf_counter() - start:.1f} s"


Sweeps = dict[tuple[str, str, str, int], dict[float, float]]  # group, schedule, cooldown, steps -> lr -> loss


def peak_moves() -> Iterator[Row]:
    """124M sweeps: the longest horizon from the shorter ones, and cosine from WSD."""
    if not SCHEDULING.exists():
        yield ("peak LR across horizons and schedules", "not here: needs ../shared/data", "")
        return
    sweeps = _sweeps()
    for cooldown in ("0.1", "0.2"):
        group = f"ann124-{cooldown}"
        best = {
            n: _parabola(sweeps[group, "linear", cooldown, n])[0] for n in (15_000, 25_000, 35_000, 50_000)
        }
        short = [15_000, 25_000, 35_000]
        slope, level = np.polyfit(np.log(short), [np.log(best[n]) for n in short], 1)
        fitted = float(np.exp(level + slope * np.log(50_000)))
        ways = {
            f"fitted exponent {slope:.2f}": fitted,
            f"theory {THEORY_EXPONENT:g}": best[35_000] * (50 / 35) ** THEORY_EXPONENT,
            f"default {DEFAULT_EXPONENT:g}": best[35_000] * (50 / 35) ** DEFAULT_EXPONENT,
        }
        for way, lr in ways.items():
            at_50k = sweeps[group, "linear", cooldown, 50_000]
            yield (f"WSD {cooldown}: best LR at 50k from 15k to 35k, {way}", *_score(lr, at_50k))
        yield from _cosine_from_wsd(best[50_000], cooldown, sweeps)
    yield _edges(sweeps)


def _cosine_from_wsd(best: float, cooldown: str, sweeps: Sweeps) -> Iterator[Row]:
    common = {"steps": 50_000, "warmup_steps": 300}
    source = schedule_from_spec(f"wsd:decay_fraction={cooldown}", **common)
    moved = convert_peak_lr(best, source=source, target=schedule_from_spec("cosine", **common)).peak_lr
    for group in ("grad", "cos-zero-124m"):
        losses = sweeps[group, "", "", 50_000]
        finite = {lr: loss for lr, loss in losses.items() if loss < DIVERGED}
        score = _score_below_edge if _on_edge(losses) else _score
        yield (f"cosine at 50k from WSD {cooldown}, sweep {group}", *score(moved, finite))


def _on_edge(losses: dict[float, float]) -> bool:
    """Whether the best LR is the lowest or highest that trained, so that nothing brackets it."""
    finite = {lr: loss for lr, loss in losses.items() if loss < DIVERGED}
    return min(finite, key=finite.__getitem__) in (min(finite), max(finite))


def _edges(sweeps: Sweeps) -> Row:
    searched = {key: losses for key, losses in sweeps.items() if len(losses) >= MIN_LRS}
    named = sorted(
        f"{decay or 'cosine'} {cooldown} {steps // 1000}k ({group})".replace("  ", " ")
        for (group, decay, cooldown, steps), losses in searched.items()
        if _on_edge(losses)
    )
    what = f"{len(named)} of {len(searched)} with {MIN_LRS} or more LRs"
    return ("124M sweeps whose best LR is on the edge of their grid", what, "not scored: " + ", ".join(named))


def _sweeps() -> Sweeps:
    found: Sweeps = defaultdict(dict)
    with SCHEDULING.open() as stream:
        for row in csv.DictReader(stream):
            group = row["run"].split("_")[0]
            is_cosine = row["schedule"] == "cosine" and row["cosine_floor"] == "0.0"
            if row["params"] != "123587328" or not (is_cosine or row["schedule"] == "wsd"):
                continue
            key = (group, row["decay_type"], row["cooldown_frac"], int(row["steps"]))
            if is_cosine:
                key = (group, "", "", int(row["steps"]))
            found[key][float(row["lr"])] = float(row["loss"])
    return found


def _parabola(losses: dict[float, float]) -> tuple[float, np.poly1d]:
    """Best LR and loss over log LR: a parabola through the best point and its neighbours."""
    lrs = sorted(losses)
    at = min(max(lrs.index(min(losses, key=losses.__getitem__)), 1), len(lrs) - 2)
    near = lrs[at - 1 : at + 2]
    curve = np.poly1d(np.polyfit(np.log(near), [losses[lr] for lr in near], 2))
    return float(np.exp(-curve.coeffs[1] / (2 * curve.coeffs[0]))), curve


def _score(lr: float, losses: dict[float, float]) -> tuple[str, str]:
    best, curve = _parabola(losses)
    excess = curve(np.log(lr)) / curve(np.log(best)) - 1
    return f"{lr:.2e}, factor {lr / best:.2f}, excess loss {excess:.3%}", f"seen: {best:.2e}"


def _score_below_edge(lr: float, losses: dict[float, float]) -> tuple[str, str]:
    """Against the highest LR that trained, which is the best seen: the true best may lie beyond."""
    edge = max(losses)
    _, curve = _parabola(losses)
    excess = curve(np.log(lr)) / losses[edge] - 1
    text = f"{lr:.2e}, factor at most {lr / edge:.2f}, excess loss at least {excess:.3%}"
    return text, f"on the grid's edge: {edge:.0e} or more, the next LR diverged"


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "schedule-references": references,
    "loss-curves": loss_curves,
    "long-curves": long_curves,
    "peak-moves": peak_moves,
}
