"""What a number called weight decay means: conventions, and conversions between them.

Plans and laws hold PyTorch's: each update multiplies a weight by 1 - lr * weight_decay, at the LR of that
update. Others leave the LR out and keep only its schedule, s = lr / peak LR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from hptransfer.errors import RefusalError, plain
from hptransfer.law import Law
from hptransfer.plans.arithmetic import Numbers

if TYPE_CHECKING:
    from hptransfer.sweep import Sweep

SETTING = "weight_decay_convention"
PYTORCH = "pytorch"
CONVENTIONS: Mapping[str, str] = MappingProxyType(
    {
        PYTORCH: "w <- w (1 - lr weight_decay): torch.optim.AdamW, and most trainers",
        "independent": "w <- w (1 - s weight_decay), s = lr / peak LR: arXiv:1711.05101, arXiv:2309.14322",
        "composer": "as independent, s = lr / initial LR: Composer's DecoupledAdamW built with the peak LR",
    }
)


def to_pytorch(value: Numbers, convention: str, *, peak_lr: Numbers) -> Numbers:
    """Weight decay as PyTorch counts it.

    Args:    value: in a convention of `CONVENTIONS`; peak_lr: of the same run. They broadcast together.

    >>> to_pytorch(1e-4, "independent", peak_lr=1e-3)
    0.1
    """
    return value if convention == PYTORCH else value / peak_lr


def from_pytorch(value: Numbers, convention: str, *, peak_lr: Numbers) -> Numbers:
    """Weight decay of PyTorch in another convention: the reverse of `to_pytorch`.

    >>> from_pytorch(0.1, "composer", peak_lr=1e-3)
    0.0001
    """
    return value if convention == PYTORCH else value * peak_lr


def law_convention(law: Law) -> str:
    """How the weight decay that the runs behind a law held is counted.

    Raises:  RefusalError for a convention that nobody knows.
    """
    said = str(law.setting.get(SETTING, PYTORCH))
    if said not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        msg = f"law {plain(law.id)}, setting {SETTING}: got {plain(said, limit=60)!r}, need one of {known}."
        raise RefusalError(msg)
    return said


def counted_as(sweep: Sweep, convention: str) -> Sweep:
    """A sweep whose weight decays are counted in a convention: what varied is converted, what was held noted.

    Held independent of the LR, it is no constant in PyTorch's convention: plans convert it at their LR.
    """
    if convention == PYTORCH:
        return sweep
    if sweep.weight_decay is not None:
        decay = to_pytorch(sweep.weight_decay, convention, peak_lr=sweep.lr)
        return replace(sweep, weight_decay=decay)
    if "weight_decay" in sweep.setting:
        return replace(sweep, setting={**sweep.setting, SETTING: convention})
    return sweep
