"""The target of a plan, as the options give it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hptransfer.cli.options import params_kind_of
from hptransfer.errors import UsageError
from hptransfer.files import read_text
from hptransfer.planning import Target, target_scale
from hptransfer.quantities import parse_positive
from hptransfer.targets import read_targets


@dataclass(frozen=True)
class Wanted:
    """The target as the options give it."""

    params: str | None
    tokens: str | None
    flops: str | None
    batch_tokens: str | None
    seq_len: int | None
    width: int | None
    depth: int | None
    params_kind: str | None

    def target(self) -> Target:
        """One target from two of --params, --tokens and --flops."""
        params, tokens = target_scale(
            params=_positive(self.params, "--params"),
            tokens=_positive(self.tokens, "--tokens"),
            flops=_positive(self.flops, "--flops"),
        )
        approximated = self.flops is not None
        return replace(self._common(), params=params, tokens=tokens, flops_approximated=approximated)

    def targets(self, path: str) -> list[Target]:
        """Many targets from a CSV; --params, --tokens and --flops do not go with it."""
        if self.params or self.tokens or self.flops:
            msg = "--targets brings its own params and tokens: leave out --params, --tokens and --flops."
            raise UsageError(msg)
        return read_targets(read_text(path).splitlines(), path, self._common())

    def _common(self) -> Target:
        return Target(
            params=1.0,
            tokens=1.0,
            batch_tokens=_positive(self.batch_tokens, "--batch-tokens"),
            seq_len=self.seq_len,
            width=self.width,
            depth=self.depth,
            params_kind=params_kind_of(self.params_kind) or "unspecified",
        )


def _positive(text: str | None, flag: str) -> float | None:
    return None if text is None else parse_positive(text, flag)
