"""A small neural language model: the last four tokens embedded, residual feed-forward blocks, a readout.

Bengio et al. 2003 with the blocks of a Transformer. No attention: four tokens of context are all that the
text rewards, and a CPU spends its time in matrix products then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from examples.proxies.text import ORDER, STREAMS, VOCABULARY
from hptransfer.parametrizations.grouping import Group, base_values, param_groups
from hptransfer.parametrizations.scaling import Scaling

DEPTH, EXPANSION = 1, 4
BASES = {  # base width, and init std there: hidden matrices start alike at width 16
    "sp": (8, 0.25),
    "mup": (16, 0.25 * 2.0**-0.5),
}
BETAS, EPS, WEIGHT_DECAY = (0.9, 0.95), 1e-8, 0.1


class Block(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pre-norm feed-forward in a residual branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, EXPANSION * width, bias=False)
        self.down = nn.Linear(EXPANSION * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The stream after the block."""
        branch: torch.Tensor = self.down(functional.relu(self.up(functional.layer_norm(x, x.shape[-1:]))))
        return x + branch


class LanguageModel(nn.Module):  # type: ignore[misc, unused-ignore]
    """One embedding for every place in the context, blocks, norm, untied readout."""

    def __init__(self, width: int, readout_multiplier: float) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(ORDER * VOCABULARY, width, mode="sum")
        self.blocks = nn.ModuleList(Block(width) for _ in range(DEPTH))
        self.readout = nn.Linear(width, VOCABULARY, bias=False)
        self.readout_multiplier = readout_multiplier

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Logits (batch, VOCABULARY) from the last tokens (batch, ORDER), shifted by place as in `window`."""
        x = self.embedding(context)
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.readout(self.readout_multiplier * functional.layer_norm(x, x.shape[-1:]))
        return logits


def params_non_embedding(width: int) -> int:
    """Parameters of the blocks: what `params` counts in the sweep."""
    return DEPTH * 2 * EXPANSION * width * width


def window(text: torch.Tensor, start: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Contexts (count, ORDER) and targets (count,) of consecutive tokens of a text."""
    at = start + ORDER * STREAMS
    places = [text[at - back * STREAMS :][:count] + (back - 1) * VOCABULARY for back in range(1, ORDER + 1)]
    return torch.stack(places, dim=1), text[at : at + count]


def groups_of(parametrization: str, width: int, lr: float) -> Mapping[str, Group]:
    """LR, init and multiplier of every tensor class, by the rules that `hptransfer plan` follows."""
    base_width, base_init_std = BASES[parametrization]
    scaling = Scaling(
        rule_set=parametrization,
        width=width,
        base_width=base_width,
        base_init_std=base_init_std,
        base_eps=EPS,
        base_weight_decay=WEIGHT_DECAY,
    )
    return param_groups(scaling, base_values(scaling, peak_lr=lr, weight_decay=WEIGHT_DECAY, eps=EPS)).groups


def prepare(
    parametrization: str, width: int, lr: float, seed: int
) -> tuple[LanguageModel, torch.optim.AdamW]:
    """A model with its init, and its optimizer with the LRs of all tensors at their peak."""
    classes = groups_of(parametrization, width, lr)
    model = LanguageModel(width, classes["readout"].multiplier or 1.0)
    tensors = {
        "embedding": [model.embedding.weight],
        "hidden": [p for block in model.blocks for p in block.parameters()],
        "readout": [model.readout.weight],
    }
    draws = torch.Generator().manual_seed(seed)
    settings = []
    for name, parameters in tensors.items():
        values = classes[name]
        for parameter in parameters:
            nn.init.normal_(parameter, std=values.init_std or 0.0, generator=draws)
        settings.append(
            {
                "params": parameters,
                "lr": values.lr,
                "peak_lr": values.lr,
                "eps": values.eps,
                "weight_decay": values.weight_decay,
            }
        )
    return model, torch.optim.AdamW(settings, betas=BETAS, fused=True)


def cosine(step: int, steps: int, warmup: int) -> float:
    """LR over peak LR: linear warm-up, then a cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
