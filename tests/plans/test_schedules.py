"""A plan under another schedule: the peak LR moves by the convex bound, and the config holds the schedule."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hptransfer.checking import check
from hptransfer.config import LawReference, config_from_plan, config_from_yaml, config_to_yaml
from hptransfer.errors import UsageError
from hptransfer.law import Law, PowerLaw, Uncertainty
from hptransfer.planning import Plan, Target, plan
from hptransfer.plans.conversion import SHAPE_STD
from hptransfer.plans.schedules import schedule_of, with_schedule
from hptransfer.published import published_law
from hptransfer.schedules import schedule

TARGET = Target(params=1e9, tokens=4_000 * 2**20, batch_tokens=2**20)  # 4000 steps


def law_under(**setting: Any) -> Law:
    """A law with an interval whose runs had this setting."""
    spread = Uncertainty(covariance=((0.01, 0.0), (0.0, 0.0)))
    lr = PowerLaw(log_coefficient=-1.0, exponents={"params": -0.25}, uncertainty=spread)
    batch = PowerLaw(log_coefficient=math.log(2**20), exponents={"params": 0.0})
    return Law(id="fitted-0", title="a fit", peak_lr=lr, batch_tokens=batch, setting=setting)


def planned_under(**setting: Any) -> Plan:
    return plan(law_under(**setting), TARGET)


@pytest.mark.parametrize(
    ("own", "wanted", "ratio"),
    [
        # The table of section 2.1 at T = 4000: 0.01534 cosine, 0.00812 and 0.00727 WSD, 0.01579 linear.
        ({"schedule": "cosine", "final_lr_ratio": 0.0}, "wsd:decay_fraction=0.2", 0.00812 / 0.01534),
        ({"schedule": "wsd", "cooldown_fraction": 0.1, "final_lr_ratio": 0}, "cosine", 0.01534 / 0.00727),
        ({"schedule": "linear", "final_lr_ratio": 0.0}, "wsd,decay_fraction=0.2", 0.00812 / 0.01579),
        (
            {"schedule": "wsd", "decay_fraction": 0.2, "final_lr_ratio": 0},
            "wsd:decay=1-sqrt",
            0.00857 / 0.00812,
        ),
    ],
)
def test_the_peak_lr_moves_by_the_published_ratio_of_the_bound(
    own: dict[str, Any], wanted: str, ratio: float
) -> None:
    before = planned_under(**own, warmup_fraction=0.00025)
    after = with_schedule(before, wanted)
    assert before.peak_lr is not None
    assert after.peak_lr == pytest.approx(before.peak_lr * ratio, rel=2e-3)
    assert after.rounded.peak_lr == pytest.approx(before.peak_lr * ratio, rel=2e-3)
    assert after.lr_factor == pytest.approx(ratio, rel=2e-3)


def test_the_same_schedule_moves_nothing() -> None:
    before = planned_under(schedule="wsd", decay_fraction=0.2, final_lr_ratio=0.0)
    after = with_schedule(before, "wsd:decay_fraction=0.2")
    assert after.lr_factor == 1.0
    assert (after.peak_lr, after.peak_lr_interval) == (before.peak_lr, before.peak_lr_interval)
    assert "schedule-converted" not in {note.code for note in after.warnings}


def test_there_and_back_is_where_it_began() -> None:
    wsd, cosine = "wsd:decay_fraction=0.2", "cosine:final_ratio=0.1"
    there = with_schedule(planned_under(), wsd, proxy=cosine)
    back = with_schedule(planned_under(), cosine, proxy=wsd)
    assert there.lr_factor * back.lr_factor == pytest.approx(1.0, rel=1e-12)


def test_the_interval_is_widened_and_the_change_is_said() -> None:
    before = planned_under(schedule="cosine", final_lr_ratio=0.0)
    after = with_schedule(before, "wsd")
    assert before.peak_lr_interval is not None
    assert after.peak_lr_interval is not None
    halves = [math.log(high / low) / 2 for low, high in (before.peak_lr_interval, after.peak_lr_interval)]
    assert halves[1] == pytest.approx(math.hypot(halves[0], 1.6449 * SHAPE_STD), rel=1e-4)
    assert "schedule-converted" in {note.code for note in after.warnings}
    assert "from cosine (final_ratio 0) to wsd" in after.origins["rounded.peak_lr"].formula


def test_the_weight_decay_keeps_its_timescale_at_the_new_lr() -> None:
    before = planned_under(schedule="cosine")
    after = with_schedule(before, "wsd")
    assert before.weight_decay is not None
    assert after.weight_decay == pytest.approx(before.weight_decay / after.lr_factor, rel=1e-3)
    own = with_schedule(planned_under(schedule="cosine", weight_decay=0.1), "wsd")
    assert own.weight_decay == 0.1


@pytest.mark.parametrize("law", ["step-law", "deepseek-llm", "power-scheduler"])
def test_every_config_holds_a_schedule_that_can_be_built(law: str) -> None:
    planned = plan(published_law(law), replace(TARGET, width=1024, depth=16))
    config = config_from_plan(planned, LawReference(id=law, digest="x"))
    assert schedule_of(config).steps == planned.rounded.steps


def test_a_config_holds_the_whole_schedule_in_updates() -> None:
    after = with_schedule(
        planned_under(schedule="cosine"), "wsd:decay_fraction=0.1,decay=1-sqrt,warmup_steps=80"
    )
    config = config_from_plan(after, LawReference(id="x", digest="x"))
    again = config_from_yaml(config_to_yaml(config), "config.yaml")
    assert again == config
    expected = schedule(
        "wsd", steps=4000, warmup_steps=80, decay="1-sqrt", decay_steps=400, peak_lr=again.peak_lr
    )
    np.testing.assert_allclose(schedule_of(again).multipliers(), expected.multipliers())
    assert again.warmup_tokens == 80 * 2**20


def test_the_laws_own_decay_is_carried_in_updates() -> None:
    config = config_from_plan(
        planned_under(schedule="wsd", cooldown_fraction=0.1, decay_type="1-sqrt"),
        LawReference(id="x", digest="x"),
    )
    assert config.schedule_options == {"decay_steps": 400.0, "decay": "1-sqrt"}


@pytest.mark.parametrize("wanted", [None, "power", "power:decay_fraction=0.2,final_ratio=0"])
def test_a_law_of_the_power_scheduler_writes_its_schedule(wanted: str | None) -> None:
    """The paper's own form: min(0.02, sequences * 4 * tokens^-0.51) after the warm-up."""
    law = published_law("power-scheduler")
    planned = plan(law, Target(params=1e9, tokens=1e12, batch_tokens=1024 * 4096))
    planned = planned if wanted is None else with_schedule(planned, wanted)
    made = schedule_of(config_from_plan(planned, LawReference(id=law.id, digest="x")))
    for update in (30_000, 100_000, 180_000):
        expected = min(0.02, 1024 * 4.0 * (update * 1024 * 4096) ** -0.51)
        assert made.lr_at(update) == pytest.approx(expected, rel=1e-3)
    assert made.lr_at(made.steps) == pytest.approx((planned.final_lr_ratio or 0) * made.peak_lr, rel=1e-3)
    assert planned.peak_lr == pytest.approx(3.107134e-3, rel=1e-4)  # the law's golden value


