"""Plans written into configs that somebody has: one suite over every format, and the traps of each."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hptransfer.errors import HptransferError, InputError, UsageError
from hptransfer.trainers import (
    FORMATS,
    Curve,
    Format,
    Machine,
    Recipe,
    merged_config,
    read_text_as,
    require_base,
)
from hptransfer.trainers.reading import planned_for
from hptransfer.trainers.writing import plain_values, write_config
from tests.trainers.recipes import MACHINE, RECIPE, WSD, parametrized, recipes, with_curve

NAMES = sorted(FORMATS)
UNKNOWN = {
    "JSON": '"my_own": {"note": [1, 2]},\n  ',
    "YAML": "my_own: {note: [1, 2]}  # mine\n",
    "lenient YAML": "my_own: {note: [1, 2]}  # mine\n",
    "TOML": '[my_own]\nnote = "x"  # mine\n\n',
    "Python": "my_own = [1, 2]  # mine\n",
    "flags": 'echo "mine" # mine\n',
}


def _base(recipe: Recipe, machine: Machine, form: Format, *, windows: bool = False) -> str:
    """A config of another plan, with something of the user's own in it."""
    text = write_config(recipe, form, machine).text
    own = UNKNOWN[form.syntax.name]
    text = text.replace("{\n  ", "{\n  " + own, 1) if form.syntax.name == "JSON" else own + text
    return text.replace("\n", "\r\n") if windows else text


def _merge(form: Format, base: str, recipe: Recipe = RECIPE, machine: Machine = MACHINE) -> str:
    return merged_config(recipe, form, machine, base=base, name="base").text


