"""Train one run of a plan file and print its result; the same row gives the same loss, bit for bit.

    python -m examples.proxies.train examples/proxies/sp_plan.csv --run NAME

Bit for bit holds on one kind of CPU with one version of torch: other kernels add in another order.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from examples.proxies.model import (
    DEPTH,
    WEIGHT_DECAY,
    LanguageModel,
    cosine,
    params_non_embedding,
    prepare,
    window,
)
from examples.proxies.runs import Run, read_plan
from examples.proxies.text import STREAMS, text

WARMUP_FRACTION = 0.02
CHUNK = 1024  # tokens that go through the model at once; what a batch holds beyond is accumulated
HELD_OUT_TOKENS, HELD_OUT_SEED = 2**16, 2**31  # the same held-out text for every run; seeds of runs are small
COLUMNS = (
    "run",
    "parametrization",
    "params_non_embedding",
    "width",
    "depth",
    "tokens",
    "batch_tokens",
    "steps",
    "seq_len",
    "lr",
    "schedule",
    "warmup_fraction",
    "optimizer",
    "weight_decay",
    "dataset",
    "seed",
    "loss",
    "cpu_s",
    "wall_s",
)
LOOK_EVERY = 64  # steps between looks at whether the run has blown up


def train(run: Run) -> dict[str, Any]:
    """Train a run and return its result: what it was, its held-out loss (nan if it blew up), its times."""
    torch.set_num_threads(1)
    started, started_cpu = time.perf_counter(), time.process_time()
    loss = _final_loss(run)
    return {
        "run": run.name,
        "parametrization": run.parametrization,
        "params_non_embedding": params_non_embedding(run.width),
        "width": run.width,
        "depth": DEPTH,
        "tokens": run.tokens,
        "batch_tokens": run.batch_tokens,
        "steps": run.tokens // run.batch_tokens,
        "seq_len": 1,
        "lr": run.lr,
        "schedule": "cosine",
        "warmup_fraction": WARMUP_FRACTION,
        "optimizer": "adamw",
        "weight_decay": WEIGHT_DECAY,
        "dataset": "seeded-back-off-chain",
        "seed": run.seed,
        "loss": loss,
        "cpu_s": f"{time.process_time() - started_cpu:.2f}",
        "wall_s": f"{time.perf_counter() - started:.2f}",
    }


def _final_loss(run: Run) -> float:
    model, optimizer = prepare(run.parametrization, run.width, run.lr, run.seed)
    tokens = torch.from_numpy(text(run.tokens, seed=run.seed))
    steps = run.tokens // run.batch_tokens
    warmup = max(1, round(WARMUP_FRACTION * steps))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * cosine(step, steps, warmup)
        loss = _accumulate(model, tokens, step * run.batch_tokens, run.batch_tokens)
        if step % LOOK_EVERY == 0 and not math.isfinite(loss.item()):
            return math.nan
        optimizer.step()
        optimizer.zero_grad()
    loss_at_the_end: float = held_out_loss(model)
    return loss_at_the_end


def _accumulate(model: LanguageModel, tokens: torch.Tensor, start: int, count: int) -> torch.Tensor:
    """Add up the gradient of the mean loss of a batch, a chunk at a time; return the last chunk's share."""
    for at in range(start, start + count, CHUNK):
        size = min(CHUNK, start + count - at)
        context, following = window(tokens, at, size)
        loss = functional.cross_entropy(model(context), following) * (size / count)
        loss.backward()
    return loss.detach()


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
def held_out_loss(model: LanguageModel) -> float:
    """Mean loss in nats per token on text that no run trains on; nan where it is not finite."""
    tokens = torch.from_numpy(text(HELD_OUT_TOKENS, seed=HELD_OUT_SEED))
    total = 0.0
    for at in range(0, HELD_OUT_TOKENS, STREAMS):
        context, following = window(tokens, at, STREAMS)
        total += functional.cross_entropy(model(context), following, reduction="sum").item()
    loss = total / HELD_OUT_TOKENS
    return loss if math.isfinite(loss) else math.nan


def main() -> None:
    """Read which run, train it, print its result as JSON."""
    parser = argparse.ArgumentParser(description="Train one run of a plan file.")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--run", required=True, help="its name, or its row: 1 is the first")
    arguments = parser.parse_args()
    runs = read_plan(arguments.plan)
    named = {run.name: run for run in runs} | {str(row): run for row, run in enumerate(runs, start=1)}
    if arguments.run not in named:
        sys.exit(f"{arguments.plan} has no run {arguments.run}; it has {len(runs)}, such as {runs[0].name}.")
    print(json.dumps(train(named[arguments.run])))


if __name__ == "__main__":
    main()
