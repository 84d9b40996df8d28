"""One suite over every format: a new one is tested on arrival."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hptransfer.errors import HptransferError, InputError, UsageError
from hptransfer.trainers import (
    FORMATS,
    Machine,
    Reading,
    Recipe,
    detect,
    find_format,
    merged_config,
    read_text_as,
    recipe_from,
)
from hptransfer.trainers.base import fitting_batch, plain_groups
from hptransfer.trainers.own_rules import groups_from, widths_from
from hptransfer.trainers.reading import planned_for
from hptransfer.trainers.recipe import Widths
from hptransfer.trainers.tensor_names import base_group, is_same
from hptransfer.trainers.writing import plain_values, write_config
from tests.trainers.recipes import MACHINE, RECIPE, WSD, parametrized_recipes, with_curve

NAMES = sorted(FORMATS)


@pytest.mark.parametrize("name", NAMES)
@given(drawn=parametrized_recipes(), old=st.none() | parametrized_recipes())
@settings(max_examples=30, deadline=None)
def test_a_plan_written_and_read_is_the_same_plan(
    name: str, drawn: tuple[Recipe, Machine], old: tuple[Recipe, Machine] | None
) -> None:
    """Over targets, schedules and parametrizations, in a file of its own and in that of another plan."""
    recipe, machine = drawn
    form = FORMATS[name]
    base = None if old is None else write_config(old[0], form, old[1]).text
    if base is None:
        made = write_config(recipe, form, machine)
    elif _has_other_groups(base, recipe):  # groups give way to groups only
        with pytest.raises(InputError, match=r"param_groups|group_overrides"):
            merged_config(recipe, form, machine, base=base, name="config")
        return
    else:
        made = merged_config(recipe, form, machine, base=base, name="config")
    reading = read_text_as(made.text, "config", form, machine)
    lost = " ".join(note.message for note in made.notes if note.code == "not-expressed")
    assert reading.traps == [] or "schedule" in lost  # then that of the base stays
    said = _base_values_of(reading, recipe)
    for ours, value in said.items():
        if value is None or _said_to_be_lost(ours, lost):
            continue
        got = reading.get(ours)
        if isinstance(value, float):
            assert isinstance(got, float | int), ours
            assert math.isclose(got, value, rel_tol=1e-11), ours
        else:
            assert got == value, ours
    _require_groups(reading, recipe, lost)


def _has_other_groups(base: str, recipe: Recipe) -> bool:
    """Whether a file gives tensors an LR or an epsilon of their own, and a recipe gives all the same."""
    if not plain_groups(recipe.groups, recipe):
        return False
    if "param_groups" in base:
        return True
    groups = (
        json.loads(base)["train_module"]["optim"].get("group_overrides", []) if "group_ov" in base else []
    )
    return any(
        (group["opts"]["lr"], group["opts"]["eps"]) != (recipe.peak_lr, recipe.eps) for group in groups
    )


def _ratio(widths: Widths) -> float:
    return (widths.width or 0) / (widths.base_width or 1)


def _base_values_of(reading: Reading, recipe: Recipe) -> dict[str, Any]:
    """The values that a file has for all tensors; torchtitan's groups have those of norms and biases."""
    if reading.format != "torchtitan-py" or not reading.groups or recipe.groups is None:
        return plain_values(recipe)
    rest = recipe.groups["vector"]
    values = replace(recipe, peak_lr=rest.lr, weight_decay=rest.weight_decay, eps=rest.eps)
    return plain_values(values)


def _require_groups(reading: Reading, recipe: Recipe, lost: str) -> None:
    """Every class is read as it was planned, or it is said that there is one LR for all."""
    if plain_groups(recipe.groups, recipe):
        return  # a base may keep a weight decay for some tensors
    assert recipe.groups is not None
    widths = widths_from(reading)
    if widths is not None and recipe.widths is not None:
        assert widths.rule_set == recipe.widths.rule_set
        assert widths.width is None or _ratio(widths) == _ratio(recipe.widths)
    read = groups_from(reading, base_group(recipe))
    if read is None:
        assert "by tensor class" in lost or "for all tensors" in lost or "by its own rules" in lost or widths
        return
    for tensor_class, group in recipe.groups.items():
        if tensor_class in ("readout_bias", "hidden") or tensor_class in lost:
            continue
        assert is_same(read.get(tensor_class, base_group(recipe)), group), tensor_class