@pytest.mark.parametrize("name", NAMES)
@given(old=recipes(), new=recipes(), windows=st.booleans())
@settings(max_examples=15, deadline=None)
def test_a_base_with_a_plan_in_it_reads_as_that_plan(
    name: str, old: tuple[Recipe, Machine], new: tuple[Recipe, Machine], windows: bool
) -> None:
    form, (recipe, machine) = FORMATS[name], new
    base = _base(*old, form, windows=windows)
    try:
        made = merged_config(recipe, form, machine, base=base, name="base")
    except UsageError:
        assert machine.micro_batch is None
        return
    alone = read_text_as(write_config(recipe, form, machine).text, "alone", form, machine)
    reading = read_text_as(made.text, "base", form, machine)
    lost = " ".join(note.message for note in made.notes if note.code == "not-expressed")
    for ours in plain_values(recipe):
        if alone.get(ours) is not None and "schedule" not in lost:
            assert reading.get(ours) == alone.get(ours), ours
    assert reading.number("peak_lr") == pytest.approx(recipe.peak_lr, rel=1e-12)
    assert "my_own" in made.text or "mine" in made.text
    assert merged_config(recipe, form, machine, base=made.text, name="base").text == made.text
    assert made.text.count("\r\n") == (made.text.count("\n") if windows else 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_base_that_holds_the_plan_stays_as_it_is(name: str) -> None:
    form = FORMATS[name]
    base = _base(RECIPE, MACHINE, form)
    assert _merge(form, base) == base


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_broken_bases_are_refused(name: str) -> None:
    form = FORMATS[name]
    with pytest.raises(InputError, match=r"is empty\. Leave out --base"):
        _merge(form, " \n")
    with pytest.raises(HptransferError):
        _merge(form, "\x00{]: (")


@pytest.mark.parametrize("name", NAMES)
def test_a_base_without_a_field_of_ours_gets_all(name: str) -> None:
    form = FORMATS[name]
    own = {
        "JSON": '{"my_own": 1}',
        "TOML": "[my_own]\nx = 1\n",
        "Python": "my_own = 1\n",
        "flags": "--my-own 1\n",
    }
    if name == "torchtitan-py":
        with pytest.raises(InputError, match="optimizer: is not there, and lr"):
            _merge(form, own["Python"])
        return
    text = _merge(form, own.get(form.syntax.name, "my_own: 1\n"))
    reading = read_text_as(text, "base", form, MACHINE)
    assert reading.get("peak_lr") == RECIPE.peak_lr
    assert reading.get("final_lr_ratio") == pytest.approx(RECIPE.curve.final_ratio)
    assert "my" in text


def test_what_would_say_something_else_is_taken_out() -> None:
    """A fraction of warm-up, options of another scheduler, LRs of some tensors."""
    base = (
        "lr_scheduler: rex\nwarmup_ratio: 0.1\nembedding_lr: 1\nlr_scheduler_kwargs:\n  gamma: 2\nseed: 1\n"
    )
    content = yaml.safe_load(_merge(FORMATS["axolotl"], base))
    assert content["lr_scheduler_kwargs"] == {"min_lr_rate": 0.1}
    assert content["seed"] == 1
    assert not {"warmup_ratio", "embedding_lr"} & set(content)
    text = _merge(FORMATS["litgpt"], "train:\n  lr_warmup_fraction: 0.01\n  lr_warmup_steps:\n  epochs:\n")
    assert yaml.safe_load(text)["train"]["lr_warmup_steps"] == 100
    assert "lr_warmup_fraction" not in text
    flags = _merge(FORMATS["megatron"], "--use-mup --mup-base-hidden-size 256 --lr-warmup-samples 9 --bf16\n")
    assert "use-mup" not in flags
    assert "mup-base" not in flags
    assert "samples" not in flags
    assert flags.startswith("--bf16 ")


def test_what_is_inherited_and_may_not_stand_is_set_to_nothing() -> None:
    base = "defaults: &d {lr_scheduler_kwargs: {gamma: 1}, seed: 1}\n<<: *d\nlearning_rate: 1.0e-3\n"
    text = _merge(FORMATS["llama-factory"], base)
    content = yaml.safe_load(text)
    assert content["lr_scheduler_kwargs"] == {"min_lr_rate": 0.1}
    assert content["defaults"] == {"lr_scheduler_kwargs": {"gamma": 1}, "seed": 1}
    no_floor = with_curve(Curve("cosine", 100, 0.0))
    content = yaml.safe_load(_merge(FORMATS["llama-factory"], base.replace("seed", "warmup_ratio"), no_floor))
    assert (content["lr_scheduler_kwargs"], content["warmup_ratio"]) == (None, None)
    assert content["defaults"] == {"lr_scheduler_kwargs": {"gamma": 1}, "warmup_ratio": 1}


def test_an_alias_for_what_may_not_stand_gives_way() -> None:
    base = "k: &k {gamma: 1}\nlr_scheduler_kwargs: *k\nlearning_rate: 1.0e-3\n"
    content = yaml.safe_load(_merge(FORMATS["llama-factory"], base))
    assert (content["lr_scheduler_kwargs"], content["k"]) == ({"min_lr_rate": 0.1}, {"gamma": 1})


def test_other_places_of_an_anchor_do_not_change() -> None:
    base = "learning_rate: &lr 1.0e-3\nembedding: {lr: *lr}\nother: *lr\n"
    content = yaml.safe_load(_merge(FORMATS["axolotl"], base))
    assert content["learning_rate"] == RECIPE.peak_lr
    assert (content["embedding"], content["other"]) == ({"lr": 1e-3}, 1e-3)


def test_a_mapping_that_others_take_over_is_refused_with_their_lines() -> None:
    base = "optimizer: &o\n  init_args: {lr: 1.0e-3}\ntrain: {max_tokens: 1}\nsecond:\n  <<: *o\n"
    with pytest.raises(
        InputError,
        match=r"line 2, second\.init_args\.lr: shares its place .* would go from 0\.001 to 0\.0008335",
    ):
        _merge(FORMATS["litgpt"], base)


def test_an_anchor_whose_list_is_replaced_is_refused() -> None:
    base = "optimizer: {init_args: {betas: &b [0.9]}}\ntrain: {max_tokens: 1}\nother: *b\n"
    with pytest.raises(InputError, match=r"cannot be edited, .* break: not valid YAML .*undefined alias"):
        _merge(FORMATS["litgpt"], base)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("torchtitan-toml", "[training]\nsteps = [\n 1,\n 2,\n]\n"),
        ("torchtitan-toml", "[lr_scheduler]\ndecay_ratio = [\n1]\n"),  # taken out beside the plan's steps
        ("axolotl", "learning_rate: >-\n  0.001\nseed: 1\n"),
    ],
)
def test_a_value_over_several_lines_is_refused_with_the_way_out(name: str, base: str) -> None:
    with pytest.raises(
        InputError, match=r"text would break: (training\.steps is given|not valid) .* on one\."
    ):
        _merge(FORMATS[name], base)


def test_what_is_set_may_not_be_taken_over_elsewhere() -> None:
    base = "train: &t\n  max_tokens: 1\nother:\n  <<: *t\n"
    with pytest.raises(InputError, match=r"other\.lr_warmup_steps: .* go from nothing to 100"):
        _merge(FORMATS["litgpt"], base)


