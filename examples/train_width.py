"""Train a small decoder-only Transformer at several widths, with the parameter groups that `plan` wrote.

    python examples/train_width.py --widths 32 64 128 256 -o sweep.csv [--coordinates log.csv]
    hptransfer width sweep.csv

Every width is planned with `hptransfer plan --parametrization NAME --base-width 32 --width W -o config`; the
groups of `torch.optim.AdamW` come from that config (`hptransfer.torch`), and the sweep moves the base LR.
The data are simulated: tokens of a fixed second-order Markov chain. CPU, minutes. Needs torch.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hptransfer.config import TrainConfig, config_from_yaml
from hptransfer.torch import apply_multipliers, init_, param_groups, tensor_values

VOCABULARY, SEQ_LEN, BATCH_SEQS, DEPTH, HEAD_DIM = 64, 32, 32, 2, 16
BASE_WIDTH = 32
LAWS = {"mup": "power-scheduler", "sp": "step-law"}  # any law of the same family: the sweep sets the LR
COORDINATE_STEPS, COORDINATE_LR = 6, 2.0**-6


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each in a residual branch."""

    def __init__(self, width: int, attention_scale: float) -> None:
        super().__init__()
        self.attention_scale = attention_scale
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The stream after the block, and the outputs of its two branches."""
        batch, length, width = x.shape
        y = self.attention_norm(x)
        q, k, v = (
            layer(y).view(batch, length, -1, HEAD_DIM).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        heads = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.attention_scale)
        attention = self.o(heads.transpose(1, 2).reshape(batch, length, width))
        x = x + attention
        mlp = self.down(functional.gelu(self.up(self.mlp_norm(x))))
        return x + mlp, attention, mlp


class Decoder(nn.Module):
    """Token and position embeddings, blocks, final norm, untied readout."""

    def __init__(self, width: int, attention_scale: float) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, width), nn.Embedding(SEQ_LEN, width)
        self.blocks = nn.ModuleList(Block(width, attention_scale) for _ in range(DEPTH))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Logits, and the activations that a coordinate check looks at."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        seen = {"embedding_act": x}
        for block in self.blocks:
            x, seen["attention_act"], seen["mlp_act"] = block(x)
        seen["lm_head_act"] = self.head(self.ln_f(x))
        return seen["lm_head_act"], seen


def chain(generator: torch.Generator) -> torch.Tensor:
    """Next-token probabilities given two tokens: (vocabulary, vocabulary, vocabulary)."""
    first, second = (torch.rand(VOCABULARY, VOCABULARY, generator=generator) for _ in range(2))
    logits = -4.0 * first.log()[:, None, :] - 2.0 * second.log()[None, :, :]
    return functional.softmax(logits, dim=-1)


def batches(seed: int) -> Iterator[torch.Tensor]:
    """Endless batches of tokens, (BATCH_SEQS, SEQ_LEN + 1); the chain is the same for every seed."""
    probabilities = chain(torch.Generator().manual_seed(0))
    draws = torch.Generator().manual_seed(seed + 1)
    while True:
        columns = [torch.randint(VOCABULARY, (BATCH_SEQS,), generator=draws) for _ in range(2)]
        while len(columns) <= SEQ_LEN:
            following = torch.multinomial(probabilities[columns[-1], columns[-2]], 1, generator=draws)
            columns.append(following.squeeze(1))
        yield torch.stack(columns, dim=1)


def planned(parametrization: str, width: int) -> TrainConfig:
    """The config that `hptransfer plan` writes for this width."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        sizes = f"--base-width {BASE_WIDTH} --width {width} --base-head-dim {HEAD_DIM} --base-init-std 0.1"
        target = "--params 1e6 --tokens 1e8 --batch-tokens 1024 --seq-len 32 --round none"
        options = f"--law {LAWS[parametrization]} {target} --parametrization {parametrization} {sizes}"
        command = [sys.executable, "-m", "hptransfer", "plan", *options.split()]
        command += ["--base-weight-decay", "0", "-q", "-o", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return config_from_yaml(path.read_text(encoding="utf-8"), path.name)


def prepare(config: TrainConfig, width: int, lr: float, seed: int) -> tuple[Decoder, torch.optim.Optimizer]:
    """A model and its optimizer, with init, multipliers and learning rates of the plan at this base LR."""
    assert config.parametrization is not None
    scale = config.parametrization.attention_scale or HEAD_DIM**-0.5
    with torch.device("meta"):
        base = Decoder(BASE_WIDTH, scale)
    model = Decoder(width, scale)
    values = tensor_values(model, config, base_model=base)
    torch.manual_seed(seed)
    init_(model, values)
    apply_multipliers(model, values)
    groups = param_groups(model, config, values=values)
    for group in groups:
        group["lr"] = lr * group["lr_ratio"]
    return model, torch.optim.AdamW(groups, betas=(config.beta1, config.beta2))


def train(
    config: TrainConfig, width: int, lr: float, *, steps: int, seed: int
) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Yield step, loss and mean absolute activations; warm-up of a tenth, then linear to zero."""
    model, optimizer = prepare(config, width, lr, seed)
    warmup = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup))
    )
    for step, tokens in zip(range(steps), batches(seed), strict=False):
        logits, seen = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield step, loss.item(), {name: act.abs().mean().item() for name, act in seen.items()}


def final_loss(config: TrainConfig, width: int, lr: float, *, steps: int, seed: int) -> float:
    """Mean loss of the last tenth of the steps; every batch is new, so it is a held-out loss."""
    losses = [loss for _, loss, _ in train(config, width, lr, steps=steps, seed=seed)]
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def sweep(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a run of the LR sweep."""
    for parametrization in arguments.parametrizations:
        for width in arguments.widths:
            config = planned(parametrization, width)
            for power in arguments.log2_lrs:
                lr = 2.0**power
                loss = final_loss(config, width, lr, steps=arguments.steps, seed=arguments.seed)
                print(f"{parametrization} width {width} lr 2^{power:g}: loss {loss:.4f}", flush=True)
                yield {
                    "parametrization": parametrization,
                    "width": width,
                    "depth": DEPTH,
                    "lr": lr,
                    "tokens": arguments.steps * BATCH_SEQS * SEQ_LEN,
                    "batch_tokens": BATCH_SEQS * SEQ_LEN,
                    "optimizer": "adamw",
                    "seed": arguments.seed,
                    "loss": f"{loss:.5f}",
                }


def coordinates(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a step of the first few, at a fixed base LR."""
    for parametrization in arguments.parametrizations:
        for width in arguments.widths:
            config = planned(parametrization, width)
            for seed in range(3):
                run = train(config, width, COORDINATE_LR, steps=100, seed=seed)
                for step, loss, sizes in islice(run, COORDINATE_STEPS):
                    yield {
                        "parametrization": parametrization,
                        "width": width,
                        "seed": seed,
                        "step": step,
                        **{name: f"{size:.6g}" for name, size in sizes.items()},
                        "train_loss": f"{loss:.5f}",
                    }


def write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows as they come, so that an interrupted sweep keeps its runs."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(stream, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
            stream.flush()


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description="LR sweep over widths, by the groups that plan wrote.")
    parser.add_argument("--parametrizations", nargs="+", choices=sorted(LAWS), default=["mup", "sp"])
    parser.add_argument("--widths", nargs="+", type=int, default=[32, 64, 128, 256])
    parser.add_argument("--log2-lrs", nargs="+", type=float, default=[-11, -10, -9, -8, -7, -6, -5, -4, -3])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="CSV of the sweep")
    parser.add_argument("--coordinates", type=Path, help="CSV of activation sizes in the first steps")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.output:
        write(arguments.output, sweep(arguments))
    if arguments.coordinates:
        write(arguments.coordinates, coordinates(arguments))


if __name__ == "__main__":
    main()
