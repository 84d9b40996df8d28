"""Texts as fields with places: JSON, YAML, Python."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hptransfer.errors import InputError
from hptransfer.trainers.syntax import FLAGS, JSON, LENIENT_YAML, PYTHON, TOML, YAML, Scalar, Syntax
from hptransfer.trainers.syntax.yaml_text import resolve

names = st.text("abcdefgh_", min_size=1, max_size=8).filter(lambda name: name.isidentifier())
scalars = (
    st.integers(-(10**12), 10**12) | st.floats(1e-12, 1e12) | st.booleans() | st.text(max_size=8) | st.none()
)
trees = st.recursive(
    scalars, lambda below: st.dictionaries(names, below, min_size=1, max_size=3), max_leaves=8
)


@pytest.mark.parametrize("syntax", [JSON, YAML, LENIENT_YAML], ids=lambda syntax: syntax.name)
@given(tree=st.dictionaries(names, trees, min_size=1, max_size=4))
@settings(deadline=None)
def test_composed_text_has_the_same_fields(syntax: Syntax, tree: dict[str, object]) -> None:
    fields = _flat(tree)
    source = syntax.parse(syntax.compose(fields, ["a comment"]), "x")
    assert {path: written.value for path, written in source.fields.items()} == fields


@given(tree=st.dictionaries(names, trees, min_size=1, max_size=4))
@settings(deadline=None)
def test_json_and_yaml_agree_with_their_own_parsers(tree: dict[str, object]) -> None:
    fields = _flat(tree)
    assert _flat(json.loads(JSON.compose(fields, []))) == fields
    assert _flat(yaml.safe_load(YAML.compose(fields, []))) == fields


def _flat(tree: object, path: str = "") -> dict[str, Scalar]:
    if isinstance(tree, dict):
        return {
            k: v
            for name, below in tree.items()
            for k, v in _flat(below, f"{path}.{name}".lstrip(".")).items()
        }
    assert tree is None or isinstance(tree, float | int | str)
    return {path: tree}


@given(text=st.from_regex(r"[-+]?[0-9_.]{1,6}([eE][-+]?[0-9]{1,2})?|[a-zA-Z~]{1,5}", fullmatch=True))
@settings(deadline=None)
def test_bare_words_are_what_pyyaml_takes_them_for(text: str) -> None:
    try:
        theirs = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return
    assert resolve(text) == theirs


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        (JSON, '{"a": 1,\n "b": 2,\n "a": 3}'),
        (JSON, '{"a": {},\n "b": 2,\n "a": {}}'),
        (YAML, "a: 1\nb: 2\na: 3\n"),
        (YAML, "a: {b: 1,\n\n b: 2}\n"),
        (YAML, "a:\n  b: 1\na: {c: 1}\n"),
        (TOML, "a = 1\nb = 2\na = 2\n"),
        (TOML, "[a]\nb = 2\n[a]\n"),
        (FLAGS, "--a 1 \\\n --b 2 \\\n --a 2"),
    ],
)
def test_a_field_given_twice_is_an_error_with_both_lines(syntax: Syntax, text: str) -> None:
    with pytest.raises(InputError, match=r"line 3, a(\.b)?: is given twice \(first in line 1\)"):
        syntax.parse(text, "x")


def test_yaml_anchors_and_merges_are_followed() -> None:
    text = "base: &base\n  lr: 3.0e-4\n  wd: &wd 0.1\nrun:\n  <<: *base\n  wd: 0.2\nother: *wd\n"
    source = YAML.parse(text, "x")
    values = {path: written.value for path, written in source.fields.items()}
    assert values == {"base.lr": 3e-4, "base.wd": 0.1, "run.wd": 0.2, "run.lr": 3e-4, "other": 0.1}
    assert source.fields["run.lr"].merged
    assert source.fields["other"].text == "*wd"


def test_an_alias_bomb_ends_in_an_error() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="more than 100,000 fields"):
        YAML.parse("\n".join(lines), "x")


@pytest.mark.parametrize(
    ("syntax", "text", "line"),
    [
        (JSON, '{"a": 1,\n"b" 2}', 2),
        (JSON, '{"a": [1,\n2}', 2),
        (JSON, "[1]", 1),
        (YAML, "a: 1\n b: [", 2),
        (YAML, "- 1\n", 1),
        (PYTHON, "a = 1\nb = = 2\n", 2),
    ],
)
def test_broken_text_is_an_error_with_its_line(syntax: Syntax, text: str, line: int) -> None:
    with pytest.raises(InputError) as caught:
        syntax.parse(text, "x")
    assert caught.value.problems[0].line == line


def test_deep_nesting_is_an_error() -> None:
    for syntax, text in ((JSON, '{"a":' * 5000), (YAML, "a: " + "[" * 5000), (PYTHON, "a = " + "(" * 5000)):
        with pytest.raises(InputError):
            syntax.parse(text, "x")


def test_places_in_python_count_characters_not_bytes() -> None:
    source = PYTHON.parse("# µP\nname = 'µµ'; lr = 3e-4  # µ\n", "x")
    written = source.fields["lr"]
    assert (written.text, written.line, written.value) == ("3e-4", 2, 3e-4)


def test_flags_are_read_out_of_a_script() -> None:
    text = """ARGS=(
    --lr 3e-4   # peak
    --use-mup
    --adam-beta2=0.95
    --data "a b" # --seed 1
)
torchrun x.py --seq-length \\
    4096
"""
    source = FLAGS.parse(text, "x")
    values = {name: written.value for name, written in source.fields.items()}
    assert values == {"lr": 3e-4, "use-mup": True, "adam-beta2": 0.95, "data": "a b", "seq-length": 4096}
    assert all(text[written.start : written.end] == written.text for written in source.fields.values())
    assert source.fields["adam-beta2"].line == 4


def test_a_flag_before_another_command_has_no_value() -> None:
    fields = FLAGS.parse("run --bf16 && echo x; run --fp16 | tee log\n", "x").fields
    assert {name: written.value for name, written in fields.items()} == {"bf16": True, "fp16": True}


def test_a_flag_that_the_shell_fills_in_is_text() -> None:
    assert FLAGS.parse("--lr $LR", "x").fields["lr"].value == "$LR"


def test_toml_values_know_their_places() -> None:
    text = 'top = 1\r\n[optimizer]\r\nlr = 3e-4 # peak\r\nname = "AdamW"\r\n[a.b]\r\nx = [1, 2]\r\n'
    source = TOML.parse(text, "x")
    values = {name: (written.value, written.line) for name, written in source.fields.items()}
    assert values["optimizer.lr"] == (3e-4, 3)
    assert values["optimizer.name"] == ("AdamW", 4)
    assert source.fields["optimizer.lr"].text == "3e-4"
    assert source.fields["a.b.x.0"].value == 1


def test_broken_toml_is_an_error() -> None:
    with pytest.raises(InputError, match="not valid TOML"):
        TOML.parse("a = \n", "x")
