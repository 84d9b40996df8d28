"""The trainer of the shipped sweep: repeats its own losses, survives kills, counts what it says it counts."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from examples.proxies.runs import Run, read_losses, write_plan
from tests.proxies.killing import finish, kill_until_done, without_times

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")

SHIPPED = Path(__file__).parents[2] / "examples" / "proxies" / "sweep.csv"
TRAINER = "examples.proxies.train"
KILLS = int(os.environ.get("KILLS", "4"))
SEED_NOISE = 0.003  # relative; three times that of the shipped sweep
TINY = Run(parametrization="sp", width=16, tokens=16_384, batch_tokens=128, lr=0.008, seed=0)


def test_a_killed_sweep_resumes_to_what_an_uninterrupted_one_gives(tmp_path: Path) -> None:
    plan, whole = tmp_path / "plan.csv", tmp_path / "whole.csv"
    write_plan(plan, [replace(TINY, lr=lr, seed=s) for s in range(8) for lr in (0.004, 0.008, 0.016)])
    took_s = finish(plan, whole, TRAINER)
    rng = random.Random(0)
    kills = sweeps = 0
    while kills < KILLS:
        killed = tmp_path / f"killed_{sweeps}.csv"
        kills += kill_until_done(plan, killed, TRAINER, rng, longest_s=took_s)
        sweeps += 1
        assert without_times(killed) == without_times(whole)
    print(f"{kills} kills in {sweeps} sweeps of {took_s:.1f} s")


def test_three_random_rows_of_the_shipped_sweep_give_their_losses_again() -> None:
    from examples.proxies.train import train

    cheap = {run: loss for run, loss in read_losses(SHIPPED).items() if run.tokens < 300_000}
    for run in random.Random(11).sample(sorted(cheap, key=lambda run: run.name), 3):
        again = train(run)["loss"]
        print(f"{run.name}: {cheap[run]!r} shipped, {again!r} now, equal: {again == cheap[run]}")
        assert again == pytest.approx(cheap[run], rel=SEED_NOISE, nan_ok=True)


@pytest.mark.parametrize("width", [8, 24, 96])
def test_the_params_column_counts_the_blocks(width: int) -> None:
    from examples.proxies.model import params_non_embedding, prepare

    model, _ = prepare("sp", width, 0.01, seed=0)
    assert params_non_embedding(width) == sum(p.numel() for b in model.blocks for p in b.parameters())


def test_mup_and_sp_start_hidden_matrices_alike_and_step_alike_at_the_base_width() -> None:
    from examples.proxies.model import BASES, groups_of

    sp, mup = (groups_of(name, BASES["mup"][0], 0.04)["hidden"] for name in ("sp", "mup"))
    assert mup.init_std == pytest.approx(sp.init_std)
    assert (mup.lr, mup.weight_decay) == (sp.lr, sp.weight_decay)


def test_mup_divides_the_lr_of_hidden_matrices_by_the_width_ratio() -> None:
    from examples.proxies.model import BASES, groups_of

    classes = groups_of("mup", 4 * BASES["mup"][0], 0.04)
    assert (classes["embedding"].lr, classes["hidden"].lr, classes["readout"].lr) == (0.04, 0.01, 0.04)
    assert classes["readout"].multiplier == 0.25
    assert classes["hidden"].weight_decay == pytest.approx(0.4)  # lr * weight_decay is kept


def test_a_context_is_the_last_tokens_of_the_same_text() -> None:
    from examples.proxies.model import window
    from examples.proxies.text import ORDER, STREAMS, VOCABULARY, text

    written = torch.from_numpy(text(3 * STREAMS, seed=5))
    context, following = window(written, STREAMS + 7, 2)
    side_by_side = written.view(-1, STREAMS)
    assert following.tolist() == side_by_side[ORDER + 1, 7:9].tolist()
    for back in range(1, ORDER + 1):
        shifted = side_by_side[ORDER + 1 - back, 7:9] + (back - 1) * VOCABULARY
        assert context[:, back - 1].tolist() == shifted.tolist()


def test_the_schedule_warms_up_and_ends_near_zero() -> None:
    from examples.proxies.model import cosine

    factors = [cosine(step, steps=100, warmup=4) for step in range(100)]
    assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert factors[52] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.001
