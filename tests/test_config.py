"""The native config: any YAML reader reads back what is written; what is wrong is named with its line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hptransfer.config import (
    LawReference,
    config_from_plan,
    config_from_yaml,
    config_to_yaml,
    number_text,
)
from hptransfer.errors import HptransferError, InputError, RefusalError
from hptransfer.law import Law, Note, PowerLaw, Uncertainty
from hptransfer.planning import Plan, Target, plan
from hptransfer.plans.derivation import Origin
from hptransfer.published import published_law

REFERENCE = LawReference(id="step-law", digest="sha256:0")
STEP_PLAN = plan(published_law("step-law"), Target(params=7e9, tokens=1e12))
TEXT = config_to_yaml(config_from_plan(STEP_PLAN, REFERENCE))


def fitted_law(**changes: Any) -> Law:
    """A law with intervals, as a fit would give it."""
    spread = Uncertainty(covariance=((0.1, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 0.01)), cell_std=0.1)
    content: dict[str, Any] = {
        "id": "fitted-0",
        "title": "a fit",
        "peak_lr": PowerLaw(
            log_coefficient=1.0, exponents={"params": -0.5, "tokens": 0.1}, uncertainty=spread
        ),
        "batch_tokens": PowerLaw(log_coefficient=0.0, exponents={"tokens": 0.5}),
        "fitted_on": {"params": (1e8, 1e9), "tokens": (1e9, 1e10)},
    }
    return Law(**(content | changes))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans over laws with and without batch and intervals, targets of any size, and all roundings."""
    power = PowerLaw(log_coefficient=draw(st.floats(-3, 3)), exponents={"tokens": draw(st.floats(0.2, 0.7))})
    law = draw(
        st.sampled_from(
            [
                published_law("step-law"),
                fitted_law(),
                fitted_law(batch_tokens=None),
                fitted_law(batch_tokens=power),
                fitted_law(peak_lr=None),
                fitted_law(setting={"weight_decay": 0.1, "schedule": "wsd", "beta2": 0.98}),
            ]
        )
    )
    target = Target(
        params=draw(st.floats(1e6, 1e13)),
        tokens=draw(st.floats(1e8, 1e15)),
        batch_tokens=draw(st.none() | st.floats(1e3, 1e7)),
        seq_len=draw(st.none() | st.integers(1, 1_000_000)),
        params_kind=draw(st.sampled_from(["non-embedding", "unspecified"])),
    )
    return plan(law, target, rounding=draw(st.sampled_from(["pow2", "sequences", "none"])))


def numbers(content: Any) -> Iterator[Any]:
    """Every leaf of nested plain values."""
    for value in content.values() if isinstance(content, dict) else content:
        if isinstance(value, dict | list):
            yield from numbers(value)
        else:
            yield value


@given(plans())
def test_a_config_survives_writing_and_reading(planned: Plan) -> None:
    config = config_from_plan(planned, REFERENCE)
    assert config_from_yaml(config_to_yaml(config), "c.yaml") == config


@given(plans())
def test_yaml_1_1_and_1_2_readers_see_the_same_numbers_and_texts(planned: Plan) -> None:
    config = config_from_plan(planned, REFERENCE)
    text = config_to_yaml(config)
    old, new = yaml.safe_load(text), YAML(typ="safe").load(text)
    assert old == new
    assert old["peak_lr"] == config.peak_lr
    assert old["batch_tokens"] == config.batch_tokens
    for value in numbers({k: v for k, v in old.items() if k in ("target", "planned", "reach", "optimum")}):
        assert value is None or isinstance(value, int | float) or re.fullmatch(r"[a-z-]+", value)


@given(st.floats(1e-30, 1e30) | st.integers(0, 10**18) | st.just(0.0))
def test_every_number_is_written_without_loss_for_both_yaml_versions(value: float) -> None:
    assert yaml.safe_load(number_text(value)) == value
    assert YAML(typ="safe").load(number_text(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3e-4, "3.0e-04"), (0.1, "0.1"), (4194304.0, "4194304"), (1e12, "1.0e+12"), (7, "7"), (1e-8, "1.0e-08")],
)
def test_numbers_are_written_as_people_write_them(value: float, expected: str) -> None:
    assert number_text(value) == expected


def test_the_mark_comes_first_after_one_comment() -> None:
    first, second = TEXT.splitlines()[:2]
    assert first.startswith("#")
    assert second == "hptransfer_config: 1"


def test_what_is_run_stands_at_the_top_and_what_is_best_under_optimum() -> None:
    config = config_from_plan(STEP_PLAN, REFERENCE)
    assert config.peak_lr == STEP_PLAN.rounded.peak_lr
    assert config.optimum.peak_lr == STEP_PLAN.peak_lr
    assert config.origin["peak_lr"].startswith("LR * ")
    assert "-0.713" in config.origin["optimum.peak_lr"]


def test_intervals_are_kept() -> None:
    planned = plan(fitted_law(), Target(params=1e9, tokens=1e10))
    config = config_from_yaml(config_to_yaml(config_from_plan(planned, REFERENCE)), "c.yaml")
    assert config.optimum.peak_lr_interval == planned.peak_lr_interval
    assert config.optimum.batch_tokens_interval is None


