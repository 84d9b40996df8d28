"""Small models in torch that the oracle tests share. Import only inside functions: torch is no dev need."""

from __future__ import annotations

from typing import Any


def transformer(width: int, *, ffn: int, readout: Any = None, vocabulary: int = 64) -> Any:
    """One block with every tensor class, rectangular matrices among them."""
    from torch import nn

    class Block(nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(width)
            self.q = nn.Linear(width, width)
            self.k = nn.Linear(width, width, bias=False)
            self.v = nn.Linear(width, width, bias=False)
            self.o = nn.Linear(width, width)
            self.up = nn.Linear(width, ffn)
            self.down = nn.Linear(ffn, width)

    class Net(nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(16, width)
            self.block = Block()
            self.ln_f = nn.LayerNorm(width)
            self.head = (readout or nn.Linear)(width, vocabulary)

    return Net()


def perceptron(width: int, *, readout: Any = None) -> Any:
    """Input, two hidden layers, readout; biases everywhere."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(8, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        (readout or nn.Linear)(width, 5),
    )
