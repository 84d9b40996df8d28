"""LR optima at fixed cell and batch."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.conditional import slice_optima, slice_vertices

LR = np.log(2.0) * np.arange(-12.0, -4.0)


def _bowls(optima: dict[tuple[int, float], float]) -> dict[str, np.ndarray]:
    """One V-shaped slice of losses per (cell, log batch), best at the given log LR."""
    rows = [(c, b, lr, 2.0 + abs(lr - best)) for (c, b), best in optima.items() for lr in LR]
    cell, log_batch, log_lr, loss = np.array(rows).T
    return {"log_lr": log_lr, "log_batch": log_batch, "loss": loss, "cell": cell.astype(np.int64)}


def test_each_slice_gives_its_own_optimum() -> None:
    optima = {(c, float(b)): LR[2 + b] for c in (0, 1) for b in range(4)}
    data = _bowls(optima)
    shuffled = np.random.default_rng(0).permutation(len(data["loss"]))
    data = {name: column[shuffled] for name, column in data.items()}
    found = slice_optima(
        data["log_lr"], data["log_batch"], loss=data["loss"], cell=data["cell"], threshold=0.0025
    )
    assert (
        dict(zip(zip(found.cell.tolist(), found.log_batch.tolist(), strict=True), found.log_lr, strict=True))
        == optima
    )


def test_slices_with_the_best_run_on_an_edge_and_cells_left_with_two_are_dropped() -> None:
    optima = {(0, float(b)): LR[3] for b in range(3)} | {(0, 9.0): LR[-1]}
    optima |= {(1, 0.0): LR[0], (1, 1.0): LR[3], (1, 2.0): LR[3]}
    data = _bowls(optima)
    found = slice_optima(
        data["log_lr"], data["log_batch"], loss=data["loss"], cell=data["cell"], threshold=0.0025
    )
    assert found.cell.tolist() == [0, 0, 0]
    assert found.log_batch.tolist() == [0.0, 1.0, 2.0]


def test_the_bottom_of_a_parabola_is_found_between_the_lrs() -> None:
    optima = {(c, float(b)): LR[3] + 0.2 * b for c in (0, 1) for b in range(4)}
    data = _bowls(optima)
    best = np.array([optima[int(c), b] for c, b in zip(data["cell"], data["log_batch"], strict=True)])
    data["loss"] = 2.0 * np.exp(0.02 * (data["log_lr"] - best) ** 2)
    shuffled = np.random.default_rng(0).permutation(len(best))
    data = {name: column[shuffled] for name, column in data.items()}
    found = slice_vertices(
        data["log_lr"], data["log_batch"], loss=data["loss"], cell=data["cell"], threshold=0.0025
    )
    assert found.log_lr == pytest.approx(list(optima.values()))
    assert found.others == pytest.approx(np.broadcast_to(found.log_lr, (2, 8)))
    assert not found.width.any()


def test_a_flat_slice_is_open_over_its_near_optimal_lrs() -> None:
    data = _bowls({(0, float(b)): LR[3] for b in range(3)})
    data["loss"] = 2.0 + 1e-4 * np.abs(data["log_lr"] - LR[3])
    found = slice_vertices(
        data["log_lr"], data["log_batch"], loss=data["loss"], cell=data["cell"], threshold=0.0025
    )
    assert found.log_lr == pytest.approx([LR.mean()] * 3)
    assert found.width == pytest.approx([7 * np.log(2.0)] * 3)