def test_foreign_text_is_written_as_harmless_text() -> None:
    hostile = "\x1b[31m\n::error::x \x7f\u2028\U0001f600 # 'quote\" {a: 1}"
    planned = replace(
        STEP_PLAN,
        origins={"peak_lr": Origin(hostile, hostile)},
        warnings=(Note(code="x", message=hostile),),
    )
    text = config_to_yaml(config_from_plan(planned, REFERENCE))
    assert all(c.isprintable() for c in text.replace("\n", ""))
    assert "::" not in text
    assert yaml.safe_load(text)["warnings"][0]["message"].endswith("\U0001f600 # 'quote\" {a: 1}")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_law_path_of_any_characters_survives(path: str) -> None:
    config = config_from_plan(STEP_PLAN, LawReference(path=path, digest="sha256:0"))
    assert config_from_yaml(config_to_yaml(config), "c.yaml").law.path == path


def test_a_law_whose_setting_is_no_number_is_refused_by_name() -> None:
    law = fitted_law(setting={"beta1": "high"})
    with pytest.raises(RefusalError, match=r"setting beta1: got 'high'"):
        config_from_plan(plan(law, Target(params=1e9, tokens=1e10)), REFERENCE)


def test_a_law_whose_values_cannot_be_run_is_refused_by_name() -> None:
    law = fitted_law(setting={"beta1": 2.0})
    with pytest.raises(RefusalError, match=r"beta1 = 2\.0, which cannot be run"):
        config_from_plan(plan(law, Target(params=1e9, tokens=1e10)), REFERENCE)


def line_of(start: str) -> int:
    return next(i for i, line in enumerate(TEXT.splitlines(), start=1) if line.startswith(start))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("\npeak_lr:", "\npeak_Ir:", r"line {peak_lr:}, peak_Ir: unknown field. Did you mean 'peak_lr'\?"),
        ("  tokens: 1.0e+12", "  tokns: 1.0e+12", r"target.tokns: unknown field. Did you mean 'tokens'\?"),
        ("\nsteps: 238419", "", r"steps: needed, and missing"),
        ("\nsteps: 238419", "\nsteps: many", r"line {steps:}, steps: .*got 'many'"),
        ("\nsteps: 238419", '\nsteps: "238_x"', r"line {steps:}, steps: "),
        ("\nbatch_tokens: 4194304", '\nbatch_tokens: "4194304"', r"line {batch_tokens:}, batch_tokens: "),
        ("\nbatch_tokens: 4194304", "\nbatch_tokens: -1", r"line {batch_tokens:}, batch_tokens: "),
        ("\nbatch_tokens: 4194304", "\nbatch_tokens: .nan", r"line {batch_tokens:}, batch_tokens: "),
        ("\nbatch_tokens: 4194304", "\nbatch_tokens: 1.0e+999", r"line {batch_tokens:}, batch_tokens: "),
        (
            "\nbatch_tokens: 4194304",
            "\nbatch_tokens: 1" + "0" * 5000,
            r"line {batch_tokens:}, batch_tokens: ",
        ),
        ("  rounding: pow2", "  rounding: pow3", r"plan.rounding: "),
        ("  id: step-law", "  id: step-law\n  path: x", r"law: .*either id"),
        (
            "\nhptransfer_config: 1",
            "\nhptransfer_config: 2",
            r"line 2, hptransfer_config: got 2.*\n.*Upgrade",
        ),
        ("\nhptransfer_config: 1", "", r"not a config: it has no hptransfer_config"),
    ],
)
def test_a_wrong_field_is_named_with_its_line_and_a_suggestion(old: str, new: str, expected: str) -> None:
    assert old in TEXT
    pattern = re.sub(r"\{(.*?)\}", lambda m: str(line_of(m.group(1))), expected)
    with pytest.raises(InputError, match=pattern):
        config_from_yaml(TEXT.replace(old, new, 1), "c.yaml")


def test_a_misspelled_field_is_one_problem_not_two() -> None:
    with pytest.raises(InputError) as caught:
        config_from_yaml(TEXT.replace("\npeak_lr:", "\npeak_Ir:", 1), "c.yaml")
    assert len(caught.value.problems) == 1


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        config_from_yaml(TEXT.replace("\nsteps:", "\nx:").replace("\nbeta1: 0.9", "\nbeta1: 9"), "c.yaml")
    assert {problem.column for problem in caught.value.problems} == {"x", "steps", "beta1"}


BOMB = "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "need a mapping"),
        ("- 1\n", "line 1: need a mapping"),
        ("just text", "line 1: need a mapping"),
        ("a: 1\na: 2\n", "line 2: a is given twice"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: b is given twice"),
        (BOMB, "line 1: anchors and aliases"),
        ("a: *b\n", "line 1: anchors and aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1: tags"),
        ("a: 1\n---\nb: 2\n", "line 2: a second YAML document"),
        ("a:\n\tb: 1\n", "line 2: not valid YAML"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: \x01\n", "control characters"),
        ('a: "\\xzz"\n', "not valid YAML"),
        ("[a]: 1\n", "line 1: need a name"),
        ("? {a: 1}\n: 1\n", "line 1: need a name"),
        ("a: " + "[" * 100_000, "nested more than"),
        ("a: " + "{a: " * 100_000, "nested more than"),
    ],
)
def test_yaml_that_is_no_plain_mapping_is_refused_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        config_from_yaml(text, "c.yaml")


@given(st.text(max_size=60))
def test_any_text_is_a_config_or_an_error_of_ours(text: str) -> None:
    with pytest.raises(HptransferError):
        config_from_yaml(text, "c.yaml")


def test_whole_floats_are_taken_as_counts() -> None:
    config = config_from_yaml(TEXT.replace("\nsteps: 238419", "\nsteps: 2.0e+05"), "c.yaml")
    assert config.steps == 200_000
    assert math.isclose(config.batch_tokens or 0, 4194304)
