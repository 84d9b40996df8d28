"""Laws side by side: the reference table of laws.md 16 at three targets, what is missing, why they differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hptransfer.comparison.at_target import Comparison, compare
from hptransfer.errors import UsageError
from hptransfer.planning import Target
from hptransfer.published import law_ids

TARGETS = (
    Target(params=1e9, tokens=2e10, loss=2.5301),
    Target(params=7e9, tokens=1e12, loss=2.0838),
    Target(params=70e9, tokens=15e12, loss=1.9303),
)

# laws.md 16.1 and 16.2: C = 6 N D for every law in compute, the same params for each, losses by Besiroglu.
PEAK_LR = {
    "step-law": (9.96e-4, 8.27e-4, 3.68e-4),
    "deepseek-llm": (9.64e-4, 4.63e-4, 2.48e-4),
    "ling": (9.85e-4, 4.02e-4, 1.87e-4),
    "moonlight": (8.93e-4, 6.38e-4, 4.78e-4),
    "porian": (2.13e-3, 1.06e-3, 4.61e-4),
    "bjorck": (5.94e-4, 1.09e-4, 2.69e-5),
    "openeurollm": (5.04e-4, 3.14e-4, 1.52e-4),
}
BATCH_TOKENS = {
    "step-law": (4.42e5, 4.13e6, 1.94e7),
    "three-term": (4.51e5, 4.13e6, 1.91e7),
    "openeurollm": (4.48e5, 3.59e6, 1.74e7),
    "power-lines": (5.53e5, 2.47e6, 6.97e6),
    "deepseek-llm": (1.08e6, 7.34e6, 3.78e7),
    "ling": (1.44e6, 1.22e7, 7.56e7),
    "moonlight": (1.33e6, 1.50e7, 1.19e8),
    "minicpm": (3.69e6, 1.24e7, 2.00e7),
}
CRITICAL = {
    "kaplan": (2.41e6, 6.06e6, 8.73e6),
    "power-lines-critical": (5.54e6, 3.38e7, 1.18e8),
    "zhang-fixed-params": (1.23e6, 7.75e6, 2.77e7),
}
LOSS = {
    "besiroglu": (2.5301, 2.0838, 1.9303),
    "hoffmann": (2.5800, 2.0519, 1.8575),
    "kaplan": (2.4354, 2.0545, 1.7220),
}
TABLES = {"peak_lr": PEAK_LR, "batch_tokens": BATCH_TOKENS, "critical_batch": CRITICAL, "loss": LOSS}


def only(law_id: str, target: Target) -> Comparison:
    (one,) = compare(target, ids=[law_id])
    return one


@pytest.mark.parametrize(
    ("name", "law_id", "expected"),
    [
        pytest.param(name, law_id, row, id=f"{law_id} {name}")
        for name, table in TABLES.items()
        for law_id, row in table.items()
    ],
)
def test_the_reference_table(name: str, law_id: str, expected: tuple[float, ...]) -> None:
    for target, value in zip(TARGETS, expected, strict=True):
        assert getattr(only(law_id, target), name) == pytest.approx(value, rel=5e-3)


def test_kaplan_refuses_where_its_lr_is_negative_and_still_gives_the_rest() -> None:
    one = only("kaplan", TARGETS[2])
    assert one.peak_lr is None
    assert "no positive learning rate" in (one.lacks or "")
    assert one.critical_batch is not None


def test_sparsity_and_batch_inputs() -> None:
    """laws.md 16: MoE sparsity at A = 1/32, Power Scheduler at 1024 sequences (the cap at 20B tokens)."""
    one = only("moe-sparsity-muon", replace(TARGETS[1], active_ratio=1 / 32))
    assert one.peak_lr == pytest.approx(3.83e-4, rel=5e-3)
    assert one.batch_tokens == pytest.approx(1.43e7, rel=5e-3)
    pinned = replace(TARGETS[1], batch_tokens=1024 * 4096)
    assert only("power-scheduler", pinned).peak_lr == pytest.approx(3.11e-3, rel=5e-3)
    assert only("power-scheduler", replace(pinned, tokens=2e10)).peak_lr == 0.02
    fixed = only("openeurollm-fixed-batch", replace(TARGETS[1], batch_tokens=5e5)).peak_lr
    assert fixed == pytest.approx(6.63e-5, rel=0.05)  # the table's batch is printed as 0.5M


@pytest.mark.parametrize(
    ("law_id", "flags"),
    [
        ("minicpm", "--loss"),
        ("power-lines-critical", None),
        ("kaplan", "--loss"),
        ("moe-sparsity-muon", "--active-ratio"),
        ("joint-moe", "--experts"),
        ("marin-muonh", "--batch-tokens"),
    ],
)
def test_what_is_missing_is_named_by_its_option(law_id: str, flags: str | None) -> None:
    lacks = only(law_id, Target(params=1e9, tokens=2e10)).lacks
    assert lacks is None if flags is None else flags in (lacks or "")


def test_compute_is_approximated_only_without_a_shape() -> None:
    assert only("deepseek-llm", TARGETS[0]).flops_approximated
    shaped = only("deepseek-llm", Target(params=7e9, tokens=2e12, width=4096, depth=30))
    assert not shaped.flops_approximated
    assert shaped.batch_tokens is not None
    by_flops = only("deepseek-llm", Target(params=7e9, tokens=2e12, flops_per_token=4.2278584320e10))
    assert by_flops.peak_lr == pytest.approx(4.246023e-4, rel=1e-6)
    # their shape counts 4096-token sequences, as the law does
    assert by_flops.batch_tokens == pytest.approx(shaped.batch_tokens)


def test_every_law_is_compared_and_says_how_it_differs() -> None:
    found = compare(TARGETS[0])
    assert [one.law.id for one in found] == law_ids()
    assert [one.law.id for one in found if not one.differs] == ["step-law"]
    assert "batch held" in only("bjorck", TARGETS[0]).differs
    assert "no decay" in only("porian", TARGETS[0]).differs
    assert "optimizer muon" in only("moe-sparsity-muon", TARGETS[0]).differs


def test_reach_is_told_for_each_input() -> None:
    reach = only("step-law", TARGETS[1]).reach
    assert reach == pytest.approx({"params": 7e9 / 1_073_741_824, "tokens": 10.0})


def test_a_misspelt_law_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'kaplan'"):
        compare(TARGETS[0], ids=["kaplen"])


@pytest.mark.parametrize("law_id", ["kaplan", "meituan"])
def test_a_law_with_values_says_which_quantity_lacks_an_input(law_id: str) -> None:
    one = only(law_id, Target(params=1e9, tokens=2e10))
    assert one.loss is not None
    assert one.critical_batch is None
    assert one.lacks == "no critical batch: it has inputs that nobody gave. Add --loss."
