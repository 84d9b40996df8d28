"""LR against batch: the papers' closed forms, and what a rule cannot do without."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.batches.rules import RULES, family_of, log_lr_factor, read_rule, sde_betas
from hptransfer.errors import RefusalError, UsageError

MILLION = {"noise_batch": 1e6, "exponent": 1.0}


def factor(name: str, ratio: float, start: float = 1e6, **settings: float) -> float:
    """LR at `ratio` times a batch over the LR at it."""
    moved = log_lr_factor(
        RULES[name], from_batch=start, to_batch=ratio * start, settings={**MILLION, **settings}
    )
    return math.exp(moved)


def test_linear_and_square_root() -> None:
    assert factor("linear", 4.0) == pytest.approx(4.0)
    assert factor("sqrt", 4.0) == factor("sde", 4.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("batch", "lr"), [(1e5, 5.75e-3), (2.5e5, 8e-3), (1e6, 1e-2), (4e6, 8e-3), (1e7, 5.75e-3)]
)
def test_surge_of_li_et_al(batch: float, lr: float) -> None:
    """LR_max / (0.5 (sqrt(B_noise / B) + sqrt(B / B_noise))), LR_max 0.01, B_noise 1e6 (arXiv:2405.14578)."""
    assert 0.01 * factor("surge", batch / 1e6) == pytest.approx(lr, rel=1e-3)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
def test_saturating_of_mccandlish(ratio: float) -> None:
    """eps_opt(B) = eps_max / (1 + B_noise / B), Eq. 2.6 of arXiv:1812.06162: half its maximum at B_noise."""
    assert factor("saturating", ratio) == pytest.approx(2.0 / (1.0 + 1.0 / ratio))
    assert factor("saturating", ratio, exponent=0.5) == pytest.approx((2.0 / (1.0 + 1.0 / ratio)) ** 0.5)


def test_small_batches_all_but_agree() -> None:
    """Far below the noise scale, saturating is linear (exponent 1), surge the square root."""
    assert factor("saturating", 2.0, start=10.0) == pytest.approx(2.0, rel=1e-4)
    assert factor("surge", 2.0, start=10.0) == pytest.approx(2.0**0.5, rel=1e-4)


def test_betas_and_epsilon_of_the_sde_rule() -> None:
    """Malladi et al., kappa = 4 from (0.9, 0.95): 0.6, 0.8, epsilon halved; 0.999 gives 0.996."""
    assert sde_betas(ratio=4.0, beta1=0.9, beta2=0.95, eps=1e-8) == pytest.approx(
        {"beta1": 0.6, "beta2": 0.8, "eps": 5e-9}
    )
    assert sde_betas(ratio=4.0, beta1=0.9, beta2=0.999, eps=1e-8)["beta2"] == pytest.approx(0.996)


def test_the_sde_rule_ends_where_a_beta_would_be_zero() -> None:
    with pytest.raises(RefusalError, match=r"ends below 10 times.*--batch-rule sqrt"):
        sde_betas(ratio=12.0, beta1=0.9, beta2=0.95, eps=1e-8)


@given(
    name=st.sampled_from(list(RULES)),
    batches=st.lists(st.floats(1e3, 1e9), min_size=3, max_size=3),
)
def test_a_rule_does_not_care_about_stops_on_the_way(name: str, batches: list[float]) -> None:
    a, b, c = batches

    def moved(start: float, end: float) -> float:
        return float(log_lr_factor(RULES[name], from_batch=start, to_batch=end, settings=MILLION))

    assert moved(a, b) + moved(b, c) == pytest.approx(moved(a, c), abs=1e-9)
    assert moved(a, a) == 0.0


@pytest.mark.parametrize("name", RULES)
def test_arrays_and_floats_agree(name: str) -> None:
    ends = np.array([1e5, 3e6])
    many = log_lr_factor(RULES[name], from_batch=1e6, to_batch=ends, settings=MILLION, xp=np)
    one = [log_lr_factor(RULES[name], from_batch=1e6, to_batch=float(b), settings=MILLION) for b in ends]
    assert many == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_says_where_it_holds_and_who_says_so(rule: object) -> None:
    assert all(getattr(rule, name) for name in ("formula", "holds", "certainty", "source"))


def test_a_rule_is_read_with_its_settings() -> None:
    chosen = read_rule("saturating:noise_batch=2M, exponent=0.7")
    assert chosen is not None
    assert (chosen.rule.name, chosen.given) == ("saturating", {"noise_batch": 2e6, "exponent": 0.7})
    assert read_rule("law") is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("square", r"no rule is called 'square'.*Known: law, linear, sqrt"),
        ("surg", r"Did you mean 'surge'"),
        ("surge:noise_bach=1e6", r"'noise_bach=1e6' is no setting of it. Did you mean|takes noise_batch"),
        ("sqrt:exponent=0.4", r"'exponent=0.4' is no setting of it. It takes none"),
        ("law:exponent=0.4", r"--batch-rule law: 'exponent=0.4' is no setting of it. It takes none"),
        ("surge:noise_batch=1M,noise_batch=2M", r"noise_batch is given twice"),
        ("surge:noise_batch=-1", r"noise_batch: got '-1', need a positive number"),
        ("sde:beta1=1.5,beta2=0.9", r"beta1: got 1.5, need a number between 0 and 1"),
        ("surge:noise_batch=1e40", r"beyond anything"),
    ],
)
def test_what_cannot_be_meant_is_named(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_rule(spec)


def test_families_of_optimizers() -> None:
    assert [family_of(name) for name in ("AdamW", "SGD", "muon", "adafactor")] == [
        "adam",
        "sgd",
        "any",
        "adam",
    ]


def test_the_page_on_batches_has_every_rule_as_it_is() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/batch.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for name, rule in RULES.items():
        assert rule.formula in rows[name]
        assert f"{rule.certainty}, " in rows[name]
        assert all(f"`{setting}`" in rows[name] for setting in rule.needs)