@pytest.mark.parametrize("name", [name for name in NAMES if FORMATS[name].syntax.name.endswith("YAML")])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_base_full_of_aliases_is_refused_or_keeps_all_else(name: str, data: st.DataObject) -> None:
    """PyYAML makes an anchor of everything that stands in two places."""
    form = FORMATS[name]
    content = yaml.safe_load(write_config(RECIPE, form, MACHINE).text)
    other = yaml.safe_load(write_config(replace(RECIPE, peak_lr=1e-3, steps=7), form, MACHINE).text)
    places = sorted(other)
    shared = {f"own_{n}": other[data.draw(st.sampled_from(places))] for n in range(3)}
    tree = {**shared, **other} if data.draw(st.booleans()) else {**other, **shared}
    base = yaml.safe_dump(
        tree, sort_keys=False, default_flow_style=data.draw(st.sampled_from([None, False, True]))
    )
    try:
        merged = yaml.safe_load(_merge(form, base))
    except InputError:
        return
    assert {key: merged[key] for key in content} == content
    assert {key: merged[key] for key in shared} == shared


def test_a_field_that_decides_otherwise_is_refused() -> None:
    """DeepSpeed's warm-up is by the logarithm unless the file says otherwise; here nothing may stay of it."""
    base = '{"optimizer": {"type": "Lamb", "params": {"lr": 1, "x": 2}}, "scheduler": {"type": "WarmupLR"}}'
    content = json.loads(_merge(FORMATS["deepspeed"], base))
    assert content["optimizer"]["type"] == "AdamW"
    assert content["optimizer"]["params"]["x"] == 2


def test_a_plain_value_where_fields_go_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"line 1, optimizer: holds 'AdamW', and optimizer\.class_path goes below"
    ):
        _merge(FORMATS["litgpt"], "optimizer: AdamW\n")


def test_the_micro_batch_of_the_base_stays_unless_another_is_given() -> None:
    form = FORMATS["hf"]
    base = '{"learning_rate": 1, "per_device_train_batch_size": 16}'
    left = json.loads(_merge(form, base, machine=Machine(world_size=8)))
    assert (left["per_device_train_batch_size"], left["gradient_accumulation_steps"]) == (16, 2)
    given_other = json.loads(_merge(form, base, machine=Machine(world_size=8, micro_batch=4)))
    assert (given_other["per_device_train_batch_size"], given_other["gradient_accumulation_steps"]) == (4, 8)
    with pytest.raises(UsageError, match="does not divide by 7"):
        _merge(form, base.replace("16", "7"), machine=Machine(world_size=8))


def test_a_model_of_another_width_than_the_plans_is_said() -> None:
    recipe = parametrized(RECIPE, "megatron-mup", ratio=8)
    for width, differs in ((2048, False), (4096, True)):
        base = f"ARGS=(--hidden-size {width} --lr 1.0e-3)\n"
        made = merged_config(recipe, FORMATS["megatron"], MACHINE, base=base, name="b")
        assert ("width-differs" in {note.code for note in made.notes}) == differs
        assert "--use-mup --mup-base-hidden-size 256" in made.text


def test_another_trainers_config_is_no_base() -> None:
    axolotl = write_config(RECIPE, FORMATS["axolotl"], MACHINE).text
    with pytest.raises(UsageError, match="reads as axolotl, not as litgpt"):
        require_base(FORMATS["litgpt"], "a.yaml", axolotl)
    require_base(FORMATS["axolotl"], "a.yaml", axolotl)
    nanogpt = write_config(RECIPE, FORMATS["nanogpt"], MACHINE).text
    require_base(FORMATS["nanogpt-mup"], "a.py", nanogpt)  # the same fields and more
    require_base(FORMATS["litgpt"], "a.yaml", "model_name: x\n")


def test_the_header_says_what_the_file_was_planned_for_now() -> None:
    form = FORMATS["litgpt"]
    base = write_config(RECIPE, form, MACHINE, provenance={"law": "step-law", "params": 1e9}).text
    other = replace(RECIPE, peak_lr=1e-3)
    made = merged_config(other, form, MACHINE, base=base, name="b", provenance={"law": "mine", "params": 2e9})
    assert planned_for(made.text) == {"law": "mine", "params": 2e9}
    plain = "train:\n  max_tokens: 1\n"
    assert (
        planned_for(merged_config(other, form, MACHINE, base=plain, name="b", provenance={"a": 1}).text) == {}
    )


def test_what_the_format_cannot_say_is_beside_the_file() -> None:
    form = FORMATS["litgpt"]
    made = merged_config(with_curve(WSD), form, MACHINE, base="train:\n  max_tokens: 1\n", name="b")
    assert made.sidecar is not None
    assert json.loads(made.sidecar)["values"]["decay"] == "linear"
    assert math.isclose(json.loads(made.sidecar)["values"]["peak_lr"], RECIPE.peak_lr)