def _said_to_be_lost(ours: str, lost: str) -> bool:
    of_the_schedule = ours in ("schedule", "final_lr_ratio", "decay", "decay_steps", "warmup_steps")
    return (
        (of_the_schedule and "schedule" in lost)
        or ours in lost
        or (ours == "warmup_steps" and "warm-up" in lost)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_value_read_names_its_field_and_line(name: str) -> None:
    form = FORMATS[name]
    text = write_config(RECIPE, form, MACHINE).text
    reading = read_text_as(text, "config", form, MACHINE)
    lines = text.splitlines()
    for ours in ("peak_lr", "weight_decay", "beta2", "grad_clip"):
        value = reading.values[ours]
        assert value.field is not None
        assert value.line is not None
        (_, written), *_ = value.fields
        assert written.text in lines[value.line - 1]
        assert text[written.start : written.end] == written.text


@pytest.mark.parametrize("name", NAMES)
def test_a_written_config_is_told_from_all_others(name: str) -> None:
    form = FORMATS[name]
    text = write_config(RECIPE, form, MACHINE).text
    assert [found.name for found in detect(f"plan{form.syntax.suffixes[0]}", text)] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_what_it_was_planned_for(name: str) -> None:
    form = FORMATS[name]
    made = write_config(RECIPE, form, MACHINE, provenance={"law": "step-law", "params": 7e9})
    if form.syntax.comments:
        assert planned_for(made.text) == {"law": "step-law", "params": 7e9}
    else:
        assert made.sidecar is not None
        assert '"law": "step-law"' in made.sidecar


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_expressed_is_in_the_text_and_beside_it(name: str) -> None:
    form = FORMATS[name]
    made = write_config(with_curve(WSD), form, MACHINE)
    for note in made.notes:
        if note.code == "not-expressed":
            assert made.sidecar is not None
            assert note.message in made.sidecar or "schedule" in made.sidecar
            if form.syntax.comments:
                assert note.message in made.text


def test_litgpt_says_that_it_has_no_wsd() -> None:
    made = write_config(with_curve(WSD), FORMATS["litgpt"], MACHINE)
    (lost,) = [note.message for note in made.notes if note.code == "not-expressed"]
    assert "no schedule like the plan's (wsd, 100 steps of warm-up, linear decay over the last 400" in lost
    assert made.sidecar is not None


def test_two_formats_matching_are_both_reported() -> None:
    mixed = '{"learning_rate": 1e-3, "per_device_train_batch_size": 4}'
    assert [form.name for form in detect("a.json", mixed)] == ["hf"]
    assert detect("a.json", "{}") == []
    assert detect("a.json", "not json") == []


def test_an_unknown_format_names_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="Did you mean 'litgpt'"):
        find_format("litgtp")


def test_a_batch_that_does_not_divide_offers_the_nearest_that_do() -> None:
    with pytest.raises(UsageError, match="--batch-tokens 393216 or 589824"):
        write_config(RECIPE, FORMATS["hf"], Machine(world_size=48, micro_batch=2))
    with pytest.raises(UsageError, match="no whole number of sequences of 3000"):
        write_config(_with_seq_len(3000), FORMATS["nanogpt"], Machine())


def _with_seq_len(seq_len: int) -> Recipe:
    return replace(RECIPE, seq_len=seq_len)


def test_the_fitting_batch_is_the_nearest_by_ratio() -> None:
    machine = Machine(world_size=48, micro_batch=2)
    assert fitting_batch(RECIPE.batch_tokens, seq_len=2048, machine=machine) == 589_824
    assert fitting_batch(1.0, seq_len=2048, machine=machine) == 2048 * 96


def test_a_batch_per_device_needs_the_world_size() -> None:
    with pytest.raises(UsageError, match="--world-size"):
        write_config(RECIPE, FORMATS["hf"], Machine())


def test_a_number_that_the_parser_takes_for_text_is_a_trap_with_its_line() -> None:
    reading = read_text_as('{\n  "learning_rate": "3e-4"\n}', "c.json", FORMATS["hf"])
    (trap,) = reading.traps
    assert (trap.code, trap.field, trap.line, trap.got) == ("not-a-number", "learning_rate", 2, '"3e-4"')
    with pytest.raises(InputError, match="line 2, learning_rate"):
        recipe_from(reading)


@pytest.mark.parametrize("name", FORMATS)
def test_numbers_that_nothing_can_be_trained_with_are_told_by_their_fields(name: str) -> None:
    """Beyond all numbers, or zero: every field in turn is a trap, an error of ours, or no obstacle."""
    form, machine = FORMATS[name], Machine(world_size=8, micro_batch=4, seq_len=2048)
    text = write_config(RECIPE, form, machine).text
    told = 0
    for path, written in form.syntax.parse(text, "c").fields.items():
        if isinstance(written.value, bool) or not isinstance(written.value, int | float):
            continue
        for odd in ("1e999", "0"):
            changed = text[: written.start] + odd + text[written.end :]
            reading = read_text_as(changed, "c", form, machine)
            with suppress(HptransferError):
                recipe_from(reading)
            told += any((trap.code, trap.field) == ("not-a-number", path) for trap in reading.traps)
    assert told > 0, "a number beyond all numbers was taken for one"