def test_a_power_schedule_needs_a_law_of_its_form() -> None:
    with pytest.raises(UsageError, match="Use --law power-scheduler"):
        with_schedule(planned_under(schedule="cosine"), "power")


@pytest.mark.parametrize(
    ("wanted", "proxy", "setting", "message"),
    [
        ("wsd", None, {}, "records none"),
        ("wsd", None, {"schedule": "our-own"}, "records schedule 'our-own'"),
        ("wsd", "cosin", {}, "Did you mean 'cosine'"),
        ("wsd:decay_steps=5000", None, {"schedule": "cosine"}, "longer than what is left after the warm-up"),
        ("wsd:warmup_steps=4000", None, {"schedule": "cosine"}, "warm-up of 4000 steps does not end before"),
        ("wsd:steps=10", None, {"schedule": "cosine"}, "the plan sets it"),
        ("refined", None, {"schedule": "cosine"}, "gradient norms"),
        ("wsd:decay_fraction", None, {"schedule": "cosine"}, "need OPTION=VALUE"),
    ],
)
def test_what_cannot_be_scheduled_is_said(
    wanted: str, proxy: str | None, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        with_schedule(planned_under(**setting), wanted, proxy=proxy)


def test_a_schedule_needs_a_batch() -> None:
    law = law_under(schedule="cosine").model_copy(update={"batch_tokens": None})
    with pytest.raises(UsageError, match="Pin one with --batch-tokens"):
        with_schedule(plan(law, Target(params=1e9, tokens=1e10)), "wsd")


def written(tmp_path: Path, old: str = "", new: str = "") -> str:
    """A config of step-law under WSD, edited."""
    law = published_law("step-law")
    after = with_schedule(plan(law, Target(params=1e9, tokens=1e11)), "wsd:decay_fraction=0.1")
    text = config_to_yaml(config_from_plan(after, LawReference(id=law.id, digest=law.digest())))
    assert old in text
    (tmp_path / "config.yaml").write_text(text.replace(old, new, 1))
    return str(tmp_path / "config.yaml")


def test_check_plans_the_schedule_again_and_finds_nothing(tmp_path: Path) -> None:
    report = check(written(tmp_path))
    assert [finding.slug for finding in report.findings if finding.severity == "error"] == []


@pytest.mark.parametrize(
    ("old", "new", "slug", "field"),
    [
        ("decay_steps: 9537", "decay_steps: 30000", "edited", "schedule_options.decay_steps"),
        ("decay_steps: 9537", "decay_steps: 95000", "schedule-impossible", "schedule_options"),
        ("decay: linear", "decay: linar", "schedule-impossible", "schedule_options"),
        ("schedule: wsd", "schedule: cosine", "edited", "schedule"),
        ("peak_lr: ", "peak_lr: 2", "off-law-lr", "peak_lr"),
    ],
)
def test_check_holds_a_config_to_its_schedule(
    tmp_path: Path, old: str, new: str, slug: str, field: str
) -> None:
    found = {(finding.slug, finding.field) for finding in check(written(tmp_path, old, new)).findings}
    assert (slug, field) in found


def test_an_edited_schedule_can_be_overridden(tmp_path: Path) -> None:
    path = Path(written(tmp_path, "decay_steps: 9537", "decay_steps: 12000"))
    path.write_text(path.read_text() + "override: {schedule_options: a longer decay was wanted}\n")
    assert [finding.slug for finding in check(str(path)).findings if finding.severity == "error"] == []
