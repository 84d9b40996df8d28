"""Anchors: ratios as in the reference table, intervals that turn about the anchors, disagreement, configs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.anchoring import Anchor, anchor, comparable_laws, exponent_covariance
from hptransfer.checking import check
from hptransfer.config import config_from_plan, config_from_yaml, config_to_yaml
from hptransfer.errors import UsageError
from hptransfer.planning import Plan, Target, plan
from hptransfer.project import resolve_law
from hptransfer.published import published_law
from tests.test_planning import fitted_law

# A tuned value on a grid of factor 2, the optimum on a full one of sqrt 2: uniform in a step, and within the
# noise (1.5 permille of 2.5 nats) of a bowl of 0.02 nats per squared log.
ANCHOR_STD = math.sqrt(math.log(2) ** 2 / 12 + 0.00375 / 0.02 / 3)
CELL_STD = math.sqrt(math.log(2) ** 2 / 48 + 0.00375 / 0.02 / 3)
STUDENT_3 = 2.3533634  # scipy.stats.t(3).ppf(0.95)

TUNED = Anchor(params=1e8, tokens=2e9, lr=3e-3, batch_tokens=262144)

# laws.md 16.4: LR and batch ratios between two scales.
RATIOS = [
    ((1e8, 2e9), (1e9, 2e10), "step-law", 0.393, 3.72),
    ((1e8, 2e9), (1e9, 2e10), "deepseek-llm", 0.562, 4.51),
    ((1e8, 2e9), (1e9, 2e10), "porian", 0.437, 5.05),
    ((1e8, 2e9), (1e9, 2e10), "openeurollm", 0.467, 4.03),
    ((1e8, 1e10), (7e9, 1e12), "step-law", 0.199, 13.9),
    ((1e8, 1e10), (7e9, 1e12), "deepseek-llm", 0.331, 18.1),
    ((1e8, 1e10), (7e9, 1e12), "porian", 0.217, 19.8),
    ((1e8, 1e10), (7e9, 1e12), "openeurollm", 0.253, 15.4),
    ((1e9, 1e11), (70e9, 15e12), "step-law", 0.225, 17.5),
    ((1e9, 1e11), (70e9, 15e12), "deepseek-llm", 0.314, 20.7),
    ((1e9, 1e11), (70e9, 15e12), "openeurollm", 0.262, 18.6),
]


def at(params: float, tokens: float, law_id: str = "step-law", *anchors: Anchor) -> Plan:
    law = anchor(published_law(law_id), anchors or (TUNED,))
    return plan(law, Target(params=params, tokens=tokens), rounding="none")


def codes(result: Plan) -> set[str]:
    return {note.code for note in result.warnings}


def half(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return math.log(interval[1] / interval[0]) / 2


@pytest.mark.parametrize(("source", "target", "law_id", "lr_ratio", "batch_ratio"), RATIOS)
def test_the_reference_ratios(
    source: tuple[float, float],
    target: tuple[float, float],
    law_id: str,
    lr_ratio: float,
    batch_ratio: float,
) -> None:
    one = Anchor(params=source[0], tokens=source[1], lr=1e-3, batch_tokens=1e6)
    moved = at(*target, law_id, one)
    assert moved.peak_lr == pytest.approx(1e-3 * lr_ratio, rel=5e-3)
    assert moved.batch_tokens == pytest.approx(1e6 * batch_ratio, rel=5e-3)


def test_bjorck_moves_the_lr_at_the_anchors_own_batch() -> None:
    """laws.md 16.4: ratio 0.282 at fixed batch; a pinned batch follows by the square-root rule."""
    law = anchor(published_law("bjorck"), (TUNED,))
    free = plan(law, Target(params=1e9, tokens=2e10))
    assert free.peak_lr == pytest.approx(3e-3 * 0.282, rel=5e-3)
    pinned = plan(law, Target(params=1e9, tokens=2e10, batch_tokens=4 * 262144))
    assert pinned.peak_lr == pytest.approx(2 * (free.peak_lr or 0.0))


@given(st.floats(1e7, 1e10), st.floats(1e9, 1e13), st.sampled_from(["step-law", "deepseek-llm", "kaplan"]))
def test_at_its_own_scale_an_anchor_is_returned(params: float, tokens: float, law_id: str) -> None:
    one = Anchor(params=params, tokens=tokens, lr=2e-3, batch_tokens=5e5)
    same = at(params, tokens, law_id, one)
    assert same.peak_lr == pytest.approx(2e-3, rel=1e-9)
    if law_id != "kaplan":
        assert same.batch_tokens == pytest.approx(5e5, rel=1e-9)
        assert half(same.peak_lr_interval) == pytest.approx(
            1.6448536 * math.hypot(ANCHOR_STD, CELL_STD), rel=1e-4
        )


def test_several_anchors_set_the_level_by_their_geometric_mean() -> None:
    low, high = TUNED.model_copy(update={"lr": 2e-3}), TUNED.model_copy(update={"lr": 4.5e-3})
    assert at(1e9, 2e10, "step-law", low, high).peak_lr == pytest.approx(3e-3 * 0.393, rel=2e-3)


def test_the_interval_is_the_mean_square_of_the_other_laws() -> None:
    """By hand: Step Law against DeepSeek, Moonlight and OpenEuroLLM, from (1e8, 2e9) to (1e9, 2e10)."""
    others = [other.id for other in comparable_laws(published_law("step-law"), "peak_lr")]
    assert others == ["deepseek-llm", "moonlight", "openeurollm"]
    step = math.log(10)
    own = (-0.713 + 0.307) * step
    ratios = [2 * -0.125 * step, 2 * -0.0574752 * step, (-0.417 + 0.086) * step]
    spread = sum((r - own) ** 2 for r in ratios) / 3 * (STUDENT_3 / 1.6448536) ** 2
    variance = spread + ANCHOR_STD**2 + CELL_STD**2
    assert half(at(1e9, 2e10).peak_lr_interval) == pytest.approx(1.6448536 * math.sqrt(variance), rel=1e-5)


def test_more_anchors_narrow_and_distance_widens() -> None:
    one, four = (
        half(at(1e8, 2e9).peak_lr_interval),
        half(at(1e8, 2e9, "step-law", *[TUNED] * 4).peak_lr_interval),
    )
    assert four < one < half(at(1e9, 2e10).peak_lr_interval) < half(at(1e10, 2e11).peak_lr_interval)


def test_without_comparable_laws_there_is_no_interval() -> None:
    result = at(1e9, 2e10, "bjorck")
    assert result.peak_lr_interval is None
    assert "no-interval" in codes(result)


def test_anchors_that_disagree_are_named() -> None:
    bigger = Anchor(params=4e8, tokens=8e9, lr=3e-2, batch_tokens=6e5)
    assert "anchors-disagree" in codes(at(1e9, 2e10, "step-law", TUNED, bigger))
    agreeing = bigger.model_copy(update={"lr": 2e-3})
    assert "anchors-disagree" not in codes(at(1e9, 2e10, "step-law", TUNED, agreeing))


def test_an_anchor_without_a_batch_keeps_the_laws_own() -> None:
    result = at(1e9, 2e10, "step-law", TUNED.model_copy(update={"batch_tokens": None}))
    assert result.batch_tokens == pytest.approx(4.418920e5)
    assert "anchor-without-batch" in codes(result)


def test_an_anchors_weight_decay_is_kept() -> None:
    assert at(1e9, 2e10, "step-law", TUNED.model_copy(update={"weight_decay": 0.05})).weight_decay == 0.05


@pytest.mark.parametrize(
    ("law_id", "names"),
    [("power-scheduler", "batch_tokens="), ("minicpm", "loss="), ("moe-sparsity-muon", "active_ratio=")],
)
def test_inputs_that_an_anchor_lacks_are_named(law_id: str, names: str) -> None:
    with pytest.raises(UsageError, match=names):
        anchor(published_law(law_id), (Anchor(params=1e8, tokens=2e9, lr=1e-3),))


def test_kaplan_has_no_level_where_its_lr_is_negative() -> None:
    with pytest.raises(UsageError, match="no positive learning rate"):
        anchor(published_law("kaplan"), (Anchor(params=2e10, tokens=2e11, lr=1e-4),))


def test_a_fitted_law_brings_its_own_spread() -> None:
    law = fitted_law()
    assert exponent_covariance(law, "peak_lr") == [[1e-4, 0.0], [0.0, 4e-4]]
    moved = plan(anchor(law, (TUNED,)), Target(params=1e9, tokens=2e10))
    variance = (1e-4 + 4e-4) * math.log(10) ** 2 + ANCHOR_STD**2 + 0.1**2
    assert half(moved.peak_lr_interval) == pytest.approx(2.0 * math.sqrt(variance), rel=1e-6)


def test_a_config_keeps_its_anchors_and_check_plans_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean config stays clean; an edited anchor is off the law."""
    monkeypatch.chdir(tmp_path)
    resolved, second = resolve_law("step-law"), replace_lr(TUNED, 2.5e-3)
    target = Target(params=1e9, tokens=2e10, params_kind="total")
    planned = plan(anchor(resolved.law, (TUNED, second), params_kind="total"), target)
    text = config_to_yaml(
        config_from_plan(planned, resolved.reference_from("a.yaml"), anchors=(TUNED, second))
    )
    assert config_from_yaml(text, "a.yaml").plan.anchors == (TUNED, second)
    Path("a.yaml").write_text(text)
    assert [f for f in check("a.yaml").findings if f.severity == "error"] == []
    Path("a.yaml").write_text(text.replace("lr: 3.0e-03", "lr: 3.0e-02"))
    assert "off-law-lr" in [f.slug for f in check("a.yaml").findings]
    line = next(line for line in text.splitlines() if "lr: 3.0e-03" in line)
    Path("a.yaml").write_text(text.replace(line, "\n".join([line] * 101)))
    assert "bad-value" in [f.slug for f in check("a.yaml").findings]  # nobody tunes 101 models by hand
    Path("a.yaml").write_text(text.replace("lr: 3.0e-03", "lr: nonsense"))
    assert "bad-value" in [f.slug for f in check("a.yaml").findings]


def replace_lr(one: Anchor, lr: float) -> Anchor:
    return one.model_copy(update={"lr": lr})


def test_extra_inputs_of_a_law_survive_in_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    resolved = resolve_law("moe-sparsity-muon")
    target = Target(params=3.24e8, tokens=159e9, active_ratio=1 / 64, flops_per_token=3e20 / 159e9)
    planned = plan(resolved.law, replace(target, params_kind="active"))
    assert planned.peak_lr == pytest.approx(6.909074e-4, rel=1e-6)
    text = config_to_yaml(config_from_plan(planned, resolved.reference_from("a.yaml")))
    Path("a.yaml").write_text(text)
    assert [f for f in check("a.yaml").findings if f.severity == "error"] == []