def test_missing_fields_are_the_trainers_own_defaults() -> None:
    reading = read_text_as('{"learning_rate": 0.001}', "c.json", FORMATS["hf"])
    assert reading.get("beta2") == 0.999  # transformers' default, not ours
    assert reading.values["beta2"].field is None


def test_what_nobody_says_is_an_error_with_the_flags() -> None:
    reading = read_text_as('{"learning_rate": 0.001, "max_steps": 10}', "c.json", FORMATS["hf"])
    with pytest.raises(
        InputError,
        match=r"batch_tokens: the file does not say it .*--from-world-size\) and --seq-len",
    ):
        recipe_from(reading)


def test_a_share_of_steps_that_nobody_says_is_an_error_with_the_field_to_add() -> None:
    text = "learning_rate: 0.001\nsequence_len: 4096\nwarmup_ratio: 0.03\nnum_epochs: 3\n"
    machine = Machine(world_size=8)
    with pytest.raises(InputError) as error:
        recipe_from(read_text_as(text, "base.yml", FORMATS["axolotl"], machine))
    warmup, steps = (problem.message for problem in error.value.problems)
    assert warmup.endswith("(axolotl). warmup_ratio is a share of the steps: add max_steps to it.")
    assert steps.endswith("(axolotl). Add max_steps to it.")
    known = read_text_as(f"{text}max_steps: 1000\n", "base.yml", FORMATS["axolotl"], machine)
    assert recipe_from(known).curve.warmup_steps == 30


def test_products_in_python_configs_are_worked_out() -> None:
    text = "gradient_accumulation_steps = 5 * 8 # ranks\nbatch_size = 12\nblock_size = 1024\n"
    reading = read_text_as(text, "train.py", FORMATS["nanogpt"])
    assert reading.get("batch_tokens") == 5 * 8 * 12 * 1024


def test_calls_in_python_configs_are_never_executed() -> None:
    text = "learning_rate = __import__('os').system('true')"
    reading = read_text_as(text, "train.py", FORMATS["nanogpt"])
    assert [trap.code for trap in reading.traps] == ["not-a-number"]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("litgpt", "train.max_norm"),
        ("torchtitan-toml", "training.max_norm"),
        ("torchtitan-py", "training.max_norm"),
    ],
)
def test_no_clipping_never_clips_where_0_would_zero_every_gradient(name: str, field: str) -> None:
    form = FORMATS[name]
    text = write_config(replace(RECIPE, grad_clip=0.0), form, MACHINE).text
    reading = read_text_as(text, "config", form, MACHINE)
    written = reading.source.fields[field]
    assert written.value == 1e30
    assert reading.get("grad_clip") == 0
    zero = text[: written.start] + "0.0" + text[written.end :]
    (trap,) = read_text_as(zero, "config", form, MACHINE).traps
    assert (trap.code, trap.field, trap.line) == ("zeroes-gradients", field, written.line)


def test_levanter_takes_one_step_as_a_share_for_1_would_be_the_whole_run() -> None:
    form = FORMATS["levanter"]
    one = replace(RECIPE, curve=replace(RECIPE.curve, warmup_steps=1))
    reading = read_text_as(write_config(one, form, MACHINE).text, "config", form, MACHINE)
    assert reading.source.fields["optimizer.warmup"].value == 1.5 / RECIPE.steps
    assert reading.get("warmup_steps") == 1
    written = "optimizer:\n  learning_rate: 1.0e-3\n  warmup: 1\ntrainer:\n  num_train_steps: 50\n"
    whole = read_text_as(written, "config", form, MACHINE)
    assert whole.get("warmup_steps") == 50
    assert [trap.code for trap in whole.traps] == ["whole-run"]


def test_deepspeed_says_that_its_warm_up_takes_two_steps_at_least() -> None:
    short = replace(RECIPE, curve=replace(RECIPE.curve, warmup_steps=0))
    made = write_config(short, FORMATS["deepspeed"], MACHINE)
    assert '"warmup_num_steps": 2' in made.text
    assert any("takes 2 steps at least" in note.message for note in made.notes)


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("linear", "linear"),
        ("{type: linear}", "linear"),
        ("inv_sqrt", "inv_sqrt"),
        ("{type: power}", "power"),
    ],
)
def test_levanters_schedules_keep_their_names_where_they_are_none_of_ours(
    written: str, schedule: str
) -> None:
    text = f"optimizer:\n  learning_rate: 1.0e-3\n  lr_schedule: {written}\ntrainer:\n  num_train_steps: 50\n"
    reading = read_text_as(text, "config", FORMATS["levanter"], MACHINE)
    assert reading.get("schedule") == schedule
    assert reading.values["schedule"].line == 3
